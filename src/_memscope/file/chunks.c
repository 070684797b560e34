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

/* table[k][n] is the CRC of the half byte n and k of zero.  Four bytes at a time: the eight
 * look-ups do not wait for each other, and no table is made at run time. */
uint32_t
chunks_crc32(uint32_t crc, const unsigned char *bytes, size_t count)
{
    static const uint32_t table[8][16] = {
        {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158,
         0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4,
         0xa00ae278, 0xbdbdf21c},
        {0x00000000, 0x77073096, 0xee0e612c, 0x990951ba, 0x076dc419, 0x706af48f, 0xe963a535,
         0x9e6495a3, 0x0edb8832, 0x79dcb8a4, 0xe0d5e91e, 0x97d2d988, 0x09b64c2b, 0x7eb17cbd,
         0xe7b82d07, 0x90bf1d91},
        {0x00000000, 0x4ac21251, 0x958424a2, 0xdf4636f3, 0xf0794f05, 0xbabb5d54, 0x65fd6ba7,
         0x2f3f79f6, 0x3b83984b, 0x71418a1a, 0xae07bce9, 0xe4c5aeb8, 0xcbfad74e, 0x8138c51f,
         0x5e7ef3ec, 0x14bce1bd},
        {0x00000000, 0x191b3141, 0x32366282, 0x2b2d53c3, 0x646cc504, 0x7d77f445, 0x565aa786,
         0x4f4196c7, 0xc8d98a08, 0xd1c2bb49, 0xfaefe88a, 0xe3f4d9cb, 0xacb54f0c, 0xb5ae7e4d,
         0x9e832d8e, 0x87981ccf},
        {0x00000000, 0x1c26a370, 0x384d46e0, 0x246be590, 0x709a8dc0, 0x6cbc2eb0, 0x48d7cb20,
         0x54f16850, 0xe1351b80, 0xfd13b8f0, 0xd9785d60, 0xc55efe10, 0x91af9640, 0x8d893530,
         0xa9e2d0a0, 0xb5c473d0},
        {0x00000000, 0x01c26a37, 0x0384d46e, 0x0246be59, 0x0709a8dc, 0x06cbc2eb, 0x048d7cb2,
         0x054f1685, 0x0e1351b8, 0x0fd13b8f, 0x0d9785d6, 0x0c55efe1, 0x091af964, 0x08d89353,
         0x0a9e2d0a, 0x0b5c473d},
        {0x00000000, 0x5019579f, 0xa032af3e, 0xf02bf8a1, 0x9b14583d, 0xcb0d0fa2, 0x3b26f703,
         0x6b3fa09c, 0xed59b63b, 0xbd40e1a4, 0x4d6b1905, 0x1d724e9a, 0x764dee06, 0x2654b999,
         0xd67f4138, 0x866616a7},
        {0x00000000, 0xb8bc6765, 0xaa09c88b, 0x12b5afee, 0x8f629757, 0x37def032, 0x256b5fdc,
         0x9dd738b9, 0xc5b428ef, 0x7d084f8a, 0x6fbde064, 0xd7018701, 0x4ad6bfb8, 0xf26ad8dd,
         0xe0df7733, 0x58631056},
    };
    crc = ~crc;
    for (; count >= 4; bytes += 4, count -= 4) {
        crc ^= (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16
               | (uint32_t)bytes[3] << 24;
        crc = table[7][crc & 15] ^ table[6][crc >> 4 & 15] ^ table[5][crc >> 8 & 15]
              ^ table[4][crc >> 12 & 15] ^ table[3][crc >> 16 & 15] ^ table[2][crc >> 20 & 15]
              ^ table[1][crc >> 24 & 15] ^ table[0][crc >> 28];
    }
    for (; count > 0; bytes++, count--) {
        crc ^= *bytes;
        crc = (crc >> 4) ^ table[0][crc & 15];
        crc = (crc >> 4) ^ table[0][crc & 15];
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
