/* The Columns type: a snapshot, and what is worked out from it, as a Python
 * object.  columns.c has the type, columns_group.c, columns_filter.c and
 * columns_types.c its larger methods. */
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
    uint32_t *type;             /* owned; by row: number in type_names, or one above all:
                                   no object begins there; NULL if not known */
    PyObject *type_names;       /* owned; tuple of (module or None, qualified name), or NULL */
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
/* Tells a table the classes; takes over both also when it fails.  If they are known,
 * nothing happens.  -1 if one is NULL. */
int columns_set_types(Columns *self, uint32_t *type, PyObject *names);

/* The classes of a table whose rows were filtered out of `from`, if that knows them.  0, or -1
 * with an exception. */
int columns_copy_types(Columns *self, const Columns *from);
PyObject *columns_types(PyObject *self, PyObject *ignored);
extern const char columns_types_doc[];

extern const char columns_group_doc[], columns_compare_doc[], columns_filter_doc[];

#endif
