/* Bytes read one after another from memory that is not to be trusted.
 *
 * The error is sticky: once something is wrong, every read gives 0, so callers
 * may check at the end, but must check a count before they act on it.  The
 * encoding is writer.h's. */
#ifndef MEMSCOPE_READER_H
#define MEMSCOPE_READER_H

#include <stddef.h>
#include <stdint.h>

enum reader_status {
    READER_OK,
    READER_ENDED,       /* the bytes ended in the middle of something */
    READER_OVERFLOW,    /* a varint above 64 bits */
};

struct reader {
    const unsigned char *next, *end;
    enum reader_status status;
};

void reader_init(struct reader *self, const void *data, size_t length);

/* Bytes not read yet. */
size_t reader_left(const struct reader *self);

/* The next `count` bytes, in place; NULL if there are not as many. */
const unsigned char *reader_bytes(struct reader *self, size_t count);

uint8_t reader_u8(struct reader *self);
uint16_t reader_u16(struct reader *self);
uint32_t reader_u32(struct reader *self);
uint64_t reader_u64(struct reader *self);
uint64_t reader_varint(struct reader *self);

#endif
