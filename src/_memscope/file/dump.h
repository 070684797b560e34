/* A snapshot as bytes, and back.  docs/dump-format.md is the normative layout.
 *
 * What is read is not trusted.  No count is believed before the bytes that it
 * speaks of are known to be there, so memory stays within about twenty times
 * the length of the input; every id is checked; node parents are lower than
 * their children, so there is no cycle, and no traceback is longer than
 * DUMP_MAX_DEPTH.  A traceback's frames are shared, so that a small file can
 * still describe many long tracebacks: expanding them is the caller's choice.
 *
 * Cost at a million rows: 3 to 8 bytes and some 50 ns a row each way. */
#ifndef MEMSCOPE_DUMP_H
#define MEMSCOPE_DUMP_H

#include <stddef.h>

#include "base/writer.h"
#include "file/chunks.h"
#include "trace/snapshot.h"
#include "trace/summary.h"

#define DUMP_MAX_DEPTH 65535

/* Writes into *out, an empty writer: 0, or -1 without memory.  `summary` is
 * the snapshot's.  Frees nothing on failure: writer_release does. */
int dump_write(const struct snapshot *snapshot, const struct summary *summary,
               const struct dump_origin *origin, struct writer *out);

/* Reads a new snapshot with a tree of its own.  With DUMP_INVALID, *error says
 * why. */
enum dump_status dump_read(const unsigned char *data, size_t length, struct snapshot **snapshot,
                           struct chunks_error *error);

#endif
