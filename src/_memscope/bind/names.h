/* By which names one live object refers to others. */
#ifndef MEMSCOPE_BIND_NAMES_H
#define MEMSCOPE_BIND_NAMES_H

#include <stdbool.h>

#include "base/pycompat.h"

#define NAMES_MOST 100          /* of one reference */

enum name_kind {
    NAME_ATTRIBUTE,
    NAME_SLOT,
    NAME_DICT,
    NAME_TYPE,
    NAME_CELL,
    NAME_CALLBACK,
    NAME_LOCAL,
    NAME_KEY,
    NAME_INDEX,
    NAME_KEY_ITSELF,
    NAME_ITEM,
    NAME_WEAK,
    NAME_AWAITING,
    NAME_FUNCTION,
};

struct name {
    enum name_kind kind;
    const void *target;         /* what is referred to; only its address means anything */
    PyObject *object;           /* borrowed; or NULL, and then `text` or `index` */
    const char *text;
    Py_ssize_t index;
};

/* A zeroed struct, but for the first three, is an empty list. */
struct names {
    const PyObject *only;       /* references to this; NULL: all of them */
    size_t most;                /* names, about */
    int layout_is_verified;
    struct name *items;         /* owned; what they speak of is borrowed */
    size_t count, capacity;
    bool failed;                /* no memory; names are missing */
};

/* A slot of a class, or a field that a class in C declares. */
struct member {
    Py_ssize_t offset;
    PyObject *name;             /* borrowed from the class, or one of its bases */
};

struct members {
    struct member *items;       /* owned; mem_free */
    size_t count, capacity;
};

/* Fills *out, a zeroed struct, with those of a class.  0, or -1 without memory. */
int names_find_members(PyTypeObject *type, struct members *out);

/* Add the names by which `source` refers to others, in the order in which they are told:
 * by attributes and class; by key, index or as an element; by what else its class says.
 *
 * Looks at memory alone: no attribute is fetched but of the interpreter's own classes,
 * nothing is compared but addresses, what an object has made lazily (a dict, a frame)
 * stays unmade, and no object that the collector tracks is made. */
void names_of_instance(struct names *self, PyObject *source);
void names_of_contents(struct names *self, PyObject *source);
void names_of_rest(struct names *self, PyObject *source, const struct members *members);

/* Whether an object has contents that names_of_contents knows. */
bool names_has_contents(PyObject *source);

void names_release(struct names *self);

/* What Python calls a kind. */
const char *names_kind(enum name_kind kind);

#endif
