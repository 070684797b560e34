#include "base/reader.h"

void
reader_init(struct reader *self, const void *data, size_t length)
{
    const unsigned char *start = data;
    *self = (struct reader){start, start + length, READER_OK};
}

size_t
reader_left(const struct reader *self)
{
    return (size_t)(self->end - self->next);
}

static void
reader_fail(struct reader *self, enum reader_status status)
{
    self->status = status;
    self->end = self->next;
}

const unsigned char *
reader_bytes(struct reader *self, size_t count)
{
    if (reader_left(self) < count) {
        reader_fail(self, self->status != READER_OK ? self->status : READER_ENDED);
        return NULL;
    }
    const unsigned char *bytes = self->next;
    self->next += count;
    return bytes;
}

static uint64_t
reader_number(struct reader *self, size_t count)
{
    const unsigned char *bytes = reader_bytes(self, count);
    uint64_t value = 0;
    for (size_t i = 0; bytes != NULL && i < count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

uint8_t
reader_u8(struct reader *self)
{
    return (uint8_t)reader_number(self, 1);
}

uint16_t
reader_u16(struct reader *self)
{
    return (uint16_t)reader_number(self, 2);
}

uint32_t
reader_u32(struct reader *self)
{
    return (uint32_t)reader_number(self, 4);
}

uint64_t
reader_u64(struct reader *self)
{
    return reader_number(self, 8);
}

uint64_t
reader_varint(struct reader *self)
{
    uint64_t value = 0;
    for (unsigned shift = 0; self->next < self->end; shift += 7) {
        uint64_t byte = *self->next++;
        uint64_t bits = byte & 127;
        if (shift > 63 || (bits << shift) >> shift != bits) {
            reader_fail(self, READER_OVERFLOW);
            return 0;
        }
        value |= bits << shift;
        if (byte < 128) {
            return value;
        }
    }
    reader_fail(self, self->status != READER_OK ? self->status : READER_ENDED);
    return 0;
}
