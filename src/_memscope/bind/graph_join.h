/* The join: which traced block each object of a graph lies in.
 *
 * A graph knows addresses of objects, a snapshot those of blocks; a block may begin with
 * headers of the collector and of the class before the object does.  So an object belongs
 * to the block that contains its address, the innermost of those that do.  Blocks that
 * extensions report under a number of their own are left out: such addresses need not be
 * of this process's memory.
 *
 * The answers are right if graph and snapshot are of one moment, which Join.take sees to.
 * A join never changes, and holds references to its graph and its table; so the columns
 * may be read without the GIL by who holds a reference to it. */
#ifndef MEMSCOPE_GRAPH_JOIN_H
#define MEMSCOPE_GRAPH_JOIN_H

#include "base/pycompat.h"
#include "bind/columns.h"
#include "bind/graph.h"

#define GRAPH_JOIN_NONE UINT32_MAX      /* not traced */

/* A traced block that is an object, of a class of the graph, to which nothing leads: only C
 * code can have a reference to it. */
struct graph_join_stray {
    uint32_t row, type;
};

typedef struct {
    PyObject_HEAD
    Graph *graph;               /* strong; never NULL once made */
    Columns *columns;           /* strong; likewise */
    uint32_t *row;              /* by node: of the snapshot, or GRAPH_JOIN_NONE; owned */
    Py_ssize_t length;          /* nodes; the shape of the buffer */
    struct graph_join_stray *strays;    /* owned; by row.  Known of Join.take only */
    size_t stray_count;
} Join;

extern PyType_Spec graph_join_spec;

/* The node's traceback, an id in the snapshot's tree; 0 if its block was not traced. */
static inline uint32_t
graph_join_traceback(const Join *self, uint32_t node)
{
    uint32_t row = self->row[node];
    return row != GRAPH_JOIN_NONE ? self->columns->snapshot->traceback[row] : 0;
}

/* The epoch in which the node's block was allocated; false if that was not traced. */
static inline bool
graph_join_epoch(const Join *self, uint32_t node, uint64_t *epoch)
{
    const struct snapshot *snapshot = self->columns->snapshot;
    uint32_t row = self->row[node];
    if (row == GRAPH_JOIN_NONE) {
        return false;
    }
    *epoch = snapshot->epochs[snapshot->epoch[row]];
    return true;
}

#endif
