#include "base/writer.h"

#include <string.h>

#include "base/mem.h"

#define VARINT_MAX_BYTES 10

static unsigned char *
writer_grow(struct writer *self, size_t count)
{
    void *block = self->data;
    if (self->failed || count > SIZE_MAX - self->length
        || mem_grow(&block, &self->capacity, self->length + count, 1) < 0) {
        self->failed = true;
        return NULL;
    }
    self->data = block;
    return self->data + self->length;
}

/* Where `count` more bytes may be written, or NULL. */
static inline unsigned char *
writer_room(struct writer *self, size_t count)
{
    return self->capacity - self->length >= count && !self->failed ? self->data + self->length
                                                                   : writer_grow(self, count);
}

void
writer_release(struct writer *self)
{
    mem_free(self->data);
    *self = (struct writer){0};
}

void
writer_bytes(struct writer *self, const void *bytes, size_t count)
{
    unsigned char *room = count != 0 ? writer_room(self, count) : NULL;
    if (room != NULL) {
        memcpy(room, bytes, count);
        self->length += count;
    }
}

static void
writer_number(struct writer *self, uint64_t value, size_t count)
{
    unsigned char *room = writer_room(self, count);
    if (room == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        room[i] = (unsigned char)(value >> (8 * i));
    }
    self->length += count;
}

void
writer_u8(struct writer *self, uint8_t value)
{
    writer_number(self, value, 1);
}

void
writer_u16(struct writer *self, uint16_t value)
{
    writer_number(self, value, 2);
}

void
writer_u32(struct writer *self, uint32_t value)
{
    writer_number(self, value, 4);
}

void
writer_u64(struct writer *self, uint64_t value)
{
    writer_number(self, value, 8);
}

void
writer_varint(struct writer *self, uint64_t value)
{
    unsigned char *room = writer_room(self, VARINT_MAX_BYTES);
    if (room == NULL) {
        return;
    }
    size_t count = 0;
    for (; value > 127; value >>= 7) {
        room[count++] = (unsigned char)(value | 128);
    }
    room[count++] = (unsigned char)value;
    self->length += count;
}
