/* What the tests need from C and Python cannot do: allocator calls by domain,
 * threads that know nothing of the GIL, allocator hooks above and below
 * memscope's, allocations that fail to order, C-level fork and exit.
 *
 * Test-only: never in the wheel; built by tests/ext/build.py.
 *
 * Domains are CPython's numbers: 0 RAW, 1 MEM, 2 OBJ.  Addresses travel as
 * Python ints, so that the blocks themselves own nothing. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DOMAINS 3

/* ------------------------------------------------- allocator calls by domain */

static int
check_domain(int domain)
{
    if (domain < 0 || domain >= DOMAINS) {
        PyErr_SetString(PyExc_ValueError, "domain must be 0, 1 or 2");
        return -1;
    }
    return 0;
}

static PyObject *
address_or_zero(const void *block)
{
    return PyLong_FromUnsignedLongLong((uintptr_t)block);
}

PyDoc_STRVAR(malloc_doc, "malloc(domain, size, /) -> address, 0 where it failed");

static PyObject *
testext_malloc(PyObject *Py_UNUSED(module), PyObject *args)
{
    int domain;
    unsigned long long size;
    if (!PyArg_ParseTuple(args, "iK:malloc", &domain, &size) || check_domain(domain) < 0) {
        return NULL;
    }
    size_t n = (size_t)size;
    return address_or_zero(domain == 0   ? PyMem_RawMalloc(n)
                           : domain == 1 ? PyMem_Malloc(n)
                                         : PyObject_Malloc(n));
}

PyDoc_STRVAR(calloc_doc, "calloc(domain, count, size, /) -> address, 0 where it failed");

static PyObject *
testext_calloc(PyObject *Py_UNUSED(module), PyObject *args)
{
    int domain;
    unsigned long long count, size;
    if (!PyArg_ParseTuple(args, "iKK:calloc", &domain, &count, &size) || check_domain(domain) < 0) {
        return NULL;
    }
    size_t n = (size_t)count, s = (size_t)size;
    return address_or_zero(domain == 0   ? PyMem_RawCalloc(n, s)
                           : domain == 1 ? PyMem_Calloc(n, s)
                                         : PyObject_Calloc(n, s));
}

PyDoc_STRVAR(realloc_doc, "realloc(domain, address, size, /) -> address, 0 where it failed");

static PyObject *
testext_realloc(PyObject *Py_UNUSED(module), PyObject *args)
{
    int domain;
    unsigned long long address, size;
    if (!PyArg_ParseTuple(args, "iKK:realloc", &domain, &address, &size)
        || check_domain(domain) < 0) {
        return NULL;
    }
    void *block = (void *)(uintptr_t)address;
    size_t n = (size_t)size;
    return address_or_zero(domain == 0   ? PyMem_RawRealloc(block, n)
                           : domain == 1 ? PyMem_Realloc(block, n)
                                         : PyObject_Realloc(block, n));
}

PyDoc_STRVAR(free_doc, "free(domain, address, /)");

static PyObject *
testext_free(PyObject *Py_UNUSED(module), PyObject *args)
{
    int domain;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "iK:free", &domain, &address) || check_domain(domain) < 0) {
        return NULL;
    }
    void *block = (void *)(uintptr_t)address;
    if (domain == 0) {
        PyMem_RawFree(block);
    }
    else if (domain == 1) {
        PyMem_Free(block);
    }
    else {
        PyObject_Free(block);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(malloc_nogil_doc,
             "malloc_nogil(size, /) -> address of a RAW block made with the GIL released");

static PyObject *
testext_malloc_nogil(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned long long size;
    if (!PyArg_ParseTuple(args, "K:malloc_nogil", &size)) {
        return NULL;
    }
    void *block;
    Py_BEGIN_ALLOW_THREADS
        block = PyMem_RawMalloc((size_t)size);
    Py_END_ALLOW_THREADS
    return address_or_zero(block);
}

PyDoc_STRVAR(leak_nogil_doc,
"leak_nogil(size, /)\n\n"
"A RAW block made with the GIL released, and not one block of another domain.");

static PyObject *
testext_leak_nogil(PyObject *Py_UNUSED(module), PyObject *size)
{
    size_t n = PyLong_AsSize_t(size);
    if (n == (size_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
        PyMem_RawMalloc(n);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyDoc_STRVAR(spin_nogil_doc,
"spin_nogil(seconds, /): RAW blocks made and freed all the time, with the GIL released");

static PyObject *
testext_spin_nogil(PyObject *Py_UNUSED(module), PyObject *args)
{
    double seconds;
    if (!PyArg_ParseTuple(args, "d:spin_nogil", &seconds)) {
        return NULL;
    }
    struct timespec now;
    Py_BEGIN_ALLOW_THREADS
        clock_gettime(CLOCK_MONOTONIC, &now);
        double end = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 + seconds;
        do {
            for (size_t size = 8; size < 2000; size += 24) {
                PyMem_RawFree(PyMem_RawRealloc(PyMem_RawMalloc(size), size + 100));
            }
            clock_gettime(CLOCK_MONOTONIC, &now);
        } while ((double)now.tv_sec + (double)now.tv_nsec * 1e-9 < end);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyDoc_STRVAR(allocator_doc,
             "allocator(domain, /) -> (ctx, malloc): what PyMem_GetAllocator says now");

static PyObject *
testext_allocator(PyObject *Py_UNUSED(module), PyObject *args)
{
    int domain;
    if (!PyArg_ParseTuple(args, "i:allocator", &domain) || check_domain(domain) < 0) {
        return NULL;
    }
    PyMemAllocatorEx allocator;
    PyMem_GetAllocator((PyMemAllocatorDomain)domain, &allocator);
    return Py_BuildValue("(KK)", (unsigned long long)(uintptr_t)allocator.ctx,
                         (unsigned long long)(uintptr_t)allocator.malloc);
}

/* ------------------------------------------------------------ foreign threads */

/* Threads that malloc, calloc, realloc and free RAW blocks out of one table of
 * shared slots.  A thread owns a block between the exchange that takes it out
 * and the exchange that puts one in, so blocks are freed by other threads than
 * made them, addresses are reused at once, and what is left in the slots when
 * all have stopped is exactly what is live.  A block's first bytes hold its
 * size. */
struct hammer {
    atomic_bool stop;
    long iterations;            /* per thread; negative: until `stop` */
    size_t size;
    size_t spread;              /* sizes are in [size; size + spread] */
    size_t nslots;
    _Atomic(uintptr_t) *slots;
    int nthreads;
    pthread_t *threads;
};

static struct hammer *hammer;   /* the one in the background, or NULL */
static atomic_uint hammer_seed;

static uint32_t
next_random(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

static void *
hammer_run(void *arg)
{
    struct hammer *self = arg;
    uint32_t state = 2463534242u + 7919u * atomic_fetch_add(&hammer_seed, 1);
    for (long i = 0; self->iterations < 0 || i < self->iterations; i++) {
        if (atomic_load_explicit(&self->stop, memory_order_relaxed)) {
            break;
        }
        uint32_t r = next_random(&state);
        _Atomic(uintptr_t) *slot = &self->slots[r % self->nslots];
        size_t size = self->size + (self->spread ? (r >> 8) % (self->spread + 1) : 0);
        size_t *old = (size_t *)atomic_exchange(slot, 0);
        size_t *block;
        if (old != NULL && (r >> 28) < 4) {
            block = PyMem_RawRealloc(old, size);
            if (block == NULL) {
                PyMem_RawFree(old);
            }
        }
        else {
            PyMem_RawFree(old);
            block = (r >> 28) < 10 ? PyMem_RawMalloc(size) : PyMem_RawCalloc(1, size);
        }
        if (block != NULL) {
            *block = size;
        }
        PyMem_RawFree((void *)atomic_exchange(slot, (uintptr_t)block));
    }
    return NULL;
}

static void
hammer_free(struct hammer *self)
{
    if (self != NULL) {
        free((void *)self->slots);
        free(self->threads);
        free(self);
    }
}

static struct hammer *
hammer_new(int nthreads, size_t size, size_t spread, size_t nslots, long iterations)
{
    struct hammer *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    self->slots = calloc(nslots, sizeof(*self->slots));
    self->threads = calloc((size_t)nthreads, sizeof(*self->threads));
    if (self->slots == NULL || self->threads == NULL || size < sizeof(size_t)) {
        hammer_free(self);
        PyErr_SetString(PyExc_ValueError, "no memory, or blocks too small to hold their size");
        return NULL;
    }
    self->iterations = iterations;
    self->size = size;
    self->spread = spread;
    self->nslots = nslots;
    for (int i = 0; i < nthreads; i++) {
        if (pthread_create(&self->threads[i], NULL, hammer_run, self) != 0) {
            break;
        }
        self->nthreads++;
    }
    return self;
}

static void
hammer_join(struct hammer *self)
{
    for (int i = 0; i < self->nthreads; i++) {
        pthread_join(self->threads[i], NULL);
    }
}

/* [(address, size)] of what is live; the blocks stay. */
static PyObject *
hammer_truth(const struct hammer *self)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < self->nslots; i++) {
        const size_t *block = (const size_t *)self->slots[i];
        if (block == NULL) {
            continue;
        }
        PyObject *pair =
            Py_BuildValue("(KK)", (unsigned long long)(uintptr_t)block, (unsigned long long)*block);
        if (pair == NULL || PyList_Append(list, pair) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(pair);
    }
    return list;
}

PyDoc_STRVAR(hammer_doc,
"hammer(threads, iterations, size, spread, slots, hold_gil, /) -> [(address, size)]\n\n"
"Foreign threads allocate and free in the RAW domain; the blocks left alive.\n"
"hold_gil: the caller joins them without releasing the GIL.");

static PyObject *
testext_hammer(PyObject *Py_UNUSED(module), PyObject *args)
{
    int nthreads, hold_gil;
    long iterations;
    Py_ssize_t size, spread, nslots;
    if (!PyArg_ParseTuple(args, "ilnnnp:hammer", &nthreads, &iterations, &size, &spread, &nslots,
                          &hold_gil)) {
        return NULL;
    }
    struct hammer *self =
        hammer_new(nthreads, (size_t)size, (size_t)spread, (size_t)nslots, iterations);
    if (self == NULL) {
        return NULL;
    }
    if (hold_gil) {
        hammer_join(self);
    }
    else {
        Py_BEGIN_ALLOW_THREADS
            hammer_join(self);
        Py_END_ALLOW_THREADS
    }
    PyObject *result = hammer_truth(self);
    hammer_free(self);
    return result;
}

PyDoc_STRVAR(hammer_start_doc,
"hammer_start(threads, size, spread, slots, /)\n\nThe same in the background.");

static PyObject *
testext_hammer_start(PyObject *Py_UNUSED(module), PyObject *args)
{
    int nthreads;
    Py_ssize_t size, spread, nslots;
    if (!PyArg_ParseTuple(args, "innn:hammer_start", &nthreads, &size, &spread, &nslots)) {
        return NULL;
    }
    if (hammer != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a hammer is already running");
        return NULL;
    }
    hammer = hammer_new(nthreads, (size_t)size, (size_t)spread, (size_t)nslots, -1);
    if (hammer == NULL) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(hammer_stop_doc, "hammer_stop() -> [(address, size)] of the blocks left alive");

static PyObject *
testext_hammer_stop(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    struct hammer *self = hammer;
    if (self == NULL) {
        return PyList_New(0);
    }
    hammer = NULL;
    atomic_store(&self->stop, true);
    Py_BEGIN_ALLOW_THREADS
        hammer_join(self);
    Py_END_ALLOW_THREADS
    PyObject *result = hammer_truth(self);
    hammer_free(self);
    return result;
}

struct gilstate_args {
    long iterations;
};

static void *
gilstate_run(void *arg)
{
    const struct gilstate_args *self = arg;
    for (long i = 0; i < self->iterations; i++) {
        void *raw = PyMem_RawMalloc(64 + (size_t)(i & 1023));
        PyGILState_STATE state = PyGILState_Ensure();
        PyObject *object = PyBytes_FromStringAndSize(NULL, 16 + (i & 2047));
        Py_XDECREF(object);
        PyGILState_Release(state);
        PyMem_RawFree(raw);
    }
    return NULL;
}

PyDoc_STRVAR(gilstate_hammer_doc,
"gilstate_hammer(threads, iterations, /)\n\n"
"Foreign threads that take the GIL through PyGILState for each object they make.");

static PyObject *
testext_gilstate_hammer(PyObject *Py_UNUSED(module), PyObject *args)
{
    int nthreads;
    struct gilstate_args work;
    if (!PyArg_ParseTuple(args, "il:gilstate_hammer", &nthreads, &work.iterations)) {
        return NULL;
    }
    pthread_t *threads = calloc((size_t)nthreads, sizeof(*threads));
    if (threads == NULL) {
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
        int started = 0;
        while (started < nthreads
               && pthread_create(&threads[started], NULL, gilstate_run, &work) == 0) {
            started++;
        }
        while (started > 0) {
            pthread_join(threads[--started], NULL);
        }
    Py_END_ALLOW_THREADS
    free(threads);
    Py_RETURN_NONE;
}

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static size_t exit_size;

/* Runs while its thread dies, after C11 thread-locals may be gone. */
static void
exit_destructor(void *slot)
{
    PyMem_RawFree(PyMem_RawMalloc(exit_size));
    *(void **)slot = PyMem_RawMalloc(exit_size);
}

static void
exit_key_create(void)
{
    pthread_key_create(&exit_key, exit_destructor);
}

static void *
exit_run(void *slot)
{
    pthread_setspecific(exit_key, slot);
    return NULL;
}

PyDoc_STRVAR(thread_exit_doc,
"thread_exit(threads, size, /) -> [address]\n\n"
"RAW blocks made by pthread key destructors, one in each of so many threads.");

static PyObject *
testext_thread_exit(PyObject *Py_UNUSED(module), PyObject *args)
{
    int nthreads;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "in:thread_exit", &nthreads, &size)) {
        return NULL;
    }
    void **slots = calloc((size_t)nthreads, sizeof(*slots));
    if (slots == NULL) {
        return PyErr_NoMemory();
    }
    exit_size = (size_t)size;
    Py_BEGIN_ALLOW_THREADS
        pthread_once(&exit_once, exit_key_create);
        for (int i = 0; i < nthreads;) {
            pthread_t batch[8];
            int n = 0;
            while (n < 8 && i < nthreads
                   && pthread_create(&batch[n], NULL, exit_run, &slots[i]) == 0) {
                n++;
                i++;
            }
            if (n == 0) {
                break;
            }
            while (n > 0) {
                pthread_join(batch[--n], NULL);
            }
        }
    Py_END_ALLOW_THREADS
    PyObject *list = PyList_New(0);
    for (int i = 0; list != NULL && i < nthreads; i++) {
        PyObject *address = address_or_zero(slots[i]);
        if (address == NULL || PyList_Append(list, address) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(address);
    }
    free(slots);
    return list;
}

/* ------------------------------------------- other people's allocator hooks */

/* Pass-through hooks at several levels, each with its own saved allocators, so
 * that one can sit below memscope and one above.  All of them fail requests to
 * order: those of one exact size, or the start-th to the stop-th from now. */
#define LEVELS 4

struct wrap {
    PyMemAllocatorEx below;
};

static struct wrap wraps[LEVELS][DOMAINS];
static atomic_size_t fail_size;         /* 0: none */
static atomic_long fail_counter;
static atomic_long fail_start, fail_stop;
static atomic_long wrap_calls;

static bool
must_fail(size_t size)
{
    atomic_fetch_add_explicit(&wrap_calls, 1, memory_order_relaxed);
    size_t marked = atomic_load(&fail_size);
    if (marked != 0 && size == marked) {
        return true;
    }
    long stop = atomic_load(&fail_stop);
    if (stop == 0) {
        return false;
    }
    long n = atomic_fetch_add(&fail_counter, 1);
    return n >= atomic_load(&fail_start) && n < stop;
}

static void *
wrap_malloc(void *ctx, size_t size)
{
    struct wrap *self = ctx;
    return must_fail(size) ? NULL : self->below.malloc(self->below.ctx, size);
}

static void *
wrap_calloc(void *ctx, size_t count, size_t size)
{
    struct wrap *self = ctx;
    return must_fail(count * size) ? NULL : self->below.calloc(self->below.ctx, count, size);
}

static void *
wrap_realloc(void *ctx, void *block, size_t size)
{
    struct wrap *self = ctx;
    return must_fail(size) ? NULL : self->below.realloc(self->below.ctx, block, size);
}

static void
wrap_free(void *ctx, void *block)
{
    struct wrap *self = ctx;
    self->below.free(self->below.ctx, block);
}

static int
check_level(int level)
{
    if (level < 0 || level >= LEVELS) {
        PyErr_SetString(PyExc_ValueError, "no such level");
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(hook_install_doc, "hook_install(level, /): pass-through hooks on all domains");

static PyObject *
testext_hook_install(PyObject *Py_UNUSED(module), PyObject *args)
{
    int level;
    if (!PyArg_ParseTuple(args, "i:hook_install", &level) || check_level(level) < 0) {
        return NULL;
    }
    for (int domain = 0; domain < DOMAINS; domain++) {
        struct wrap *self = &wraps[level][domain];
        PyMem_GetAllocator((PyMemAllocatorDomain)domain, &self->below);
        PyMemAllocatorEx hooks = {self, wrap_malloc, wrap_calloc, wrap_realloc, wrap_free};
        PyMem_SetAllocator((PyMemAllocatorDomain)domain, &hooks);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(hook_remove_doc,
"hook_remove(level, /): put back what was there at hook_install(level), whatever is there now");

static PyObject *
testext_hook_remove(PyObject *Py_UNUSED(module), PyObject *args)
{
    int level;
    if (!PyArg_ParseTuple(args, "i:hook_remove", &level) || check_level(level) < 0) {
        return NULL;
    }
    for (int domain = 0; domain < DOMAINS; domain++) {
        PyMemAllocatorEx below = wraps[level][domain].below;
        if (below.malloc != NULL) {
            PyMem_SetAllocator((PyMemAllocatorDomain)domain, &below);
        }
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(fail_size_doc, "fail_size(size, /): requests of exactly this size fail; 0: none");

static PyObject *
testext_fail_size(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned long long size;
    if (!PyArg_ParseTuple(args, "K:fail_size", &size)) {
        return NULL;
    }
    atomic_store(&fail_size, (size_t)size);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(fail_range_doc,
"fail_range(start, stop, /): requests number start to stop - 1 from now fail; (0, 0): none");

static PyObject *
testext_fail_range(PyObject *Py_UNUSED(module), PyObject *args)
{
    long start, stop;
    if (!PyArg_ParseTuple(args, "ll:fail_range", &start, &stop)) {
        return NULL;
    }
    atomic_store(&fail_stop, 0);
    atomic_store(&fail_counter, 0);
    atomic_store(&fail_start, start);
    atomic_store(&fail_stop, stop);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(hook_calls_doc, "hook_calls() -> requests that went through the hooks so far");

static PyObject *
testext_hook_calls(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(atomic_load(&wrap_calls));
}

/* ------------------------------------------------------ PyTraceMalloc_Track */

PyDoc_STRVAR(track_doc, "track(domain, address, size, /) -> what PyTraceMalloc_Track returned");

static PyObject *
testext_track(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned int domain;
    unsigned long long address, size;
    if (!PyArg_ParseTuple(args, "IKK:track", &domain, &address, &size)) {
        return NULL;
    }
    return PyLong_FromLong(PyTraceMalloc_Track(domain, (uintptr_t)address, (size_t)size));
}

PyDoc_STRVAR(untrack_doc, "untrack(domain, address, /) -> what PyTraceMalloc_Untrack returned");

static PyObject *
testext_untrack(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned int domain;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "IK:untrack", &domain, &address)) {
        return NULL;
    }
    return PyLong_FromLong(PyTraceMalloc_Untrack(domain, (uintptr_t)address));
}

struct track_args {
    unsigned int domain;
    uintptr_t address;
    size_t size;
    long count;
};

static void *
track_run(void *arg)
{
    const struct track_args *self = arg;
    for (long i = 0; i < self->count; i++) {
        uintptr_t address = self->address + (uintptr_t)i * 64;
        PyTraceMalloc_Track(self->domain, address, self->size);
        if (i & 1) {
            PyTraceMalloc_Untrack(self->domain, address);
        }
    }
    return NULL;
}

PyDoc_STRVAR(track_threads_doc,
"track_threads(threads, domain, address, size, count, /)\n\n"
"Each foreign thread, without the GIL, tracks `count` addresses 64 apart from its\n"
"own megabyte on, and untracks every second one.");

static PyObject *
testext_track_threads(PyObject *Py_UNUSED(module), PyObject *args)
{
    int nthreads;
    struct track_args first;
    unsigned long long address, size;
    if (!PyArg_ParseTuple(args, "iIKKl:track_threads", &nthreads, &first.domain, &address, &size,
                          &first.count)) {
        return NULL;
    }
    if (nthreads < 1 || nthreads > 16) {
        PyErr_SetString(PyExc_ValueError, "1 to 16 threads");
        return NULL;
    }
    struct track_args work[16];
    pthread_t threads[16];
    Py_BEGIN_ALLOW_THREADS
        int started = 0;
        for (; started < nthreads; started++) {
            work[started] = first;
            work[started].address = (uintptr_t)address + ((uintptr_t)started << 20);
            work[started].size = (size_t)size;
            if (pthread_create(&threads[started], NULL, track_run, &work[started]) != 0) {
                break;
            }
        }
        while (started > 0) {
            pthread_join(threads[--started], NULL);
        }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* -------------------------------------------------------- fork, exit, finalise */

PyDoc_STRVAR(fork_exit_doc,
"fork_exit(count, timeout, /) -> [wait status; -1 where the child hung]\n\n"
"C-level fork(), past os.register_at_fork.  The child allocates in every domain and\n"
"calls _exit(0).");

static PyObject *
testext_fork_exit(PyObject *Py_UNUSED(module), PyObject *args)
{
    int count;
    double timeout;
    if (!PyArg_ParseTuple(args, "id:fork_exit", &count, &timeout)) {
        return NULL;
    }
    PyObject *list = PyList_New(0);
    for (int i = 0; list != NULL && i < count; i++) {
        pid_t child = fork();
        if (child < 0) {
            Py_DECREF(list);
            return PyErr_SetFromErrno(PyExc_OSError);
        }
        if (child == 0) {
            for (size_t size = 1; size < 2000; size += 7) {
                PyMem_RawFree(PyMem_RawRealloc(PyMem_RawMalloc(size), size * 2));
                PyMem_Free(PyMem_Realloc(PyMem_Malloc(size), size * 2));
                PyObject_Free(PyObject_Realloc(PyObject_Malloc(size), size * 2));
            }
            _exit(0);
        }
        int status = -1;
        bool done = false;
        Py_BEGIN_ALLOW_THREADS
            for (double waited = 0; !done && waited < timeout; waited += 0.001) {
                done = waitpid(child, &status, WNOHANG) == child;
                if (!done) {
                    nanosleep(&(struct timespec){0, 1000000}, NULL);
                }
            }
            if (!done) {
                kill(child, SIGKILL);
                waitpid(child, &status, 0);
                status = -1;
            }
        Py_END_ALLOW_THREADS
        PyObject *item = PyLong_FromLong(status);
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    return list;
}

struct foreign_fork {
    int count;
    int failed;
};

static void *
foreign_fork_run(void *arg)
{
    struct foreign_fork *self = arg;
    for (int i = 0; i < self->count; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (size_t size = 1; size < 2000; size += 7) {
                PyMem_RawFree(PyMem_RawRealloc(PyMem_RawMalloc(size), size * 2));
            }
            _exit(0);
        }
        int status = -1;
        for (int waited = 0; child > 0 && waited < 5000; waited++) {
            if (waitpid(child, &status, WNOHANG) == child) {
                break;
            }
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        }
        if (status != 0) {
            self->failed++;
            kill(child, SIGKILL);
        }
    }
    return NULL;
}

PyDoc_STRVAR(fork_in_thread_doc,
"fork_in_thread(count, /) -> children that failed or hung\n\n"
"fork() in a thread that does not hold the GIL, while others go on.");

static PyObject *
testext_fork_in_thread(PyObject *Py_UNUSED(module), PyObject *args)
{
    struct foreign_fork work = {0, 0};
    if (!PyArg_ParseTuple(args, "i:fork_in_thread", &work.count)) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
        pthread_t thread;
        if (pthread_create(&thread, NULL, foreign_fork_run, &work) == 0) {
            pthread_join(thread, NULL);
        }
        else {
            work.failed = work.count;
        }
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(work.failed);
}

PyDoc_STRVAR(finalize_doc, "finalize(): Py_FinalizeEx(), a few RAW allocations, exit(0)");

static PyObject *
testext_finalize(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    Py_FinalizeEx();
    for (size_t size = 1; size < 5000; size *= 3) {
        PyMem_RawFree(PyMem_RawRealloc(PyMem_RawMalloc(size), size * 2));
    }
    exit(0);
}

PyDoc_STRVAR(c_exit_doc, "c_exit(hold_gil, /): exit(0) from C");

static PyObject *
testext_c_exit(PyObject *Py_UNUSED(module), PyObject *args)
{
    int hold_gil;
    if (!PyArg_ParseTuple(args, "p:c_exit", &hold_gil)) {
        return NULL;
    }
    if (!hold_gil) {
        (void)PyEval_SaveThread();
    }
    exit(0);
}

/* ------------------------------------------------------------ subinterpreters */

PyDoc_STRVAR(run_in_subinterp_doc,
"run_in_subinterp(code, own_gil, /) -> 0, or -1 where the code raised\n\n"
"In a new interpreter, destroyed before this returns.  May be called from many\n"
"threads at once.  own_gil needs 3.12.");

static PyObject *
testext_run_in_subinterp(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *code;
    int own_gil;
    if (!PyArg_ParseTuple(args, "sp:run_in_subinterp", &code, &own_gil)) {
        return NULL;
    }
    PyThreadState *before = PyThreadState_Get();
    PyThreadState *inside = NULL;
    if (own_gil) {
#if PY_VERSION_HEX >= 0x030C0000
        PyInterpreterConfig config = {
            .use_main_obmalloc = 0,
            .allow_fork = 0,
            .allow_exec = 0,
            .allow_threads = 1,
            .allow_daemon_threads = 0,
            .check_multi_interp_extensions = 1,
            .gil = PyInterpreterConfig_OWN_GIL,
        };
        PyThreadState_Swap(NULL);
        PyStatus status = Py_NewInterpreterFromConfig(&inside, &config);
        if (PyStatus_Exception(status)) {
            PyThreadState_Swap(before);
            PyErr_SetString(PyExc_RuntimeError, "no interpreter with its own GIL");
            return NULL;
        }
#else
        PyErr_SetString(PyExc_RuntimeError, "one GIL per interpreter needs CPython 3.12");
        return NULL;
#endif
    }
    else {
        PyThreadState_Swap(NULL);
        inside = Py_NewInterpreter();
        if (inside == NULL) {
            PyThreadState_Swap(before);
            PyErr_SetString(PyExc_RuntimeError, "no interpreter");
            return NULL;
        }
    }
    int result = PyRun_SimpleString(code);
    Py_EndInterpreter(inside);
    PyThreadState_Swap(before);
    return PyLong_FromLong(result);
}

/* -------------------------------------------------------- the reference tracer */

#if PY_VERSION_HEX >= 0x030D0000
static atomic_long reftracer_events;

static int
reftracer_callback(PyObject *Py_UNUSED(object), PyRefTracerEvent Py_UNUSED(event),
                   void *Py_UNUSED(data))
{
    atomic_fetch_add_explicit(&reftracer_events, 1, memory_order_relaxed);
    return 0;
}
#endif

PyDoc_STRVAR(reftracer_set_doc, "reftracer_set(on, /): take or clear the only slot (3.13)");

static PyObject *
testext_reftracer_set(PyObject *Py_UNUSED(module), PyObject *args)
{
    int on;
    if (!PyArg_ParseTuple(args, "p:reftracer_set", &on)) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030D0000
    if (PyRefTracer_SetTracer(on ? reftracer_callback : NULL, NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
#else
    PyErr_SetString(PyExc_RuntimeError, "the reference tracer needs CPython 3.13");
    return NULL;
#endif
}

PyDoc_STRVAR(reftracer_get_doc, "reftracer_get() -> (slot is taken, slot is ours, events seen)");

static PyObject *
testext_reftracer_get(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
#if PY_VERSION_HEX >= 0x030D0000
    void *data;
    PyRefTracer tracer = PyRefTracer_GetTracer(&data);
    return Py_BuildValue("(NNl)", PyBool_FromLong(tracer != NULL),
                         PyBool_FromLong(tracer == reftracer_callback),
                         atomic_load(&reftracer_events));
#else
    PyErr_SetString(PyExc_RuntimeError, "the reference tracer needs CPython 3.13");
    return NULL;
#endif
}

/* ------------------------------------------------------------------ the module */

static PyMethodDef methods[] = {
    {"malloc", testext_malloc, METH_VARARGS, malloc_doc},
    {"calloc", testext_calloc, METH_VARARGS, calloc_doc},
    {"realloc", testext_realloc, METH_VARARGS, realloc_doc},
    {"free", testext_free, METH_VARARGS, free_doc},
    {"malloc_nogil", testext_malloc_nogil, METH_VARARGS, malloc_nogil_doc},
    {"leak_nogil", testext_leak_nogil, METH_O, leak_nogil_doc},
    {"spin_nogil", testext_spin_nogil, METH_VARARGS, spin_nogil_doc},
    {"allocator", testext_allocator, METH_VARARGS, allocator_doc},
    {"hammer", testext_hammer, METH_VARARGS, hammer_doc},
    {"hammer_start", testext_hammer_start, METH_VARARGS, hammer_start_doc},
    {"hammer_stop", testext_hammer_stop, METH_NOARGS, hammer_stop_doc},
    {"gilstate_hammer", testext_gilstate_hammer, METH_VARARGS, gilstate_hammer_doc},
    {"thread_exit", testext_thread_exit, METH_VARARGS, thread_exit_doc},
    {"hook_install", testext_hook_install, METH_VARARGS, hook_install_doc},
    {"hook_remove", testext_hook_remove, METH_VARARGS, hook_remove_doc},
    {"hook_calls", testext_hook_calls, METH_NOARGS, hook_calls_doc},
    {"fail_size", testext_fail_size, METH_VARARGS, fail_size_doc},
    {"fail_range", testext_fail_range, METH_VARARGS, fail_range_doc},
    {"track", testext_track, METH_VARARGS, track_doc},
    {"untrack", testext_untrack, METH_VARARGS, untrack_doc},
    {"track_threads", testext_track_threads, METH_VARARGS, track_threads_doc},
    {"fork_exit", testext_fork_exit, METH_VARARGS, fork_exit_doc},
    {"fork_in_thread", testext_fork_in_thread, METH_VARARGS, fork_in_thread_doc},
    {"finalize", testext_finalize, METH_NOARGS, finalize_doc},
    {"c_exit", testext_c_exit, METH_VARARGS, c_exit_doc},
    {"run_in_subinterp", testext_run_in_subinterp, METH_VARARGS, run_in_subinterp_doc},
    {"reftracer_set", testext_reftracer_set, METH_VARARGS, reftracer_set_doc},
    {"reftracer_get", testext_reftracer_get, METH_NOARGS, reftracer_get_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_memscope_testext",
    .m_doc = "Allocator calls, threads, hooks and exits for memscope's tests.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__memscope_testext(void)
{
    return PyModuleDef_Init(&module);
}
