#include "bind/graph_dominators.h"

#include <stdlib.h>

#include "base/mem.h"
#include "bind/bind.h"

#define ROOT (-1)           /* the virtual nodes, as Python knows them */
#define GARBAGE (-2)

static long long
node_number(const Dominators *self, uint32_t node)
{
    return node < self->tree->count              ? (long long)node
           : node == dominators_root(self->tree) ? ROOT
                                                 : GARBAGE;
}

int
dominators_node_arg(Dominators *self, PyObject *number, uint32_t *node)
{
    if (PyLong_CheckExact(number)) {
        int overflow;
        long value = PyLong_AsLongAndOverflow(number, &overflow);
        if (!overflow && (value == ROOT || value == GARBAGE)) {
            *node = value == ROOT ? dominators_root(self->tree) : dominators_garbage(self->tree);
            return 0;
        }
    }
    return graph_node_arg(self->graph, number, node);
}

/* -- making and ending ----------------------------------------------------------------- */

static int
dominators_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((Dominators *)object)->graph);
    return 0;
}

/* No tp_clear: a cycle through here goes through what the graph keeps. */
static void
dominators_dealloc(PyObject *object)
{
    Dominators *self = (Dominators *)object;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_DECREF(self->graph);
    dominators_free(self->tree);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

const char graph_dominators_doc[] =
    "dominators($self, /)\n"
    "--\n"
    "\n"
    "The dominator tree of the graph: which node alone keeps which.  Raises MemoryError.\n"
    "\n"
    "Cost: less than half a gc.collect(); other threads run meanwhile.";

PyObject *
graph_dominators(PyObject *graph, PyObject *Py_UNUSED(ignored))
{
    struct module_state *state = PyType_GetModuleState(Py_TYPE(graph));
    struct dominators *tree;
    Py_BEGIN_ALLOW_THREADS
        tree = dominators_new(((Graph *)graph)->graph);
    Py_END_ALLOW_THREADS
    if (tree == NULL) {
        return PyErr_NoMemory();
    }
    Dominators *self = PyObject_GC_New(Dominators, state->dominators_type);
    if (self == NULL) {
        dominators_free(tree);
        return NULL;
    }
    self->graph = (Graph *)Py_NewRef(graph);
    self->tree = tree;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* -- one node ---------------------------------------------------------------------------- */

PyDoc_STRVAR(idom_doc,
"idom($self, node, /)\n"
"--\n"
"\n"
"The node that is nearest on every way from a root to *node*; -1, the root above all, if\n"
"there is none, and -2 for garbage that only hangs on itself.");

static PyObject *
idom(PyObject *object, PyObject *number)
{
    Dominators *self = (Dominators *)object;
    uint32_t node;
    if (dominators_node_arg(self, number, &node) < 0) {
        return NULL;
    }
    return PyLong_FromLongLong(node_number(self, dominators_of(self->tree, node)));
}

PyDoc_STRVAR(retained_doc,
"retained($self, node, /)\n"
"--\n"
"\n"
"Bytes of all that the node dominates, its own included.");

static PyObject *
retained(PyObject *object, PyObject *number)
{
    Dominators *self = (Dominators *)object;
    uint32_t node;
    if (dominators_node_arg(self, number, &node) < 0) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(dominators_retained(self->tree, node));
}

PyDoc_STRVAR(retained_count_doc,
"retained_count($self, node, /)\n"
"--\n"
"\n"
"How many nodes the node dominates, itself included; of -1 and -2, without the virtual\n"
"ones.");

static PyObject *
retained_count(PyObject *object, PyObject *number)
{
    Dominators *self = (Dominators *)object;
    uint32_t node;
    if (dominators_node_arg(self, number, &node) < 0) {
        return NULL;
    }
    uint32_t span = self->tree->span[self->tree->rank[node]];
    uint32_t own = node == dominators_root(self->tree) ? 2 : node >= self->tree->count ? 1 : 0;
    return PyLong_FromUnsignedLong(span - own);
}

PyDoc_STRVAR(dominates_doc,
"dominates($self, by, node, /)\n"
"--\n"
"\n"
"Whether *by* is on every way from a root to *node*; a node dominates itself.");

static PyObject *
dominates(PyObject *object, PyObject *args)
{
    Dominators *self = (Dominators *)object;
    PyObject *by_arg, *node_given;
    uint32_t by, node;
    if (!PyArg_ParseTuple(args, "OO:dominates", &by_arg, &node_given)
        || dominators_node_arg(self, by_arg, &by) < 0
        || dominators_node_arg(self, node_given, &node) < 0) {
        return NULL;
    }
    return PyBool_FromLong(dominators_dominates(self->tree, by, node));
}

/* -- children ---------------------------------------------------------------------------- */

struct child {
    uint64_t retained;
    uint32_t node;
};

/* Most bytes first; of equals the lower number. */
static int
compare_children(const void *a, const void *b)
{
    const struct child *left = a, *right = b;
    if (left->retained != right->retained) {
        return left->retained > right->retained ? -1 : 1;
    }
    return left->node < right->node ? -1 : left->node > right->node;
}

/* Not the garbage's root, nor objects of classes that are marked in `without`, which may be
 * NULL. */
static PyObject *
new_children(const Dominators *self, uint32_t node, Py_ssize_t limit, const char *without)
{
    const struct graph *graph = self->graph->graph;
    const struct dominators *tree = self->tree;
    struct child *children = NULL;
    size_t count = 0, capacity = 0;
    uint32_t start = tree->rank[node];
    for (uint32_t rank = start + 1; rank < start + tree->span[start]; rank += tree->span[rank]) {
        uint32_t child = tree->order[rank];
        if (child >= tree->count
            || (without != NULL && child >= graph->holder_count
                && without[graph_type_of(graph, child)])) {
            continue;
        }
        if (count == capacity
            && mem_grow((void **)&children, &capacity, count + 1, sizeof *children) < 0) {
            mem_free(children);
            return PyErr_NoMemory();
        }
        children[count++] = (struct child){tree->retained[rank], child};
    }
    if (count > 1) {
        qsort(children, count, sizeof *children, compare_children);
    }
    if (limit >= 0 && (size_t)limit < count) {
        count = (size_t)limit;
    }
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *number = PyLong_FromUnsignedLong(children[i].node);
        if (number == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, number);
    }
    mem_free(children);
    return list;
}

PyDoc_STRVAR(children_doc,
"children($self, node, limit=-1, without=(), /)\n"
"--\n"
"\n"
"The nodes whose immediate dominator is *node* (-1: the root, -2: that of garbage), those\n"
"that retain most bytes first; the first *limit*, if that is not negative.  without:\n"
"numbers of classes whose objects are left out.");

/* A new array that is 1 for each class of a sequence; NULL with an exception. */
static char *
parse_classes(const struct graph *graph, PyObject *sequence)
{
    PyObject *items = PySequence_Tuple(sequence);
    if (items == NULL) {
        return NULL;
    }
    size_t count = (size_t)PyTuple_GET_SIZE(items);
    uint32_t *numbers = mem_malloc(count + 1, sizeof *numbers);
    char *marks = mem_calloc((size_t)graph->type_count + 1, 1);
    if (numbers == NULL || marks == NULL) {
        PyErr_NoMemory();
        mem_free(marks);
        marks = NULL;
    }
    else if (graph_parse_nodes(items, graph->type_count, numbers) < 0) {
        mem_free(marks);
        marks = NULL;
    }
    for (size_t i = 0; marks != NULL && i < count; i++) {
        marks[numbers[i]] = 1;
    }
    mem_free(numbers);
    Py_DECREF(items);
    return marks;
}

static PyObject *
children(PyObject *object, PyObject *args)
{
    Dominators *self = (Dominators *)object;
    PyObject *number, *without = NULL;
    Py_ssize_t limit = -1;
    uint32_t node;
    if (!PyArg_ParseTuple(args, "O|nO:children", &number, &limit, &without)
        || dominators_node_arg(self, number, &node) < 0) {
        return NULL;
    }
    char *marks = without != NULL ? parse_classes(self->graph->graph, without) : NULL;
    if (without != NULL && marks == NULL) {
        return NULL;
    }
    PyObject *list = new_children(self, node, limit, marks);
    mem_free(marks);
    return list;
}

PyDoc_STRVAR(top_doc,
"top($self, limit=10, /)\n"
"--\n"
"\n"
"children(-1, limit): what nothing but the root dominates, most bytes first.");

static PyObject *
top(PyObject *object, PyObject *args)
{
    Dominators *self = (Dominators *)object;
    Py_ssize_t limit = 10;
    if (!PyArg_ParseTuple(args, "|n:top", &limit)) {
        return NULL;
    }
    return new_children(self, dominators_root(self->tree), limit, NULL);
}

/* -- sets -------------------------------------------------------------------------------- */

PyDoc_STRVAR(retained_of_doc,
"retained_of($self, nodes, /)\n"
"--\n"
"\n"
"(number, bytes) of all that any of *nodes* dominates, each once.  What only several of\n"
"them together keep alive is not in it.  Raises IndexError for a number that is no node.");

static PyObject *
retained_of(PyObject *object, PyObject *nodes_arg)
{
    Dominators *self = (Dominators *)object;
    struct node_args nodes;
    if (graph_nodes_arg(self->graph, nodes_arg, &nodes) < 0) {
        return NULL;
    }
    struct dominators_total total;
    int status;
    Py_BEGIN_ALLOW_THREADS
        status = dominators_union(self->tree, nodes.nodes, nodes.count, &total);
    Py_END_ALLOW_THREADS
    mem_free(nodes.nodes);
    return status == 0 ? Py_BuildValue("KK", (unsigned long long)total.count,
                                       (unsigned long long)total.bytes)
                       : PyErr_NoMemory();
}

/* -- the type -------------------------------------------------------------------------- */

static Py_ssize_t
dominators_length(PyObject *object)
{
    return (Py_ssize_t)((Dominators *)object)->tree->count;
}

static PyObject *
get_graph(PyObject *object, void *Py_UNUSED(closure))
{
    return Py_NewRef((PyObject *)((Dominators *)object)->graph);
}

static PyObject *
get_nbytes(PyObject *object, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(dominators_nbytes(((Dominators *)object)->tree));
}

static PyGetSetDef getset[] = {
    {"graph", get_graph, NULL, "The graph.", NULL},
    {"nbytes", get_nbytes, NULL, "Bytes that the tree takes, without the graph.", NULL},
    {0},
};

static PyMethodDef methods[] = {
    {"idom", idom, METH_O, idom_doc},
    {"retained", retained, METH_O, retained_doc},
    {"retained_count", retained_count, METH_O, retained_count_doc},
    {"dominates", dominates, METH_VARARGS, dominates_doc},
    {"children", children, METH_VARARGS, children_doc},
    {"top", top, METH_VARARGS, top_doc},
    {"retained_of", retained_of, METH_O, retained_of_doc},
    {"children_by_type", dominators_children_by_type, METH_O, dominators_children_by_type_doc},
    {"by_type", dominators_by_type, METH_VARARGS, dominators_by_type_doc},
    {"by_site", dominators_by_site, METH_VARARGS, dominators_by_site_doc},
    {"by_holder", dominators_by_holder, METH_NOARGS, dominators_by_holder_doc},
    {0},
};

PyDoc_STRVAR(dominators_doc,
"The dominator tree of a graph: which node alone keeps which, and how many bytes.\n"
"\n"
"24 bytes for each node.  Made by Graph.dominators().");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)dominators_doc},
    {Py_tp_dealloc, dominators_dealloc},
    {Py_tp_traverse, dominators_traverse},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_sq_length, dominators_length},
    {0, NULL},
};

PyType_Spec graph_dominators_spec = {
    .name = "memscope._memscope.Dominators",
    .basicsize = sizeof(Dominators),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
