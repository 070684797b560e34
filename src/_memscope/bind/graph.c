#include "bind/graph.h"

#include "base/mem.h"
#include "bind/bind.h"

int
graph_node_arg(Graph *self, PyObject *number, uint32_t *node)
{
    Py_ssize_t value = PyNumber_AsSsize_t(number, PyExc_IndexError);
    if (value == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (value < 0 || (size_t)value >= self->graph->count) {
        PyErr_Format(PyExc_IndexError, "node %zd is not in the graph, which has %zu nodes", value,
                     (size_t)self->graph->count);
        return -1;
    }
    *node = (uint32_t)value;
    return 0;
}

PyObject *
graph_node_list(const uint32_t *nodes, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *number = PyLong_FromUnsignedLong(nodes[i]);
        if (number == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, number);
    }
    return list;
}

int
graph_parse_nodes(PyObject *sequence, uint32_t count, uint32_t *out)
{
    Py_ssize_t length = PySequence_Fast_GET_SIZE(sequence);
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_ssize_t number =
            PyNumber_AsSsize_t(PySequence_Fast_GET_ITEM(sequence, i), PyExc_IndexError);
        if (number == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (number < 0 || (size_t)number >= count) {
            PyErr_Format(PyExc_IndexError, "%zd is not one of %zu", number, (size_t)count);
            return -1;
        }
        out[i] = (uint32_t)number;
    }
    return 0;
}

int
graph_nodes_arg(Graph *self, PyObject *arg, struct node_args *out)
{
    *out = (struct node_args){0};
    if (arg == NULL) {
        return 0;
    }
    PyObject *sequence = PySequence_Tuple(arg);
    if (sequence == NULL) {
        return -1;
    }
    size_t count = (size_t)PyTuple_GET_SIZE(sequence);
    uint32_t *nodes = mem_malloc(count + 1, sizeof *nodes);
    int status = nodes != NULL ? graph_parse_nodes(sequence, self->graph->count, nodes) : -1;
    if (nodes == NULL) {
        PyErr_NoMemory();
    }
    Py_DECREF(sequence);
    if (status < 0) {
        mem_free(nodes);
        return -1;
    }
    *out = (struct node_args){nodes, count};
    return 0;
}

/* -- making and ending ----------------------------------------------------------------- */

Graph *
graph_new_empty(PyTypeObject *type)
{
    Graph *self = PyObject_GC_New(Graph, type);
    if (self != NULL) {
        self->graph = NULL;
        self->index = NULL;
        self->kept = NULL;
        self->stored = 0;
        self->labels = NULL;
        self->sites = NULL;
    }
    return self;
}

static int
graph_traverse(PyObject *object, visitproc visit, void *arg)
{
    Graph *self = (Graph *)object;
    Py_VISIT(Py_TYPE(self));
    if (self->kept != NULL) {
        for (uint32_t node = self->graph->holder_count; node < self->graph->count; node++) {
            Py_VISIT(self->kept[node]);
        }
    }
    return 0;
}

static int
graph_clear(PyObject *object)
{
    Graph *self = (Graph *)object;
    PyObject **kept = self->kept;
    self->kept = NULL;
    if (kept != NULL) {
        for (uint32_t node = self->graph->holder_count; node < self->graph->count; node++) {
            Py_DECREF(kept[node]);
        }
    }
    return 0;
}

static void
graph_dealloc(PyObject *object)
{
    Graph *self = (Graph *)object;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    graph_clear(object);
    pagemap_free(self->index);
    graph_free(self->graph);
    labels_free(self->labels);
    sites_free(self->sites);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* -- what is in it ----------------------------------------------------------------------- */

static Py_ssize_t
graph_length(PyObject *self)
{
    return (Py_ssize_t)((Graph *)self)->graph->count;
}

PyObject *
graph_new_text(const struct writer *texts, graph_text text)
{
    const char *start = (const char *)texts->data + text;
    return PyUnicode_DecodeUTF8(start, (Py_ssize_t)strlen(start), "surrogatepass");
}

static PyObject *
new_text(const struct graph *graph, graph_text text)
{
    return graph_new_text(&graph->texts, text);
}

PyDoc_STRVAR(types_doc,
"types($self, /)\n"
"--\n"
"\n"
"(module or None, qualified name, name, number of objects, bytes) of each class, by its\n"
"number in this graph.");

static PyObject *
types(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    const struct graph *graph = ((Graph *)object)->graph;
    PyObject *list = PyList_New((Py_ssize_t)graph->type_count);
    for (uint32_t i = 0; list != NULL && i < graph->type_count; i++) {
        const struct graph_type *type = &graph->types[i];
        PyObject *module = type->module != 0 ? new_text(graph, type->module) : Py_NewRef(Py_None);
        PyObject *row = Py_BuildValue("NNNIK", module, new_text(graph, type->qualname),
                                      new_text(graph, type->name), type->count,
                                      (unsigned long long)type->bytes);
        if (row == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    return list;
}

PyDoc_STRVAR(node_doc,
"node($self, node, /)\n"
"--\n"
"\n"
"(address, number of its class, bytes, flags, references from outside the graph).");

static PyObject *
node(PyObject *object, PyObject *number)
{
    Graph *self = (Graph *)object;
    uint32_t i;
    if (graph_node_arg(self, number, &i) < 0) {
        return NULL;
    }
    const struct graph *graph = self->graph;
    const uint64_t *surplus = hashmap_get(&graph->surplus, i);
    return Py_BuildValue("KIKIK", (unsigned long long)graph->address[i],
                         (unsigned int)graph_type_of(graph, i),
                         (unsigned long long)graph_size_of(graph, i), graph_flags(graph, i),
                         surplus != NULL ? (unsigned long long)*surplus : 0ull);
}

static int
holder_arg(Graph *self, PyObject *number, uint32_t *node)
{
    if (graph_node_arg(self, number, node) < 0) {
        return -1;
    }
    if (*node >= self->graph->holder_count) {
        PyErr_Format(PyExc_ValueError, "node %u is an object, not a thread or a frame", *node);
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(holder_doc,
"holder($self, node, /)\n"
"--\n"
"\n"
"('thread' or 'frame', node of its thread, identifier of the thread, name of the thread\n"
"or qualified name of the function, file name, line number or 0).\n"
"\n"
"Raises ValueError if the node is an object.");

static PyObject *
holder(PyObject *object, PyObject *number)
{
    Graph *self = (Graph *)object;
    uint32_t i;
    if (holder_arg(self, number, &i) < 0) {
        return NULL;
    }
    const struct graph_holder *found = &self->graph->holders[i];
    return Py_BuildValue("sIKNNI", found->kind == GRAPH_THREAD ? "thread" : "frame", found->thread,
                         (unsigned long long)found->ident, new_text(self->graph, found->name),
                         new_text(self->graph, found->filename), found->lineno);
}

PyDoc_STRVAR(local_names_doc,
"local_names($self, node, /)\n"
"--\n"
"\n"
"By which name a thread or a frame has each of its referents, in their order.\n"
"\n"
"Raises ValueError if the node is an object.");

static PyObject *
local_names(PyObject *object, PyObject *number)
{
    Graph *self = (Graph *)object;
    uint32_t i;
    if (holder_arg(self, number, &i) < 0) {
        return NULL;
    }
    const struct graph *graph = self->graph;
    PyObject *list = PyList_New(0);
    for (uint32_t edge = graph->out_start[i]; list != NULL && edge < graph->out_start[i + 1];
         edge++) {
        PyObject *name = new_text(graph, graph->local_names[edge]);
        if (name == NULL || PyList_Append(list, name) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(name);
    }
    return list;
}

PyDoc_STRVAR(referents_doc,
"referents($self, node, /)\n"
"--\n"
"\n"
"The nodes that a node refers to, once for each reference.");

static PyObject *
referents(PyObject *object, PyObject *number)
{
    Graph *self = (Graph *)object;
    uint32_t i;
    if (graph_node_arg(self, number, &i) < 0) {
        return NULL;
    }
    const uint32_t *start = &self->graph->out_start[i];
    return graph_node_list(self->graph->out + start[0], start[1] - start[0]);
}

PyDoc_STRVAR(referrers_doc,
"referrers($self, node, /)\n"
"--\n"
"\n"
"The nodes that refer to a node, ascending, once for each reference.");

static PyObject *
referrers(PyObject *object, PyObject *number)
{
    Graph *self = (Graph *)object;
    uint32_t i;
    if (graph_node_arg(self, number, &i) < 0) {
        return NULL;
    }
    const uint32_t *start = &self->graph->in_start[i];
    return graph_node_list(self->graph->in + start[0], start[1] - start[0]);
}

PyDoc_STRVAR(select_doc,
"select($self, types, /, min_size=0)\n"
"--\n"
"\n"
"The objects of the classes with these numbers (of all, if there is none), of at least\n"
"so many bytes.");

static PyObject *
select_nodes(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "min_size", NULL};
    const struct graph *graph = ((Graph *)object)->graph;
    PyObject *types_arg;
    unsigned long long min_size = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|K:select", names, &types_arg, &min_size)) {
        return NULL;
    }
    PyObject *wanted = PySequence_Tuple(types_arg);
    if (wanted == NULL) {
        return NULL;
    }
    size_t count = (size_t)PySequence_Fast_GET_SIZE(wanted);
    uint32_t *numbers = mem_malloc(count + 1, sizeof *numbers);
    char *is_wanted = mem_calloc((size_t)graph->type_count + 1, 1);
    PyObject *list = NULL;
    if (numbers == NULL || is_wanted == NULL) {
        PyErr_NoMemory();
    }
    else if (graph_parse_nodes(wanted, graph->type_count, numbers) == 0) {
        for (size_t i = 0; i < count; i++) {
            is_wanted[numbers[i]] = 1;
        }
        list = PyList_New(0);
    }
    for (uint32_t i = graph->holder_count; list != NULL && i < graph->count; i++) {
        if ((count == 0 || is_wanted[graph_type_of(graph, i)])
            && graph_size_of(graph, i) >= min_size) {
            PyObject *number = PyLong_FromUnsignedLong(i);
            if (number == NULL || PyList_Append(list, number) < 0) {
                Py_CLEAR(list);
            }
            Py_XDECREF(number);
        }
    }
    mem_free(numbers);
    mem_free(is_wanted);
    Py_DECREF(wanted);
    return list;
}

/* -- the type -------------------------------------------------------------------------- */

static PyObject *
get_number(PyObject *object, void *which)
{
    const Graph *self = (Graph *)object;
    const struct graph *graph = self->graph;
    switch ((intptr_t)which) {
    case 0:
        return PyLong_FromSize_t(graph->holder_count);
    case 1:
        return PyLong_FromSize_t(graph->tracked_count);
    case 2:
        return PyLong_FromSize_t(graph->edge_count);
    case 3:
        return PyLong_FromSize_t(
            graph_nbytes(graph)
            + (self->labels != NULL ? labels_nbytes(self->labels, graph->count) : 0)
            + (self->sites != NULL ? sites_nbytes(self->sites, graph->count) : 0));
    case 4:
        return PyLong_FromSize_t(graph->lost);
    case 6:
        return PyBool_FromLong(self->stored);
    default:
        return PyBool_FromLong(self->kept != NULL);
    }
}

static PyGetSetDef getset[] = {
    {"holders", get_number, NULL, "Threads and frames: nodes below this number.", (void *)0},
    {"tracked", get_number, NULL, "Objects that the collector tracks.", (void *)1},
    {"edges", get_number, NULL, "References.", (void *)2},
    {"nbytes", get_number, NULL, "Bytes that the graph takes.", (void *)3},
    {"lost", get_number, NULL, "References to addresses beyond what can be indexed.", (void *)4},
    {"kept", get_number, NULL, "Whether the objects are held.", (void *)5},
    {"stored", get_number, NULL, "Whether it is from a file.", (void *)6},
    {0},
};

#define WITH_KEYWORDS(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef methods[] = {
    {"take", WITH_KEYWORDS(graph_take), METH_CLASS | METH_VARARGS | METH_KEYWORDS, graph_take_doc},
    {"from_pairs", graph_from_python, METH_CLASS | METH_VARARGS, graph_from_python_doc},
    {"from_bytes", graph_from_bytes, METH_CLASS | METH_O, graph_from_bytes_doc},
    {"to_bytes", WITH_KEYWORDS(graph_to_bytes), METH_VARARGS | METH_KEYWORDS, graph_to_bytes_doc},
    {"edge_names", graph_edge_names, METH_VARARGS, graph_edge_names_doc},
    {"description", graph_description, METH_O, graph_description_doc},
    {"sites", graph_sites, METH_NOARGS, graph_sites_doc},
    {"types", types, METH_NOARGS, types_doc},
    {"node", node, METH_O, node_doc},
    {"holder", holder, METH_O, holder_doc},
    {"local_names", local_names, METH_O, local_names_doc},
    {"referents", referents, METH_O, referents_doc},
    {"referrers", referrers, METH_O, referrers_doc},
    {"select", WITH_KEYWORDS(select_nodes), METH_VARARGS | METH_KEYWORDS, select_doc},
    {"find", graph_find, METH_O, graph_find_doc},
    {"objects", graph_objects, METH_VARARGS, graph_objects_doc},
    {"grown", graph_grown, METH_VARARGS, graph_grown_doc},
    {"chain", WITH_KEYWORDS(graph_chain), METH_VARARGS | METH_KEYWORDS, graph_chain_doc},
    {"paths_to_root", WITH_KEYWORDS(graph_paths_to_root), METH_VARARGS | METH_KEYWORDS,
     graph_paths_to_root_doc},
    {"merged_paths", WITH_KEYWORDS(graph_merged_paths), METH_VARARGS | METH_KEYWORDS,
     graph_merged_paths_doc},
    {"dominators", graph_dominators, METH_NOARGS, graph_dominators_doc},
    {"reachable", WITH_KEYWORDS(graph_reachable), METH_VARARGS | METH_KEYWORDS,
     graph_reachable_doc},
    {0},
};

PyDoc_STRVAR(graph_doc,
"A frozen graph of the heap: nodes are objects, and threads and their frames before\n"
"them; edges are references.  Made by take() and from_bytes().");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)graph_doc},   {Py_tp_dealloc, graph_dealloc},
    {Py_tp_traverse, graph_traverse}, {Py_tp_clear, graph_clear},
    {Py_tp_methods, methods},         {Py_tp_getset, getset},
    {Py_sq_length, graph_length},     {0, NULL},
};

PyType_Spec graph_spec = {
    .name = "memscope._memscope.Graph",
    .basicsize = sizeof(Graph),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
