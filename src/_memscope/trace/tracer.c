#include "trace/tracer.h"

#include "trace/hooks.h"
#include "trace/interpose.h"
#include "trace/reftracer.h"

#define DEFAULT_NFRAME 1

struct tracer tracer = {
    .capture = {.nframe = DEFAULT_NFRAME},
    .traces = {.gate = GATE_INIT, .lock = LOCK_INIT},
};

int
tracer_lock(void)
{
    int biased = tracer_enter(pycompat_borrow_attached());
    lock_acquire(&tracer.traces.lock);
    return biased;
}

void
tracer_unlock(int biased)
{
    lock_release(&tracer.traces.lock);
    tracer_leave(biased);
}

/* -- blocks ------------------------------------------------------------------ */

static void
put(struct realm *realm, unsigned domain, uintptr_t address, size_t size, uint32_t traceback)
{
    struct traces *traces = &tracer.traces;
    if (traceback != CALLSITE_NONE) {
        realm_put(traces, realm, address, size, domain, traceback);
        return;
    }
    /* Whatever was here is gone all the same. */
    realm_take(traces, realm, address);
    traces_lose(traces);
}

void
tracer_add(unsigned domain, uintptr_t address, size_t size)
{
    PyThreadState *thread = pycompat_borrow_attached();
    int biased = tracer_enter(thread);
    if (tracer_is_on()) {
        uint32_t traceback = frames_capture_gil(&tracer.traces, &tracer.capture, thread);
        put(&tracer.traces.gil, domain, address, size, traceback);
    }
    tracer_leave(biased);
}

/* The state of a thread that holds its GIL, or NULL. */
static PyThreadState *
borrow_gil_holder(void)
{
    PyThreadState *attached = pycompat_borrow_attached();
#if PY_VERSION_HEX < 0x030C0000
    if (attached != PyGILState_GetThisThreadState()) {
        return NULL;
    }
#endif
    return attached;
}

/* Calls `keep` under the lock with the traceback of this thread, which may or
 * may not hold a GIL. */
struct raw_block {
    unsigned domain;
    uintptr_t address;
    size_t size;
};

typedef void (*keep_fn)(const struct raw_block *block, uint32_t traceback);

static void
keep_raw(const struct raw_block *block, uint32_t traceback)
{
    put(&tracer.traces.raw, block->domain, block->address, block->size, traceback);
}

static void
keep_tracked(const struct raw_block *block, uint32_t traceback)
{
    if (traceback == CALLSITE_NONE) {
        traces_untrack(&tracer.traces, block->domain, block->address);
        traces_lose(&tracer.traces);
        return;
    }
    traces_track(&tracer.traces, block->domain, block->address, block->size, traceback);
}

static void
add_unlocked(const struct raw_block *block, keep_fn keep)
{
    struct traces *traces = &tracer.traces;
    PyThreadState *thread = borrow_gil_holder();
    if (thread != NULL) {
        int biased = tracer_enter(thread);
        if (tracer_is_on()) {
            uint32_t traceback = frames_capture_gil(traces, &tracer.capture, thread);
            lock_acquire(&traces->lock);
            keep(block, traceback);
            lock_release(&traces->lock);
        }
        tracer_leave(biased);
        return;
    }
    thread = pycompat_is_finalizing() ? NULL : PyGILState_GetThisThreadState();
    lock_acquire(&traces->lock);
    if (tracer_is_on()) {
        keep(block, frames_capture_raw(traces, &tracer.capture, thread));
    }
    lock_release(&traces->lock);
}

void
tracer_add_raw(uintptr_t address, size_t size)
{
    struct raw_block block = {SNAPSHOT_RAW, address, size};
    add_unlocked(&block, keep_raw);
}

static int
track(unsigned int domain, uintptr_t address, size_t size)
{
    if (!tracer_is_on()) {
        return -1;
    }
    struct raw_block block = {domain, address, size};
    add_unlocked(&block, keep_tracked);
    return 0;
}

static int
untrack(unsigned int domain, uintptr_t address)
{
    if (!tracer_is_on()) {
        return -1;
    }
    lock_acquire(&tracer.traces.lock);
    if (tracer_is_on()) {
        traces_untrack(&tracer.traces, domain, address);
    }
    lock_release(&tracer.traces.lock);
    return 0;
}

uint32_t
tracer_find(uintptr_t address, struct tracebacks **tree)
{
    uint32_t traceback = 0;
    int biased = tracer_lock();
    if (tracer_is_on()) {
        traceback = shadow_word_traceback(shadow_get(&tracer.traces.gil.shadow, address));
        *tree = tracer.traces.tracebacks;
        tracebacks_ref(*tree);
    }
    tracer_unlock(biased);
    if (traceback == 0 && *tree != NULL) {
        tracebacks_unref(*tree);
        *tree = NULL;
    }
    return traceback;
}

void
tracer_reuse(uintptr_t address)
{
    struct traces *traces = &tracer.traces;
    PyThreadState *thread = pycompat_borrow_attached();
    int biased = tracer_enter(thread);
    if (tracer_is_on() && address == traces->gil.newest) {
        traces->gil.newest = 0;     /* announced once; the next time it is reuse */
    }
    else if (tracer_is_on() && shadow_word_traceback(shadow_get(&traces->gil.shadow, address))) {
        uint32_t traceback = frames_capture_gil(traces, &tracer.capture, thread);
        struct shadow *shadow = &traces->gil.shadow;
        uint64_t *slot = shadow_slot(shadow_page(shadow, address), address);
        if (traceback != CALLSITE_NONE) {
            *slot = shadow_word_rebirth(*slot, traceback, atomic_load(&traces->epoch_bits));
            shadow_note_epoch(shadow, address, shadow_word_epoch(*slot));
        }
    }
    tracer_leave(biased);
}

/* -- on and off -------------------------------------------------------------- */

static int
is_only_interpreter(void)
{
    return PyInterpreterState_Next(PyInterpreterState_Head()) == NULL;
}

static const struct interpose_callbacks callbacks = {track, untrack};

int
tracer_check(void)
{
    if (!tracer_is_on()) {
        return 0;
    }
    interpose_rescan();
    if (hooks_in_place()) {
        return 0;
    }
    int biased = tracer_lock();
    if (tracer_is_on()) {
        traces_forget_watched(&tracer.traces);
    }
    tracer_unlock(biased);
    return hooks_install();
}

int
tracer_start(uint32_t nframe, int total, int reuse)
{
    if (tracer_is_on()) {
        return tracer_check();
    }
    if (hooks_prepare() < 0) {
        return -1;
    }
    tracer.main = PyInterpreterState_Main();
#if PY_VERSION_HEX >= 0x030C0000
    gate_setup(&tracer.traces.gate, is_only_interpreter());
#else
    (void)is_only_interpreter;
#endif
    int biased = tracer_lock();
    int result = 0;
    if (!tracer_is_on()) {
        result = traces_init(&tracer.traces, nframe);
        if (result == 0) {
            tracer.capture = (struct capture){nframe, total};
            tracer.newest_only = nframe == 1 && !total;
            atomic_store(&tracer.tracing, 1);
        }
    }
    tracer_unlock(biased);
    if (result < 0 || hooks_install() < 0) {
        tracer_stop();
        return -1;
    }
    interpose_install(&callbacks);
    if (reuse) {
        reftracer_install();
    }
    return 0;
}

void
tracer_stop(void)
{
    reftracer_remove();
    interpose_remove();
    hooks_remove();
    int biased = tracer_lock();
    if (tracer_is_on()) {
        atomic_store(&tracer.tracing, 0);
        traces_release(&tracer.traces);
    }
    tracer_unlock(biased);
}

int
tracer_clear(void)
{
    int result = 0;
    int biased = tracer_lock();
    if (tracer_is_on()) {
        traces_release(&tracer.traces);
        result = traces_init(&tracer.traces, tracer.capture.nframe);
        if (result < 0) {
            atomic_store(&tracer.tracing, 0);
        }
    }
    tracer_unlock(biased);
    if (result < 0) {
        tracer_stop();
    }
    return result;
}
