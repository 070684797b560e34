/* What an object refers to: tp_traverse, and what that leaves out. */
#ifndef MEMSCOPE_VISIT_H
#define MEMSCOPE_VISIT_H

#include "base/object_layout.h"
#include "base/pycompat.h"

#define VISIT_CACHE_LINE 64

/* Calls `visit` for each reference of an object until it returns non-zero, and returns
 * that.  Beyond tp_traverse there are
 *
 *     the str keys of a dict that has no others (dict_traverse spares itself those),
 *     what a code object holds, and a class that is not on the heap,
 *     the dict in which a class has its subclasses, where it is the class's own,
 *     on 3.13 the dict of an instance that was asked for it (gh-130327).
 *
 * Left out are objects that a module keeps for reuse: they are not alive.
 *
 * Runs no Python code, makes no object.  The caller holds the GIL. */
int object_visit(PyObject *object, visitproc visit, void *arg);

/* Starts to fetch what object_visit will look at outside of the object. */
static inline void
object_prefetch_contents(PyObject *object)
{
#if defined(__GNUC__)
    const PyTypeObject *type = Py_TYPE(object);
    if (type == &PyDict_Type) {
        const char *keys = (const char *)((PyDictObject *)object)->ma_keys;
        __builtin_prefetch(keys);
        __builtin_prefetch(keys + VISIT_CACHE_LINE);
    }
    else if (type == &PyList_Type) {
        __builtin_prefetch(((PyListObject *)object)->ob_item);
    }
    else if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        __builtin_prefetch(object_values_hint(object));
    }
#else
    (void)object;
#endif
}

#endif
