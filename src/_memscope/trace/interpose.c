#include "trace/interpose.h"

#include "trace/patches.h"

/* numpy tells CPython about its buffers by calling PyTraceMalloc_Track, and
 * CPython answers -2 at once unless its own tracemalloc is on.  Nothing inside
 * CPython can be hooked, but the call leaves numpy through a pointer, and the
 * pointer can be ours:
 *
 *     numpy's table                      memscope                CPython
 *     PyTraceMalloc_Track   [ o ]------> interposed_track -----> PyTraceMalloc_Track
 *     PyTraceMalloc_Untrack [ o ]------> interposed_untrack ---> PyTraceMalloc_Untrack
 *                                            |
 *                                            `--> callbacks->track
 *
 * got.c explains the table, patches.c how the tables of a living process are
 * written.  Two objects are left out: CPython, which does not report to itself,
 * and memscope, whose entries are how the call gets on to CPython.  CPython's
 * tracemalloc therefore sees every call, whether it is on or off.
 *
 * Modules loaded later.  CPython imports an extension module by dlopen and then
 * asks for its init function by dlsym.  CPython's own entry for dlsym is ours
 * as well: before the question is passed on, new objects are covered.  dlsym
 * and not dlopen, because dlopen looks at who called it (RPATH, RUNPATH,
 * $ORIGIN and the namespace are the caller's) and leaves an error message for
 * the caller to fetch; dlsym with a handle does not look, its message comes
 * after we are done, and what is loaded by then is the same.
 *
 * Locking.  `lock` is held while the dynamic loader is called, so it is none of
 * the leaf locks of base/lock.h and no hook takes it: the replacements of Track
 * and Untrack take no lock, and that of dlsym only tries.  A thread that finds
 * it taken leaves a wish, and the holder scans again before it goes.  Order:
 * `lock`, then the loader's.  Between a library's constructor, in one thread,
 * that waits for the GIL, and us, in another, that hold the GIL and wait for
 * the loader, there is a deadlock; any import has it just as well.
 *
 * A module that has read the address may keep it, so the replacements stay
 * callable for ever; without callbacks they only pass on. */

#if GOT_SUPPORTED

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

/* Include/cpython/tracemalloc.h and Include/pylifecycle.h.  Weak: this file
 * also links into programs without Python. */
extern int PyTraceMalloc_Track(unsigned int domain, uintptr_t ptr, size_t size)
    __attribute__((weak));
extern int PyTraceMalloc_Untrack(unsigned int domain, uintptr_t ptr) __attribute__((weak));
extern int Py_IsInitialized(void) __attribute__((weak));

static int interposed_track(unsigned int domain, uintptr_t ptr, size_t size);
static int interposed_untrack(unsigned int domain, uintptr_t ptr);
static void *interposed_dlsym(void *handle, const char *name);

#define FUNCTION(name) ((void (*)(void))(name))

static const struct patch_rule rules[] = {
    {"PyTraceMalloc_Track", FUNCTION(PyTraceMalloc_Track), FUNCTION(interposed_track),
     OUTSIDE_CPYTHON},
    {"PyTraceMalloc_Untrack", FUNCTION(PyTraceMalloc_Untrack), FUNCTION(interposed_untrack),
     OUTSIDE_CPYTHON},
    {"dlsym", FUNCTION(dlsym), FUNCTION(interposed_dlsym), IN_CPYTHON},
};

/* Process-wide because the table of a module is: there is one numpy in the
 * process, whichever interpreters use it. */
static struct {
    _Atomic(const struct interpose_callbacks *) callbacks;  /* NULL: not installed */
    atomic_int rescan_wanted;
    pthread_mutex_t lock;
    struct patches patches;     /* under `lock` */
    int handles_fork;           /* under `lock` */
} interposition = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .patches =
        {
            .rules = rules,
            .rule_count = sizeof(rules) / sizeof(rules[0]),
            .cpython = FUNCTION(Py_IsInitialized),
        },
};

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

/* Does the scans that were wished for. */
static void
serve_wishes(void)
{
    while (atomic_load(&interposition.rescan_wanted)
           && pthread_mutex_trylock(&interposition.lock) == 0) {
        atomic_store(&interposition.rescan_wanted, 0);
        if (atomic_load(&interposition.callbacks) != NULL) {
            /* Without memory what is new stays uncovered until the next time. */
            (void)patches_apply(&interposition.patches);
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
    if (PyTraceMalloc_Track == NULL || PyTraceMalloc_Untrack == NULL || Py_IsInitialized == NULL) {
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
    const struct interpose_callbacks *before = atomic_exchange(&interposition.callbacks, callbacks);
    int result = patches_apply(&interposition.patches);
    if (result < 0) {
        atomic_store(&interposition.callbacks, before);
        if (before == NULL) {
            patches_revert(&interposition.patches);
        }
    }
    int first = !interposition.handles_fork;
    interposition.handles_fork = 1;
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
     * this thread may be inside it. */
    if (atomic_load(&interposition.callbacks) != NULL) {
        atomic_store(&interposition.rescan_wanted, 1);
        serve_wishes();
    }
}

void
interpose_remove(void)
{
    enter();
    atomic_store(&interposition.callbacks, NULL);
    patches_revert(&interposition.patches);
    leave();
}

static struct patches_report
look(char *names, size_t size)
{
    enter();
    struct patches_report report = patches_report(&interposition.patches, names, size);
    leave();
    return report;
}

size_t
interpose_count(void)
{
    return look(NULL, 0).ours;
}

size_t
interpose_missed(void)
{
    return look(NULL, 0).missed;
}

size_t
interpose_modules(char *buffer, size_t size)
{
    return look(buffer, size).names_size;
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

void
interpose_rescan(void)
{
}
void
interpose_remove(void)
{
}

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
