/* By which names a container has what it contains: key, index, or none. */
#include <string.h>

#include "bind/names.h"
#include "heap/visit.h"

static void
name_entries(struct names *self, PyObject *source)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (names_is_open(self) && PyDict_Next(source, &position, &key, &value)) {
        names_add(self, (struct name){NAME_KEY, value, .object = key});
        names_add(self, (struct name){.kind = NAME_KEY_ITSELF, .target = key});
    }
}

static void
name_items(struct names *self, PyObject *const *items, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count && names_is_open(self); i++) {
        names_add(self, (struct name){NAME_INDEX, items[i], .index = i});
    }
}

static int
name_element(PyObject *element, void *arg)
{
    struct names *self = arg;
    names_add(self, (struct name){.kind = NAME_ITEM, .target = element});
    return !names_is_open(self);
}

/* The class of all deques, if the class is one of them.  Another one of that name gives
 * wrong names, and no worse: what it traverses is its own. */
static PyTypeObject *
find_deque(PyTypeObject *type)
{
    PyObject *mro = type->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        if (PyType_Check(base) && PyType_IS_GC(base)
            && strcmp(base->tp_name, "collections.deque") == 0) {
            return base;
        }
    }
    return NULL;
}

struct deque {
    struct names *names;
    Py_ssize_t next;
};

static int
name_deque_item(PyObject *item, void *arg)
{
    struct deque *self = arg;
    if (self->next >= 0) {
        names_add(self->names, (struct name){NAME_INDEX, item, .index = self->next});
    }
    self->next++;
    return !names_is_open(self->names);
}

/* deque_traverse() begins with the class, where that is on the heap. */
static void
name_deque(struct names *self, PyObject *source, PyTypeObject *deque)
{
    struct deque visitor = {self, PyType_HasFeature(deque, Py_TPFLAGS_HEAPTYPE) ? -1 : 0};
    deque->tp_traverse(source, name_deque_item, &visitor);
}

bool
names_has_contents(PyObject *source)
{
    return pycompat_is_dict(source) || PyList_Check(source) || PyTuple_Check(source)
           || PyAnySet_Check(source) || find_deque(Py_TYPE(source)) != NULL;
}

void
names_of_contents(struct names *self, PyObject *source)
{
    PyTypeObject *deque;
    if (pycompat_is_dict(source)) {
        name_entries(self, source);
    }
    else if (PyList_Check(source)) {
        name_items(self, ((PyListObject *)source)->ob_item, PyList_GET_SIZE(source));
    }
    else if (PyTuple_Check(source)) {
        name_items(self, ((PyTupleObject *)source)->ob_item, PyTuple_GET_SIZE(source));
    }
    else if (PyAnySet_Check(source)) {
        object_visit(source, name_element, self);
    }
    else if ((deque = find_deque(Py_TYPE(source))) != NULL) {
        name_deque(self, source, deque);
    }
}
