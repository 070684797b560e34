/* One walk of the whole heap into a frozen graph.
 *
 * Begins with what the collector tracks and with the running frames, and closes over
 * tp_traverse, so that what the collector does not track (str, int, untracked
 * tuples and dicts, code) is there too.
 *
 * Cost: about as long as gc.collect(), in which every other thread waits, and for
 * that time a quarter of the heap's size in addition to the graph. */
#ifndef MEMSCOPE_WALK_H
#define MEMSCOPE_WALK_H

#include "base/pycompat.h"
#include "heap/graph.h"
#include "heap/pagemap.h"

struct walk_options {
    PyObject *hide_frames;      /* exact str or NULL: see stacks_find */
    PyObject *const *hide;      /* objects to leave out, with what only they lead to */
    size_t hide_count;
    PyTypeObject *leaf;         /* instances of this class are not looked into; or NULL */
    int keep;                   /* a new reference to the object of each node, for the caller */
};

/* A new graph of this interpreter's heap, and in *index (if not NULL) the map from
 * address to node + 1, which the caller frees.  NULL without memory, or with more
 * nodes, edges or classes than a graph can hold; then nothing is left over.
 *
 * Holding the GIL.  Runs no Python code.  Every object is as before; no exception is
 * set or lost. */
struct graph *walk_heap(const struct walk_options *options, struct pagemap **index);

#endif
