/* Since when the objects of a graph are there, and which of them keep growing.
 *
 * A history belongs to the newest of a series of graphs, one for each *moment* 0, 1, 2 ...
 * of the same process, of which only the last two need to be there at once.  Objects are
 * recognised as heap/match.h says.
 *
 *     birth        the first moment at which the object was there; 0: at the beginning
 *     rises        at how many moments it had more references than ever before; of what has
 *                  none, but to its class, more bytes
 *     risen        the last of these moments; 0: none
 *     step         by how much it rose then
 *     most         references it had at most
 *     references,  what it had at its first moment
 *     bytes
 *
 * A container that entries come to and go from rises now and then, and then no more; one
 * that leaks rises to the end.  Twenty-two bytes for each node. */
#ifndef MEMSCOPE_HISTORY_H
#define MEMSCOPE_HISTORY_H

#include "heap/graph.h"

#define HISTORY_MOST_MOMENTS (UINT16_MAX - 1)

struct history {
    uint32_t count;             /* nodes */
    uint16_t moment;            /* of the graph */
    uint16_t *birth, *rises, *risen;
    uint32_t *step, *most;
    uint32_t *references, *bytes;   /* bytes: UINT32_MAX if that many or more */
};

/* The history of the first graph.  Fills the empty *out; 0, or -1 without memory and
 * nothing held. */
int history_begin(struct history *out, const struct graph *graph);

/* The history of `newer`, a graph taken after `older`, which `before` is the history of.
 * As history_begin. */
int history_continue(struct history *out, const struct graph *newer, const struct graph *older,
                     const struct history *before);

/* Says that `node` was born at `moment` at the earliest, as something that knows better
 * tells: another object had its address before. */
void history_correct(struct history *self, const struct graph *graph, uint32_t node,
                     uint16_t moment);

void history_release(struct history *self);

#endif
