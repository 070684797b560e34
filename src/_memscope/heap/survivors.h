/* What came after the beginning and is still there, and what it piles up in.
 *
 * Each object is charged to one way: its shortest path from the roots that tell most
 * (heap/roots.h; modules before threads).  On the way from the root to an object that is
 * new, the *holder* is the last object before the new ones: what was there before and got
 * the new object later, directly or through others that came with it.  The first new one
 * after it is the *entry*.
 *
 *     module app -> dict -> _sessions         -> Session      -> dict -> str
 *     old           old     old: the holder      the entry       new     new
 *
 * An object that is new itself counts as a holder too once it got children at two later
 * moments: a cache that was made with the first request holds what the others added.
 *
 * So all that a workload left behind falls into a few piles, one for each holder, however
 * the objects refer to each other, and no object counts twice. */
#ifndef MEMSCOPE_SURVIVORS_H
#define MEMSCOPE_SURVIVORS_H

#include "heap/graph.h"
#include "heap/history.h"
#include "heap/queue.h"
#include "heap/roots.h"

/* Who holds what has no holder: a new root, or nothing at all. */
enum survivors_root {
    SURVIVORS_NAMED = ROOT_NAMED,
    SURVIVORS_BY_CLASS = ROOT_BY_CLASS,
    SURVIVORS_IN_C = ROOT_IN_C,
    SURVIVORS_IMMORTAL = ROOT_IMMORTAL,
    SURVIVORS_GARBAGE = ROOT_KINDS,
    SURVIVORS_ROOTS
};

struct survivors_pile {
    uint32_t holder;            /* node, or GRAPH_NONE: see `root` */
    uint8_t root;               /* enum survivors_root: how the holder is reached */
    uint32_t first, count;      /* its new nodes, in `nodes` */
    uint32_t entries;           /* of them */
    uint64_t bytes;
};

struct survivors {
    const struct graph *graph;  /* borrowed, as is the next */
    const struct history *history;
    uint32_t *parent;           /* by node: the node before it on its way, itself for a root,
                                   GRAPH_NONE for garbage */
    uint32_t *nodes;            /* the new nodes, pile by pile, in each from the root on */
    uint32_t node_count;
    uint64_t *below;            /* by position in `nodes`: bytes of the node and of all new
                                   ones behind it */
    struct survivors_pile *piles;   /* most bytes first */
    size_t pile_count;
};

/* Fills the empty *out; the caller releases it also on failure.  `avoid`: nodes that are
 * no survivors, and through which nothing is charged if there is another way.
 *
 * Cost: a pass over the graph, and of memory some 20 bytes for each node meanwhile.  Not
 * recursive.  Locking: none needed.  Failure: -1 without memory. */
int survivors_find(const struct graph *graph, const struct history *history, const uint32_t *avoid,
                   size_t avoid_count, struct survivors *out);
void survivors_release(struct survivors *self);

/* Whether the node is the first new one after the holder of its pile. */
bool survivors_is_entry(const struct survivors *self, const struct survivors_pile *pile,
                        uint32_t node);

#endif
