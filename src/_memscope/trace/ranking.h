/* Texts by rank: their place in code point order, which is how Python orders
 * str.  Once ranked, names of two trees compare as numbers, and equal names
 * are equal numbers. */
#ifndef MEMSCOPE_RANKING_H
#define MEMSCOPE_RANKING_H

#include <stddef.h>
#include <stdint.h>

#include "trace/tracebacks.h"

/* Orders text ids by their text.  O(count log count) comparisons of text.
 * 0, or -1 without memory and `ids` is as before. */
int ranking_sort(const struct tracebacks *tree, uint32_t *ids, size_t count);

/* Some texts of one tree, distinct and in order, and the rank of each. */
struct ranking {
    const struct tracebacks *tree;
    const uint32_t *ids;    /* [count] */
    uint32_t count;
    uint32_t *rank;         /* [count], written by ranking_merge */
};

/* Ranks the texts of both among those of either.  O(count) comparisons. */
void ranking_merge(struct ranking *a, struct ranking *b);

#endif
