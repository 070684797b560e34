/* Sorting numbers by keys of 64 bits, stably: byte-wise radix sort, least
 * significant byte first, leaving out bytes that all keys share (Knuth, TAOCP
 * vol. 3, 5.2.5).  To order by several keys, sort by the least important one
 * first.
 *
 * Cost: O(count) for each byte that differs, and two arrays of scratch. */
#ifndef MEMSCOPE_SORT_H
#define MEMSCOPE_SORT_H

#include <stddef.h>
#include <stdint.h>

/* Rearranges `order` so that key[order[i]] ascends.  0, or -1 without memory
 * and `order` is as before. */
int sort_by_key(uint32_t *order, size_t count, const uint64_t *key);

/* Makes the numbers themselves ascend; the same otherwise. */
int sort_numbers(uint64_t *numbers, size_t count);

#endif
