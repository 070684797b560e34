#if defined(__linux__) && !defined(_GNU_SOURCE)
#  define _GNU_SOURCE           /* mremap */
#endif
#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>
#else
#  include <sys/mman.h>
#endif

/* Every block is preceded by its size, so that what is held can be told
 * without asking the C library.  16 bytes keep max_align_t alignment. */
#define HEADER 16

#define LARGE_PAGE ((uintptr_t)2 << 20)

/* Process-wide because the C library's heap is. */
static struct {
    atomic_size_t in_use;       /* bytes, headers included */
    atomic_long fail_after;     /* tests only; negative: never */
} mem = {.fail_after = -1};

static int
mem_refuses(void)
{
    long left = atomic_load_explicit(&mem.fail_after, memory_order_relaxed);
    if (left < 0) {
        return 0;
    }
    if (left == 0) {
        return 1;
    }
    atomic_compare_exchange_strong(&mem.fail_after, &left, left - 1);
    return 0;
}

/* Blocks this large come straight from the system and go straight back.  From
 * the C library's heap they would stay with the process, and raise the size up
 * to which glibc serves the program's own requests there (mallopt(3),
 * M_MMAP_THRESHOLD). */
#define MAPPED ((size_t)128 << 10)

static void *
mem_new(size_t count, size_t size, int zeroed)
{
    if (size != 0 && count > (PTRDIFF_MAX - HEADER) / size) {
        return NULL;
    }
    size_t total = count * size + HEADER;
    char *block = NULL;
    if (total >= MAPPED) {
        block = mem_map(total);
    }
    else if (!mem_refuses()) {
        block = zeroed ? calloc(1, total) : malloc(total);
    }
    if (block == NULL) {
        return NULL;
    }
    memcpy(block, &total, sizeof(total));
    mem_account((ptrdiff_t)total);
    return block + HEADER;
}

void *
mem_calloc(size_t count, size_t size)
{
    return mem_new(count, size, 1);
}

void *
mem_malloc(size_t count, size_t size)
{
    return mem_new(count, size, 0);
}

void
mem_free(void *block)
{
    if (block == NULL) {
        return;
    }
    char *start = (char *)block - HEADER;
    size_t total;
    memcpy(&total, start, sizeof(total));
    mem_account(-(ptrdiff_t)total);
    if (total >= MAPPED) {
        mem_unmap(start, total);
    }
    else {
        free(start);
    }
}

/* A block that came from the system, at another length and perhaps another address
 * without a copy; NULL and no change where that cannot be. */
static void *
mem_remap(void *block, size_t count, size_t size)
{
#ifdef MREMAP_MAYMOVE
    size_t before = 0;
    if (block != NULL) {
        memcpy(&before, (char *)block - HEADER, sizeof(before));
    }
    if (before < MAPPED || count > (PTRDIFF_MAX - HEADER) / size || mem_refuses()) {
        return NULL;
    }
    size_t total = count * size + HEADER;
    char *start = total >= MAPPED ? mremap((char *)block - HEADER, before, total, MREMAP_MAYMOVE)
                                  : MAP_FAILED;
    if (start == MAP_FAILED) {
        return NULL;
    }
    memcpy(start, &total, sizeof(total));
    mem_account((ptrdiff_t)total - (ptrdiff_t)before);
    return start + HEADER;
#else
    (void)block;
    (void)count;
    (void)size;
    return NULL;
#endif
}

void
mem_trim(void **block, size_t count, size_t size)
{
    void *shorter = mem_remap(*block, count, size);
    if (shorter != NULL) {
        *block = shorter;
    }
}

int
mem_grow(void **block, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity) {
        return 0;
    }
    size_t wanted = *capacity * 2;
    if (wanted < needed) {
        wanted = needed;
    }
    void *bigger = mem_remap(*block, wanted, size);
    if (bigger != NULL) {
        *block = bigger;
        *capacity = wanted;
        return 0;
    }
    bigger = mem_malloc(wanted, size);
    if (bigger == NULL) {
        return -1;
    }
    if (*capacity != 0) {
        memcpy(bigger, *block, *capacity * size);
    }
    mem_free(*block);
    *block = bigger;
    *capacity = wanted;
    return 0;
}

void
mem_prefer_large_pages(void *block, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    uintptr_t first = ((uintptr_t)block + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)block + bytes) & ~(LARGE_PAGE - 1);
    if (first < end) {
        madvise((void *)first, end - first, MADV_HUGEPAGE);
    }
#else
    (void)block;
    (void)bytes;
#endif
}

void *
mem_map(size_t bytes)
{
    if (mem_refuses()) {
        return NULL;
    }
#ifdef _WIN32
    return VirtualAlloc(NULL, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
#else
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#  ifdef MAP_NORESERVE
    flags |= MAP_NORESERVE;
#  endif
    void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    return block == MAP_FAILED ? NULL : block;
#endif
}

void
mem_unmap(void *block, size_t bytes)
{
    if (block == NULL) {
        return;
    }
#ifdef _WIN32
    (void)bytes;
    VirtualFree(block, 0, MEM_RELEASE);
#else
    munmap(block, bytes);
#endif
}

size_t
mem_in_use(void)
{
    return atomic_load_explicit(&mem.in_use, memory_order_relaxed);
}

void
mem_account(ptrdiff_t bytes)
{
    atomic_fetch_add_explicit(&mem.in_use, (size_t)bytes, memory_order_relaxed);
}

void
mem_fail_after(long n)
{
    atomic_store(&mem.fail_after, n);
}
