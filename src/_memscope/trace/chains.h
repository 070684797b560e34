/* Tracebacks as tracemalloc compares them: chains of (file name, line).
 *
 * Two nodes of the tree can be the same chain: a frame there also has a
 * function name, a TRACEBACK_TOTAL node is in front of some, and two snapshots
 * may have two trees.  Chains are numbered so that equal chains are equal
 * numbers, callers below callees; 0 is the empty chain.
 *
 *     chain 3 = frame 2 of chain 1        frame 2 = file 7, line 88
 *     chain 1 = frame 1 of chain 0        frame 1 = file 7, line 12
 *
 * Cost: two map look-ups for a node. */
#ifndef MEMSCOPE_CHAINS_H
#define MEMSCOPE_CHAINS_H

#include <stddef.h>
#include <stdint.h>

#include "base/hashmap.h"
#include "trace/summary.h"

struct chain {
    uint32_t parent;
    uint32_t frame;
};

/* A zeroed struct is an empty one. */
struct chains {
    struct chain *chains;       /* [chain_count]; entry 0 is the empty chain */
    uint64_t *frames;           /* [frame_count]; file << 32 | line; entry 0 is none */
    uint32_t chain_count, frame_count;
    size_t chain_capacity, frame_capacity;
    struct hashmap frame_index; /* entry of `frames` -> its number */
    struct hashmap chain_index; /* parent << 32 | frame -> number of the chain */
};

/* Numbers the chains of all nodes in use: of_node[node], or 0.  `files` gives
 * the file numbers to use for the summary's; NULL: the summary's own.
 * 0, or -1 without memory; chains_release either way. */
int chains_add(struct chains *self, const struct summary *summary, const uint32_t *files,
               uint32_t *of_node);
void chains_release(struct chains *self);

/* position[chain]: its place among all in the order of tuples of (file, line),
 * oldest frame first.  0, or -1 without memory. */
int chains_order(const struct chains *self, uint64_t *position);

#endif
