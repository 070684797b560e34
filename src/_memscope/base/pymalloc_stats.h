/* What pymalloc holds, from the text that CPython prints of itself.
 *
 * There is no other way to the figures: the arenas are static in 3.11, and lie at a place in
 * the interpreter's state that changes from version to version after that.  The text has been
 * the same since 3.8.  Its parts must add up to its total, or it is not believed. */
#ifndef MEMSCOPE_PYMALLOC_STATS_H
#define MEMSCOPE_PYMALLOC_STATS_H

#include <stdint.h>

struct pymalloc_stats {
    uint64_t total;     /* all arenas */
    uint64_t used;      /* blocks given out */
    uint64_t partial;   /* free blocks in pools that a block in use keeps */
    uint64_t unused;    /* pools without a block in use */
};                      /* the rest: pool headers, what does not fill a pool or an arena */

/* From the output of _PyObject_DebugMallocStats.  0, or -1: not the text that is known. */
int pymalloc_stats_parse(struct pymalloc_stats *self, const char *text);

#endif
