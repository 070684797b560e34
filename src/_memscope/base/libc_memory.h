/* What the C library's malloc holds: in use, free but kept, mapped one by one.
 *
 * glibc 2.33+ tells (mallinfo2, found at run time, so that a build on an older one can ask
 * a newer).  Its figures say nothing where another malloc was put in its place, which is
 * looked for; nor does macOS's or musl's have such a call.
 *
 * Cost: one pass over the free chunks of every arena with that arena's lock held: some
 * microseconds in most processes, about 20 ms for a million free chunks.  It can be called
 * without the GIL; it allocates nothing. */
#ifndef MEMSCOPE_LIBC_MEMORY_H
#define MEMSCOPE_LIBC_MEMORY_H

#include <stddef.h>

struct libc_memory {
    size_t used;        /* in blocks that were given out, their headers included; and what a
                         * thread keeps for itself of freed small ones, at most some 100 KiB */
    size_t free;        /* in the heaps, not given out; pages of it may not be resident */
    size_t mapped;      /* blocks large enough to be mapped one by one */
};

/* NULL, or in a few words why nothing is known; a constant. */
const char *libc_memory_read(struct libc_memory *self);

#endif
