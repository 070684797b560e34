/* What an object refers to: tp_traverse, and what that leaves out. */
#ifndef MEMSCOPE_VISIT_H
#define MEMSCOPE_VISIT_H

#include "base/pycompat.h"

/* Calls `visit` for each reference of an object until it returns non-zero, and returns
 * that.  Beyond tp_traverse there are
 *
 *     the str keys of a dict that has no others (dict_traverse spares itself those),
 *     what a code object holds, and a class that is not on the heap,
 *     on 3.13 the dict of an instance that was asked for it (gh-130327).
 *
 * Left out are objects that a module keeps for reuse: they are not alive.
 *
 * Runs no Python code, makes no object.  The caller holds the GIL. */
int object_visit(PyObject *object, visitproc visit, void *arg);

#endif
