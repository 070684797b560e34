/* What the targets that read files have in common.
 *
 * An input is a file but for one liberty: where the table makes sense, lengths, offsets and
 * CRCs are first put right, so that mutations reach the contents of the chunks and not only
 * the checksums.  An odd last byte asks for that; an even one leaves the file alone.  The
 * byte before it says after how many allocations memory ends (255: never). */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "file/chunks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static uint64_t
get(const uint8_t *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static void
put(uint8_t *bytes, uint64_t value, int count)
{
    for (int i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

/* Makes the table fit the bytes: each chunk as long as it says, the last to the
 * end. */
static void
repair(uint8_t *data, size_t size)
{
    if (size < CHUNKS_HEADER_BYTES) {
        return;
    }
    uint64_t count = get(data + 12, 4);
    uint64_t at = CHUNKS_HEADER_BYTES + count * CHUNKS_ENTRY_BYTES + CHUNKS_CRC_BYTES;
    if (count > CHUNKS_MAX || at > size) {
        return;
    }
    put(data + 16, size, 8);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *entry = data + CHUNKS_HEADER_BYTES + i * CHUNKS_ENTRY_BYTES;
        uint64_t length = get(entry + 16, 8);
        if (length > size - at || i + 1 == count) {
            length = size - at;
        }
        put(entry + 4, chunks_crc32(0, data + at, length), 4);
        put(entry + 8, at, 8);
        put(entry + 16, length, 8);
        at += length;
    }
    size_t table = CHUNKS_HEADER_BYTES + count * CHUNKS_ENTRY_BYTES;
    put(data + table, chunks_crc32(0, data, table), 4);
}

/* Feeds an input to `read`, which must leave nothing behind. */
static int
feed(const uint8_t *data, size_t size, void (*read)(const uint8_t *data, size_t size))
{
    size_t held = mem_in_use();
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    if (size >= 2) {
        size -= 2;
        if (data[size + 1] & 1) {
            repair(copy, size);
        }
        mem_fail_after(data[size] == 255 ? -1 : data[size]);
    }
    read(copy, size);
    mem_fail_after(-1);
    check(mem_in_use() == held, "nothing stays behind");
    free(copy);
    return 0;
}

#ifdef STANDALONE

/* Each file as it is, then with memory ending after every number of allocations that the
 * second last byte can say. */
static int
run_files(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        check(file != NULL, argv[i]);
        static uint8_t data[1 << 20];
        size_t size = fread(data, 1, sizeof(data), file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
        for (int n = 0; size >= 2 && n < 255; n++) {
            data[size - 2] = (uint8_t)n;
            LLVMFuzzerTestOneInput(data, size);
        }
    }
    return 0;
}

#endif

#endif
