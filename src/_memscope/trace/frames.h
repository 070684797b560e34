/* The Python stack of the calling thread, as a traceback.
 *
 * Runs inside allocator hooks: reads the interpreter's frames and code objects
 * where they lie; makes no object, changes no reference count, calls nothing
 * that could do either, and takes no lock but the tracer's.
 *
 * frames.c is the one file that knows how frames are laid out.  A thread's
 * frame chain is changed by that thread only, so it may be read without the
 * GIL as long as the thread state lives. */
#ifndef MEMSCOPE_FRAMES_H
#define MEMSCOPE_FRAMES_H

#include "base/pycompat.h"
#include "trace/traces.h"

/* What a traceback should hold. */
struct capture {
    uint32_t nframe;        /* frames kept, newest first; 1..65535 */
    int total;              /* also count all frames of the stack (TRACEBACK_TOTAL) */
};

/* The traceback of `thread`'s stack; TRACEBACK_UNKNOWN where it has no Python
 * frame or is NULL; CALLSITE_NONE when memory ended.
 *
 * frames_capture_gil: through the GIL realm; the gate is held, the lock is not.
 * frames_capture_raw: through the RAW realm; the lock is held. */
uint32_t frames_capture_gil(struct traces *traces, const struct capture *capture,
                            PyThreadState *thread);
uint32_t frames_capture_raw(struct traces *traces, const struct capture *capture,
                            PyThreadState *thread);

/* Compares what this file believes about frames with the running interpreter:
 * NULL if they agree, else one sentence.  On 3.13+ with the offsets the
 * interpreter publishes, before by reading the caller's own frame.  Needs the
 * GIL; may run Python's C API. */
const char *frames_unsupported(void);

#endif
