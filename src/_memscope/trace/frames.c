#include "trace/frames.h"

#include <stddef.h>
#include <string.h>

#include "base/frame_layout.h"

/* The code object a frame runs, or NULL; borrowed. */
static PyCodeObject *
borrow_code(const struct frame *frame)
{
    PyObject *executable = (PyObject *)(frame->executable & ~EXECUTABLE_TAGS);
    return executable != NULL && PyCode_Check(executable) ? (PyCodeObject *)executable : NULL;
}

/* Whether a frame has not yet begun its first line: it makes cells, copies
 * closures or creates its generator, which is the caller's doing. */
static int
is_incomplete(const struct frame *frame, const PyCodeObject *code)
{
    uintptr_t first =
        (uintptr_t)code->co_code_adaptive + (uintptr_t)code->_co_firsttraceable * CODE_UNIT;
    return frame->owner != OWNED_BY_GENERATOR && frame->instruction < first;
}

static uint32_t
intern_unicode(struct tracebacks *tracebacks, PyObject *unicode)
{
    if (unicode == NULL || !PyUnicode_Check(unicode) || !pycompat_unicode_is_ready(unicode)) {
        return TEXT_UNKNOWN;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(unicode);
    if (length > UINT32_MAX) {
        return TEXT_UNKNOWN;
    }
    struct text text = {PyUnicode_DATA(unicode), (uint32_t)length,
                        (uint32_t)PyUnicode_KIND(unicode)};
    return tracebacks_intern_text(tracebacks, text);
}

static uint32_t
intern_code(struct tracebacks *tracebacks, const PyCodeObject *code)
{
    struct function function = {
        intern_unicode(tracebacks, code->co_filename),
        intern_unicode(tracebacks, code->co_qualname),
    };
    if (function.filename == 0 || function.name == 0) {
        return 0;
    }
    return tracebacks_intern_function(tracebacks, function);
}

/* The node of a call site that the cache does not know; the lock is held.  The
 * RAW realm cannot mark blocks of the GIL realm, so it remembers call sites of
 * codes that are watched already, and asks again for others. */
static uint32_t
intern_callsite(struct traces *traces, struct realm *realm, uint32_t parent,
                const struct frame *frame, PyCodeObject *code, int line)
{
    uintptr_t address = (uintptr_t)code;
    uintptr_t end = (uintptr_t)code->co_code_adaptive + (uintptr_t)Py_SIZE(code) * CODE_UNIT;
    uint32_t function = codes_get(&traces->codes, address);
    int watched = function != 0;
    if (!watched) {
        function = intern_code(traces->tracebacks, code);
        if (function == 0) {
            return CALLSITE_NONE;
        }
        watched = realm == &traces->gil && traces_watch_code(traces, address, end, function) == 0;
    }
    uint32_t traceback = CALLSITE_SKIP;
    if (line >= 0) {
        struct traceback_node node = {parent, function, (uint32_t)line};
        traceback = tracebacks_intern_node(traces->tracebacks, node);
        if (traceback == 0) {
            return CALLSITE_NONE;
        }
    }
    if (watched) {
        callsites_put(&realm->callsites, &traces->codes, parent, frame->instruction, traceback);
        if (parent == 0 && realm == &traces->gil) {
            newest_put(&traces->newest, frame->instruction, traceback);
        }
    }
    return traceback;
}

static uint32_t
resolve(struct traces *traces, struct realm *realm, uint32_t parent, const struct frame *frame)
{
    PyCodeObject *code = borrow_code(frame);
    if (code == NULL) {
        return CALLSITE_SKIP;
    }
    int line = -1;
    if (!is_incomplete(frame, code)) {
        uintptr_t offset = frame->instruction - (uintptr_t)code->co_code_adaptive;
        line = PyCode_Addr2Line(code, (int)offset);
        if (line < 0) {
            line = 0;
        }
    }
    if (realm == &traces->gil) {
        lock_acquire(&traces->lock);
    }
    uint32_t traceback = intern_callsite(traces, realm, parent, frame, code, line);
    if (realm == &traces->gil) {
        lock_release(&traces->lock);
    }
    return traceback;
}

/* Compaction renumbers tracebacks, so it may only happen while none is in
 * flight: right after a miss, before anything is built on an id.  Returns
 * whether ids have changed. */
static int
compact(struct traces *traces, const struct realm *realm)
{
    if (realm != &traces->gil) {
        return 0;
    }
    uint32_t before = traces->numbering;
    lock_acquire(&traces->lock);
    traces_compact_if_due(traces);
    lock_release(&traces->lock);
    return traces->numbering != before;
}

static inline uint32_t
capture_newest(struct traces *traces, struct realm *realm, PyThreadState *thread)
{
    for (const struct frame *frame = newest_frame(thread); frame != NULL; frame = frame->previous) {
        if (!is_python(frame)) {
            continue;
        }
        uint32_t traceback =
            realm == &traces->gil
                ? newest_get(&traces->newest, frame->instruction)
                : callsites_get(&realm->callsites, &traces->codes, 0, frame->instruction);
        if (traceback == CALLSITE_NONE) {
            compact(traces, realm);
            traceback = resolve(traces, realm, 0, frame);
        }
        if (traceback != CALLSITE_SKIP) {
            return traceback;
        }
    }
    return TRACEBACK_UNKNOWN;
}

/* -- many frames ----------------------------------------------------------------
 *
 * Most of a stack is the same from one allocation to the next.  The stack seen
 * last is kept with the traceback up to each frame.  The new one is read from
 * its newest frame until it meets a frame of the old one; from there on both
 * are compared, and only instructions that differ are looked up again.
 *
 * The comparison takes addresses of older frames from the kept copy, so the
 * processor need not wait for each link of the chain before it follows the
 * next.  That is safe: a kept frame is read only after its live neighbour has
 * been seen to lead to it. */

static inline const struct frame *
skip_marks(const struct frame *frame)
{
    while (frame != NULL && !is_python(frame)) {
        frame = frame->previous;
    }
    return frame;
}

static inline const struct frame *
next_older(const struct frame *frame)
{
    return skip_marks(frame->previous);
}

/* The newest frame that belongs to a traceback.  A frame can be incomplete only
 * while it is the newest, but for a collection that starts while it makes its
 * cells; such an older one is skipped when it is looked up. */
static const struct frame *
newest_complete(const struct stack *last, PyThreadState *thread)
{
    const struct frame *frame = skip_marks(newest_frame(thread));
    if (last->depth != 0 && frame == last->frames[last->depth - 1].frame
        && frame->instruction == last->frames[last->depth - 1].instruction) {
        return frame;
    }
    while (frame != NULL) {
        const PyCodeObject *code = borrow_code(frame);
        if (code == NULL || !is_incomplete(frame, code)) {
            break;
        }
        frame = next_older(frame);
    }
    return frame;
}

/* Compares the live stack from `frame` on, which is where last->frames[at] was,
 * with the kept one.  *same becomes the number of oldest frames that have not
 * moved; frames above those and up to `at` get their present instructions.  0
 * if the chain has another course. */
static int
follow_last(struct stack *last, const struct frame *frame, uint32_t at, uint32_t *same)
{
    struct stack_frame *kept = &last->frames[at];
    *same = at + 1;
    for (;;) {
        const struct frame *known = kept->frame;
        if (known != frame) {
            return 0;
        }
        if (known->instruction != kept->instruction) {
            kept->instruction = known->instruction;
            *same = (uint32_t)(kept - last->frames);
        }
        frame = known->previous;
        if (frame != NULL && !is_python(frame)) {
            frame = skip_marks(frame);
        }
        if (kept == last->frames) {
            return last->cut || frame == NULL;
        }
        kept--;
    }
}

/* Reads the stack into `last`.  Returns how many of its oldest frames still have
 * the right traceback. */
static uint32_t
read_stack(struct stack *last, uint32_t nframe, PyThreadState *thread)
{
    const struct frame *frame = newest_complete(last, thread);
    uint32_t at = last->depth;      /* position + 1 in the kept stack */
    uint32_t fresh = 0, kept = 0, same = 0;
    while (frame != NULL && fresh < nframe) {
        while (at > 0 && (uintptr_t)last->frames[at - 1].frame > (uintptr_t)frame) {
            at--;
        }
        if (at > 0 && last->frames[at - 1].frame == frame
            && (last->cut ? fresh == last->depth - at : fresh + at <= nframe)) {
            if (follow_last(last, frame, at - 1, &same)) {
                kept = at;
                break;
            }
            /* It has changed the instructions of some frames: of no use now. */
            at = 0;
            last->depth = 0;
        }
        last->scratch[fresh].frame = frame;
        last->scratch[fresh].instruction = frame->instruction;
        fresh++;
        frame = next_older(frame);
    }
    if (kept == 0) {
        last->cut = frame != NULL;
        same = 0;
    }
    for (uint32_t i = 0; i < fresh; i++) {
        last->frames[kept + i].frame = last->scratch[fresh - 1 - i].frame;
        last->frames[kept + i].instruction = last->scratch[fresh - 1 - i].instruction;
    }
    last->depth = kept + fresh;
    return same;
}

static uint32_t
capture_many(struct traces *traces, struct realm *realm, uint32_t nframe, PyThreadState *thread)
{
    struct stack *stack = &realm->stack;
    unsigned deaths = atomic_load_explicit(&traces->codes.deaths, memory_order_relaxed);
    /* In the RAW realm code may have run, and died, that is not watched. */
    if (stack->deaths != deaths || realm != &traces->gil) {
        stack->depth = 0;
        stack->deaths = deaths;
    }
    uint32_t at = read_stack(stack, nframe, thread);
    uint32_t depth = stack->depth;
    uint32_t traceback = at == 0 ? 0 : stack->frames[at - 1].traceback;
    stack->depth = 0;
    while (at < depth) {
        struct stack_frame *frame = &stack->frames[at];
        uint32_t next =
            callsites_get(&realm->callsites, &traces->codes, traceback, frame->instruction);
        if (next == CALLSITE_NONE) {
            if (compact(traces, realm)) {
                at = 0;
                traceback = 0;
                continue;
            }
            next = resolve(traces, realm, traceback, frame->frame);
            if (next == CALLSITE_NONE) {
                return next;
            }
        }
        if (next != CALLSITE_SKIP) {
            traceback = next;
        }
        frame->traceback = traceback;
        at++;
    }
    stack->depth = depth;
    return traceback == 0 ? TRACEBACK_UNKNOWN : traceback;
}

#define MAX_TOTAL 65535

static uint32_t
count_frames(PyThreadState *thread)
{
    uint32_t total = 0;
    for (const struct frame *frame = newest_frame(thread); frame != NULL && total < MAX_TOTAL;
         frame = frame->previous) {
        if (is_python(frame)) {
            const PyCodeObject *code = total == 0 ? borrow_code(frame) : NULL;
            total += code == NULL || !is_incomplete(frame, code);
        }
    }
    return total;
}

/* Puts the number of frames in front of a traceback.  The number serves as the
 * instruction in the cache: it is smaller than any address of code. */
static uint32_t
add_total(struct traces *traces, struct realm *realm, uint32_t traceback, uint32_t total)
{
    uint32_t known = callsites_get(&realm->callsites, &traces->codes, traceback, total);
    if (known != CALLSITE_NONE) {
        return known;
    }
    struct traceback_node node = {traceback, TRACEBACK_TOTAL, total};
    if (realm == &traces->gil) {
        lock_acquire(&traces->lock);
    }
    known = tracebacks_intern_node(traces->tracebacks, node);
    if (realm == &traces->gil) {
        lock_release(&traces->lock);
    }
    if (known == 0) {
        return CALLSITE_NONE;
    }
    callsites_put(&realm->callsites, &traces->codes, traceback, total, known);
    return known;
}

static inline uint32_t
frames_capture(struct traces *traces, struct realm *realm, const struct capture *capture,
               PyThreadState *thread)
{
    uint32_t traceback = thread == NULL ? TRACEBACK_UNKNOWN
                         : capture->nframe == 1
                             ? capture_newest(traces, realm, thread)
                             : capture_many(traces, realm, capture->nframe, thread);
    if (!capture->total || traceback == CALLSITE_NONE) {
        return traceback;
    }
    if (traceback == TRACEBACK_UNKNOWN) {
        return TRACEBACK_UNKNOWN_TOTAL;
    }
    return add_total(traces, realm, traceback, count_frames(thread));
}

uint32_t
frames_capture_gil(struct traces *traces, const struct capture *capture, PyThreadState *thread)
{
    return frames_capture(traces, &traces->gil, capture, thread);
}

uint32_t
frames_capture_raw(struct traces *traces, const struct capture *capture, PyThreadState *thread)
{
    return frames_capture(traces, &traces->raw, capture, thread);
}

/* -- does the running interpreter look like this? --------------------------- */

#if PY_VERSION_HEX >= 0x030D0000

/* _Py_DebugOffsets, the start of _PyRuntime, is a sequence of 64-bit words;
 * where in it our offsets stand differs by version. */
PyAPI_DATA(const uint64_t) _PyRuntime[];

#  if PY_VERSION_HEX >= 0x030F0000
enum { OFFSETS_THREAD = 26, OFFSETS_FRAME = 40 };
#  elif PY_VERSION_HEX >= 0x030E0000
enum { OFFSETS_THREAD = 26, OFFSETS_FRAME = 32 };
#  else
enum { OFFSETS_THREAD = 23, OFFSETS_FRAME = 29 };
#  endif

static const char *
check_offsets(void)
{
    if (memcmp(_PyRuntime, "xdebugpy", 8) != 0) {
        return "the interpreter publishes no _Py_DebugOffsets to verify frame layout with";
    }
    if (_PyRuntime[OFFSETS_THREAD] != offsetof(PyThreadState, current_frame)
        || _PyRuntime[OFFSETS_FRAME] != offsetof(struct frame, previous)
        || _PyRuntime[OFFSETS_FRAME + 1] != offsetof(struct frame, executable)
        || _PyRuntime[OFFSETS_FRAME + 2] != offsetof(struct frame, instruction)
        || _PyRuntime[OFFSETS_FRAME + 4] != offsetof(struct frame, owner)) {
        return "this interpreter's frame layout is not the one memscope was built for";
    }
    return NULL;
}

#else

static const char *
check_offsets(void)
{
    return NULL;
}

#endif

/* Compares our reading of this thread's stack, frame by frame, with the
 * interpreter's own. */
static const char *
check_stack(void)
{
    const char *problem = NULL;
    const struct frame *mine = newest_frame(PyThreadState_Get());
    PyFrameObject *theirs = PyEval_GetFrame();
    Py_XINCREF(theirs);
    for (int i = 0; theirs != NULL && i < 16; i++) {
        PyCodeObject *code = PyFrame_GetCode(theirs);
        while (mine != NULL && (!is_python(mine) || is_incomplete(mine, borrow_code(mine)))) {
            mine = mine->previous;
        }
        if (mine == NULL || borrow_code(mine) != code
            || (int)(mine->instruction - (uintptr_t)code->co_code_adaptive)
                   != PyFrame_GetLasti(theirs)) {
            problem = "reading this interpreter's frames gave other frames than its own API";
        }
        Py_DECREF(code);
        PyFrameObject *caller = problem == NULL ? PyFrame_GetBack(theirs) : NULL;
        Py_SETREF(theirs, caller);
        mine = mine == NULL ? NULL : mine->previous;
    }
    Py_XDECREF(theirs);
    return problem;
}

const char *
frames_unsupported(void)
{
#ifdef Py_GIL_DISABLED
    return "free-threaded builds of CPython are not supported yet";
#else
    const char *problem = check_offsets();
    return problem != NULL ? problem : check_stack();
#endif
}
