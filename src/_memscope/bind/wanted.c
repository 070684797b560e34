#include "bind/wanted.h"

static bool
is_instance(PyTypeObject *type, PyObject *classes)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(classes); i++) {
        PyObject *class = PyTuple_GET_ITEM(classes, i);
        if (PyType_Check(class) && PyType_IsSubtype(type, (PyTypeObject *)class)) {
            return true;
        }
    }
    return false;
}

bool
wanted_is_one_of(const PyTypeObject *type, PyObject *classes)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(classes); i++) {
        if (PyTuple_GET_ITEM(classes, i) == (const PyObject *)type) {
            return true;
        }
    }
    return false;
}

int
wanted_find(struct wanted *self, const struct wanted_options *options, PyObject *instance)
{
    PyTypeObject *type = Py_TYPE(instance);
    self->known = true;
    self->named = is_instance(type, options->named);
    self->parted = is_instance(type, options->parted);
    self->sized = wanted_is_one_of(type, options->sized);
    self->container = container_of(instance);
    return names_find_members(type, &self->members);
}
