/* How the memory of the process divides: what pymalloc and the C library hold.
 *
 * pymalloc.  _PyObject_DebugMallocStats prints what it knows to a stream, here one in memory;
 * it is exported for tools (CPython's own comment names guppy3) by every version from 3.11 to
 * 3.15.  But it prints nothing unless pymalloc is on top of the OBJ domain, and while anybody
 * traces, a hook is.  So for the time of the call, pymalloc is put back on top and then the
 * hook again.  Nobody can see the difference: all users of the domain hold the GIL, we hold it
 * from the first change to the last, and nothing in between allocates through Python, runs
 * Python code or waits.  An interpreter with a GIL of its own could: if there is another
 * interpreter, the allocators stay as they are and the answer is that it is not known. */
#include "bind/bind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/libc_memory.h"
#include "base/pymalloc_stats.h"

#if defined(WITH_PYMALLOC) && !defined(_WIN32) && !defined(Py_GIL_DISABLED)
#  define PYMALLOC_TELLS 1

/* Of the internal headers, and weak: a build without them has no figures, not no memscope. */
extern int _PyObject_DebugMallocStats(FILE *) __attribute__((weak));
extern const char *_PyMem_GetCurrentAllocatorName(void) __attribute__((weak));
#endif

static const char not_main[] = "known in the main interpreter only";
static const char not_pymalloc[] = "Python's allocator is another (PYTHONMALLOC)";

void
process_remember_pymalloc(struct module_state *state)
{
#ifdef PYMALLOC_TELLS
    const char *name = _PyMem_GetCurrentAllocatorName ? _PyMem_GetCurrentAllocatorName() : NULL;
    if (name != NULL) {     /* it has a name only while nothing is above it */
        PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &state->obj_allocator);
        state->obj_allocator_is_malloc = strncmp(name, "malloc", 6) == 0;
    }
#else
    (void)state;
#endif
}

#ifdef PYMALLOC_TELLS

/* 1: known, 0: pymalloc is not on top (or absent), -1: no memory, or a text we do not know. */
static int
ask(struct pymalloc_stats *stats)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL) {
        return -1;
    }
    int printed = _PyObject_DebugMallocStats(stream);
    int result = fclose(stream) == 0 ? 0 : -1;
    if (result == 0 && printed) {
        result = pymalloc_stats_parse(stats, text) == 0 ? 1 : -1;
    }
    free(text);
    return result;
}

static int
is_alone(void)
{
    /* New interpreters are put at the head of the list. */
    return PyInterpreterState_Head() == PyInterpreterState_Main();
}

static const char *
read_pymalloc(struct module_state *state, struct pymalloc_stats *stats)
{
    if (_PyObject_DebugMallocStats == NULL) {
        return "this build of Python does not tell";
    }
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        return not_main;
    }
    process_remember_pymalloc(state);
    if (state->obj_allocator.malloc != NULL && state->obj_allocator_is_malloc) {
        return NULL;    /* it holds nothing: *stats is zero */
    }
    int known = ask(stats);
    if (known == 0) {
        if (state->obj_allocator.malloc == NULL) {
            return "another tool's hooks were there before memscope was loaded";
        }
        if (!is_alone()) {
            return "not known while there are other interpreters and allocations are traced";
        }
        PyMemAllocatorEx top;
        PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &top);
        PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &state->obj_allocator);
        known = ask(stats);
        PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &top);
    }
    return known == 1 ? NULL : not_pymalloc;
}

#else

static const char *
read_pymalloc(struct module_state *state, struct pymalloc_stats *stats)
{
    (void)state;
    (void)stats;
    return "this platform or build of Python does not tell";
}

#endif

PyDoc_STRVAR(pymalloc_memory_doc,
"pymalloc_memory($module, /)\n"
"--\n"
"\n"
"What pymalloc holds, in bytes, as a tuple: all arenas; blocks in use; free blocks in\n"
"pools that a block in use keeps; pools without one.  What they lack of the first\n"
"number is its own overhead.  Or, as a str, why it is not known.\n"
"\n"
"One pass over the headers of all pools, about 6 ms for a GiB.");

static PyObject *
pymalloc_memory(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct pymalloc_stats stats = {0};
    const char *unknown = read_pymalloc(bind_state(module), &stats);
    if (unknown != NULL) {
        return PyUnicode_FromString(unknown);
    }
    return Py_BuildValue("KKKK", (unsigned long long)stats.total, (unsigned long long)stats.used,
                         (unsigned long long)stats.partial, (unsigned long long)stats.unused);
}

PyDoc_STRVAR(libc_memory_doc,
"libc_memory($module, /)\n"
"--\n"
"\n"
"What the C library's malloc holds, in bytes, as a tuple: blocks in use, free but kept,\n"
"mapped one by one.  Or, as a str, why it is not known.\n"
"\n"
"One pass over the free chunks, about 20 ms for a million.");

static PyObject *
libc_memory(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    struct libc_memory memory;
    const char *unknown = libc_memory_read(&memory);
    if (unknown != NULL) {
        return PyUnicode_FromString(unknown);
    }
    return Py_BuildValue("nnn", (Py_ssize_t)memory.used, (Py_ssize_t)memory.free,
                         (Py_ssize_t)memory.mapped);
}

PyMethodDef process_methods[] = {
    {"pymalloc_memory", pymalloc_memory, METH_NOARGS, pymalloc_memory_doc},
    {"libc_memory", libc_memory, METH_NOARGS, libc_memory_doc},
    {NULL, NULL, 0, NULL},
};
