/* A heap graph as bytes, and back, with what its nodes are called and where they were
 * allocated.  docs/heap-format.md is the normative layout.
 *
 * What is read is not trusted, as in dump.h: no count is believed before the bytes that
 * it speaks of are known to be there, so memory stays within about forty times the length
 * of the input; every node, class, text, name and shape exists, and edges lead only where
 * those of a walked graph do.
 *
 * Cost: some 13 bytes a node, and 0.1 us a node each way. */
#ifndef MEMSCOPE_HEAP_FILE_H
#define MEMSCOPE_HEAP_FILE_H

#include <stddef.h>

#include "base/writer.h"
#include "file/chunks.h"
#include "heap/graph.h"
#include "heap/labels.h"
#include "heap/sites.h"

/* Higher addresses are in no graph: pagemap.h has no place for them. */
#define HEAP_FILE_MOST_ADDRESS ((UINT64_C(1) << 48) - 1)

struct heap_file {
    struct graph *graph;
    struct labels *labels;      /* NULL: not known */
    struct sites *sites;        /* NULL: not known */
};

/* Frees the three. */
void heap_file_release(struct heap_file *self);

/* Writes into *out, an empty writer: 0, or -1 without memory.  Frees nothing on failure:
 * writer_release does. */
int heap_file_write(const struct heap_file *self, const struct dump_origin *origin,
                    struct writer *out);

/* Fills *self, which the caller owns then.  With DUMP_INVALID, *error says why, and with
 * it and DUMP_NO_MEMORY there is nothing to release. */
enum dump_status heap_file_read(const unsigned char *data, size_t length, struct heap_file *self,
                                struct chunks_error *error);

#endif
