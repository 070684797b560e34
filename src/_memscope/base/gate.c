#include "base/gate.h"

#ifdef __linux__
#  include <linux/membarrier.h>
#  include <sched.h>
#  include <sys/syscall.h>
#  include <unistd.h>

static int
fence_prepare(void)
{
    return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

static void
fence_all_threads(void)
{
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

static void
pause_thread(void)
{
    sched_yield();
}

#else

static int
fence_prepare(void)
{
    return -1;
}

static void
fence_all_threads(void)
{
}
static void
pause_thread(void)
{
}

#endif

void
gate_setup(struct gate *self, int biased)
{
    if (gate_is_shared(self)) {
        return;
    }
    if (!biased || fence_prepare() < 0) {
        atomic_store(&self->shared, 1);
    }
}

void
gate_enter_shared(struct gate *self)
{
    lock_acquire(&self->lock);
    if (!gate_is_shared(self)) {
        atomic_store(&self->shared, 1);
        fence_all_threads();
        while (atomic_load_explicit(&self->inside, memory_order_acquire)) {
            pause_thread();
        }
    }
}

void
gate_lock(struct gate *self)
{
    lock_acquire(&self->lock);
}

void
gate_unlock(struct gate *self)
{
    lock_release(&self->lock);
}

void
gate_reset(struct gate *self)
{
    atomic_store(&self->inside, 0);
    lock_reset(&self->lock);
}
