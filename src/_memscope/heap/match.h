/* Which nodes of two graphs are the same object.
 *
 * An object is the same one if it has the same address and the same class in both.  An
 * address that another object of that class got in between is taken for the old one.
 * A thread is the same one by its identifier; frames are matched by nothing. */
#ifndef MEMSCOPE_MATCH_H
#define MEMSCOPE_MATCH_H

#include "heap/graph.h"

/* For each node of `newer` its node in `older`, or GRAPH_NONE; the caller frees it with
 * mem_free.  NULL without memory.  Cost: a pass over both graphs, and a quarter of the
 * space between the older one's objects as scratch. */
uint32_t *match_nodes(const struct graph *newer, const struct graph *older);

#endif
