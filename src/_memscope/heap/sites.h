/* Where the objects of a graph were allocated: a column beside it, as somebody else
 * has found out.  Frozen; owns what is in it. */
#ifndef MEMSCOPE_SITES_H
#define MEMSCOPE_SITES_H

#include "heap/graph.h"

struct site {
    graph_text filename, function;
    uint32_t lineno;            /* 0: not known */
};

struct sites {
    uint32_t *of_node;          /* by node: number of the site, from 1; 0: not known */
    struct site *sites;         /* count; the one with number 1 first */
    uint32_t count;
    size_t capacity;
    struct writer texts;
};

/* A column for so many nodes, all unknown, and no sites; NULL without memory. */
struct sites *sites_new(size_t count);
void sites_free(struct sites *self);
size_t sites_nbytes(const struct sites *self, size_t count);

/* Adds the next site: 0, or -1 without memory. */
int sites_add(struct sites *self, struct site site);

#endif
