#include "trace/hooks.h"

#include <string.h>

#include "base/mem.h"
#include "trace/fast.h"
#include "trace/tracer.h"

#ifndef _WIN32
#  include <pthread.h>
#endif

#define DOMAINS 3

static const PyMemAllocatorDomain domain_ids[DOMAINS] = {
    [SNAPSHOT_RAW] = PYMEM_DOMAIN_RAW,
    [SNAPSHOT_MEM] = PYMEM_DOMAIN_MEM,
    [SNAPSHOT_OBJ] = PYMEM_DOMAIN_OBJ,
};

/* What was below us at one time.  Written before it is published, never after. */
struct allocators {
    PyMemAllocatorEx of[DOMAINS];
    struct allocators *older;
};

/* Part of the tracer's process-wide state (tracer.h). */
static struct {
    _Atomic(struct allocators *) base;  /* what the hooks call; NULL before the first install */
    struct allocators *all;             /* every one there has been; with the GIL */
    int installed;                      /* put in, and not taken off by us; with the GIL */
    int prepared;                       /* fork handlers registered; with the GIL */
} hooks;

enum {
    IN_HOOK = 1,    /* the allocator below is running */
    PAUSED = 2,     /* hooks_pause */
};

#if defined(_MSC_VER)
static __declspec(thread) char inside;
#elif defined(__ELF__)
static _Thread_local char inside __attribute__((tls_model("initial-exec")));
#else
static _Thread_local char inside;
#endif

#if defined(__GNUC__)
#  define ALWAYS_INLINE static inline __attribute__((always_inline))
#  define NOINLINE __attribute__((noinline))
#else
#  define ALWAYS_INLINE static inline
#  define NOINLINE
#endif

ALWAYS_INLINE const PyMemAllocatorEx *
below(unsigned domain)
{
    return &atomic_load_explicit(&hooks.base, memory_order_acquire)->of[domain];
}

ALWAYS_INLINE void
add(unsigned domain, void *block, size_t size)
{
    if (domain == SNAPSHOT_RAW) {
        tracer_add_raw((uintptr_t)block, size);
    }
    else if (!LIKELY(tracer_add_fast(domain, (uintptr_t)block, size))) {
        tracer_add(domain, (uintptr_t)block, size);
    }
}

ALWAYS_INLINE struct taken
take(unsigned domain, void *block)
{
    struct traces *traces = &tracer.traces;
    struct taken taken = {0};
    if (domain == SNAPSHOT_RAW) {
        lock_acquire(&traces->lock);
        if (tracer_is_on()) {
            taken = realm_take(traces, &traces->raw, (uintptr_t)block);
        }
        lock_release(&traces->lock);
        return taken;
    }
    int biased = tracer_enter_again();
    if (tracer_is_on()) {
        taken = realm_take(traces, &traces->gil, (uintptr_t)block);
    }
    tracer_leave(biased);
    return taken;
}

static void
restore(unsigned domain, void *block, struct taken taken)
{
    struct traces *traces = &tracer.traces;
    int biased = domain == SNAPSHOT_RAW ? 0 : tracer_enter_again();
    if (domain == SNAPSHOT_RAW) {
        lock_acquire(&traces->lock);
    }
    if (tracer_is_on()) {
        struct realm *realm = domain == SNAPSHOT_RAW ? &traces->raw : &traces->gil;
        realm_restore(traces, realm, (uintptr_t)block, taken);
    }
    if (domain == SNAPSHOT_RAW) {
        lock_release(&traces->lock);
    }
    else {
        tracer_leave(biased);
    }
}

ALWAYS_INLINE void *
hook_malloc(unsigned domain, size_t size)
{
    const PyMemAllocatorEx *base = below(domain);
    if (!tracer_is_on() || inside) {
        return base->malloc(base->ctx, size);
    }
    inside = IN_HOOK;
    void *block = base->malloc(base->ctx, size);
    inside = 0;
    if (block != NULL) {
        add(domain, block, size);
    }
    return block;
}

ALWAYS_INLINE void *
hook_calloc(unsigned domain, size_t count, size_t size)
{
    const PyMemAllocatorEx *base = below(domain);
    if (!tracer_is_on() || inside) {
        return base->calloc(base->ctx, count, size);
    }
    inside = IN_HOOK;
    void *block = base->calloc(base->ctx, count, size);
    inside = 0;
    if (block != NULL) {
        add(domain, block, count * size);
    }
    return block;
}

ALWAYS_INLINE void *
hook_realloc(unsigned domain, void *block, size_t size)
{
    if (block == NULL) {
        return hook_malloc(domain, size);
    }
    const PyMemAllocatorEx *base = below(domain);
    char before = inside;
    if (!tracer_is_on() || (before & IN_HOOK)) {
        return base->realloc(base->ctx, block, size);
    }
    struct taken taken = take(domain, block);
    inside = IN_HOOK;
    void *moved = base->realloc(base->ctx, block, size);
    inside = before;
    if (moved != NULL) {
        if (before == 0 || taken.word != 0) {
            add(domain, moved, size);
        }
    }
    else if (taken.word != 0) {
        restore(domain, block, taken);
    }
    return moved;
}

/* For a block of the RAW domain, or one that fast.h does not forget. */
static NOINLINE void
free_slowly(unsigned domain, void *block)
{
    take(domain, block);
    const PyMemAllocatorEx *base = below(domain);
    char before = inside;
    inside = IN_HOOK;
    base->free(base->ctx, block);
    inside = before;
}

ALWAYS_INLINE void
hook_free(unsigned domain, void *block)
{
    if (LIKELY(tracer_is_on() && !(inside & IN_HOOK) && block != NULL)
        && (domain == SNAPSHOT_RAW || !LIKELY(tracer_take_fast((uintptr_t)block)))) {
        free_slowly(domain, block);
        return;
    }
    const PyMemAllocatorEx *base = below(domain);
    base->free(base->ctx, block);
}

/* PyMem_SetAllocator wants one function a domain: these add nothing but that. */
#define DEFINE_HOOKS(name, domain)                                        \
    static void *name##_hook_malloc(void *ctx, size_t size)               \
    {                                                                     \
        (void)ctx;                                                        \
        return hook_malloc(domain, size);                                 \
    }                                                                     \
    static void *name##_hook_calloc(void *ctx, size_t count, size_t size) \
    {                                                                     \
        (void)ctx;                                                        \
        return hook_calloc(domain, count, size);                          \
    }                                                                     \
    static void *name##_hook_realloc(void *ctx, void *block, size_t size) \
    {                                                                     \
        (void)ctx;                                                        \
        return hook_realloc(domain, block, size);                         \
    }                                                                     \
    static void name##_hook_free(void *ctx, void *block)                  \
    {                                                                     \
        (void)ctx;                                                        \
        hook_free(domain, block);                                         \
    }

DEFINE_HOOKS(raw, SNAPSHOT_RAW)
DEFINE_HOOKS(mem, SNAPSHOT_MEM)
DEFINE_HOOKS(obj, SNAPSHOT_OBJ)

#define HOOKS(name) \
    {NULL, name##_hook_malloc, name##_hook_calloc, name##_hook_realloc, name##_hook_free}

static const PyMemAllocatorEx ours[DOMAINS] = {
    [SNAPSHOT_RAW] = HOOKS(raw),
    [SNAPSHOT_MEM] = HOOKS(mem),
    [SNAPSHOT_OBJ] = HOOKS(obj),
};

int
hooks_pause(int paused)
{
    int before = (inside & PAUSED) != 0;
    inside = (char)(paused ? inside | PAUSED : inside & ~PAUSED);
    return before;
}

/* -- fork --------------------------------------------------------------------
 *
 * The child inherits the tables, and the locks as they were: nobody may hold
 * them while the copy is made.  Until both sides have let go, what this thread
 * allocates (in other fork handlers) passes unrecorded. */

#ifndef _WIN32

static void
before_fork(void)
{
    gate_lock(&tracer.traces.gate);
    lock_acquire(&tracer.traces.lock);
    inside |= IN_HOOK;
}

static void
after_fork_in_parent(void)
{
    inside &= ~IN_HOOK;
    lock_release(&tracer.traces.lock);
    gate_unlock(&tracer.traces.gate);
}

static void
after_fork_in_child(void)
{
    inside &= ~IN_HOOK;
    lock_reset(&tracer.traces.lock);
    gate_reset(&tracer.traces.gate);
}

static int
register_fork_handlers(void)
{
    return pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0 ? 0 : -1;
}

#else

static int
register_fork_handlers(void)
{
    return 0;
}

#endif

int
hooks_prepare(void)
{
    if (!hooks.prepared && register_fork_handlers() < 0) {
        return -1;
    }
    hooks.prepared = 1;
    return 0;
}

/* -- install and remove -------------------------------------------------------- */

static int
is_on_top(unsigned domain, PyMemAllocatorEx *top)
{
    PyMem_GetAllocator(domain_ids[domain], top);
    return top->malloc == ours[domain].malloc;
}

static void *
probe(unsigned domain)
{
    return domain == SNAPSHOT_RAW   ? PyMem_RawMalloc(1)
           : domain == SNAPSHOT_MEM ? PyMem_Malloc(1)
                                    : PyObject_Malloc(1);
}

static void
probe_free(unsigned domain, void *block)
{
    switch (domain) {
    case SNAPSHOT_RAW:
        PyMem_RawFree(block);
        break;
    case SNAPSHOT_MEM:
        PyMem_Free(block);
        break;
    default:
        PyObject_Free(block);
    }
}

static int
is_recorded(unsigned domain, uintptr_t address)
{
    struct traces *traces = &tracer.traces;
    int biased = tracer_lock();
    const struct realm *realm = domain == SNAPSHOT_RAW ? &traces->raw : &traces->gil;
    int recorded = tracer_is_on() && shadow_get(&realm->shadow, address) != 0;
    tracer_unlock(biased);
    return recorded;
}

enum { PROBES = 4 };

/* Whether a request to this domain comes by our hook: asks for a block and
 * looks whether it was recorded, and forgotten when freed.  Recorded alone may
 * be another that lay there, freed unseen; not forgotten, one that another
 * thread got at once. */
static int
is_reached(unsigned domain)
{
    for (int i = 0; i < PROBES; i++) {
        void *block = probe(domain);
        uintptr_t address = (uintptr_t)block;
        int recorded = block == NULL || is_recorded(domain, address);
        probe_free(domain, block);
        if (recorded && (address == 0 || !is_recorded(domain, address))) {
            return 1;
        }
    }
    return 0;
}

/* Makes `wanted` what the hooks call from now on, using the copy that an
 * earlier install left if there is an equal one. */
static int
publish(const struct allocators *wanted)
{
    for (struct allocators *known = hooks.all; known != NULL; known = known->older) {
        if (memcmp(known->of, wanted->of, sizeof(known->of)) == 0) {
            atomic_store(&hooks.base, known);
            return 0;
        }
    }
    struct allocators *copy = mem_malloc(1, sizeof(*copy));
    if (copy == NULL) {
        return -1;
    }
    memcpy(copy->of, wanted->of, sizeof(copy->of));
    copy->older = hooks.all;
    hooks.all = copy;
    atomic_store(&hooks.base, copy);
    return 0;
}

int
hooks_in_place(void)
{
    for (unsigned domain = 0; domain < DOMAINS; domain++) {
        PyMemAllocatorEx top;
        if (!is_on_top(domain, &top) && !(hooks.installed && is_reached(domain))) {
            return 0;
        }
    }
    return 1;
}

int
hooks_install(void)
{
    struct allocators wanted = {0};
    if (atomic_load(&hooks.base) != NULL) {
        wanted = *atomic_load(&hooks.base);
    }
    int missing[DOMAINS];
    int any = 0;
    for (unsigned domain = 0; domain < DOMAINS; domain++) {
        PyMemAllocatorEx top;
        missing[domain] = !is_on_top(domain, &top) && !(hooks.installed && is_reached(domain));
        if (missing[domain]) {
            wanted.of[domain] = top;
            any = 1;
        }
    }
    if (any && publish(&wanted) < 0) {
        return -1;
    }
    hooks.installed = 1;
    for (unsigned domain = 0; domain < DOMAINS; domain++) {
        if (missing[domain]) {
            PyMemAllocatorEx hook = ours[domain];
            hook.ctx = wanted.of[domain].ctx;
            PyMem_SetAllocator(domain_ids[domain], &hook);
        }
    }
    return 0;
}

void
hooks_remove(void)
{
    for (unsigned domain = 0; domain < DOMAINS; domain++) {
        PyMemAllocatorEx top;
        if (!is_on_top(domain, &top)) {
            return;
        }
    }
    for (unsigned domain = 0; domain < DOMAINS; domain++) {
        PyMemAllocatorEx base = *below(domain);
        PyMem_SetAllocator(domain_ids[domain], &base);
    }
    hooks.installed = 0;
}

enum hook_state
hooks_state(unsigned domain)
{
    PyMemAllocatorEx top;
    if (is_on_top(domain, &top)) {
        return HOOK_ON_TOP;
    }
    if (!hooks.installed) {
        return HOOK_ABSENT;
    }
    return !tracer_is_on() || is_reached(domain) ? HOOK_BELOW : HOOK_ABSENT;
}
