/* The Columns type: a snapshot, and what is worked out from it, as a Python
 * object.  columns.c has the type, columns_group.c and columns_filter.c its
 * larger methods. */
#ifndef MEMSCOPE_COLUMNS_H
#define MEMSCOPE_COLUMNS_H

#include "base/pycompat.h"
#include "bind/objects.h"
#include "trace/snapshot.h"
#include "trace/summary.h"

/* What is derived from the snapshot is made when first needed and then kept,
 * under the GIL.  No pointer here ever changes once it is set, so a method may
 * let go of the GIL while it reads. */
typedef struct {
    PyObject_HEAD
    struct snapshot *snapshot;  /* owned */
    struct summary *summary;    /* owned; NULL until needed */
    struct objects *objects;    /* owned; NULL until needed */
} Columns;

/* New object that takes over `snapshot`, also when it fails.  NULL, of which
 * there is none for want of memory, becomes MemoryError. */
PyObject *columns_wrap(PyTypeObject *type, struct snapshot *snapshot);

/* Made if need be; NULL and an exception. */
struct summary *columns_borrow_summary(Columns *self);
struct objects *columns_borrow_objects(Columns *self);

PyObject *columns_group(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *columns_compare(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *columns_filter(PyObject *self, PyObject *args, PyObject *kwargs);
extern const char columns_group_doc[], columns_compare_doc[], columns_filter_doc[];

#endif
