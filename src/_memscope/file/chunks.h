/* The container of a memscope file: a header, a table of chunks, the chunks.
 * docs/dump-format.md has the bytes; dump.h puts a snapshot into it.
 *
 * Every byte of a file is covered by a CRC-32 (that of ISO 3309, as in zlib),
 * and chunks lie side by side, so damage is found before any of it is acted on.
 * A checksum is no proof of good will: chunk contents stay untrusted. */
#ifndef MEMSCOPE_CHUNKS_H
#define MEMSCOPE_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reader.h"
#include "base/writer.h"

#define CHUNKS_MAJOR 1      /* another major version cannot be read */
#define CHUNKS_MINOR 0      /* a higher one only adds */
#define CHUNKS_MAX 64

#define CHUNKS_MAGIC_BYTES 8
#define CHUNKS_HEADER_BYTES 24
#define CHUNKS_ENTRY_BYTES 24
#define CHUNKS_CRC_BYTES 4

/* Who writes; kept in the file for people, never acted on.  UTF-8. */
struct dump_origin {
    const char *creator;    /* memscope's version */
    const char *python;
    const char *platform;
};

/* How reading a whole file ended. */
enum dump_status { DUMP_OK, DUMP_INVALID, DUMP_NO_MEMORY };

/* One sentence: what is wrong, what was expected, and where. */
struct chunks_error {
    char message[200];
};

/* Writes the sentence; a printf format.  Returns -1. */
#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
int chunks_fail(struct chunks_error *self, const char *format, ...);

/* CRC-32 of the bytes that gave `crc` (0 before the first) and `count` more. */
uint32_t chunks_crc32(uint32_t crc, const unsigned char *bytes, size_t count);

/* Writing: start, then begin each chunk and put its contents into `file`, then
 * finish.  `file.failed` says in the end whether memory sufficed. */
struct chunks_writer {
    struct writer file;
    uint32_t count, begun;
    const char *ids[CHUNKS_MAX];
    size_t offsets[CHUNKS_MAX];
};

/* `count` is how many chunks there will be, exactly. */
void chunks_start(struct chunks_writer *self, uint32_t count);
void chunks_begin(struct chunks_writer *self, const char *id);
void chunks_finish(struct chunks_writer *self);

/* Writes the three strings. */
void chunks_write_origin(struct writer *out, const struct dump_origin *origin);

/* Reading.  The table is copied, so that data which changes under the reader
 * (a mapped file) cannot lead it outside. */
struct chunk {
    char id[4];
    uint32_t crc;
    uint64_t offset, length;
};

struct chunks {
    const unsigned char *data;          /* borrowed */
    struct chunk table[CHUNKS_MAX];     /* [count] */
    uint32_t count;
};

/* Checks all but the contents of the chunks.  0, or -1 and *error. */
int chunks_open(struct chunks *self, const unsigned char *data, size_t length,
                struct chunks_error *error);

/* The contents of the chunk with this id: whether it is there. */
bool chunks_find(const struct chunks *self, const char *id, struct reader *contents);

#endif
