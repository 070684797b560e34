/* The only allocator the core calls.
 *
 * Everything the core keeps comes from the C library, never from PyMem: a
 * tracer that allocated through the allocators it watches would record itself.
 * Sizes are checked for overflow here and nowhere else.
 *
 * Failure: NULL, or -1 for mem_grow; the old block stays valid. */
#ifndef MEMSCOPE_MEM_H
#define MEMSCOPE_MEM_H

#include <stddef.h>

/* Asks for the cache line at an address, which may be any: nothing is read from it. */
#if defined(__GNUC__)
#  define PREFETCH(address) __builtin_prefetch((const void *)(address))
#else
#  define PREFETCH(address) ((void)(address))
#endif

/* `count` zeroed items of `size` bytes. */
void *mem_calloc(size_t count, size_t size);

/* `count` items of `size` bytes, contents undefined. */
void *mem_malloc(size_t count, size_t size);

void mem_free(void *block);

/* Makes *block hold at least `needed` items, at least doubling.  *capacity is
 * updated only when everything else is OK.  Returns 0, or -1 and no change. */
int mem_grow(void **block, size_t *capacity, size_t needed, size_t size);

/* Gives back what *block has beyond `count` items, as far as the system takes it. */
void mem_trim(void **block, size_t count, size_t size);

/* Asks for large pages in a block that is about to be filled whole. */
void mem_prefer_large_pages(void *block, size_t bytes);

/* Zeroed pages straight from the system, touched lazily; for tables that are
 * large and sparse.  Freed with mem_unmap and the same size. */
void *mem_map(size_t bytes);
void mem_unmap(void *block, size_t bytes);

/* Bytes now held through this file, for get_tracemalloc_memory().  mem_map
 * counts when mem_account says so, since its pages are resident only once
 * touched. */
size_t mem_in_use(void);
void mem_account(ptrdiff_t bytes);

/* Tests only: the n-th allocation from now fails, and all after it, until the
 * next call; a negative n never fails. */
void mem_fail_after(long n);

#endif
