/* The global offset table of one loaded ELF object, and whatever else holds
 * the addresses of what it imports.
 *
 * `object` is what dl_iterate_phdr gives to its callback, and these functions
 * are called from inside that callback: it is what keeps the object mapped.
 * They allocate nothing, take no lock and call no Python.
 *
 * Linux only, on the processors of GOT_SUPPORTED; the file is empty elsewhere. */
#ifndef MEMSCOPE_GOT_H
#define MEMSCOPE_GOT_H

#if defined(__linux__) && defined(__ELF__) \
    && (defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__arm__))
#  define GOT_SUPPORTED 1
#else
#  define GOT_SUPPORTED 0
#endif

#if GOT_SUPPORTED

#include <stddef.h>
#include <stdint.h>

struct dl_phdr_info;

/* Whether `address` lies in memory that belongs to the object. */
int got_contains(const struct dl_phdr_info *object, uintptr_t address);

/* Calls found(entry, name, lazy, arg) for each entry through which the object
 * uses a symbol of another object: one for calls, one for its address, or one
 * for both, and one for each pointer initialised with it.  A lazy entry may
 * hold an address inside the object until the first call.  One pass over the
 * object's relocations. */
void got_visit(const struct dl_phdr_info *object,
               void (*found)(uintptr_t *entry, const char *name, int lazy, void *arg), void *arg);

static inline uintptr_t
got_read(const uintptr_t *entry)
{
    return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

/* Changes the entry from `expected` to `value`, atomically; where the page is
 * read-only (RELRO) it is writable for the moment of the change.  0, or -1 and
 * no change: the entry has another value by now, it is in code, or the system
 * forbids it.
 * The object must be completely relocated, see got.c. */
int got_exchange(const struct dl_phdr_info *object, uintptr_t *entry, uintptr_t expected,
                 uintptr_t value);

#endif
#endif
