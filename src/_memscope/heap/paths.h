/* The shortest ways in which roots hold given nodes.
 *
 * A path begins at a root and ends at a target, the only target on it; each node
 * refers to the next; no node is twice on it.  It has no root but its first node, and
 * what a module itself refers to, which is its dict, is entered from the module only:
 * ways into that dict through functions that have it as __globals__ say nothing.
 * Which roots count is told in heap/roots.h: the first kind that reaches any target.
 *
 * Cost: with limit 1, what has a way to the target within the length of the path;
 * else a pass over the whole graph.  Not recursive.
 *
 * Locking: none needed, a graph does not change.  Failure: -1 without memory. */
#ifndef MEMSCOPE_PATHS_H
#define MEMSCOPE_PATHS_H

#include "heap/graph.h"
#include "heap/queue.h"

struct paths_query {
    const struct graph *graph;
    const uint32_t *targets;
    size_t target_count;
    const uint32_t *avoid;      /* nodes that no path has */
    size_t avoid_count;
    uint32_t limit;             /* paths wanted in all, 1 at least */
};

/* All paths one after another.  A zeroed struct is empty. */
struct paths {
    struct node_queue nodes;
    size_t *end;                /* count; where in `nodes` each path ends */
    size_t count, capacity;
};

/* Up to `limit` different paths, shortest first, into the empty `out`, which the caller
 * releases also on failure; none: no root of any kind reaches a target.
 *
 * The first is one of the shortest there are; with limit 1, of these one from a module
 * rather than from a thread.  The others are the next shortest, as
 * long as no node is on more than `limit` of the unfinished paths that were tried. */
int paths_find(const struct paths_query *query, struct paths *out);

void paths_release(struct paths *self);

#endif
