/* Which rows of a snapshot a list of filters keeps, by tracemalloc's rules.
 *
 * A filter hits a traceback or not, whatever the row; only its domain depends
 * on the row.  So the verdict is found once for each traceback and domain that
 * some filter names, and the rows only look it up.
 *
 * Cost: O(nodes * filters * domains named) + O(rows). */
#ifndef MEMSCOPE_FILTER_H
#define MEMSCOPE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/snapshot.h"
#include "trace/summary.h"

#define FILTER_ANY UINT64_MAX           /* every line, every domain */
#define FILTER_NONE (UINT64_MAX - 1)    /* no line, no domain */

struct filter {
    const uint8_t *files;   /* [file_count]: whether the name matches; NULL: all do */
    uint64_t lineno;        /* or FILTER_ANY, FILTER_NONE */
    uint64_t domain;        /* as tracemalloc numbers them, or FILTER_ANY, FILTER_NONE */
    bool inclusive;
    bool all_frames;        /* not only the newest */
};

/* Inclusive limits that every row kept is within. */
struct filter_range {
    uint64_t min_size, max_size;
    uint64_t min_epoch, max_epoch;  /* numbers of epochs, not the rows' bytes */
};

/* The rows kept, in order, as a new snapshot on the same tree; NULL without
 * memory.  `summary` is the snapshot's. */
struct snapshot *filter_apply(const struct snapshot *snapshot, const struct summary *summary,
                              const struct filter *filters, size_t count,
                              const struct filter_range *range);

#endif
