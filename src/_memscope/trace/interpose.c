#ifdef __linux__
#  define _GNU_SOURCE 1     /* dl_iterate_phdr, dladdr */
#endif

#include "trace/interpose.h"

#include "trace/got.h"

/* numpy tells CPython about its buffers by calling PyTraceMalloc_Track, and
 * CPython answers -2 at once unless its own tracemalloc is on.  Nothing in
 * between can be hooked, but the call leaves numpy through a pointer, and the
 * pointer can be ours:
 *
 *     numpy's .got                       memscope                CPython
 *     PyTraceMalloc_Track   [ o ]------> interposed_track -----> PyTraceMalloc_Track
 *     PyTraceMalloc_Untrack [ o ]------> interposed_untrack ---> PyTraceMalloc_Untrack
 *                                            |
 *                                            `--> callbacks->track
 *
 * (got.c explains the table.)  Two objects are left out: the one that defines
 * the functions, since CPython does not report to itself, and memscope, whose
 * entries are how the call gets on to CPython.
 *
 * Modules loaded later.  CPython imports an extension module by dlopen and
 * then asks for its init function by dlsym.  The one entry for dlsym in
 * CPython's own table is ours as well: before the question is passed on, new
 * objects are covered.  dlsym and not dlopen, because dlopen looks at who
 * called it (RPATH, RUNPATH, $ORIGIN and the namespace are the caller's) and
 * leaves its error message for the caller to fetch; dlsym with a handle does
 * neither, and what has been loaded by then is the same.
 *
 * What may be rewritten.  Only an entry that holds what the loader put there:
 * the function itself, or, before the first call, an address inside the module
 * (its lazy-binding stub).  Anything else belongs to another tool, is counted
 * as missed and left alone.  Exactly the value found is what remove puts back,
 * the stub too: the next call then binds it as the first would have.  (A
 * thread inside the loader's resolver for that very entry at that very moment
 * may still write CPython's address over ours; the entry is then theirs.)
 *
 * Objects come and go, so an entry is touched only inside dl_iterate_phdr and
 * only while it lies in the object shown: glibc lets no object be unmapped in
 * there, musl never unmaps.  An entry whose object is gone is forgotten, and if
 * another object took its place, its value is not ours.
 *
 * Objects being loaded by another thread are shown too, before they are
 * relocated.  So entries are collected first, then the loader is waited for
 * (loader_wait), and written in a second walk if nothing was loaded or unloaded
 * in between:
 *
 *     collect --> nothing new: done
 *        |  ^--------------------------------.
 *        v                                   | loads or unloads differ
 *     loader_wait --> write ------------> compare --> equal: done
 *
 * Skipping what is known.  The loader counts loads and unloads.  Both equal:
 * nothing to do.  Only loads: the list is in the order of loading, so the first
 * `known` objects are the same as before.  Unloads as well: everything is
 * looked at again.  Cost: about 1 us when nothing was loaded; about 1 us per
 * hundred relocations in new objects; a microsecond or two per entry written.
 *
 * Locking.  `lock` is held over the loader's functions and is therefore none of
 * the leaf locks that hooks take (base/lock.h): the replacement functions take
 * no lock, except dlsym's, which only tries.  Order: lock, then the loader's.
 * Nothing is allocated inside dl_iterate_phdr, since an allocator may itself be
 * waiting for the loader (profilers that unwind on malloc).  A library whose
 * constructor, in another thread, waits for the GIL while we hold it and wait
 * for the loader, hangs; it would hang at any import just as well.
 *
 * Once a module has read an address it may keep it, so the replacements stay
 * callable for ever; without callbacks they only pass on. */

#if GOT_SUPPORTED

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"

/* Include/cpython/tracemalloc.h and pylifecycle.h.  Weak: this file also links
 * into programs without Python. */
extern int PyTraceMalloc_Track(unsigned int domain, uintptr_t ptr, size_t size)
    __attribute__((weak));
extern int PyTraceMalloc_Untrack(unsigned int domain, uintptr_t ptr) __attribute__((weak));
extern int Py_IsInitialized(void) __attribute__((weak));

enum { TRACK, UNTRACK, DLSYM };
static const char *const names[] = {"PyTraceMalloc_Track", "PyTraceMalloc_Untrack", "dlsym"};

struct entry {
    uintptr_t *slot;        /* to be read only while its object is loaded */
    uintptr_t original;     /* what to put back; set before ours is written */
    int which;              /* TRACK, UNTRACK or DLSYM */
    int lazy;               /* may hold an address inside its own object */
    int met;                /* in the walk under way */
};

/* Process-wide because the table of a module is: there is one numpy in the
 * process, whichever interpreters use it. */
#define UNKNOWN ULLONG_MAX

static struct {
    pthread_mutex_t lock;
    _Atomic(const struct interpose_callbacks *) callbacks;  /* NULL: not installed */
    atomic_int rescan_wanted;
    atomic_ullong loads, unloads;   /* at the last complete scan; written under `lock` */
    /* The rest is under `lock`. */
    size_t known;                   /* the first so many objects have been searched */
    struct entry *entries;
    size_t count, capacity;
    int fork_handled;
} interposition = {.lock = PTHREAD_MUTEX_INITIALIZER, .unloads = UNKNOWN};

static int
interposed_track(unsigned int domain, uintptr_t ptr, size_t size)
{
    const struct interpose_callbacks *callbacks = atomic_load(&interposition.callbacks);
    int recorded = callbacks != NULL && callbacks->track(domain, ptr, size) == 0;
    int answer = PyTraceMalloc_Track(domain, ptr, size);
    return recorded ? 0 : answer;
}

static int
interposed_untrack(unsigned int domain, uintptr_t ptr)
{
    const struct interpose_callbacks *callbacks = atomic_load(&interposition.callbacks);
    int forgotten = callbacks != NULL && callbacks->untrack(domain, ptr) == 0;
    int answer = PyTraceMalloc_Untrack(domain, ptr);
    return forgotten ? 0 : answer;
}

static void *
interposed_dlsym(void *handle, const char *name)
{
    int error = errno;
    interpose_rescan();
    errno = error;
    return dlsym(handle, name);
}

static uintptr_t
replacement(int which)
{
    switch (which) {
    case TRACK:
        return (uintptr_t)interposed_track;
    case UNTRACK:
        return (uintptr_t)interposed_untrack;
    default:
        return (uintptr_t)interposed_dlsym;
    }
}

static uintptr_t
replaced(int which)
{
    switch (which) {
    case TRACK:
        return (uintptr_t)PyTraceMalloc_Track;
    case UNTRACK:
        return (uintptr_t)PyTraceMalloc_Untrack;
    default:
        return (uintptr_t)dlsym;
    }
}

/* One pass over the loaded objects. */
struct walk {
    size_t position;        /* objects met */
    unsigned long long loads, unloads;
    int base;               /* which of `names` the search began with */
    int full;               /* an entry found no room */
    int moved;              /* the objects are not those of the walk before */
};

/* dl_iterate_phdr callback: learns the counts from the first object. */
static int
count_loads(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    struct walk *walk = arg;
    walk->loads = object->dlpi_adds;
    walk->unloads = object->dlpi_subs;
    return 1;
}

/* Whether nothing was loaded or unloaded since the last scan. */
static int
nothing_moved(void)
{
    struct walk walk = {0};
    dl_iterate_phdr(count_loads, &walk);
    return walk.loads == atomic_load(&interposition.loads)
           && walk.unloads == atomic_load(&interposition.unloads);
}

static void
collect_entry(uintptr_t *slot, size_t which, int lazy, void *arg)
{
    struct walk *walk = arg;
    struct entry new = {slot, 0, walk->base + (int)which, lazy, 1};
    new.original = replaced(new.which);
    for (size_t i = 0; i < interposition.count; i++) {
        struct entry *entry = &interposition.entries[i];
        if (entry->slot == slot) {
            if (entry->which == new.which && entry->lazy == new.lazy) {
                entry->met = 1;
            }
            else {
                /* Of another object, at the address of one that is gone. */
                *entry = new;
            }
            return;
        }
    }
    if (interposition.count == interposition.capacity) {
        walk->full = 1;
        return;
    }
    interposition.entries[interposition.count++] = new;
}

/* dl_iterate_phdr callback: finds the entries of an object not yet known. */
static int
collect_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    struct walk *walk = arg;
    if (walk->position++ == 0) {
        count_loads(object, size, walk);
        /* An unload may have been of any object, so none is known any more. */
        if (walk->unloads != atomic_load(&interposition.unloads)) {
            interposition.known = 0;
        }
        for (size_t i = 0; i < interposition.count; i++) {
            interposition.entries[i].met = interposition.known != 0;
        }
    }
    if (walk->position <= interposition.known
        || got_contains(object, (uintptr_t)&interposition)) {
        return 0;
    }
    int is_cpython = got_contains(object, (uintptr_t)Py_IsInitialized);
    walk->base = is_cpython ? DLSYM : TRACK;
    got_find(object, names + walk->base, is_cpython ? 1 : 2, collect_entry, walk);
    return walk->full;
}

/* dl_iterate_phdr callback: makes the entries of one object ours. */
static int
write_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    struct walk *walk = arg;
    struct walk now = {0};
    count_loads(object, size, &now);
    if (now.loads != walk->loads || now.unloads != walk->unloads) {
        walk->moved = 1;
        return 1;
    }
    for (size_t i = 0; i < interposition.count; i++) {
        struct entry *entry = &interposition.entries[i];
        if (!got_contains(object, (uintptr_t)entry->slot)) {
            continue;
        }
        uintptr_t value = got_read(entry->slot);
        if (value == replacement(entry->which)) {
            continue;
        }
        if (value == replaced(entry->which)
            || (entry->lazy && got_contains(object, value))) {
            entry->original = value;
            got_exchange(object, entry->slot, value, replacement(entry->which));
        }
    }
    return 0;
}

/* dl_iterate_phdr callback: puts back the entries of one object.  What is met
 * stays ours, because the system refused the change. */
static int
restore_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (size_t i = 0; i < interposition.count; i++) {
        struct entry *entry = &interposition.entries[i];
        if (got_contains(object, (uintptr_t)entry->slot)) {
            uintptr_t ours = replacement(entry->which);
            entry->met = got_read(entry->slot) == ours
                         && got_exchange(object, entry->slot, ours, entry->original) < 0
                         && got_read(entry->slot) == ours;
        }
    }
    return 0;
}

/* Forgets the entries that the walk did not meet. */
static void
drop_unmet(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < interposition.count; i++) {
        if (interposition.entries[i].met) {
            interposition.entries[kept++] = interposition.entries[i];
        }
    }
    interposition.count = kept;
    if (kept == 0) {
        mem_free(interposition.entries);
        interposition.entries = NULL;
        interposition.capacity = 0;
    }
}

/* Returns when no load that began before is still under way in another thread:
 * dladdr takes the lock that the loader holds from before an object is listed
 * until it is relocated and its constructors have run.  (glibc: dl_load_lock.
 * musl shows no object before that point.) */
static void
loader_wait(void)
{
    Dl_info info;
    dladdr(&interposition, &info);
}

/* Covers every object that is not.  Under `lock`.  0, or -1 without memory. */
static int
scan(void)
{
    /* A thread that loads without pause must not keep us here: what is left
     * over is covered by the next scan. */
    for (int attempt = 0; attempt < 16 && !nothing_moved(); attempt++) {
        struct walk walk = {0};
        dl_iterate_phdr(collect_object, &walk);
        while (walk.full) {
            if (mem_grow((void **)&interposition.entries, &interposition.capacity,
                         interposition.capacity + 8, sizeof(struct entry)) < 0) {
                return -1;
            }
            walk = (struct walk){0};
            dl_iterate_phdr(collect_object, &walk);
        }
        drop_unmet();
        if (interposition.count != 0) {
            loader_wait();
            dl_iterate_phdr(write_object, &walk);
        }
        if (!walk.moved) {
            interposition.known = walk.position;
            atomic_store(&interposition.loads, walk.loads);
            atomic_store(&interposition.unloads, walk.unloads);
        }
    }
    return 0;
}

/* Puts everything back.  Under `lock`. */
static void
restore(void)
{
    atomic_store(&interposition.callbacks, NULL);
    for (size_t i = 0; i < interposition.count; i++) {
        interposition.entries[i].met = 0;
    }
    dl_iterate_phdr(restore_object, NULL);
    drop_unmet();
    interposition.known = 0;
    atomic_store(&interposition.unloads, UNKNOWN);
}

/* Does the scans that were asked for while somebody held the lock. */
static void
serve_wishes(void)
{
    while (atomic_load(&interposition.rescan_wanted)
           && pthread_mutex_trylock(&interposition.lock) == 0) {
        atomic_store(&interposition.rescan_wanted, 0);
        if (atomic_load(&interposition.callbacks) != NULL) {
            scan();
        }
        pthread_mutex_unlock(&interposition.lock);
    }
}

static void
enter(void)
{
    pthread_mutex_lock(&interposition.lock);
}

static void
leave(void)
{
    pthread_mutex_unlock(&interposition.lock);
    serve_wishes();
}

/* pthread_atfork: at the fork no thread is in a scan, so the child finds our
 * lock, and those of the loader that a scan takes, free. */
static void
after_fork(void)
{
    pthread_mutex_unlock(&interposition.lock);
}

const char *
interpose_unsupported(void)
{
    if (PyTraceMalloc_Track == NULL || PyTraceMalloc_Untrack == NULL
        || Py_IsInitialized == NULL) {
        return "This interpreter does not export PyTraceMalloc_Track, so blocks that extensions "
               "report through it are not seen.";
    }
    return NULL;
}

int
interpose_install(const struct interpose_callbacks *callbacks)
{
    if (interpose_unsupported() != NULL) {
        return -1;
    }
    enter();
    const struct interpose_callbacks *before =
        atomic_exchange(&interposition.callbacks, callbacks);
    int result = scan();
    if (result < 0 && before == NULL) {
        restore();
    }
    else if (result < 0) {
        atomic_store(&interposition.callbacks, before);
    }
    int first = !interposition.fork_handled;
    interposition.fork_handled = 1;
    leave();
    if (first) {
        pthread_atfork(enter, after_fork, after_fork);
    }
    return result;
}

void
interpose_rescan(void)
{
    /* Never waits: the holder of the lock may be waiting for the loader, and
     * this thread may be inside it.  The holder will see the wish. */
    if (atomic_load(&interposition.callbacks) != NULL) {
        atomic_store(&interposition.rescan_wanted, 1);
        serve_wishes();
    }
}

void
interpose_remove(void)
{
    enter();
    restore();
    leave();
}

struct report {
    size_t ours, missed;
    char *buffer;
    size_t size;            /* of the buffer */
    size_t used;            /* written to it */
    size_t needed;          /* by all names */
};

/* dl_iterate_phdr callback: looks at what the entries hold at this moment. */
static int
report_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    struct report *report = arg;
    int covered = 0;
    for (size_t i = 0; i < interposition.count; i++) {
        const struct entry *entry = &interposition.entries[i];
        if (got_contains(object, (uintptr_t)entry->slot)) {
            int ours = got_read(entry->slot) == replacement(entry->which);
            report->ours += (size_t)ours;
            report->missed += (size_t)!ours;
            covered |= ours && entry->which != DLSYM;
        }
    }
    if (covered) {
        const char *name = object->dlpi_name;
        if (name == NULL || name[0] == '\0') {
            name = "(main program)";
        }
        size_t length = strlen(name) + 1;
        if (report->used == report->needed && length <= report->size - report->used) {
            memcpy(report->buffer + report->used, name, length);
            report->used += length;
        }
        report->needed += length;
    }
    return 0;
}

static struct report
report_entries(char *buffer, size_t size)
{
    struct report report = {.buffer = buffer, .size = size};
    enter();
    dl_iterate_phdr(report_object, &report);
    leave();
    return report;
}

size_t
interpose_count(void)
{
    return report_entries(NULL, 0).ours;
}

size_t
interpose_missed(void)
{
    return report_entries(NULL, 0).missed;
}

size_t
interpose_modules(char *buffer, size_t size)
{
    return report_entries(buffer, size).needed;
}

#else

const char *
interpose_unsupported(void)
{
#  ifdef __linux__
    return "The linker tables of this processor are not known, so blocks that extensions "
           "report through PyTraceMalloc_Track are not seen.";
#  else
    return "Blocks that extensions report through PyTraceMalloc_Track are seen on Linux only.";
#  endif
}

int
interpose_install(const struct interpose_callbacks *callbacks)
{
    (void)callbacks;
    return -1;
}

void interpose_rescan(void) {}
void interpose_remove(void) {}

size_t
interpose_count(void)
{
    return 0;
}

size_t
interpose_missed(void)
{
    return 0;
}

size_t
interpose_modules(char *buffer, size_t size)
{
    (void)buffer;
    (void)size;
    return 0;
}

#endif
