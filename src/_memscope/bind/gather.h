/* What the nodes of a graph are called, read from the objects that still live. */
#ifndef MEMSCOPE_BIND_GATHER_H
#define MEMSCOPE_BIND_GATHER_H

#include "base/pycompat.h"
#include "bind/graph.h"
#include "bind/untold.h"
#include "bind/wanted.h"
#include "heap/labels.h"

struct gathered {
    struct labels *labels;
    struct untold named;        /* objects that want a description; ascending */
    struct untold keys;         /* keys that are nodes; ascending */
    struct untold key_names;    /* keys that names speak of */
    struct untold parted;       /* objects that want their references named; ascending */
};

/* Fills *out: 0, or -1 with MemoryError.  The caller releases in both cases.
 *
 * An object that is gone, or of which that cannot be told, is noted as gone; it counts as
 * alive if it has the class that it had, and the collector tracks it, or a frame, or another
 * one that counts as alive refers to it.
 *
 * Runs no Python code, starts no collection, and makes nothing in any object.  Cost: about a
 * gc.collect(). */
int gather_labels(Graph *graph, const struct wanted_options *options, struct gathered *out);
void gathered_release(struct gathered *self);

#endif
