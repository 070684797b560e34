/* What the cyclic garbage collector tracks, one object after another. */
#ifndef MEMSCOPE_ENUMERATE_H
#define MEMSCOPE_ENUMERATE_H

#include "base/pycompat.h"

/* The tracked objects of this interpreter, youngest generation first, as gc.get_objects()
 * orders them; frozen ones (gc.freeze) at the end if `frozen`, and on 3.14 and newer in
 * any case.
 *
 * Nothing is changed: no object is made that stays, no collection starts.  The GIL is
 * held, and no Python code may run meanwhile.  Cost: one cache miss an object. */

/* Work that is done at each object.  The lists of the collector are walked at several
 * places at a time, so the objects come in pieces: those of one piece in order, mixed
 * with those of others; which piece comes when is known at the end only.
 *
 * A function that returns -1 is out of memory and ends it all. */
struct at_tracked {
    size_t piece_size;          /* of what is known of one piece; zeroed */
    int (*visit)(void *whole, void *piece, PyObject *object);
    int (*join)(void *whole, void *piece);      /* of each piece, in order */
    void (*release)(void *piece);
};

/* 0, or -1 without memory and no exception set. */
int visit_tracked(const struct at_tracked *work, void *whole, int frozen);

/* Objects in order, borrowed; zeroed, an empty list.  A piece of them, or the whole. */
struct object_list {
    PyObject **items;
    size_t count, capacity;
};

int object_list_add(struct object_list *self, PyObject *object);
int object_list_join(struct object_list *self, struct object_list *more);
void object_list_release(void *piece);

/* The objects themselves, borrowed: 0 with an array for mem_free in *objects, or -1. */
int enumerate_tracked(PyObject ***objects, size_t *count, int frozen);

#endif
