/* Which objects grew between two graphs.
 *
 * An object is the same one if it has the same address and the same class in
 * both.  An address that another object of that class got in between is taken for
 * the old one: rare among what grows, for containers that live long are what
 * one looks for. */
#ifndef MEMSCOPE_GROWTH_H
#define MEMSCOPE_GROWTH_H

#include "heap/graph.h"

struct growth {
    uint32_t node, old_node;    /* in the newer graph, in the older */
    int64_t edges, bytes;       /* how much more; at least one of them above 0 */
};

struct growths {
    struct growth *items;       /* largest first: the most references, then the most bytes */
    size_t count, capacity;
    size_t total;               /* objects that grew, of which `count` were kept */
};

/* Fills *out with the `limit` objects that grew most.  0, or -1 without memory; the
 * caller releases in both cases.  Cost: a pass over both graphs, and a quarter of the
 * space between the older one's objects as scratch. */
int growth_find(const struct graph *newer, const struct graph *older, size_t limit,
                struct growths *out);
void growth_release(struct growths *self);

#endif
