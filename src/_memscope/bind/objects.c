#include "bind/objects.h"

#include "base/mem.h"

struct objects *
objects_new(const struct summary *summary)
{
    struct objects *self = mem_calloc(1, sizeof(*self));
    if (self == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    self->summary = summary;
    self->filenames = mem_calloc(summary->file_count, sizeof(*self->filenames));
    if (self->filenames == NULL) {
        mem_free(self);
        PyErr_NoMemory();
        return NULL;
    }
    return self;
}

static void
free_all(PyObject **objects, size_t count)
{
    for (size_t i = 0; objects != NULL && i < count; i++) {
        Py_XDECREF(objects[i]);
    }
    mem_free(objects);
}

void
objects_free(struct objects *self)
{
    if (self == NULL) {
        return;
    }
    free_all(self->tracebacks, self->chains.chain_count);
    free_all(self->frames, self->chains.frame_count);
    free_all(self->filenames, self->summary->file_count);
    chains_release(&self->chains);
    mem_free(self->chain_of_node);
    mem_free(self);
}

PyObject *
objects_new_text(const struct text *text)
{
    return PyUnicode_FromKindAndData((int)text->kind, text->data, text->length);
}

PyObject *
objects_untrack(PyObject *tuple)
{
    if (tuple != NULL) {
        PyObject_GC_UnTrack(tuple);
    }
    return tuple;
}

PyObject *
objects_new_frame(PyObject *filename, uint32_t lineno)
{
    PyObject *line = PyLong_FromUnsignedLong(lineno);
    PyObject *frame = line != NULL ? PyTuple_New(2) : NULL;
    if (frame == NULL) {
        Py_XDECREF(line);
        return NULL;
    }
    PyTuple_SET_ITEM(frame, 0, Py_NewRef(filename));
    PyTuple_SET_ITEM(frame, 1, line);
    return objects_untrack(frame);
}

PyObject *
objects_borrow_filename(struct objects *self, uint32_t file)
{
    PyObject **filename = &self->filenames[file];
    if (*filename == NULL) {
        const struct summary *summary = self->summary;
        *filename =
            objects_new_text(tracebacks_text(summary->tracebacks, summary->filenames[file]));
    }
    return *filename;
}

static int
make_chains(struct objects *self)
{
    struct chains chains = {0};
    uint32_t *of_node = mem_malloc(self->summary->node_count, sizeof(*of_node));
    PyObject **frames = NULL, **tracebacks = NULL;
    if (of_node != NULL && chains_add(&chains, self->summary, NULL, of_node) == 0) {
        frames = mem_calloc(chains.frame_count, sizeof(*frames));
        tracebacks = mem_calloc(chains.chain_count, sizeof(*tracebacks));
    }
    if (frames == NULL || tracebacks == NULL) {
        chains_release(&chains);
        mem_free(of_node);
        mem_free(frames);
        mem_free(tracebacks);
        PyErr_NoMemory();
        return -1;
    }
    self->chains = chains;
    self->chain_of_node = of_node;
    self->frames = frames;
    self->tracebacks = tracebacks;
    return 0;
}

/* Puts a new object where it is kept, unless making it ran a collection, that
 * ran a finaliser, and that asked for the same: then the one kept first stays. */
static PyObject *
keep(PyObject **kept, PyObject *object)
{
    if (*kept == NULL) {
        *kept = object;
    }
    else {
        Py_XDECREF(object);
    }
    return *kept;
}

static PyObject *
borrow_frame(struct objects *self, uint32_t number)
{
    PyObject **frame = &self->frames[number];
    if (*frame == NULL) {
        uint64_t key = self->chains.frames[number];
        PyObject *filename = objects_borrow_filename(self, (uint32_t)(key >> 32));
        keep(frame, filename != NULL ? objects_new_frame(filename, (uint32_t)key) : NULL);
    }
    return *frame;
}

PyObject *
objects_borrow_traceback(struct objects *self, uint32_t node)
{
    if (self->chain_of_node == NULL && make_chains(self) < 0) {
        return NULL;
    }
    const struct chain *chains = self->chains.chains;
    uint32_t number = self->chain_of_node[node];
    if (self->tracebacks[number] != NULL) {
        return self->tracebacks[number];
    }
    Py_ssize_t length = 0;
    for (uint32_t chain = number; chain != 0; chain = chains[chain].parent) {
        length++;
    }
    PyObject *frames = PyTuple_New(length);
    if (frames == NULL) {
        return NULL;
    }
    uint32_t chain = number;
    for (Py_ssize_t i = 0; i < length; i++, chain = chains[chain].parent) {
        PyObject *frame = borrow_frame(self, chains[chain].frame);
        if (frame == NULL) {
            Py_DECREF(frames);
            return NULL;
        }
        PyTuple_SET_ITEM(frames, i, Py_NewRef(frame));
    }
    return keep(&self->tracebacks[number], objects_untrack(frames));
}
