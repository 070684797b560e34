/* The tracer: the one thing in this process that is switched on and off.
 *
 * Allocator hooks belong to the process, not to a module or an interpreter, so
 * their state does too.  `tracer` is the core's one mutable global; it is never
 * freed, because a hook may be running in a thread that nobody can wait for.
 *
 * Threads: tracer_start and tracer_stop are called attached to an interpreter
 * (with its GIL); so is every query.  Locks are taken in the order gate, then
 * traces.lock, and nothing that could allocate or call Python runs under them. */
#ifndef MEMSCOPE_TRACER_H
#define MEMSCOPE_TRACER_H

#include <stdatomic.h>

#include "base/pycompat.h"
#include "trace/frames.h"
#include "trace/traces.h"

struct tracer {
    atomic_int tracing;                 /* written with gate and lock held; hooks look first
                                           without, and again with */
    struct capture capture;             /* set before `tracing`; kept after a stop */
    int newest_only;                    /* the capture is one frame and no total */
    PyInterpreterState *main;           /* set before `tracing` */
    struct traces traces;
};

extern struct tracer tracer;

static inline int
tracer_is_on(void)
{
    return atomic_load_explicit(&tracer.tracing, memory_order_relaxed);
}

/* The gate, passed in the name of a GIL.  Before 3.12 all interpreters share
 * one GIL, which is all the gate that is needed. */
#if PY_VERSION_HEX >= 0x030C0000

/* As `thread`.  The gate is biased to the main interpreter's GIL. */
static inline int
tracer_enter(const PyThreadState *thread)
{
    if (thread == NULL || thread->interp != tracer.main) {
        gate_enter_shared(&tracer.traces.gate);
        return 0;
    }
    return gate_enter(&tracer.traces.gate);
}

/* Without a look at the thread: for a caller that holds a GIL and frees.  An
 * interpreter has allocated before it frees, so if its GIL is not the main one
 * the gate has been shared since. */
static inline int
tracer_enter_again(void)
{
    return gate_enter(&tracer.traces.gate);
}

/* Whether the gate could be passed without the lock, as tracer_enter_again. */
static inline int
tracer_enter_biased(void)
{
    return gate_try_biased(&tracer.traces.gate);
}

static inline void
tracer_leave(int biased)
{
    gate_leave(&tracer.traces.gate, biased);
}

#else

static inline int
tracer_enter(const PyThreadState *thread)
{
    (void)thread;
    return 1;
}

static inline int
tracer_enter_again(void)
{
    return 1;
}

static inline int
tracer_enter_biased(void)
{
    return 1;
}

static inline void
tracer_leave(int biased)
{
    (void)biased;
}

#endif

/* Both the gate and the lock, for queries. */
int tracer_lock(void);
void tracer_unlock(int biased);

/* Begins to trace: `nframe` frames, the depth of the stack if `total`, and new
 * owners of blocks from free lists if `reuse` (reftracer.h).  Nothing happens
 * if it is on already.  0, or -1 without memory and nothing changed. */
int tracer_start(uint32_t nframe, int total, int reuse);

/* Puts the hooks back if another tool has thrown them off, which none can do
 * without our noticing late: what was freed meanwhile is still in the tables.
 * Queries begin with it.  0, or -1 without memory. */
int tracer_check(void);

/* Ends tracing and forgets every trace. */
void tracer_stop(void);

/* Forgets every trace and goes on.  0, or -1 without memory, and then the
 * tracer is off. */
int tracer_clear(void);

/* A block of the domains MEM and OBJ, or RAW, has come; the hooks' work. */
void tracer_add(unsigned domain, uintptr_t address, size_t size);
void tracer_add_raw(uintptr_t address, size_t size);

/* The traceback of the block at `address`, and a reference to the tree it is
 * in, to be given back with tracebacks_unref; 0 if the block is not known. */
uint32_t tracer_find(uintptr_t address, struct tracebacks **tree);

/* An object has been made at `address` from memory that was not asked for
 * anew: from now on its block belongs to the current line. */
void tracer_reuse(uintptr_t address);

#endif
