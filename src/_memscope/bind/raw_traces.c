#include "bind/raw_traces.h"

#include "base/hashmap.h"

#define MAX_DEPTH 65535     /* what start() allows, and a dump may hold */

/* Traces made by tracemalloc share their frame tuples, so the address of a
 * tuple mostly tells the traceback.  That holds as long as the tuple lives: it
 * is part of a trace, which is a tuple too, and `traces` keeps those. */
struct raw_traces {
    PyObject *traces;           /* owned tuple */
    struct snapshot *snapshot;  /* owned */
    struct tracebacks *tree;    /* borrowed from the snapshot */
    struct hashmap known;       /* address of a frames tuple -> traceback */
    uint64_t size_left;         /* until the sizes come to more than 2**63 - 1 */
};

int
raw_traces_number(PyObject *object, const char *what, uint64_t highest, uint64_t *number)
{
    if (!PyLong_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be an int, not %.100s", what,
                     Py_TYPE(object)->tp_name);
        return -1;
    }
    *number = PyLong_AsUnsignedLongLong(object);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear();
        *number = UINT64_MAX;
    }
    if (*number > highest) {
        PyErr_Format(PyExc_ValueError, "%s must be in range [0; %llu]", what,
                     (unsigned long long)highest);
        return -1;
    }
    return 0;
}

static int
no_memory(void)
{
    PyErr_NoMemory();
    return -1;
}

static int
read_frame(struct raw_traces *self, PyObject *frame, uint32_t *traceback)
{
    if (!PyTuple_Check(frame) || PyTuple_GET_SIZE(frame) != 2) {
        PyErr_Format(PyExc_TypeError, "a frame must be a tuple (file name, line), not %.100s",
                     Py_TYPE(frame)->tp_name);
        return -1;
    }
    PyObject *filename = PyTuple_GET_ITEM(frame, 0);
    if (!PyUnicode_Check(filename)) {
        PyErr_Format(PyExc_TypeError, "a frame's file name must be a str, not %.100s",
                     Py_TYPE(filename)->tp_name);
        return -1;
    }
    uint64_t lineno;
    if (raw_traces_number(PyTuple_GET_ITEM(frame, 1), "a frame's line", UINT32_MAX, &lineno) < 0) {
        return -1;
    }
    /* The function, not the macro: on 3.11 it also gives the str its final form. */
    Py_ssize_t length = PyUnicode_GetLength(filename);
    if (length < 0) {
        return -1;
    }
    if ((uint64_t)length > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "a frame's file name has %zd characters", length);
        return -1;
    }
    struct text text = {PyUnicode_DATA(filename), (uint32_t)length, PyUnicode_KIND(filename)};
    struct function function = {tracebacks_intern_text(self->tree, text), TEXT_EMPTY};
    if (function.filename == 0) {
        return no_memory();
    }
    struct traceback_node node = {*traceback, tracebacks_intern_function(self->tree, function),
                                  (uint32_t)lineno};
    *traceback = node.function != 0 ? tracebacks_intern_node(self->tree, node) : 0;
    return *traceback != 0 ? 0 : no_memory();
}

static int
read_frames(struct raw_traces *self, PyObject *frames, uint32_t *traceback)
{
    PyObject *items = PySequence_Fast(frames, "a trace's frames must be a sequence");
    if (items == NULL) {
        return -1;
    }
    Py_ssize_t count = PySequence_Fast_GET_SIZE(items);
    if (count < 1 || count > MAX_DEPTH) {
        PyErr_Format(PyExc_ValueError, "a trace must have 1 to %d frames, not %zd", MAX_DEPTH,
                     count);
        Py_DECREF(items);
        return -1;
    }
    *traceback = 0;
    for (Py_ssize_t i = count; i-- > 0;) {
        if (read_frame(self, PySequence_Fast_GET_ITEM(items, i), traceback) < 0) {
            Py_DECREF(items);
            return -1;
        }
    }
    Py_DECREF(items);
    return 0;
}

/* As read_frames, once for each tuple. */
static int
find_frames(struct raw_traces *self, PyObject *trace, uint32_t *traceback)
{
    PyObject *frames = PyTuple_GET_ITEM(trace, 2);
    if (!PyTuple_CheckExact(frames)) {
        return read_frames(self, frames, traceback);
    }
    const uint64_t *known = hashmap_get(&self->known, (uintptr_t)frames);
    if (known != NULL) {
        *traceback = (uint32_t)*known;
        return 0;
    }
    if (read_frames(self, frames, traceback) < 0) {
        return -1;
    }
    return hashmap_put(&self->known, (uintptr_t)frames, *traceback) < 0 ? no_memory() : 0;
}

static int
read_total(struct raw_traces *self, PyObject *total, uint32_t *traceback)
{
    uint64_t number;
    if (total == Py_None) {
        return 0;
    }
    if (raw_traces_number(total, "a trace's total_nframe", UINT32_MAX, &number) < 0) {
        return -1;
    }
    struct traceback_node node = {*traceback, TRACEBACK_TOTAL, (uint32_t)number};
    *traceback = tracebacks_intern_node(self->tree, node);
    return *traceback != 0 ? 0 : no_memory();
}

static int
read_trace(struct raw_traces *self, PyObject *trace)
{
    Py_ssize_t fields = PyTuple_Check(trace) ? PyTuple_GET_SIZE(trace) : 0;
    if (fields != 3 && fields != 4) {
        PyErr_Format(PyExc_TypeError,
                     "a trace must be a tuple (domain, size, frames[, "
                     "total_nframe]), not %.100s",
                     Py_TYPE(trace)->tp_name);
        return -1;
    }
    uint64_t number;
    struct snapshot_row row = {0};
    if (raw_traces_number(PyTuple_GET_ITEM(trace, 0), "a trace's domain", UINT32_MAX, &number) < 0
        || raw_traces_number(PyTuple_GET_ITEM(trace, 1), "a trace's size", INT64_MAX, &row.size) < 0
        || find_frames(self, trace, &row.traceback) < 0) {
        return -1;
    }
    if (fields == 4 && read_total(self, PyTuple_GET_ITEM(trace, 3), &row.traceback) < 0) {
        return -1;
    }
    int domain = snapshot_domain_index(self->snapshot, (uint32_t)number);
    if (domain < 0) {
        PyErr_Format(PyExc_ValueError, "traces have more than %d domains", SNAPSHOT_MAX_TRACKED);
        return -1;
    }
    if (row.size > self->size_left) {
        PyErr_SetString(PyExc_ValueError, "sizes of traces come to more than 2**63 - 1 bytes");
        return -1;
    }
    self->size_left -= row.size;
    row.domain = (uint8_t)domain;
    return snapshot_append(self->snapshot, &row) < 0 ? no_memory() : 0;
}

struct snapshot *
raw_traces_read(PyObject *traces, uint32_t traceback_limit)
{
    struct raw_traces self = {.traces = PySequence_Tuple(traces), .size_left = INT64_MAX};
    if (self.traces == NULL) {
        return NULL;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(self.traces);
    self.tree = tracebacks_new();
    if (self.tree != NULL) {
        self.snapshot = snapshot_new(self.tree, (size_t)count);
        tracebacks_unref(self.tree);
    }
    if (self.snapshot == NULL) {
        PyErr_NoMemory();
        goto error;
    }
    self.snapshot->traceback_limit = traceback_limit;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (read_trace(&self, PyTuple_GET_ITEM(self.traces, i)) < 0) {
            goto error;
        }
    }
    hashmap_clear(&self.known);
    Py_DECREF(self.traces);
    return self.snapshot;

error:
    snapshot_free(self.snapshot);
    hashmap_clear(&self.known);
    Py_DECREF(self.traces);
    return NULL;
}
