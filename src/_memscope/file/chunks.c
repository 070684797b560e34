#include "file/chunks.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The first byte is not ASCII, CR LF would be changed by a transfer as text,
 * and ^Z ends a listing: the idea is PNG's. */
static const unsigned char magic[CHUNKS_MAGIC_BYTES] = {0x89, 'M', 'S', 'C', 'P', '\r', '\n', 0x1a};

int
chunks_fail(struct chunks_error *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->message, sizeof(self->message), format, arguments);
    va_end(arguments);
    return -1;
}

/* Half a byte at a time: sixteen constants instead of a table made at run time. */
uint32_t
chunks_crc32(uint32_t crc, const unsigned char *bytes, size_t count)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

static void
write_entry(struct writer *out, const char *id, uint32_t crc, size_t offset, size_t length)
{
    writer_bytes(out, id, 4);
    writer_u32(out, crc);
    writer_u64(out, offset);
    writer_u64(out, length);
}

void
chunks_start(struct chunks_writer *self, uint32_t count)
{
    assert(count <= CHUNKS_MAX);
    *self = (struct chunks_writer){.count = count};
    writer_bytes(&self->file, magic, sizeof(magic));
    writer_u16(&self->file, CHUNKS_MAJOR);
    writer_u16(&self->file, CHUNKS_MINOR);
    writer_u32(&self->file, count);
    writer_u64(&self->file, 0);
    for (uint32_t i = 0; i < count; i++) {
        write_entry(&self->file, "\0\0\0", 0, 0, 0);
    }
    writer_u32(&self->file, 0);
}

void
chunks_begin(struct chunks_writer *self, const char *id)
{
    assert(self->begun < self->count);
    self->ids[self->begun] = id;
    self->offsets[self->begun] = self->file.length;
    self->begun++;
}

/* What chunks_start left open is written again, over itself, now that it is
 * known. */
void
chunks_finish(struct chunks_writer *self)
{
    assert(self->begun == self->count);
    if (self->file.failed) {
        return;
    }
    size_t length = self->file.length;
    const unsigned char *data = self->file.data;
    self->file.length = CHUNKS_HEADER_BYTES - sizeof(uint64_t);
    writer_u64(&self->file, length);
    for (uint32_t i = 0; i < self->count; i++) {
        size_t begin = self->offsets[i];
        size_t end = i + 1 < self->count ? self->offsets[i + 1] : length;
        uint32_t crc = chunks_crc32(0, data + begin, end - begin);
        write_entry(&self->file, self->ids[i], crc, begin, end - begin);
    }
    writer_u32(&self->file, chunks_crc32(0, data, self->file.length));
    self->file.length = length;
}

static void
write_string(struct writer *out, const char *string)
{
    size_t length = strlen(string);
    writer_varint(out, length);
    writer_bytes(out, string, length);
}

void
chunks_write_origin(struct writer *out, const struct dump_origin *origin)
{
    write_string(out, origin->creator);
    write_string(out, origin->python);
    write_string(out, origin->platform);
}

static void
read_entry(struct reader *reader, struct chunk *entry)
{
    const unsigned char *id = reader_bytes(reader, sizeof(entry->id));
    if (id != NULL) {
        memcpy(entry->id, id, sizeof(entry->id));
    }
    entry->crc = reader_u32(reader);
    entry->offset = reader_u64(reader);
    entry->length = reader_u64(reader);
}

static int
check_header(struct chunks *self, size_t length, struct chunks_error *error)
{
    size_t begins = length < sizeof(magic) ? length : sizeof(magic);
    if (memcmp(self->data, magic, begins) != 0 || length == 0) {
        return chunks_fail(error,
                           "not a memscope dump: the first %d bytes at offset 0 should be "
                           "89 4d 53 43 50 0d 0a 1a",
                           CHUNKS_MAGIC_BYTES);
    }
    struct reader reader;
    reader_init(&reader, self->data, length);
    reader_bytes(&reader, sizeof(magic));
    unsigned major = reader_u16(&reader);
    unsigned minor = reader_u16(&reader);
    self->count = reader_u32(&reader);
    uint64_t says = reader_u64(&reader);
    if (reader.status != READER_OK) {
        return chunks_fail(error,
                           "truncated memscope dump: the header takes %d bytes, "
                           "the file has %zu",
                           CHUNKS_HEADER_BYTES, length);
    }
    if (major != CHUNKS_MAJOR) {
        return chunks_fail(error,
                           "unknown memscope dump: format version %u.%u at offset 8, "
                           "expected %d.x",
                           major, minor, CHUNKS_MAJOR);
    }
    if (says != length) {
        return chunks_fail(error,
                           "%s memscope dump: the header at offset 16 says %" PRIu64
                           " bytes, the file has %zu",
                           says > length ? "truncated" : "damaged", says, length);
    }
    if (self->count > CHUNKS_MAX) {
        return chunks_fail(error,
                           "damaged memscope dump: %" PRIu32 " chunks at offset 12, "
                           "at most %d are possible",
                           self->count, CHUNKS_MAX);
    }
    size_t table = self->count * CHUNKS_ENTRY_BYTES;
    for (uint32_t i = 0; i < self->count; i++) {
        read_entry(&reader, &self->table[i]);
    }
    uint32_t crc = reader_u32(&reader);
    if (reader.status != READER_OK) {
        return chunks_fail(error,
                           "truncated memscope dump: the chunk table needs %zu bytes "
                           "at offset %d, the file has %zu",
                           table + CHUNKS_CRC_BYTES, CHUNKS_HEADER_BYTES, length);
    }
    uint32_t found = chunks_crc32(0, self->data, CHUNKS_HEADER_BYTES + table);
    if (found != crc) {
        return chunks_fail(error,
                           "damaged memscope dump: header and chunk table have CRC-32 %08" PRIx32
                           ", %08" PRIx32 " expected at offset %zu",
                           found, crc, CHUNKS_HEADER_BYTES + table);
    }
    return 0;
}

static int
check_chunk(const struct chunks *self, uint32_t i, uint64_t expected, size_t length,
            struct chunks_error *error)
{
    const struct chunk *chunk = &self->table[i];
    char id[5] = "????";        /* as shown: a stranger's may not be printable */
    for (int c = 0; c < 4; c++) {
        id[c] = chunk->id[c] >= ' ' && chunk->id[c] <= '~' ? chunk->id[c] : '?';
    }
    if (chunk->offset != expected) {
        return chunks_fail(error,
                           "bad memscope dump: chunk %s is said to lie at offset %" PRIu64
                           ", expected right behind the one before at %" PRIu64,
                           id, chunk->offset, expected);
    }
    if (chunk->length > length - expected) {
        return chunks_fail(error,
                           "bad memscope dump: chunk %s at offset %" PRIu64 " is said to "
                           "have %" PRIu64 " bytes, expected at most the %" PRIu64 " left",
                           id, expected, chunk->length, length - expected);
    }
    for (uint32_t other = 0; other < i; other++) {
        if (memcmp(self->table[other].id, chunk->id, sizeof(chunk->id)) == 0) {
            return chunks_fail(error,
                               "bad memscope dump: chunk %s at offset %" PRIu64
                               " is there twice, expected once",
                               id, expected);
        }
    }
    uint32_t found = chunks_crc32(0, self->data + expected, (size_t)chunk->length);
    if (found != chunk->crc) {
        return chunks_fail(error,
                           "damaged memscope dump: chunk %s at offset %" PRIu64
                           " has CRC-32 %08" PRIx32 ", expected %08" PRIx32,
                           id, expected, found, chunk->crc);
    }
    return 0;
}

int
chunks_open(struct chunks *self, const unsigned char *data, size_t length,
            struct chunks_error *error)
{
    self->data = data;
    if (check_header(self, length, error) < 0) {
        return -1;
    }
    uint64_t expected = CHUNKS_HEADER_BYTES + self->count * CHUNKS_ENTRY_BYTES + CHUNKS_CRC_BYTES;
    for (uint32_t i = 0; i < self->count; i++) {
        if (check_chunk(self, i, expected, length, error) < 0) {
            return -1;
        }
        expected += self->table[i].length;
    }
    if (expected != length) {
        return chunks_fail(error,
                           "bad memscope dump: the last chunk ends at offset %" PRIu64
                           ", expected at the end of the file at %zu",
                           expected, length);
    }
    return 0;
}

bool
chunks_find(const struct chunks *self, const char *id, struct reader *contents)
{
    for (uint32_t i = 0; i < self->count; i++) {
        const struct chunk *chunk = &self->table[i];
        if (memcmp(chunk->id, id, sizeof(chunk->id)) == 0) {
            reader_init(contents, self->data + chunk->offset, (size_t)chunk->length);
            return true;
        }
    }
    return false;
}
