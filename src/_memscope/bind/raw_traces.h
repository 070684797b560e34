/* tracemalloc's tuples into a snapshot. */
#ifndef MEMSCOPE_RAW_TRACES_H
#define MEMSCOPE_RAW_TRACES_H

#include "base/pycompat.h"
#include "trace/snapshot.h"

/* A snapshot with a tree of its own from an iterable of (domain, size, frames)
 * or (domain, size, frames, total_nframe), frames newest first.  NULL and
 * TypeError, ValueError or MemoryError.  O(rows + distinct frame tuples). */
struct snapshot *raw_traces_read(PyObject *traces, uint32_t traceback_limit);

/* `object` as an unsigned number up to `highest`: 0, or -1 and TypeError or
 * ValueError that begins with `what`. */
int raw_traces_number(PyObject *object, const char *what, uint64_t highest, uint64_t *number);

#endif
