/* Rows of a snapshot by where they came from: size and count of each group,
 * and the difference of two snapshots.
 *
 * Everything is done on the summaries, so the cost does not depend on the
 * number of rows: O(nodes) and a sort of the groups.  A group is told by a
 * 64-bit key that is made of ranks (ranking.h, chains.h), so that equal groups
 * of two trees have the same key, and so that keys order as tracemalloc orders
 * tracebacks.
 *
 * Order of the result, that of tracemalloc, always descending:
 *   one snapshot     size, count, key
 *   a difference     abs(size - old_size), size, abs(count - old_count), count, key
 *
 * Sums stop at INT64_MAX instead of wrapping around. */
#ifndef MEMSCOPE_GROUPS_H
#define MEMSCOPE_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/snapshot.h"
#include "trace/summary.h"

enum groups_key {
    GROUPS_LINENO,      /* newest frame: file and line */
    GROUPS_FILENAME,    /* newest frame: file */
    GROUPS_TRACEBACK,   /* all frames; not with cumulative */
    GROUPS_FUNCTION,    /* newest frame: file and function */
    GROUPS_LABEL,       /* newest frame: the file's label */
};

struct groups_options {
    enum groups_key key;
    bool cumulative;        /* every frame of a traceback counts, not the newest alone */
    bool per_occurrence;    /* and counts again where it recurs, as in tracemalloc */
};

struct groups_side {
    const struct summary *summary;
    const uint32_t *labels;     /* [file_count]; for GROUPS_LABEL */
};

struct group {
    uint64_t size, count;           /* in the new snapshot */
    uint64_t old_size, old_count;   /* in the old one */
    uint32_t node;                  /* a frame in this group; GROUPS_TRACEBACK: a traceback */
    bool is_old;                    /* it is of the old snapshot, which alone has the group */
};

/* 0 and the groups in *groups, to be freed with mem_free; or -1 without memory.
 * `old` may be NULL: then the old sums are 0 and the order is that of one
 * snapshot. */
int groups_build(struct groups_options options, const struct groups_side *new,
                 const struct groups_side *old, struct group **groups, size_t *count);

#endif
