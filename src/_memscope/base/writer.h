/* Bytes written one after another into memory.
 *
 * The error is sticky: once memory ends, writing does nothing, so callers need
 * not check until the end.  Numbers are little-endian; a varint has seven bits
 * a byte, lowest first, the top bit set on all but the last (LEB128).
 *
 * A zeroed struct is an empty writer. */
#ifndef MEMSCOPE_WRITER_H
#define MEMSCOPE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer {
    unsigned char *data;
    size_t length, capacity;
    bool failed;            /* no memory; data is incomplete */
};

void writer_release(struct writer *self);

void writer_bytes(struct writer *self, const void *bytes, size_t count);
void writer_u8(struct writer *self, uint8_t value);
void writer_u16(struct writer *self, uint16_t value);
void writer_u32(struct writer *self, uint32_t value);
void writer_u64(struct writer *self, uint64_t value);
void writer_varint(struct writer *self, uint64_t value);

#endif
