/* Bit arithmetic that C11 has no name for. */
#ifndef MEMSCOPE_BITS_H
#define MEMSCOPE_BITS_H

#include <stdint.h>

#ifdef _MSC_VER
#  include <intrin.h>
#endif

/* Position of the highest set bit; n must not be 0. */
static inline unsigned
log2_floor(uint64_t n)
{
#ifdef _MSC_VER
    unsigned long top;
    _BitScanReverse64(&top, n);
    return top;
#else
    return 63u - (unsigned)__builtin_clzll(n);
#endif
}

#endif
