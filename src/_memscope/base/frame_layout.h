/* How each CPython lays out a frame: the one place that knows. */
#ifndef MEMSCOPE_FRAME_LAYOUT_H
#define MEMSCOPE_FRAME_LAYOUT_H

#include "base/pycompat.h"

/* These are the interpreter's own structures, which no public header declares.
 * frames_unsupported (frames.c) compares them with the running process.
 *
 * Supporting a new version: compare Include/internal/pycore_interpframe*.h
 * (the struct, enum _frameowner, _PyFrame_IsIncomplete) and cpython/pystate.h
 * (current_frame) with the newest layout below, Include/internal/
 * pycore_debug_offsets.h with the positions in frames.c, then raise the number
 * here. */
#if PY_VERSION_HEX >= 0x03100000
#  error "frame_layout.h is verified up to CPython 3.15: see 'Supporting a new version' above"
#endif

#if PY_VERSION_HEX >= 0x030E0000        /* 3.14, 3.15 */

struct frame {
    uintptr_t executable;               /* _PyStackRef: code object, low bits are tags */
    const struct frame *previous;
    uintptr_t function;
    PyObject *globals, *builtins, *locals;
    PyFrameObject *frame_object;
    uintptr_t instruction;
    void *stack_pointer;
#ifdef Py_GIL_DISABLED
    int32_t bytecode_index;
#endif
    uint16_t return_offset;
    char owner;
};

#elif PY_VERSION_HEX >= 0x030C0000      /* 3.12, 3.13 */

struct frame {
    uintptr_t executable;               /* 3.12: always a code object */
    const struct frame *previous;
    PyObject *function;
    PyObject *globals, *builtins, *locals;
    PyFrameObject *frame_object;
    uintptr_t instruction;
    int stack_top;
    uint16_t return_offset;
    char owner;
};

#else                                   /* 3.11 */

struct frame {
    PyFunctionObject *function;
    PyObject *globals, *builtins, *locals;
    uintptr_t executable;
    PyFrameObject *frame_object;
    const struct frame *previous;
    uintptr_t instruction;
    int stack_top;
    _Bool is_entry;
    char owner;
};

#endif

/* enum _frameowner.  From INTERPRETER (called CSTACK before 3.14) on, a frame
 * is a mark left by C and belongs to no Python code; and from 3.12 on, so is one
 * without a function (_PyFrame_PushTrampolineUnchecked). */
enum { OWNED_BY_GENERATOR = 1, OWNED_BY_INTERPRETER = 3 };

#define EXECUTABLE_TAGS ((uintptr_t)3)    /* of a _PyStackRef */
#define CODE_UNIT 2     /* sizeof(_Py_CODEUNIT) */

static inline const struct frame *
newest_frame(const PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030D0000
    return (const struct frame *)thread->current_frame;
#else
    return (const struct frame *)thread->cframe->current_frame;
#endif
}

static inline int
is_python(const struct frame *frame)
{
#if PY_VERSION_HEX >= 0x030C0000
    uintptr_t function = (uintptr_t)frame->function & ~EXECUTABLE_TAGS;
    if (function == 0 || function == (uintptr_t)Py_None) {
        return 0;
    }
#endif
    return frame->owner < OWNED_BY_INTERPRETER;
}

/* The frame of a generator, coroutine or asynchronous generator; NULL when it has ended. */
static inline const struct frame *
frame_of_generator(PyObject *generator)
{
#if PY_VERSION_HEX >= 0x030E0000
    struct generator {                  /* _PyGenObject_HEAD (pycore_interpframe_structs.h) */
        PyObject_HEAD
        PyObject *weak_references, *name, *qualified_name;
        void *exception_state[2];
        PyObject *origin_or_finalizer;
        char hooks_inited, closed, running_async;
        int8_t state;
        struct frame frame;
    };
    const struct generator *self = (const struct generator *)generator;
    int8_t ended = PY_VERSION_HEX >= 0x030F0000 ? 5 : 1;        /* enum _framestate */
    return self->state < ended ? &self->frame : NULL;
#else
    const PyGenObject *self = (const PyGenObject *)generator;
    return self->gi_frame_state < 1 ? (const struct frame *)self->gi_iframe : NULL;
#endif
}

/* The frame behind a frame object. */
static inline const struct frame *
frame_of_object(PyObject *frame_object)
{
    struct object {                     /* struct _frame (pycore_frame.h) */
        PyObject_HEAD
        PyFrameObject *back;
        const struct frame *frame;
    };
    return ((const struct object *)frame_object)->frame;
}

#endif
