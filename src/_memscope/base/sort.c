#include "base/sort.h"

#include "base/mem.h"

#define KEY_BYTES 8

/* Where in the output the numbers with each value of a byte begin. */
static void
count_bytes(size_t begin[KEY_BYTES][256], const uint32_t *order, size_t count, const uint64_t *key)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t k = key[order[i]];
        for (int byte = 0; byte < KEY_BYTES; byte++) {
            begin[byte][(k >> (8 * byte)) & 255]++;
        }
    }
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
    count_bytes(begin, order, count, key);
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
