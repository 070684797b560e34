/* What is to be told of the instances of a class, when a graph is saved. */
#ifndef MEMSCOPE_BIND_WANTED_H
#define MEMSCOPE_BIND_WANTED_H

#include "bind/containers.h"
#include "bind/names.h"

/* Tuples of classes, exact tuples: which objects Python has more to say of. */
struct wanted_options {
    PyObject *named;            /* instances have a description of their own */
    PyObject *sized;            /* exact instances are told by their length */
    PyObject *valued;           /* exact instances are told by their value, as keys */
    PyObject *parted;           /* instances name what they refer to only when asked */
    Py_ssize_t longest;         /* characters of a str that is a key */
    int layout_is_verified;
};

/* What instances of a class want. */
struct wanted {
    bool known;
    bool named, sized, parted;
    struct container container;
    struct members members;
    uint32_t last_shape;        /* of the instance that was looked at last */
};

/* Fills *self from an instance.  0, or -1 without memory; members.items is for mem_free. */
int wanted_find(struct wanted *self, const struct wanted_options *options, PyObject *instance);

/* Whether it is one of a tuple of classes. */
bool wanted_is_one_of(const PyTypeObject *type, PyObject *classes);

#endif
