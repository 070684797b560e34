#include "file/cursor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

size_t
cursor_offset(const struct cursor *self)
{
    return (size_t)(self->reader.next - self->chunks->data);
}

int
cursor_fail(struct cursor *self, const char *format, ...)
{
    char what[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    return chunks_fail(self->error, "bad memscope dump: chunk %s %s", self->id, what);
}

int
cursor_fail_number(struct cursor *self, const char *what, uint64_t found, uint64_t lowest,
                   uint64_t highest)
{
    return cursor_fail(self,
                       "has %s %" PRIu64 " before offset %zu, expected %" PRIu64 " to %" PRIu64,
                       what, found, cursor_offset(self), lowest, highest);
}

int
cursor_check(struct cursor *self)
{
    switch (self->reader.status) {
    case READER_OK:
        return 0;
    case READER_ENDED:
        return cursor_fail(self, "ends at offset %zu, expected more", cursor_offset(self));
    default:
        return cursor_fail(self, "has a number of more than 64 bits before offset %zu",
                           cursor_offset(self));
    }
}

int
cursor_open(struct cursor *self, const char *id)
{
    self->id = id;
    if (!chunks_find(self->chunks, id, &self->reader)) {
        return cursor_fail(self, "is not in the table at offset %d, expected once",
                           CHUNKS_HEADER_BYTES);
    }
    return 0;
}

int
cursor_close(struct cursor *self)
{
    if (cursor_check(self) < 0) {
        return -1;
    }
    size_t left = reader_left(&self->reader);
    if (left != 0) {
        return cursor_fail(self, "goes on for %zu bytes at offset %zu, expected its end", left,
                           cursor_offset(self));
    }
    return 0;
}

int
cursor_count(struct cursor *self, const char *what, size_t bytes, uint64_t *count)
{
    *count = reader_varint(&self->reader);
    if (cursor_check(self) < 0) {
        return -1;
    }
    size_t most = reader_left(&self->reader) / bytes;
    if (*count > most || *count >= UINT32_MAX) {
        return cursor_fail_number(self, what, *count, 0, most < UINT32_MAX ? most : UINT32_MAX - 1);
    }
    return 0;
}

int
cursor_number(struct cursor *self, const char *what, uint64_t lowest, uint64_t highest,
              uint64_t *number)
{
    *number = reader_varint(&self->reader);
    if (cursor_check(self) < 0) {
        return -1;
    }
    if (*number < lowest || *number > highest) {
        return cursor_fail_number(self, what, *number, lowest, highest);
    }
    return 0;
}

int
cursor_skip_string(struct cursor *self)
{
    uint64_t length;
    if (cursor_count(self, "a string's length", 1, &length) < 0) {
        return -1;
    }
    reader_bytes(&self->reader, (size_t)length);
    return 0;
}

int
cursor_check_column(struct cursor *self, uint64_t count, const char *whose)
{
    size_t most = reader_left(&self->reader);
    if (count > most) {
        return cursor_fail(self,
                           "at offset %zu has room for %zu rows at most, expected the %" PRIu64
                           " of chunk %s",
                           cursor_offset(self), most, count, whose);
    }
    return 0;
}
