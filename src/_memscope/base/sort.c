#include "base/sort.h"

#include <string.h>

#include "base/mem.h"

#define KEY_BYTES 8

static void
count_bytes(size_t begin[KEY_BYTES][256], uint64_t key)
{
    for (int byte = 0; byte < KEY_BYTES; byte++) {
        begin[byte][(key >> (8 * byte)) & 255]++;
    }
}

/* From how often each value of a byte is there to where in the output the first is. */
static void
begin_at(size_t begin[KEY_BYTES][256])
{
    for (int byte = 0; byte < KEY_BYTES; byte++) {
        size_t next = 0;
        for (int value = 0; value < 256; value++) {
            size_t here = begin[byte][value];
            begin[byte][value] = next;
            next += here;
        }
    }
}

/* Whether all keys have the same value at `byte`: then one value takes all the
 * places, and those before it begin at 0, those behind it at `count`. */
static int
is_constant(const size_t begin[256], size_t count)
{
    for (int value = 0; value < 256; value++) {
        if (begin[value] != 0 && begin[value] != count) {
            return 0;
        }
    }
    return 1;
}

int
sort_by_key(uint32_t *order, size_t count, const uint64_t *key)
{
    if (count < 2) {
        return 0;
    }
    size_t (*begin)[256] = mem_calloc(KEY_BYTES, sizeof(*begin));
    uint32_t *scratch = mem_malloc(count, sizeof(*scratch));
    if (begin == NULL || scratch == NULL) {
        mem_free(begin);
        mem_free(scratch);
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        count_bytes(begin, key[order[i]]);
    }
    begin_at(begin);
    uint32_t *from = order, *to = scratch;
    for (int byte = 0; byte < KEY_BYTES; byte++) {
        if (is_constant(begin[byte], count)) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            uint64_t value = (key[from[i]] >> (8 * byte)) & 255;
            to[begin[byte][value]++] = from[i];
        }
        uint32_t *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != order) {
        for (size_t i = 0; i < count; i++) {
            order[i] = from[i];
        }
    }
    mem_free(begin);
    mem_free(scratch);
    return 0;
}

enum { FEW = 32 };

static void
sort_few(uint64_t *numbers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        uint64_t number = numbers[i];
        size_t at = i;
        for (; at > 0 && numbers[at - 1] > number; at--) {
            numbers[at] = numbers[at - 1];
        }
        numbers[at] = number;
    }
}

int
sort_numbers(uint64_t *numbers, size_t count)
{
    if (count <= FEW) {
        sort_few(numbers, count);
        return 0;
    }
    size_t (*begin)[256] = mem_calloc(KEY_BYTES, sizeof(*begin));
    uint64_t *scratch = mem_malloc(count, sizeof(*scratch));
    if (begin == NULL || scratch == NULL) {
        mem_free(begin);
        mem_free(scratch);
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        count_bytes(begin, numbers[i]);
    }
    begin_at(begin);
    uint64_t *from = numbers, *to = scratch;
    for (int byte = 0; byte < KEY_BYTES; byte++) {
        if (is_constant(begin[byte], count)) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            to[begin[byte][(from[i] >> (8 * byte)) & 255]++] = from[i];
        }
        uint64_t *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != numbers) {
        memcpy(numbers, from, count * sizeof(*numbers));
    }
    mem_free(begin);
    mem_free(scratch);
    return 0;
}
