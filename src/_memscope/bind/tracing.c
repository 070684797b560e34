#include "bind/bind.h"

#include "base/mem.h"
#include "bind/history.h"
#include "trace/hooks.h"
#include "trace/interpose.h"
#include "trace/reftracer.h"
#include "trace/tracer.h"

#define MAX_NFRAME 65535

PyDoc_STRVAR(start_doc,
"start($module, nframe=1, /, *, total_nframe=False, reuse=False)\n"
"--\n"
"\n"
"Begin to record every memory block that Python allocates.\n"
"\n"
"nframe is how many frames of each traceback are kept, newest first, 1 to\n"
"65535.  With total_nframe the depth of the whole stack is recorded too, which\n"
"costs a walk of the stack for each allocation.  With reuse, an object that the\n"
"interpreter makes from a free list is charged to the line that made it and not\n"
"to the first owner of its block; this takes the interpreter's reference tracer\n"
"if that is free (CPython 3.13+; before, reuse cannot be seen), and a call for\n"
"each object made.  Does nothing if tracing is on.\n"
"Runs a full collection first, which empties the interpreter's free lists.\n"
"\n"
"Raises ValueError for a number of frames out of range, RuntimeError where this\n"
"interpreter's frames cannot be read, MemoryError.");

static PyObject *
start(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "total_nframe", "reuse", NULL};
    Py_ssize_t nframe = 1;
    int total = 0, reuse = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|n$pp:start", names, &nframe, &total, &reuse)) {
        return NULL;
    }
    if (nframe < 1 || nframe > MAX_NFRAME) {
        PyErr_Format(PyExc_ValueError, "the number of frames must be in range [1; %d]", MAX_NFRAME);
        return NULL;
    }
    const char *problem = tracer_is_on() ? NULL : frames_unsupported();
    if (problem != NULL) {
        PyErr_Format(PyExc_RuntimeError, "memscope cannot trace: %s", problem);
        return NULL;
    }
    if (!tracer_is_on()) {
        PyGC_Collect();
    }
    if (tracer_start((uint32_t)nframe, total, reuse) < 0) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(stop_doc,
"stop($module, /)\n"
"--\n"
"\n"
"End tracing, forget all traces and take the allocator hooks off.\n"
"\n"
"Does nothing if tracing is off.  The hooks stay as a pass-through while\n"
"another tool's hook is above them; see status().");

static PyObject *
stop(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    tracer_stop();
    Py_RETURN_NONE;
}

PyDoc_STRVAR(pause_doc,
"pause($module, paused, /)\n"
"--\n"
"\n"
"Whether what this thread allocates from now on is left out, until it is told\n"
"otherwise.  What was traced before is forgotten when it is freed, and followed\n"
"when it is moved, as ever.  It does not matter whether tracing is on, and does\n"
"not change it.  An object that is made from a free list later may lie in a\n"
"block that was left out.\n"
"\n"
"Returns what it was before.  Cost: none to speak of, also meanwhile.");

static PyObject *
pause_thread(PyObject *Py_UNUSED(module), PyObject *paused)
{
    int wanted = PyObject_IsTrue(paused);
    return wanted < 0 ? NULL : PyBool_FromLong(hooks_pause(wanted));
}

PyDoc_STRVAR(is_tracing_doc,
"is_tracing($module, /)\n"
"--\n"
"\n"
"Whether allocations are being recorded.");

static PyObject *
is_tracing(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (tracer_check() < 0) {
        return PyErr_NoMemory();
    }
    return PyBool_FromLong(tracer_is_on());
}

PyDoc_STRVAR(clear_traces_doc,
"clear_traces($module, /)\n"
"--\n"
"\n"
"Forget all traces and totals and go on tracing.  Raises MemoryError, and then\n"
"tracing is off.");

static PyObject *
clear_traces(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (tracer_clear() < 0) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(get_traceback_limit_doc,
"get_traceback_limit($module, /)\n"
"--\n"
"\n"
"Number of frames kept of a traceback: as last given to start(), at first 1.");

static PyObject *
get_traceback_limit(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLong(tracer.capture.nframe);
}

PyDoc_STRVAR(get_traced_memory_doc,
"get_traced_memory($module, /)\n"
"--\n"
"\n"
"(current, peak) sum of the sizes of all traced blocks, in bytes; (0, 0) if\n"
"tracing is off.");

static PyObject *
get_traced_memory(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (tracer_check() < 0) {
        return PyErr_NoMemory();
    }
    int biased = tracer_lock();
    unsigned long long now = 0, peak = 0;
    if (tracer_is_on()) {
        now = traces_bytes(&tracer.traces);
        peak = traces_peak(&tracer.traces);
    }
    tracer_unlock(biased);
    return Py_BuildValue("KK", now, peak);
}

PyDoc_STRVAR(get_traced_blocks_doc,
"get_traced_blocks($module, /)\n"
"--\n"
"\n"
"Number of traced blocks that are live; 0 if tracing is off.");

static PyObject *
get_traced_blocks(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (tracer_check() < 0) {
        return PyErr_NoMemory();
    }
    int biased = tracer_lock();
    unsigned long long count = tracer_is_on() ? traces_count(&tracer.traces) : 0;
    tracer_unlock(biased);
    return PyLong_FromUnsignedLongLong(count);
}

PyDoc_STRVAR(reset_peak_doc,
"reset_peak($module, /)\n"
"--\n"
"\n"
"Set the peak of get_traced_memory() to the current size.");

static PyObject *
reset_peak(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    int biased = tracer_lock();
    if (tracer_is_on()) {
        traces_reset_peak(&tracer.traces);
    }
    tracer_unlock(biased);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(get_tracemalloc_memory_doc,
"get_tracemalloc_memory($module, /)\n"
"--\n"
"\n"
"Bytes that memscope itself holds: tables, tracebacks, snapshots.");

static PyObject *
get_tracemalloc_memory(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSize_t(mem_in_use());
}

PyDoc_STRVAR(get_object_traceback_doc,
"get_object_traceback($module, obj, /)\n"
"--\n"
"\n"
"Where the memory block of an object was allocated: (frames, total_nframe), the\n"
"frames (file name, line) newest first, or None if the block is not traced.");

static PyObject *
get_object_traceback(PyObject *Py_UNUSED(module), PyObject *object)
{
    uintptr_t address = (uintptr_t)object - pycompat_preheader_size(Py_TYPE(object));
    struct tracebacks *tree = NULL;
    uint32_t traceback = tracer_find(address, &tree);
    if (traceback == 0) {
        Py_RETURN_NONE;
    }
    PyObject *total;
    PyObject *frames = columns_frames(tree, traceback, &total);
    tracebacks_unref(tree);
    if (frames == NULL) {
        return NULL;
    }
    return Py_BuildValue("NN", frames, total);
}

PyDoc_STRVAR(get_epoch_doc,
"get_epoch($module, /)\n"
"--\n"
"\n"
"Number of the current epoch: 0 after start(), one more with each advance.");

static PyObject *
get_epoch(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    int biased = tracer_lock();
    unsigned long long now = tracer_is_on() ? tracer.traces.now : 0;
    tracer_unlock(biased);
    return PyLong_FromUnsignedLongLong(now);
}

PyDoc_STRVAR(advance_epoch_doc,
"advance_epoch($module, /)\n"
"--\n"
"\n"
"Begin a new epoch and return its number: blocks allocated from now on carry it.\n"
"\n"
"The last 128 epochs are told apart exactly; of older ones, neighbours share the\n"
"number of the first.  Raises RuntimeError if tracing is off.");

static PyObject *
advance_epoch(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    int biased = tracer_lock();
    int on = tracer_is_on();
    unsigned long long now = on ? traces_advance_epoch(&tracer.traces) : 0;
    tracer_unlock(biased);
    if (!on) {
        PyErr_SetString(PyExc_RuntimeError,
                        "memscope must be tracing to have epochs: call start()");
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(now);
}

PyDoc_STRVAR(memory_of_epochs_doc,
"memory_of_epochs($module, epochs, /)\n"
"--\n"
"\n"
"Bytes and blocks that are live and were allocated in one of the *epochs*, a tuple of\n"
"numbers that advance_epoch() gave; (0, 0) if tracing is off.\n"
"\n"
"A pass over the pages of traced blocks, and over all that lie where some were allocated\n"
"since: 1 to 2 ms for a million.");

static PyObject *
memory_of_epochs(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *sequence;
    if (!PyArg_ParseTuple(args, "O!:memory_of_epochs", &PyTuple_Type, &sequence)) {
        return NULL;
    }
    size_t count;
    uint64_t *epochs = history_parse_epochs(sequence, &count);
    if (epochs == NULL) {
        return NULL;
    }
    struct traced_memory memory = {0};
    int biased = tracer_lock();
    if (tracer_is_on()) {
        memory = traces_memory_of(&tracer.traces, epochs, count);
    }
    tracer_unlock(biased);
    mem_free(epochs);
    return Py_BuildValue("KK", (unsigned long long)memory.bytes, (unsigned long long)memory.blocks);
}

struct snapshot *
tracing_freeze(void)
{
    if (tracer_check() < 0) {
        return NULL;
    }
    int biased = tracer_lock();
    struct snapshot *snapshot = NULL;
    if (tracer_is_on()) {
        snapshot = traces_snapshot(&tracer.traces, tracer.capture.nframe);
    }
    else {
        struct tracebacks *tree = tracebacks_new();
        if (tree != NULL) {
            snapshot = snapshot_new(tree, 0);
            tracebacks_unref(tree);
        }
        if (snapshot != NULL) {
            snapshot->traceback_limit = tracer.capture.nframe;
        }
    }
    tracer_unlock(biased);
    return snapshot;
}

PyDoc_STRVAR(take_snapshot_doc,
"take_snapshot($module, /)\n"
"--\n"
"\n"
"A frozen copy of all traces, as Columns; empty if tracing is off.\n"
"\n"
"18 bytes and about 5 ns a block.  Raises MemoryError.");

static PyObject *
take_snapshot(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    return columns_new(bind_state(module), tracing_freeze());
}

/* -- status ------------------------------------------------------------------ */

static const char *
hook_state_name(unsigned domain)
{
    switch (hooks_state(domain)) {
    case HOOK_ON_TOP:
        return "installed";
    case HOOK_BELOW:
        return "installed, below another tool's hook";
    default:
        return tracer_is_on() ? "displaced by another tool" : "not installed";
    }
}

static const char *
reftracer_state_name(void)
{
    switch (reftracer_state()) {
    case REFTRACER_ON:
        return "on";
    case REFTRACER_TAKEN:
        return "taken by another tool";
    case REFTRACER_UNAVAILABLE:
        return "not available before CPython 3.13";
    default:
        return "off";
    }
}

/* New list of the paths of the modules whose PyTraceMalloc_Track we answer. */
static PyObject *
interposed_modules(void)
{
    size_t size = interpose_modules(NULL, 0);
    char *paths = PyMem_RawCalloc(size + 1, 1);
    PyObject *list = PyList_New(0);
    if (paths == NULL || list == NULL) {
        PyMem_RawFree(paths);
        Py_XDECREF(list);
        return PyErr_NoMemory();
    }
    /* Modules come and go in other threads: what did not fit is left out, and
     * the first empty name ends the list. */
    interpose_modules(paths, size);
    for (size_t at = 0; paths[at] != 0 && list != NULL; at += strlen(paths + at) + 1) {
        PyObject *path = PyUnicode_DecodeFSDefault(paths + at);
        if (path == NULL || PyList_Append(list, path) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(path);
    }
    PyMem_RawFree(paths);
    return list;
}

PyDoc_STRVAR(status_doc,
"status($module, /)\n"
"--\n"
"\n"
"How tracing works in this process, as a dict: tracing, hooks (by domain), lost\n"
"(traces not stored), traces (live), bytes (of ours), epoch, compactions (how often\n"
"unused tracebacks were dropped), track (blocks that extensions report), ref_tracer,\n"
"gate ('biased' or 'shared'), frames (None, or why frames cannot be read).");

static PyObject *
status(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    const char *names[3];
    for (unsigned domain = 0; domain < 3; domain++) {
        names[domain] = hook_state_name(domain);
    }
    PyObject *modules = interposed_modules();
    if (modules == NULL) {
        return NULL;
    }
    int biased = tracer_lock();
    int on = tracer_is_on();
    unsigned long long lost = on ? atomic_load(&tracer.traces.lost) : 0;
    unsigned long long count = on ? traces_count(&tracer.traces) : 0;
    unsigned long long epoch = on ? tracer.traces.now : 0;
    unsigned long compactions = on ? tracer.traces.compactions : 0;
    tracer_unlock(biased);
    const char *unsupported = interpose_unsupported();
    /* clang-format off */
    return Py_BuildValue(
        "{s:O, s:{s:s, s:s, s:s}, s:K, s:K, s:n, s:K, s:k, s:{s:O, s:z, s:N, s:n}, s:s, s:s, s:z}",
        "tracing", on ? Py_True : Py_False,
        "hooks",
            "raw", names[SNAPSHOT_RAW],
            "mem", names[SNAPSHOT_MEM],
            "obj", names[SNAPSHOT_OBJ],
        "lost", lost,
        "traces", count,
        "bytes", (Py_ssize_t)mem_in_use(),
        "epoch", epoch,
        "compactions", compactions,
        "track",
            "supported", unsupported == NULL ? Py_True : Py_False,
            "reason", unsupported,
            "modules", modules,
            "missed", (Py_ssize_t)interpose_missed(),
        "ref_tracer", reftracer_state_name(),
        "gate", gate_is_shared(&tracer.traces.gate) ? "shared" : "biased",
        "frames", frames_unsupported());
    /* clang-format on */
}

PyDoc_STRVAR(fail_after_doc,
"_fail_after($module, n, /)\n"
"--\n"
"\n"
"For tests: memscope's own n-th allocation from now fails, and all after it; a\n"
"negative n never fails.");

static PyObject *
fail_after(PyObject *Py_UNUSED(module), PyObject *arg)
{
    long n = PyLong_AsLong(arg);
    if (n == -1 && PyErr_Occurred()) {
        return NULL;
    }
    mem_fail_after(n);
    Py_RETURN_NONE;
}

PyMethodDef tracing_methods[] = {
    {"start", (PyCFunction)(void (*)(void))start, METH_VARARGS | METH_KEYWORDS, start_doc},
    {"stop", stop, METH_NOARGS, stop_doc},
    {"is_tracing", is_tracing, METH_NOARGS, is_tracing_doc},
    {"clear_traces", clear_traces, METH_NOARGS, clear_traces_doc},
    {"get_traceback_limit", get_traceback_limit, METH_NOARGS, get_traceback_limit_doc},
    {"get_traced_memory", get_traced_memory, METH_NOARGS, get_traced_memory_doc},
    {"get_traced_blocks", get_traced_blocks, METH_NOARGS, get_traced_blocks_doc},
    {"reset_peak", reset_peak, METH_NOARGS, reset_peak_doc},
    {"get_tracemalloc_memory", get_tracemalloc_memory, METH_NOARGS, get_tracemalloc_memory_doc},
    {"get_object_traceback", get_object_traceback, METH_O, get_object_traceback_doc},
    {"get_epoch", get_epoch, METH_NOARGS, get_epoch_doc},
    {"pause", pause_thread, METH_O, pause_doc},
    {"advance_epoch", advance_epoch, METH_NOARGS, advance_epoch_doc},
    {"memory_of_epochs", memory_of_epochs, METH_VARARGS, memory_of_epochs_doc},
    {"status", status, METH_NOARGS, status_doc},
    {"take_snapshot", take_snapshot, METH_NOARGS, take_snapshot_doc},
    {"_fail_after", fail_after, METH_O, fail_after_doc},
    {NULL, NULL, 0, NULL},
};

int
tracing_stop_at_exit(PyObject *module)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        return 0;
    }
    PyObject *atexit = PyImport_ImportModule("atexit");
    PyObject *callable = PyObject_GetAttrString(module, "stop");
    PyObject *result = NULL;
    if (atexit != NULL && callable != NULL) {
        result = PyObject_CallMethod(atexit, "register", "O", callable);
    }
    Py_XDECREF(atexit);
    Py_XDECREF(callable);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}
