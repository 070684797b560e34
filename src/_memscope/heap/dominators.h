/* Who alone keeps what: immediate dominators, and retained sizes.
 *
 * X dominates Y if every way from a root to Y passes X: were X gone, Y would be too.  The
 * nearest such X is Y's immediate dominator.  These make a tree; the retained size of X is
 * the sum of its subtree, what would be freed with it.
 *
 * Above all stands a root that is no object.  It refers to what stays alive by itself:
 * threads (which refer to their frames), modules of sys.modules, objects with references
 * that are not in the graph, immortal ones.  What has two holders, none of which holds the
 * other, hangs on what holds both, and often that is the root.  What no root leads to is
 * garbage that was not collected yet, and hangs on a second root under the first; what
 * garbage refers to is not kept by that.
 *
 * Every edge of the graph counts, that from an instance to its class too: the class lives
 * as long.  Weak references are no edges.
 *
 * The tree is stored in the order in which it is walked from the top, so that each subtree
 * is a range: `rank` of a node to rank + span.  Virtual nodes: `count`, the root, at rank
 * 0, and `count + 1`, the garbage's.  24 bytes for each node.
 *
 * Never changes, holds no reference to the graph, and needs no lock.  Sizes add up: the
 * root retains the whole heap. */
#ifndef MEMSCOPE_DOMINATORS_H
#define MEMSCOPE_DOMINATORS_H

#include "heap/graph.h"

struct dominators {
    uint32_t count;         /* nodes of the graph */
    uint32_t *rank;         /* by node, count + 2 */
    uint32_t *order;        /* by rank: node */
    uint32_t *parent;       /* by rank: that of the immediate dominator; 0 at the root */
    uint32_t *span;         /* by rank: nodes of the subtree, itself included */
    uint64_t *retained;     /* by rank: bytes */
};

/* NULL without memory.  Not recursive.  Cost: two passes over all edges, in the order in
 * which a depth-first search meets the nodes; up to 28 bytes for each node meanwhile. */
struct dominators *dominators_new(const struct graph *graph);

void dominators_free(struct dominators *self);

/* Bytes held. */
size_t dominators_nbytes(const struct dominators *self);

/* The virtual nodes. */
static inline uint32_t
dominators_root(const struct dominators *self)
{
    return self->count;
}

static inline uint32_t
dominators_garbage(const struct dominators *self)
{
    return self->count + 1;
}

/* The immediate dominator, which may be virtual; of the root itself. */
static inline uint32_t
dominators_of(const struct dominators *self, uint32_t node)
{
    return self->order[self->parent[self->rank[node]]];
}

static inline uint64_t
dominators_retained(const struct dominators *self, uint32_t node)
{
    return self->retained[self->rank[node]];
}

/* Whether it is on every way to `node`; a node dominates itself. */
static inline bool
dominators_dominates(const struct dominators *self, uint32_t by, uint32_t node)
{
    uint32_t from = self->rank[by];
    return self->rank[node] - from < self->span[from];
}

/* What several nodes retain together: each subtree once.  (That two nodes hold an object
 * which neither holds alone does not count.)  0, or -1 without memory. */
struct dominators_total {
    uint64_t count, bytes;      /* of the subtrees: nodes of the graph, and their sizes */
};
int dominators_union(const struct dominators *self, const uint32_t *nodes, size_t count,
                     struct dominators_total *out);

/* A group of nodes, as dominators_group adds it up. */
struct dominators_group {
    uint64_t count, bytes;      /* of its members alone */
    uint64_t retained;          /* bytes of their subtrees together */
    uint32_t open_until;        /* rank; inside */
};

/* The group of a node: below `group_count`, or GRAPH_NONE for none. */
typedef uint32_t (*dominators_key)(uint32_t node, void *arg);

/* Adds every node of the graph to its group of `groups`, which are zeroed before. */
void dominators_group(const struct dominators *self, const struct graph *graph, dominators_key key,
                      void *arg, struct dominators_group *groups);

#endif
