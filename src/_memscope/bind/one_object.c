/* One live object: what it refers to, how large it is, and whether its attributes are
 * where this build expects them. */
#include "base/mem.h"
#include "base/object_layout.h"
#include "bind/bind.h"
#include "heap/sizes.h"
#include "heap/visit.h"

/* -- the layout, tried on an object of our own ------------------------------------------ */

/* Whether value `i` without a dict is `value`, by the name `name`. */
static int
is_attribute(PyObject *object, Py_ssize_t i, PyObject *value, const char *name)
{
    Py_ssize_t count = 0;
    PyObject *const *values = object_inline_values(object);
    const struct dict_unicode_entry *keys = object_shared_keys(Py_TYPE(object), &count);
    return values != NULL && keys != NULL && i < count && values[i] == value && keys[i].key != NULL
           && PyUnicode_CheckExact(keys[i].key)
           && PyUnicode_CompareWithASCIIString(keys[i].key, name) == 0;
}

/* 1 or 0, or -1 with an exception. */
static int
read_object(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (!PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT)
        || PyObject_SetAttrString(object, "first", Py_True) < 0
        || PyObject_SetAttrString(object, "second", Py_False) < 0) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (object_managed_dict(object) != NULL || !is_attribute(object, 0, Py_True, "first")
        || !is_attribute(object, 1, Py_False, "second")) {
        return 0;
    }
    PyObject *dict = PyObject_GenericGetDict(object, NULL);
    int right = dict == NULL ? -1 : object_managed_dict(object) == dict;
    Py_XDECREF(dict);
    return right;
}

int
layout_is_verified(PyObject *module)
{
    struct module_state *state = bind_state(module);
    if (!state->layout_is_tried) {
        PyObject *type = PyObject_CallFunction((PyObject *)&PyType_Type, "s(){ss}",
                                               "memscope.Probe", "__module__", "memscope");
        PyObject *object = type != NULL ? PyObject_CallNoArgs(type) : NULL;
        int right = object != NULL ? read_object(object) : -1;
        Py_XDECREF(object);
        Py_XDECREF(type);
        state->layout_is_tried = right >= 0;
        state->layout_is_right = right > 0;
        if (right < 0) {
            PyErr_Clear();
        }
    }
    return state->layout_is_right;
}

/* -- functions ------------------------------------------------------------------------------ */

PyDoc_STRVAR(layout_verified_doc,
"layout_verified($module, /)\n"
"--\n"
"\n"
"Whether the attributes of an instance made for the purpose are found where this build\n"
"expects them.  If not, edge_names() names none that are kept without a dict.");

static PyObject *
layout_verified(PyObject *module, PyObject *Py_UNUSED(args))
{
    return PyBool_FromLong(layout_is_verified(module));
}

struct found {
    PyObject **items;
    size_t count, capacity;
};

static int
add_referent(PyObject *object, void *arg)
{
    struct found *self = arg;
    if (self->count == self->capacity
        && mem_grow((void **)&self->items, &self->capacity, self->count + 1, sizeof *self->items)
               < 0) {
        return -1;
    }
    self->items[self->count++] = Py_NewRef(object);
    return 0;
}

PyDoc_STRVAR(referents_doc,
"referents($module, obj, /)\n"
"--\n"
"\n"
"What an object refers to, as a graph has it: gc.get_referents(), the str keys of a\n"
"dict, what a code object and a built-in class hold, and the dict of an instance.\n"
"\n"
"Raises MemoryError.");

static PyObject *
referents(PyObject *Py_UNUSED(module), PyObject *object)
{
    struct found found = {0};
    int failed = object_visit(object, add_referent, &found) != 0;
    PyObject *list = failed ? PyErr_NoMemory() : PyList_New((Py_ssize_t)found.count);
    for (size_t i = 0; i < found.count; i++) {
        if (list != NULL) {
            PyList_SET_ITEM(list, (Py_ssize_t)i, found.items[i]);
        }
        else {
            Py_DECREF(found.items[i]);
        }
    }
    mem_free(found.items);
    return list;
}

PyDoc_STRVAR(size_of_doc,
"size_of($module, obj, /)\n"
"--\n"
"\n"
"Bytes of an object, as sys.getsizeof(), without running Python code: a __sizeof__ of\n"
"the program is passed over.");

static PyObject *
size_of(PyObject *Py_UNUSED(module), PyObject *object)
{
    struct sizer sizer = sizer_of(Py_TYPE(object));
    return PyLong_FromSize_t(sizer_measure(&sizer, object));
}

PyMethodDef one_object_methods[] = {
    {"referents", referents, METH_O, referents_doc},
    {"size_of", size_of, METH_O, size_of_doc},
    {"layout_verified", layout_verified, METH_NOARGS, layout_verified_doc},
    {NULL, NULL, 0, NULL},
};
