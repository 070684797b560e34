/* What the cyclic garbage collector tracks, one object after another. */
#ifndef MEMSCOPE_ENUMERATE_H
#define MEMSCOPE_ENUMERATE_H

#include "base/pycompat.h"

/* Addresses of all tracked objects of this interpreter, youngest generation first, as
 * gc.get_objects() orders them; with frozen ones (gc.freeze) at the end if `frozen`, and
 * on 3.14 and newer in any case.  Borrowed: valid while the caller holds the GIL and runs no Python code.
 *
 * Changes nothing: makes no object that stays, starts no collection.  Returns 0
 * with an array for mem_free in *objects, or -1 without memory and no exception set.
 * Cost: one cache miss an object. */
int enumerate_tracked(PyObject ***objects, size_t *count, int frozen);

#endif
