#include "trace/frames.h"

#include <stddef.h>
#include <string.h>

#include "trace/frame_layout.h"

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
    uintptr_t first = (uintptr_t)code->co_code_adaptive
                      + (uintptr_t)code->_co_firsttraceable * CODE_UNIT;
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
    uintptr_t end = (uintptr_t)code->co_code_adaptive
                    + (uintptr_t)Py_SIZE(code) * CODE_UNIT;
    uint32_t function = codes_get(&traces->codes, address);
    int watched = function != 0;
    if (!watched) {
        function = intern_code(traces->tracebacks, code);
        if (function == 0) {
            return CALLSITE_NONE;
        }
        watched = realm == &traces->gil
                  && traces_watch_code(traces, address, end, function) == 0;
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
    for (const struct frame *frame = newest_frame(thread); frame != NULL;
         frame = frame->previous) {
        if (!is_python(frame)) {
            continue;
        }
        uint32_t traceback =
            callsites_get(&realm->callsites, &traces->codes, 0, frame->instruction);
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

/* Reads the stack into realm->stack.frames, newest first; returns its depth.
 * Only the newest frames can be incomplete, but for a collection that starts
 * while a frame makes its cells; those older ones are skipped later. */
static uint32_t
read_stack(const struct realm *realm, uint32_t nframe, PyThreadState *thread)
{
    uint32_t depth = 0;
    const struct frame *frame = newest_frame(thread);
    while (frame != NULL && depth < nframe) {
        if (is_python(frame)) {
            const PyCodeObject *code = depth == 0 ? borrow_code(frame) : NULL;
            if (code == NULL || !is_incomplete(frame, code)) {
                realm->stack.frames[depth].instruction = frame->instruction;
                realm->stack.frames[depth].frame = frame;
                depth++;
            }
        }
        frame = frame->previous;
    }
    return depth;
}

/* How many of the oldest frames are those of the stack captured last.  None in
 * the RAW realm, where code that is not watched may have run. */
static uint32_t
common_depth(const struct traces *traces, const struct realm *realm, uint32_t depth)
{
    const struct stack *stack = &realm->stack;
    if (realm != &traces->gil
        || stack->deaths != atomic_load_explicit(&traces->codes.deaths, memory_order_relaxed)) {
        return 0;
    }
    uint32_t most = depth < stack->depth ? depth : stack->depth;
    uint32_t common = 0;
    while (common < most
           && stack->instructions[common] == stack->frames[depth - 1 - common].instruction) {
        common++;
    }
    return common;
}

static uint32_t
capture_many(struct traces *traces, struct realm *realm, uint32_t nframe, PyThreadState *thread)
{
    struct stack *stack = &realm->stack;
    uint32_t depth = read_stack(realm, nframe, thread);
    uint32_t at = common_depth(traces, realm, depth);
    uint32_t traceback = at == 0 ? 0 : stack->tracebacks[at - 1];
    stack->depth = 0;
    while (at < depth) {
        const struct stack_frame *frame = &stack->frames[depth - 1 - at];
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
        stack->instructions[at] = frame->instruction;
        stack->tracebacks[at] = traceback;
        at++;
    }
    stack->depth = depth;
    stack->deaths = atomic_load_explicit(&traces->codes.deaths, memory_order_relaxed);
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
    if (thread == NULL) {
        return TRACEBACK_UNKNOWN;
    }
    uint32_t traceback = capture->nframe == 1
                             ? capture_newest(traces, realm, thread)
                             : capture_many(traces, realm, capture->nframe, thread);
    if (!capture->total || traceback == CALLSITE_NONE || traceback == TRACEBACK_UNKNOWN) {
        return traceback;
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
