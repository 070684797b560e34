/* Graphs made: from the heap, and from numbers. */
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/graph.h"
#include "heap/walk.h"

/* Gives threads the names that the caller knows. */
static int
name_threads(struct graph *graph, PyObject *names)
{
    for (uint32_t node = 0; node < graph->holder_count; node++) {
        struct graph_holder *holder = &graph->holders[node];
        if (holder->kind != GRAPH_THREAD || names == Py_None) {
            continue;
        }
        PyObject *ident = PyLong_FromUnsignedLongLong(holder->ident);
        PyObject *name = ident != NULL ? PyDict_GetItemWithError(names, ident) : NULL;
        Py_XDECREF(ident);
        if (name == NULL && PyErr_Occurred()) {
            return -1;
        }
        if (name != NULL && PyUnicode_CheckExact(name)) {
            holder->name = graph_add_text(graph, PyUnicode_DATA(name),
                                          (size_t)PyUnicode_GET_LENGTH(name), PyUnicode_KIND(name));
        }
    }
    return 0;
}

const char graph_take_doc[] =
    "take($type, /, *, keep=False, hide=(), threads=None, hide_frames='')\n"
    "--\n"
    "\n"
    "The graph of every object of this interpreter.\n"
    "\n"
    "keep: hold a strong reference to every object for the life of the graph.  hide: a\n"
    "sequence of objects to leave out.  threads: a dict of thread identifiers to names.\n"
    "hide_frames: frames of the calling thread whose file name begins so are left out,\n"
    "from the newest up to the first that does not.\n"
    "\n"
    "Raises MemoryError.  Cost: about a gc.collect(), while all other threads wait.";

Graph *
graph_take_at(PyTypeObject *type, PyObject *args, PyObject *kwargs, graph_moment moment, void *arg)
{
    static char *names[] = {"keep", "hide", "threads", "hide_frames", NULL};
    int keep = 0;
    PyObject *hide = NULL, *threads = Py_None, *hide_frames = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$pOOU:take", names, &keep, &hide, &threads,
                                     &hide_frames)) {
        return NULL;
    }
    if (threads != Py_None && !PyDict_CheckExact(threads)) {
        PyErr_SetString(PyExc_TypeError, "threads must be a dict of identifiers to names, or None");
        return NULL;
    }
    PyObject *hidden = hide != NULL ? PySequence_Tuple(hide) : PyTuple_New(0);
    if (hidden == NULL) {
        return NULL;
    }
    struct walk_options options = {
        .hide_frames =
            hide_frames != NULL && PyUnicode_GET_LENGTH(hide_frames) > 0 ? hide_frames : NULL,
        .hide = ((PyTupleObject *)hidden)->ob_item,
        .hide_count = (size_t)PyTuple_GET_SIZE(hidden),
        .leaf = type,
        .keep = keep,
    };
    Graph *self = graph_new_empty(type);
    if (self != NULL) {
        self->graph = walk_heap(&options, keep || moment != NULL ? &self->index : NULL);
        int status = self->graph != NULL ? 0 : -1;
        if (status == 0 && moment != NULL) {
            status = moment(self->graph, self->index, arg);
        }
        self->kept = keep && self->graph != NULL ? (PyObject **)self->graph->address : NULL;
        if (!keep) {
            pagemap_free(self->index);
            self->index = NULL;
        }
        PyObject_GC_Track(self);
        if (status < 0) {
            PyErr_NoMemory();
        }
        if (status < 0 || name_threads(self->graph, threads) < 0) {
            Py_CLEAR(self);
        }
    }
    Py_DECREF(hidden);
    return self;
}

PyObject *
graph_take(PyObject *type, PyObject *args, PyObject *kwargs)
{
    return (PyObject *)graph_take_at((PyTypeObject *)type, args, kwargs, NULL, NULL);
}

const char graph_from_python_doc[] =
    "from_pairs($type, count, pairs, roots=(), /)\n"
    "--\n"
    "\n"
    "A graph of *count* nodes with the given (source, target) edges; each of *roots* has\n"
    "one reference that is not in the graph.  For tests of the searches.\n"
    "\n"
    "Raises IndexError for a number that is no node.";

static int
parse_pairs(PyObject *pairs, uint32_t count, uint32_t (*out)[2])
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(pairs); i++) {
        PyObject *pair = PySequence_Tuple(PyTuple_GET_ITEM(pairs, i));
        int status = pair == NULL ? -1 : 0;
        if (pair != NULL && PySequence_Fast_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_ValueError, "an edge is a pair (source, target)");
            status = -1;
        }
        if (status == 0) {
            status = graph_parse_nodes(pair, count, out[i]);
        }
        Py_XDECREF(pair);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
graph_from_python(PyObject *type, PyObject *args)
{
    unsigned int count;
    PyObject *pairs_arg, *roots_arg = NULL;
    if (!PyArg_ParseTuple(args, "IO|O:from_pairs", &count, &pairs_arg, &roots_arg)) {
        return NULL;
    }
    PyObject *pairs = PySequence_Tuple(pairs_arg);
    PyObject *roots = roots_arg != NULL ? PySequence_Tuple(roots_arg) : PyTuple_New(0);
    PyObject *result = NULL;
    if (pairs != NULL && roots != NULL) {
        size_t pair_count = (size_t)PySequence_Fast_GET_SIZE(pairs);
        size_t root_count = (size_t)PySequence_Fast_GET_SIZE(roots);
        uint32_t (*edge)[2] = mem_malloc(pair_count + 1, sizeof *edge);
        uint32_t *root = mem_malloc(root_count + 1, sizeof *root);
        if (edge == NULL || root == NULL) {
            PyErr_NoMemory();
        }
        else if (parse_pairs(pairs, count, edge) == 0
                 && graph_parse_nodes(roots, count, root) == 0) {
            Graph *self = graph_new_empty((PyTypeObject *)type);
            if (self != NULL) {
                self->graph = graph_from_pairs(count, (const uint32_t (*)[2])edge,
                                               (uint32_t)pair_count, root, (uint32_t)root_count);
                PyObject_GC_Track(self);
                if (self->graph == NULL) {
                    Py_CLEAR(self);
                    PyErr_NoMemory();
                }
            }
            result = (PyObject *)self;
        }
        mem_free(edge);
        mem_free(root);
    }
    Py_XDECREF(pairs);
    Py_XDECREF(roots);
    return result;
}
