#include "bind/columns.h"

#include "base/mem.h"
#include "bind/bind.h"
#include "bind/raw_traces.h"
#include "file/dump.h"

PyObject *
columns_wrap(PyTypeObject *type, struct snapshot *snapshot)
{
    if (snapshot == NULL) {
        return PyErr_NoMemory();
    }
    Columns *self = PyObject_New(Columns, type);
    if (self == NULL) {
        snapshot_free(snapshot);
        return NULL;
    }
    self->snapshot = snapshot;
    self->summary = NULL;
    self->objects = NULL;
    self->type = NULL;
    self->type_names = NULL;
    return (PyObject *)self;
}

PyObject *
columns_new(struct module_state *state, struct snapshot *snapshot)
{
    return columns_wrap(state->columns_type, snapshot);
}

static void
columns_dealloc(PyObject *object)
{
    Columns *self = (Columns *)object;
    PyTypeObject *type = Py_TYPE(self);
    mem_free(self->type);
    Py_XDECREF(self->type_names);
    objects_free(self->objects);
    summary_free(self->summary);
    snapshot_free(self->snapshot);
    PyObject_Free(self);
    Py_DECREF(type);
}

PyObject *
columns_frames(const struct tracebacks *tracebacks, uint32_t traceback, PyObject **total)
{
    const struct traceback_node *newest = tracebacks_node(tracebacks, traceback);
    PyObject *frames = NULL;
    *total = Py_NewRef(Py_None);
    if (newest->function == TRACEBACK_TOTAL) {
        Py_SETREF(*total, PyLong_FromUnsignedLong(newest->lineno));
        traceback = newest->parent;
    }
    Py_ssize_t length = 0;
    for (uint32_t id = traceback; id != 0; id = tracebacks_node(tracebacks, id)->parent) {
        length++;
    }
    frames = *total != NULL ? PyTuple_New(length) : NULL;
    for (Py_ssize_t i = 0; frames != NULL && i < length; i++) {
        const struct traceback_node *node = tracebacks_node(tracebacks, traceback);
        const struct function *function = tracebacks_function(tracebacks, node->function);
        PyObject *filename = objects_new_text(tracebacks_text(tracebacks, function->filename));
        PyObject *frame = filename != NULL ? objects_new_frame(filename, node->lineno) : NULL;
        Py_XDECREF(filename);
        if (frame == NULL) {
            Py_CLEAR(frames);
            break;
        }
        PyTuple_SET_ITEM(frames, i, frame);
        traceback = node->parent;
    }
    if (frames == NULL) {
        Py_CLEAR(*total);
    }
    return frames;
}

struct summary *
columns_borrow_summary(Columns *self)
{
    if (self->summary != NULL) {
        return self->summary;
    }
    struct summary *summary;
    Py_BEGIN_ALLOW_THREADS
        summary = summary_new(self->snapshot);
    Py_END_ALLOW_THREADS
    if (self->summary != NULL) {
        summary_free(summary);      /* another thread was faster */
    }
    else {
        self->summary = summary;
    }
    if (self->summary == NULL) {
        PyErr_NoMemory();
    }
    return self->summary;
}

struct objects *
columns_borrow_objects(Columns *self)
{
    struct summary *summary = columns_borrow_summary(self);
    if (summary != NULL && self->objects == NULL) {
        self->objects = objects_new(summary);
    }
    return self->objects;
}

PyDoc_STRVAR(from_traces_doc,
             "from_traces($type, traces, traceback_limit, /)\n"
             "--\n"
             "\n"
             "A table of traces given as tuples (domain, size in bytes, frames newest first,\n"
             "total number of frames or None); the last may be missing.\n"
             "\n"
             "Raises TypeError and ValueError for what is no trace.  Cost: one pass; each\n"
             "distinct tuple of frames is looked at once.");

static PyObject *
from_traces(PyObject *type, PyObject *args)
{
    PyObject *traces, *limit;
    uint64_t number;
    if (!PyArg_ParseTuple(args, "OO:from_traces", &traces, &limit)
        || raw_traces_number(limit, "the traceback limit", UINT32_MAX, &number) < 0) {
        return NULL;
    }
    struct snapshot *snapshot = raw_traces_read(traces, (uint32_t)number);
    return snapshot != NULL ? columns_wrap((PyTypeObject *)type, snapshot) : NULL;
}

PyDoc_STRVAR(from_bytes_doc,
             "from_bytes($type, data, /)\n"
             "--\n"
             "\n"
             "The table that to_bytes() wrote.  Any bytes-like object.\n"
             "\n"
             "The data need not be trusted.  Raises ValueError that says what is wrong with\n"
             "it and where.  Cost: one pass over the data.");

static PyObject *
from_bytes(PyObject *type, PyObject *data)
{
    Py_buffer buffer;
    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    struct snapshot *snapshot = NULL;
    struct chunks_error error;
    enum dump_status status;
    Py_BEGIN_ALLOW_THREADS
        const unsigned char *bytes = buffer.len != 0 ? buffer.buf : (const unsigned char *)"";
        status = dump_read(bytes, (size_t)buffer.len, &snapshot, &error);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&buffer);
    switch (status) {
    case DUMP_OK:
        return columns_wrap((PyTypeObject *)type, snapshot);
    case DUMP_INVALID:
        PyErr_SetString(PyExc_ValueError, error.message);
        return NULL;
    default:
        return PyErr_NoMemory();
    }
}

PyDoc_STRVAR(to_bytes_doc,
             "to_bytes($self, /)\n"
             "--\n"
             "\n"
             "The table in memscope's own file format; docs/dump-format.md describes it.\n"
             "\n"
             "Cost: one pass; 3 to 8 bytes a row.");

static PyObject *
to_bytes(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Columns *self = (Columns *)object;
    struct summary *summary = columns_borrow_summary(self);
    if (summary == NULL) {
        return NULL;
    }
    struct dump_origin origin = bind_origin();
    struct writer file = {0};
    int result;
    Py_BEGIN_ALLOW_THREADS
        result = dump_write(self->snapshot, summary, &origin, &file);
    Py_END_ALLOW_THREADS
    PyObject *bytes = NULL;
    if (result == 0) {
        bytes = PyBytes_FromStringAndSize((const char *)file.data, (Py_ssize_t)file.length);
    }
    else {
        PyErr_NoMemory();
    }
    writer_release(&file);
    return bytes;
}

/* A row index, which may count from the end; -1 and an exception. */
static Py_ssize_t
row_index(Columns *self, PyObject *object)
{
    Py_ssize_t count = (Py_ssize_t)self->snapshot->count;
    Py_ssize_t index = PyNumber_AsSsize_t(object, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (index < 0) {
        index += count;
    }
    if (index < 0 || index >= count) {
        PyErr_SetString(PyExc_IndexError, "row index out of range");
        return -1;
    }
    return index;
}

/* New 4-tuple of a row. */
static PyObject *
new_trace(Columns *self, struct objects *objects, size_t row)
{
    const struct snapshot *snapshot = self->snapshot;
    uint32_t node = snapshot->traceback[row];
    const struct summary_frame *frame = &self->summary->frames[node];
    PyObject *frames = objects_borrow_traceback(objects, node);
    PyObject *trace = frames != NULL ? PyTuple_New(4) : NULL;
    if (trace == NULL) {
        return NULL;
    }
    uint32_t domain = snapshot_domain_number(snapshot, snapshot->domain[row]);
    PyObject *total =
        frame->file == SUMMARY_TOTAL ? PyLong_FromUnsignedLong(frame->lineno) : Py_NewRef(Py_None);
    PyTuple_SET_ITEM(trace, 0, PyLong_FromUnsignedLong(domain));
    PyTuple_SET_ITEM(trace, 1, PyLong_FromUnsignedLongLong(snapshot_size(snapshot, row)));
    PyTuple_SET_ITEM(trace, 2, Py_NewRef(frames));
    PyTuple_SET_ITEM(trace, 3, total);
    if (PyTuple_GET_ITEM(trace, 0) == NULL || PyTuple_GET_ITEM(trace, 1) == NULL || total == NULL) {
        Py_DECREF(trace);
        return NULL;
    }
    return objects_untrack(trace);
}

PyDoc_STRVAR(trace_doc,
             "trace($self, index, /)\n"
             "--\n"
             "\n"
             "The row as tracemalloc's tuple (domain, size in bytes, frames newest first,\n"
             "total number of frames or None).  Raises IndexError.\n"
             "\n"
             "Equal tracebacks are the same tuple in all answers of one table.");

static PyObject *
trace(PyObject *object, PyObject *index)
{
    Columns *self = (Columns *)object;
    Py_ssize_t row = row_index(self, index);
    struct objects *objects = row >= 0 ? columns_borrow_objects(self) : NULL;
    return objects != NULL ? new_trace(self, objects, (size_t)row) : NULL;
}

PyDoc_STRVAR(address_doc, "address($self, index, /)\n"
                          "--\n"
                          "\n"
                          "Where the row's block was in memory; 0 if that is not known.  Raises\n"
                          "IndexError.");

static PyObject *
address(PyObject *object, PyObject *index)
{
    Columns *self = (Columns *)object;
    Py_ssize_t row = row_index(self, index);
    return row >= 0 ? PyLong_FromUnsignedLongLong(self->snapshot->address[row]) : NULL;
}

PyDoc_STRVAR(row_epoch_doc, "row_epoch($self, index, /)\n"
                            "--\n"
                            "\n"
                            "Number of the epoch in which the row's block was allocated.  Raises\n"
                            "IndexError.");

static PyObject *
row_epoch(PyObject *object, PyObject *index)
{
    Columns *self = (Columns *)object;
    Py_ssize_t row = row_index(self, index);
    if (row < 0) {
        return NULL;
    }
    const struct snapshot *snapshot = self->snapshot;
    return PyLong_FromUnsignedLongLong(snapshot->epochs[snapshot->epoch[row]]);
}

PyDoc_STRVAR(traces_doc, "traces($self, /)\n"
                         "--\n"
                         "\n"
                         "trace(i) of all rows.  Cost: one tuple a row.");

static PyObject *
traces(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Columns *self = (Columns *)object;
    struct objects *objects = columns_borrow_objects(self);
    PyObject *list = objects != NULL ? PyList_New((Py_ssize_t)self->snapshot->count) : NULL;
    if (list == NULL) {
        return NULL;
    }
    int collecting = PyGC_Disable();    /* nothing here can be garbage */
    for (size_t i = 0; i < self->snapshot->count; i++) {
        PyObject *trace = new_trace(self, objects, i);
        if (trace == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, trace);
    }
    if (collecting) {
        PyGC_Enable();
    }
    return list;
}

PyDoc_STRVAR(filenames_doc,
             "filenames($self, /)\n"
             "--\n"
             "\n"
             "The distinct file names in the tracebacks of all rows, ordered as str are.\n"
             "Labels and filters speak of files in this order.");

static PyObject *
filenames(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Columns *self = (Columns *)object;
    struct objects *objects = columns_borrow_objects(self);
    PyObject *list = objects != NULL ? PyList_New(self->summary->file_count) : NULL;
    if (list == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < self->summary->file_count; i++) {
        PyObject *filename = objects_borrow_filename(objects, i);
        if (filename == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, i, Py_NewRef(filename));
    }
    return list;
}

static Py_ssize_t
columns_length(PyObject *object)
{
    return (Py_ssize_t)((Columns *)object)->snapshot->count;
}

static PyObject *
get_traceback_limit(PyObject *object, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(((Columns *)object)->snapshot->traceback_limit);
}

static PyObject *
get_total_size(PyObject *object, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(snapshot_total_size(((Columns *)object)->snapshot));
}

static PyObject *
get_lost(PyObject *object, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(((Columns *)object)->snapshot->lost);
}

static PyObject *
get_epoch(PyObject *object, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(((Columns *)object)->snapshot->now);
}

static PyObject *
get_nbytes(PyObject *object, void *Py_UNUSED(closure))
{
    Columns *self = (Columns *)object;
    size_t derived = self->summary != NULL ? summary_bytes(self->summary) : 0;
    derived += self->type != NULL ? self->snapshot->count * sizeof *self->type : 0;
    return PyLong_FromSize_t(snapshot_bytes(self->snapshot) + derived);
}

static PyGetSetDef columns_getset[] = {
    {"traceback_limit", get_traceback_limit, NULL,
     PyDoc_STR("How many frames of a traceback were kept at most."), NULL},
    {"total_size", get_total_size, NULL,
     PyDoc_STR("Bytes in all blocks.  Cost: one pass over the rows."), NULL},
    {"lost", get_lost, NULL,
     PyDoc_STR("Blocks the tracer had no memory to record, and which are missing here."), NULL},
    {"epoch", get_epoch, NULL,
     PyDoc_STR("Number of the epoch that was current when the table was taken."), NULL},
    {"nbytes", get_nbytes, NULL,
     PyDoc_STR("Bytes this table holds, not counting the tracebacks, which tables share."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef columns_methods[] = {
    {"from_traces", from_traces, METH_VARARGS | METH_CLASS, from_traces_doc},
    {"from_bytes", from_bytes, METH_O | METH_CLASS, from_bytes_doc},
    {"to_bytes", to_bytes, METH_NOARGS, to_bytes_doc},
    {"trace", trace, METH_O, trace_doc},
    {"address", address, METH_O, address_doc},
    {"row_epoch", row_epoch, METH_O, row_epoch_doc},
    {"traces", traces, METH_NOARGS, traces_doc},
    {"types", columns_types, METH_NOARGS, columns_types_doc},
    {"filenames", filenames, METH_NOARGS, filenames_doc},
    {"group", (PyCFunction)(void (*)(void))columns_group, METH_VARARGS | METH_KEYWORDS,
     columns_group_doc},
    {"compare", (PyCFunction)(void (*)(void))columns_compare, METH_VARARGS | METH_KEYWORDS,
     columns_compare_doc},
    {"filter", (PyCFunction)(void (*)(void))columns_filter, METH_VARARGS | METH_KEYWORDS,
     columns_filter_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(columns_doc,
             "An immutable table of traces: one row per live block, kept as C arrays.\n"
             "\n"
             "18 bytes a row.  The first question also sums the rows by traceback, which is\n"
             "kept: later ones cost by the number of tracebacks.  take_snapshot(),\n"
             "from_traces() and from_bytes() make tables.");

static PyType_Slot columns_slots[] = {
    {Py_tp_doc, (void *)columns_doc}, {Py_tp_dealloc, columns_dealloc},
    {Py_tp_methods, columns_methods}, {Py_tp_getset, columns_getset},
    {Py_sq_length, columns_length},   {0, NULL},
};

PyType_Spec columns_spec = {
    .name = "memscope._memscope.Columns",
    .basicsize = sizeof(Columns),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = columns_slots,
};
