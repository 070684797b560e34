/* Graphs into a file, and from one. */
#define PY_SSIZE_T_CLEAN
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/gather.h"
#include "bind/graph.h"
#include "bind/shapes.h"
#include "file/heap_file.h"

/* -- what only Python can tell ---------------------------------------------------------------- */

static PyObject *
new_list(const struct untold *untold)
{
    PyObject *list = PyList_New((Py_ssize_t)untold->count);
    for (size_t i = 0; list != NULL && i < untold->count; i++) {
        PyList_SET_ITEM(list, (Py_ssize_t)i, Py_NewRef(untold->objects[i]));
    }
    return list;
}

/* An answer: a list of one item for each object. */
static int
check_answer(PyObject *answer, const struct untold *untold)
{
    if (!PyList_CheckExact(answer) || (size_t)PyList_GET_SIZE(answer) != untold->count) {
        PyErr_SetString(PyExc_TypeError, "tell must return lists as long as those it gets");
        return -1;
    }
    return 0;
}

static int
take_texts(struct labels *labels, struct label_texts *texts, const struct untold *untold,
           PyObject *answer)
{
    int status = check_answer(answer, untold);
    for (size_t i = 0; i < untold->count && status == 0; i++) {
        graph_text text = shapes_text(&labels->texts, PyList_GET_ITEM(answer, (Py_ssize_t)i));
        if (labels->texts.failed || label_texts_add(texts, untold->numbers[i], text) < 0) {
            PyErr_NoMemory();
            status = -1;
        }
    }
    return status;
}

static int
take_key_names(struct labels *labels, const struct untold *untold, PyObject *answer)
{
    int status = check_answer(answer, untold);
    for (size_t i = 0; i < untold->count && status == 0; i++) {
        labels->names[untold->numbers[i]].text =
            shapes_text(&labels->texts, PyList_GET_ITEM(answer, (Py_ssize_t)i));
    }
    return status;
}

static int
is_any(struct label label, void *arg)
{
    (void)label;
    (void)arg;
    return 1;
}

/* Names references that have no other name; `parts` are pairs (object, str). */
static int
name_parts(struct shapes *shapes, const struct graph *graph, uint32_t node, PyObject *parts)
{
    struct labels *labels = shapes->labels;
    if (!PyList_CheckExact(parts)) {
        PyErr_SetString(PyExc_TypeError, "parts must be lists of pairs");
        return -1;
    }
    shapes_begin_from(shapes, labels->shape[node]);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parts); i++) {
        PyObject *part, *text;
        PyObject *pair = PyList_GET_ITEM(parts, i);
        if (!PyTuple_Check(pair) || !PyArg_ParseTuple(pair, "OU", &part, &text)) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_TypeError, "parts must be lists of pairs");
            }
            return -1;
        }
        for (uint32_t edge = graph->out_start[node]; edge < graph->out_start[node + 1]; edge++) {
            uint32_t target = graph->out[edge];
            if (graph->address[target] == (uintptr_t)part) {
                if (!labels_visit(labels, graph, node, target, is_any, NULL)) {
                    shapes_add_told(shapes, edge - graph->out_start[node], text);
                }
                break;
            }
        }
    }
    labels->shape[node] = shapes_end(shapes, labels->shape[node]);
    return 0;
}

static int
take_parts(struct labels *labels, const struct graph *graph, const struct untold *untold,
           PyObject *answer)
{
    struct shapes shapes = {.labels = labels};
    int status = check_answer(answer, untold);
    for (size_t i = 0; i < untold->count && status == 0; i++) {
        status =
            name_parts(&shapes, graph, untold->numbers[i], PyList_GET_ITEM(answer, (Py_ssize_t)i));
    }
    if (status == 0 && shapes.failed) {
        PyErr_NoMemory();
        status = -1;
    }
    shapes_release(&shapes);
    return status;
}

/* Keys that are told in C are there already: both come in ascending order, and in one column
 * they must. */
static int
merge_texts(struct label_texts *into, const struct label_texts *more)
{
    struct label_texts merged = {0};
    int status = 0;
    for (uint32_t i = 0, j = 0; (i < into->count || j < more->count) && status == 0;) {
        bool first = j == more->count || (i < into->count && into->nodes[i] < more->nodes[j]);
        status = first ? label_texts_add(&merged, into->nodes[i], into->texts[i])
                       : label_texts_add(&merged, more->nodes[j], more->texts[j]);
        i += first;
        j += !first;
    }
    if (status < 0) {
        label_texts_release(&merged);
        PyErr_NoMemory();
        return -1;
    }
    label_texts_release(into);
    *into = merged;
    return 0;
}

static int
take_keys(struct labels *labels, const struct untold *untold, PyObject *answer)
{
    struct label_texts more = {0};
    int status = take_texts(labels, &more, untold, answer);
    if (status == 0 && more.count > 0) {
        status = merge_texts(&labels->keys, &more);
    }
    label_texts_release(&more);
    return status;
}

static int
ask(const struct graph *graph, struct gathered *gathered, PyObject *tell)
{
    struct labels *labels = gathered->labels;
    PyObject *named = new_list(&gathered->named), *keys = new_list(&gathered->keys);
    PyObject *key_names = new_list(&gathered->key_names), *parted = new_list(&gathered->parted);
    PyObject *answer = NULL;
    int status = -1;
    if (named != NULL && keys != NULL && key_names != NULL && parted != NULL) {
        answer = PyObject_CallFunctionObjArgs(tell, named, keys, key_names, parted, NULL);
    }
    if (answer != NULL && (!PyTuple_CheckExact(answer) || PyTuple_GET_SIZE(answer) != 4)) {
        PyErr_SetString(PyExc_TypeError, "tell must return four lists");
    }
    else if (answer != NULL
             && take_texts(labels, &labels->told, &gathered->named, PyTuple_GET_ITEM(answer, 0))
                    == 0
             && take_keys(labels, &gathered->keys, PyTuple_GET_ITEM(answer, 1)) == 0
             && take_key_names(labels, &gathered->key_names, PyTuple_GET_ITEM(answer, 2)) == 0) {
        status = take_parts(labels, graph, &gathered->parted, PyTuple_GET_ITEM(answer, 3));
    }
    Py_XDECREF(named);
    Py_XDECREF(keys);
    Py_XDECREF(key_names);
    Py_XDECREF(parted);
    Py_XDECREF(answer);
    return status;
}

/* -- sites --------------------------------------------------------------------------------------- */

static int
add_site(struct sites *sites, PyObject *row)
{
    PyObject *filename, *function;
    unsigned int lineno;
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a site is a tuple (file name, line number, function)");
        return -1;
    }
    if (!PyArg_ParseTuple(row, "UIU;a site is a tuple (file name, line number, function)",
                          &filename, &lineno, &function)) {
        return -1;
    }
    struct site site = {.filename = shapes_text(&sites->texts, filename), .lineno = lineno};
    site.function = shapes_text(&sites->texts, function);
    if (sites->texts.failed || sites_add(sites, site) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int
fill_sites(struct sites *sites, const struct graph *graph, const Py_buffer *column, PyObject *table)
{
    if ((size_t)column->len != graph->count * sizeof *sites->of_node) {
        PyErr_Format(PyExc_ValueError,
                     "the column of sites has %zd bytes, expected 4 for each of "
                     "%zu nodes",
                     column->len, (size_t)graph->count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(table); i++) {
        PyObject *row = PyTuple_GET_ITEM(table, i);
        if (!PyTuple_Check(row)) {
            PyErr_SetString(PyExc_TypeError,
                            "a site is a tuple (file name, line number, function)");
            return -1;
        }
        if (add_site(sites, row) < 0) {
            return -1;
        }
    }
    memcpy(sites->of_node, column->buf, (size_t)column->len);
    memset(sites->of_node, 0, graph->holder_count * sizeof *sites->of_node);
    for (uint32_t node = 0; node < graph->count; node++) {
        if (sites->of_node[node] > sites->count) {
            PyErr_Format(PyExc_IndexError, "node %u has site %u, which is not one of %u", node,
                         sites->of_node[node], sites->count);
            return -1;
        }
    }
    return 0;
}

static struct sites *
new_sites(const struct graph *graph, PyObject *pair)
{
    PyObject *column, *rows;
    Py_buffer buffer;
    if (!PyTuple_Check(pair)) {
        PyErr_SetString(PyExc_TypeError, "sites are a pair (column, table)");
        return NULL;
    }
    if (!PyArg_ParseTuple(pair, "OO;sites are a pair (column, table)", &column, &rows)
        || PyObject_GetBuffer(column, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *table = PySequence_Tuple(rows);
    struct sites *sites = table != NULL ? sites_new(graph->count) : NULL;
    if (table != NULL && sites == NULL) {
        PyErr_NoMemory();
    }
    if (sites != NULL && fill_sites(sites, graph, &buffer, table) < 0) {
        sites_free(sites);
        sites = NULL;
    }
    Py_XDECREF(table);
    PyBuffer_Release(&buffer);
    return sites;
}

/* -- bytes --------------------------------------------------------------------------------------- */

const char graph_to_bytes_doc[] =
    "to_bytes($self, tell=None, /, *, named=(), sized=(), valued=(), parted=(), longest=60,\n"
    "         sites=None)\n"
    "--\n"
    "\n"
    "The graph in memscope's own file format; docs/heap-format.md describes it.\n"
    "\n"
    "With *tell*, also what objects and references are called, read from the objects that\n"
    "still live; a graph from a file keeps what it has.  What C cannot say is asked in one\n"
    "call, tell(objects, keys, more keys, objects), which returns four lists: the\n"
    "descriptions of instances of the *named* classes, texts of keys, the same, and of\n"
    "instances of the *parted* classes lists of (object, name) pairs.  Exact instances of\n"
    "the *sized* classes are described by their length; as keys, only those of *valued*\n"
    "are told by their value, a str by *longest* characters.\n"
    "\n"
    "sites: (column, table) as sites() returns them.\n"
    "\n"
    "Runs no code but *tell*.  Raises MemoryError and what *tell* raises.  Cost: about a\n"
    "gc.collect() with *tell*, while all other threads wait, and 0.1 us a node.";

static PyObject *
new_file(Graph *self, struct labels *labels, struct sites *sites)
{
    struct heap_file file = {self->graph, labels, sites};
    struct dump_origin origin = bind_origin();
    struct writer out = {0};
    int result;
    Py_BEGIN_ALLOW_THREADS
        result = heap_file_write(&file, &origin, &out);
    Py_END_ALLOW_THREADS
    PyObject *bytes =
        result == 0 ? PyBytes_FromStringAndSize((const char *)out.data, (Py_ssize_t)out.length)
                    : PyErr_NoMemory();
    writer_release(&out);
    return bytes;
}

PyObject *
graph_to_bytes(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "named", "sized", "valued", "parted", "longest", "sites", NULL};
    Graph *self = (Graph *)object;
    PyObject *empty = PyTuple_New(0), *tell = Py_None, *pair = Py_None;
    struct wanted_options options = {empty, empty, empty, empty, 60, 0};
    struct gathered gathered = {0};
    struct sites *sites = NULL;
    PyObject *bytes = NULL;
    if (empty == NULL
        || !PyArg_ParseTupleAndKeywords(args, kwargs, "|O$O!O!O!O!nO:to_bytes", names, &tell,
                                        &PyTuple_Type, &options.named, &PyTuple_Type,
                                        &options.sized, &PyTuple_Type, &options.valued,
                                        &PyTuple_Type, &options.parted, &options.longest, &pair)) {
        Py_XDECREF(empty);
        return NULL;
    }
    if (pair != Py_None) {
        sites = new_sites(self->graph, pair);
        if (sites == NULL) {
            goto done;
        }
    }
    if (tell != Py_None && !self->stored) {
        PyObject *module = PyType_GetModule(Py_TYPE(object));
        options.layout_is_verified = module != NULL && layout_is_verified(module);
        if (gather_labels(self, &options, &gathered) < 0 || ask(self->graph, &gathered, tell) < 0) {
            goto done;
        }
    }
    bytes = new_file(self, self->stored ? self->labels : gathered.labels,
                     sites != NULL ? sites : self->sites);
done:
    gathered_release(&gathered);
    sites_free(sites);
    Py_DECREF(empty);
    return bytes;
}

const char graph_from_bytes_doc[] =
    "from_bytes($type, data, /)\n"
    "--\n"
    "\n"
    "The graph that to_bytes() wrote.  Any bytes-like object.\n"
    "\n"
    "The data need not be trusted.  Raises ValueError that says what is wrong with it and\n"
    "where.  Cost: one pass over the data.";

PyObject *
graph_from_bytes(PyObject *type, PyObject *data)
{
    Py_buffer buffer;
    struct heap_file file = {0};
    struct chunks_error error;
    enum dump_status status;
    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
        const unsigned char *bytes = buffer.len != 0 ? buffer.buf : (const unsigned char *)"";
        status = heap_file_read(bytes, (size_t)buffer.len, &file, &error);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&buffer);
    if (status == DUMP_INVALID) {
        PyErr_SetString(PyExc_ValueError, error.message);
        return NULL;
    }
    if (status != DUMP_OK) {
        return PyErr_NoMemory();
    }
    Graph *self = graph_new_empty((PyTypeObject *)type);
    if (self == NULL) {
        heap_file_release(&file);
        return NULL;
    }
    self->graph = file.graph;
    self->labels = file.labels;
    self->sites = file.sites;
    self->stored = 1;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}
