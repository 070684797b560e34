/* Objects of which only Python can tell something, until it is asked. */
#ifndef MEMSCOPE_BIND_UNTOLD_H
#define MEMSCOPE_BIND_UNTOLD_H

#include "base/pycompat.h"

/* A zeroed struct is empty.  Holds a reference to each object. */
struct untold {
    PyObject **objects;
    uint32_t *numbers;          /* of the node, or of the name whose text the key is */
    size_t count, object_capacity, number_capacity;
};

/* 0, or -1 without memory and no exception. */
int untold_add(struct untold *self, PyObject *object, uint32_t number);
void untold_release(struct untold *self);

#endif
