#include "bind/history.h"

#include <stdlib.h>

#include "base/mem.h"
#include "bind/bind.h"
#include "bind/graph_join.h"

static History *
history_new(PyTypeObject *type, Graph *graph)
{
    History *self = PyObject_GC_New(History, type);
    if (self != NULL) {
        self->graph = (Graph *)Py_NewRef(graph);
        self->history = (struct history){0};
    }
    return self;
}

static int
history_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((History *)object)->graph);
    return 0;
}

static void
history_dealloc(PyObject *object)
{
    History *self = (History *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    history_release(&self->history);
    Py_DECREF(self->graph);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

/* Gives the object out, or, if the core ran out of memory, up. */
static PyObject *
finish(History *self, int status)
{
    PyObject_GC_Track(self);
    if (status < 0) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

PyDoc_STRVAR(begin_doc,
"begin($type, graph, /)\n"
"--\n"
"\n"
"The history of the first graph of a series: moment 0.  Raises MemoryError.");

static PyObject *
begin(PyObject *type, PyObject *graph)
{
    struct module_state *state = PyType_GetModuleState((PyTypeObject *)type);
    if (!Py_IS_TYPE(graph, state->graph_type)) {
        PyErr_Format(PyExc_TypeError, "graph must be a Graph, not %.100s", Py_TYPE(graph)->tp_name);
        return NULL;
    }
    History *self = history_new((PyTypeObject *)type, (Graph *)graph);
    return self == NULL ? NULL
                        : finish(self, history_begin(&self->history, ((Graph *)graph)->graph));
}

PyDoc_STRVAR(advance_doc,
"advance($self, graph, join=None, epochs=(), /)\n"
"--\n"
"\n"
"The history of *graph*, which was taken after the one that this is the history of.\n"
"\n"
"join: of the graph and the traces of its moment; *epochs*: the epoch that began with each\n"
"moment so far.  They tell objects apart that had one address: what was allocated after\n"
"a moment was not there at it.  Raises MemoryError; TypeError and ValueError for a join\n"
"of another graph.  Cost: a pass over both graphs.");

/* The first moment at which what was allocated in an epoch can have been there. */
static uint16_t
moment_of(const uint64_t *epochs, size_t count, uint64_t epoch)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (epochs[middle] <= epoch) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return (uint16_t)(low < HISTORY_MOST_MOMENTS ? low : HISTORY_MOST_MOMENTS);
}

static void
correct(History *self, const Join *join, const uint64_t *epochs, size_t count)
{
    const struct graph *graph = self->graph->graph;
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        uint64_t epoch;
        if (graph_join_epoch(join, node, &epoch)) {
            uint16_t moment = moment_of(epochs, count, epoch);
            history_correct(&self->history, graph, node,
                            moment < self->history.moment ? moment : self->history.moment);
        }
    }
}

uint64_t *
history_parse_epochs(PyObject *sequence, size_t *count)
{
    *count = (size_t)PyTuple_GET_SIZE(sequence);
    uint64_t *epochs = mem_malloc(*count + 1, sizeof *epochs);
    if (epochs == NULL) {
        PyErr_NoMemory();
    }
    for (size_t i = 0; epochs != NULL && i < *count; i++) {
        epochs[i] = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(sequence, (Py_ssize_t)i));
        if (PyErr_Occurred()) {
            mem_free(epochs);
            return NULL;
        }
    }
    return epochs;
}

static PyObject *
advance(PyObject *object, PyObject *args)
{
    History *self = (History *)object;
    struct module_state *state = PyType_GetModuleState(Py_TYPE(object));
    PyObject *graph, *join = Py_None, *epochs_arg = NULL;
    if (!PyArg_ParseTuple(args, "O!|OO!:advance", state->graph_type, &graph, &join, &PyTuple_Type,
                          &epochs_arg)) {
        return NULL;
    }
    if (join != Py_None && !Py_IS_TYPE(join, state->join_type)) {
        PyErr_Format(PyExc_TypeError, "join must be a Join or None, not %.100s",
                     Py_TYPE(join)->tp_name);
        return NULL;
    }
    if (join != Py_None && (PyObject *)((Join *)join)->graph != graph) {
        PyErr_SetString(PyExc_ValueError, "join is of another graph");
        return NULL;
    }
    size_t count = 0;
    uint64_t *epochs = epochs_arg != NULL ? history_parse_epochs(epochs_arg, &count) : NULL;
    if (epochs_arg != NULL && epochs == NULL) {
        return NULL;
    }
    History *next = history_new(Py_TYPE(self), (Graph *)graph);
    PyObject *result = NULL;
    if (next != NULL) {
        int status = history_continue(&next->history, ((Graph *)graph)->graph, self->graph->graph,
                                      &self->history);
        if (status == 0 && join != Py_None) {
            correct(next, (Join *)join, epochs, count);
        }
        result = finish(next, status);
    }
    mem_free(epochs);
    return result;
}

PyDoc_STRVAR(node_doc,
"node($self, node, /)\n"
"--\n"
"\n"
"(moment of birth, moments at which it grew, references more than at birth, bytes more).");

static PyObject *
node(PyObject *object, PyObject *number)
{
    History *self = (History *)object;
    const struct graph *graph = self->graph->graph;
    uint32_t at;
    if (graph_node_arg(self->graph, number, &at) < 0) {
        return NULL;
    }
    return Py_BuildValue("IILL", self->history.birth[at], self->history.rises[at],
                         (long long)graph_references(graph, at) - self->history.references[at],
                         (long long)graph_size_of(graph, at) - self->history.bytes[at]);
}

PyDoc_STRVAR(rise_doc,
"rise($self, node, /)\n"
"--\n"
"\n"
"(the last moment at which it had more than ever before, by how much it rose then):\n"
"references, or, of what has none, bytes; (0, 0) if it never rose.");

static PyObject *
rise(PyObject *object, PyObject *number)
{
    History *self = (History *)object;
    uint32_t at;
    if (graph_node_arg(self->graph, number, &at) < 0) {
        return NULL;
    }
    return Py_BuildValue("II", self->history.risen[at], self->history.step[at]);
}

/* -- growers ---------------------------------------------------------------------------- */

struct grower {
    uint32_t node;
    uint16_t rises;
    int64_t references, bytes;
};

static int
compare_growers(const void *left, const void *right)
{
    const struct grower *a = left, *b = right;
    if (a->references != b->references) {
        return a->references > b->references ? -1 : 1;
    }
    if (a->bytes != b->bytes) {
        return a->bytes > b->bytes ? -1 : 1;
    }
    return a->node < b->node ? -1 : 1;
}

PyDoc_STRVAR(growers_doc,
"growers($self, rises, /)\n"
"--\n"
"\n"
"Objects that grew at *rises* moments or more and are larger than at their birth:\n"
"(node, moments at which it grew, references more, bytes more), most references first.\n"
"\n"
"Raises MemoryError.  Cost: a pass over the history.");

static PyObject *
growers(PyObject *object, PyObject *number)
{
    History *self = (History *)object;
    const struct graph *graph = self->graph->graph;
    Py_ssize_t least = PyNumber_AsSsize_t(number, PyExc_OverflowError);
    if (least == -1 && PyErr_Occurred()) {
        return NULL;
    }
    struct grower *found = NULL;
    size_t count = 0, capacity = 0;
    for (uint32_t at = graph->holder_count; at < graph->count; at++) {
        struct grower one = {at, self->history.rises[at],
                             (int64_t)graph_references(graph, at) - self->history.references[at],
                             (int64_t)graph_size_of(graph, at) - self->history.bytes[at]};
        if (one.rises == 0 || one.rises < least
            || (one.references <= 0 && (one.references < 0 || one.bytes <= 0))) {
            continue;
        }
        if (count == capacity
            && mem_grow((void **)&found, &capacity, count + 1, sizeof *found) < 0) {
            mem_free(found);
            return PyErr_NoMemory();
        }
        found[count++] = one;
    }
    if (count > 0) {
        qsort(found, count, sizeof *found, compare_growers);
    }
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *row = Py_BuildValue("IILL", found[i].node, found[i].rises,
                                      (long long)found[i].references, (long long)found[i].bytes);
        if (row == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    mem_free(found);
    return list;
}

PyDoc_STRVAR(survivors_doc,
"survivors($self, avoid=(), /)\n"
"--\n"
"\n"
"What was born after moment 0, by what it piles up in; *avoid*: nodes of no interest.\n"
"\n"
"Raises MemoryError; IndexError for a number that is no node.  Cost: a pass over the\n"
"graph.");

static PyObject *
find_survivors(PyObject *object, PyObject *args)
{
    PyObject *avoid = NULL;
    if (!PyArg_ParseTuple(args, "|O:survivors", &avoid)) {
        return NULL;
    }
    struct module_state *state = PyType_GetModuleState(Py_TYPE(object));
    return survivors_new(state->survivors_type, (History *)object, avoid);
}

static PyObject *
get_moment(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromLong(((History *)object)->history.moment);
}

static PyObject *
get_graph(PyObject *object, void *unused)
{
    (void)unused;
    return Py_NewRef(((History *)object)->graph);
}

static PyGetSetDef getset[] = {
    {"moment", get_moment, NULL, "Number of the moment; the first is 0.", NULL},
    {"graph", get_graph, NULL, "The graph that it is the history of.", NULL},
    {0},
};

static PyMethodDef methods[] = {
    {"begin", begin, METH_CLASS | METH_O, begin_doc},
    {"advance", advance, METH_VARARGS, advance_doc},
    {"node", node, METH_O, node_doc},
    {"rise", rise, METH_O, rise_doc},
    {"growers", growers, METH_O, growers_doc},
    {"survivors", find_survivors, METH_VARARGS, survivors_doc},
    {0},
};

PyDoc_STRVAR(history_doc,
"Since when the objects of a graph are there, and which keep growing.  Made by begin()\n"
"and advance(); never changes.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)history_doc},
    {Py_tp_dealloc, history_dealloc},
    {Py_tp_traverse, history_traverse},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {0, NULL},
};

PyType_Spec history_spec = {
    .name = "memscope._memscope.History",
    .basicsize = sizeof(History),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
