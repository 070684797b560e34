/* A mutex that needs no Python and is usable from the first instruction on.
 *
 * Every lock of the core is a leaf, or is taken in the one order written in
 * trace/tracer.h; nothing that can call Python, allocate through PyMem, load a
 * library or fork runs while one is held.  lock_reset makes a lock free again
 * in a forked child, where its owner may not exist. */
#ifndef MEMSCOPE_LOCK_H
#define MEMSCOPE_LOCK_H

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

struct lock {
    SRWLOCK os;
};
#define LOCK_INIT {SRWLOCK_INIT}

static inline void
lock_acquire(struct lock *self)
{
    AcquireSRWLockExclusive(&self->os);
}
static inline void
lock_release(struct lock *self)
{
    ReleaseSRWLockExclusive(&self->os);
}
static inline void
lock_reset(struct lock *self)
{
    InitializeSRWLock(&self->os);
}

#else

#include <pthread.h>

struct lock {
    pthread_mutex_t os;
};
#define LOCK_INIT {PTHREAD_MUTEX_INITIALIZER}

static inline void
lock_acquire(struct lock *self)
{
    pthread_mutex_lock(&self->os);
}
static inline void
lock_release(struct lock *self)
{
    pthread_mutex_unlock(&self->os);
}
static inline void
lock_reset(struct lock *self)
{
    pthread_mutex_init(&self->os, NULL);
}

#endif
#endif
