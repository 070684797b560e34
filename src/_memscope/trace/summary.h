/* What a snapshot's rows add up to, by traceback.
 *
 * A million rows come from a few thousand tracebacks.  One pass over the rows
 * makes a total for each; grouping and filtering then only look at tracebacks.
 * The nodes in use are also laid out flat here, with the file name as a number
 * in code point order, so that nothing behind this file needs a text.
 *
 * Node ids are those of the tree; a parent's is always the lower one, so a
 * loop upwards sees callers first and a loop downwards sees callees first.
 * Never changes once made; independent of the rows, but not of the tree.
 *
 * Cost: O(rows) + O(highest node id) time, 28 bytes a node. */
#ifndef MEMSCOPE_SUMMARY_H
#define MEMSCOPE_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

#include "trace/snapshot.h"

struct summary_total {
    uint64_t size;      /* bytes */
    uint64_t count;     /* rows */
};

#define SUMMARY_UNUSED UINT32_MAX           /* no row has this node in its traceback */
#define SUMMARY_TOTAL (UINT32_MAX - 1)      /* a TRACEBACK_TOTAL node, in use */

struct summary_frame {
    uint32_t parent;
    uint32_t file;      /* index into `filenames`, SUMMARY_UNUSED or SUMMARY_TOTAL */
    uint32_t lineno;    /* of a SUMMARY_TOTAL node: the number of frames */
};

struct summary {
    const struct tracebacks *tracebacks;    /* borrowed from the snapshot */
    uint32_t node_count;                    /* ids 0 to node_count - 1 */
    struct summary_total *totals;           /* [node_count]; of the rows with just this id */
    struct summary_frame *frames;           /* [node_count] */
    uint32_t *filenames;                    /* text ids, distinct, in code point order */
    uint32_t file_count;
};

/* NULL without memory. */
struct summary *summary_new(const struct snapshot *snapshot);
void summary_free(struct summary *self);
size_t summary_bytes(const struct summary *self);

/* Whether `node` is a frame of some row's traceback. */
static inline int
summary_is_frame(const struct summary *self, uint32_t node)
{
    return self->frames[node].file < SUMMARY_TOTAL;
}

/* The newest frame of the traceback `node`, which is in use. */
static inline uint32_t
summary_newest_frame(const struct summary *self, uint32_t node)
{
    const struct summary_frame *frame = &self->frames[node];
    return frame->file == SUMMARY_TOTAL ? frame->parent : node;
}

#endif
