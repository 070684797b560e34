/* Breadth-first searches from given nodes.
 *
 * Neither recursive nor dependent on the depth of the heap; memory is touched for
 * what is visited only.  Locking: none needed, a graph does not change. */
#ifndef MEMSCOPE_SEARCH_H
#define MEMSCOPE_SEARCH_H

#include "heap/graph.h"
#include "heap/queue.h"

/* Whether a node is what is sought: 1 yes, 0 no, -1 gives up. */
typedef int (*search_test)(uint32_t node, void *arg);

struct search {
    const struct graph *graph;
    uint32_t start;
    size_t max_depth;           /* nodes so many steps from the start are not left */
    bool backward;              /* to tracked referrers, by node number; else to referents */
    const uint32_t *ignore;     /* nodes never stepped on */
    size_t ignore_count;
    search_test test;           /* called for each node as it is left, the start first */
    void *arg;
};

enum search_result { SEARCH_FOUND, SEARCH_NOTHING, SEARCH_STOPPED, SEARCH_NO_MEMORY };

/* Looks for the nearest node that passes the test.  When it is found, `path` (empty
 * before; the caller releases it) has the nodes from it back to the start.  STOPPED:
 * the test gave up. */
enum search_result search_run(const struct search *self, struct node_queue *path);

struct search_total {
    uint64_t objects, bytes;
};

/* What can be reached by references from `from`, these included, without stepping on
 * `avoid`; threads and frames do not count.  0, or -1 without memory. */
int search_reachable(const struct graph *graph, const uint32_t *from, size_t from_count,
                     const uint32_t *avoid, size_t avoid_count, struct search_total *out);

#endif
