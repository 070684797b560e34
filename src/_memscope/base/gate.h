/* A gate: mutual exclusion that the GIL already gives, made true for the rest.
 *
 * Almost every allocation is made by a thread that holds the main
 * interpreter's GIL, and those exclude each other for free.  An interpreter
 * with a GIL of its own breaks that.  So the gate starts *biased*: holders of
 * the GIL pass by raising a flag, two plain stores and no atomic operation;
 * the first comer without that GIL makes the gate *shared* for good, and from
 * then on everybody takes the lock.
 *
 *     GIL holder                         the first other one (holding `lock`)
 *     inside = 1                         shared = 1
 *     (compiler fence)                   membarrier: a fence in every thread
 *     shared?  yes: inside = 0, lock     wait until inside == 0
 *
 * This is Dekker's handshake with the fence of the frequent side moved to the
 * rare side (biased locking; Kawachiya, Koseki, Onodera, OOPSLA 2002, with the
 * asymmetric fence of Linux membarrier(2)).  Where the system has no such
 * fence the gate is shared from the start.
 *
 * A gate is not recursive.  fork: gate_lock before, gate_unlock in the parent,
 * gate_reset in the child. */
#ifndef MEMSCOPE_GATE_H
#define MEMSCOPE_GATE_H

#include <stdatomic.h>

#include "base/lock.h"

struct gate {
    atomic_int inside;      /* written by GIL holders only; one at a time */
    atomic_int shared;      /* set once, under `lock`, never cleared */
    struct lock lock;
};

#define GATE_INIT {.lock = LOCK_INIT}

/* Learns whether this system can fence other threads; if not, or if `biased`
 * is 0, the gate becomes shared.  Before the first use; again is harmless. */
void gate_setup(struct gate *self, int biased);

/* Passes without the GIL: makes the gate shared if it is not, takes the lock. */
void gate_enter_shared(struct gate *self);

/* Passes holding the GIL if the gate is biased; 0: it is shared. */
static inline int
gate_try_biased(struct gate *self)
{
    atomic_store_explicit(&self->inside, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&self->shared, memory_order_acquire)) {
        return 1;
    }
    atomic_store_explicit(&self->inside, 0, memory_order_release);
    return 0;
}

/* Passes holding the GIL.  The result goes to gate_leave. */
static inline int
gate_enter(struct gate *self)
{
    if (gate_try_biased(self)) {
        return 1;
    }
    lock_acquire(&self->lock);
    return 0;
}

static inline void
gate_leave(struct gate *self, int biased)
{
    if (biased) {
        atomic_store_explicit(&self->inside, 0, memory_order_release);
    }
    else {
        lock_release(&self->lock);
    }
}

static inline int
gate_is_shared(const struct gate *self)
{
    return atomic_load_explicit(&self->shared, memory_order_relaxed);
}

void gate_lock(struct gate *self);
void gate_unlock(struct gate *self);
void gate_reset(struct gate *self);

#endif
