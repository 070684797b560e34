#if defined(__linux__) && !defined(_GNU_SOURCE)
#  define _GNU_SOURCE 1 /* RTLD_DEFAULT, dladdr */
#endif

#include "base/libc_memory.h"

#include <stdlib.h> /* says whose C library it is */

#ifdef __GLIBC__

#include <dlfcn.h>
#include <string.h>

/* struct mallinfo2 of glibc 2.33; an older <malloc.h> does not have it. */
struct mallinfo2_result {
    size_t arena, ordblks, smblks, hblks, hblkhd;
    size_t usmblks, fsmblks, uordblks, fordblks, keepcost;
};

/* The start of the loaded object that defines a function; NULL: not found. */
static const void *
home_of(void *function)
{
    Dl_info info;
    return function != NULL && dladdr(function, &info) != 0 ? info.dli_fbase : NULL;
}

const char *
libc_memory_read(struct libc_memory *self)
{
    void *found = dlsym(RTLD_DEFAULT, "mallinfo2");
    if (found == NULL) {
        return "this C library does not tell (glibc before 2.33)";
    }
    const void *libc = home_of(found);
    /* An executable at a fixed address may have an entry of its own for a function whose
     * address it takes, and malloc's then seems to be there.  Whoever replaces malloc also
     * replaces what measures its blocks, which nobody takes the address of. */
    if (home_of(dlsym(RTLD_DEFAULT, "malloc")) != libc
        && home_of(dlsym(RTLD_DEFAULT, "malloc_usable_size")) != libc) {
        return "another allocator is in the place of the C library's malloc";
    }
    /* ISO C has no conversion between the two kinds of pointer. */
    struct mallinfo2_result (*mallinfo2)(void);
    memcpy(&mallinfo2, &found, sizeof(mallinfo2));
    struct mallinfo2_result now = mallinfo2();
    self->used = now.uordblks;
    self->free = now.fordblks;
    self->mapped = now.hblkhd;
    return NULL;
}

#else

const char *
libc_memory_read(struct libc_memory *self)
{
    (void)self;
    return "this C library does not tell (only glibc does)";
}

#endif
