/* What a graph from a file knows of names, instead of live objects. */
#include "bind/graph.h"
#include "bind/names.h"

const char graph_edge_names_doc[] =
    "edge_names($self, source, target, /)\n"
    "--\n"
    "\n"
    "Every name by which node *source* refers to node *target*, as (kind, name): what\n"
    "edge_names() of the module told of the live objects, but for\n"
    "\n"
    "    key text        str: how a key is written\n"
    "    key of          str: the class of a key that is known by no more\n"
    "    told            str: the whole name\n"
    "\n"
    "Empty if none is known, and of a graph that is not from a file.";

struct names_list {
    const Graph *graph;
    PyObject *list;
};

static PyObject *
new_key_pair(const Graph *self, uint32_t key)
{
    graph_text text = label_texts_find(&self->labels->keys, key);
    if (text != LABELS_NO_TEXT) {
        return Py_BuildValue("sN", "key text", graph_new_text(&self->labels->texts, text));
    }
    const struct graph_type *type = &self->graph->types[graph_type_of(self->graph, key)];
    return Py_BuildValue("sN", "key of", graph_new_text(&self->graph->texts, type->qualname));
}

static PyObject *
new_pair(const Graph *self, struct label label)
{
    const struct label_name *name;
    switch (label.told) {
    case LABEL_IS_INDEX:
        return Py_BuildValue("sI", names_kind(NAME_INDEX), label.number);
    case LABEL_IS_KEY:
        return new_key_pair(self, label.number);
    case LABEL_IS_KEY_ITSELF:
        return Py_BuildValue("sO", names_kind(NAME_KEY_ITSELF), Py_None);
    case LABEL_IS_ELEMENT:
        return Py_BuildValue("sO", names_kind(NAME_ITEM), Py_None);
    default:
        name = &self->labels->names[label.number];
        return Py_BuildValue("NN", graph_new_text(&self->labels->texts, name->kind),
                             name->text != LABELS_NO_TEXT
                                 ? graph_new_text(&self->labels->texts, name->text)
                                 : Py_NewRef(Py_None));
    }
}

static int
append_pair(struct label label, void *arg)
{
    struct names_list *self = arg;
    PyObject *pair = new_pair(self->graph, label);
    int status = pair != NULL ? PyList_Append(self->list, pair) : -1;
    Py_XDECREF(pair);
    return status < 0 ? -1 : PyList_GET_SIZE(self->list) >= NAMES_MOST;
}

PyObject *
graph_edge_names(PyObject *object, PyObject *args)
{
    Graph *self = (Graph *)object;
    PyObject *source_arg, *target_arg;
    uint32_t source, target;
    if (!PyArg_ParseTuple(args, "OO:edge_names", &source_arg, &target_arg)
        || graph_node_arg(self, source_arg, &source) < 0
        || graph_node_arg(self, target_arg, &target) < 0) {
        return NULL;
    }
    struct names_list names = {self, PyList_New(0)};
    if (names.list != NULL && self->labels != NULL
        && labels_visit(self->labels, self->graph, source, target, append_pair, &names) < 0) {
        Py_CLEAR(names.list);
    }
    return names.list;
}

const char graph_description_doc[] =
    "description($self, node, /)\n"
    "--\n"
    "\n"
    "What is known of an object beside its class: a str says what it is, an int is its\n"
    "length; None if that is all, and False if it was gone when the file was written.\n"
    "\n"
    "None of a graph that is not from a file.";

PyObject *
graph_description(PyObject *object, PyObject *number)
{
    Graph *self = (Graph *)object;
    uint32_t node;
    if (graph_node_arg(self, number, &node) < 0) {
        return NULL;
    }
    if (self->labels == NULL) {
        Py_RETURN_NONE;
    }
    graph_text text = label_texts_find(&self->labels->told, node);
    if (text != LABELS_NO_TEXT) {
        return graph_new_text(&self->labels->texts, text);
    }
    uint32_t note = self->labels->note[node];
    if (note >= NOTE_LENGTH) {
        return PyLong_FromUnsignedLong(note - NOTE_LENGTH);
    }
    return Py_NewRef(note == NOTE_GONE ? Py_False : Py_None);
}

const char graph_sites_doc[] =
    "sites($self, /)\n"
    "--\n"
    "\n"
    "(column, table) if the file has where the objects were allocated, else None: *column* is\n"
    "a bytes of one native uint32 for each node, n for row n - 1 of *table* and 0 where it is\n"
    "not known; a row is (file name, line number, function).";

PyObject *
graph_sites(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    const Graph *self = (Graph *)object;
    const struct sites *sites = self->sites;
    if (sites == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *table = PyList_New((Py_ssize_t)sites->count);
    for (uint32_t i = 0; table != NULL && i < sites->count; i++) {
        const struct site *site = &sites->sites[i];
        PyObject *row = Py_BuildValue("NIN", graph_new_text(&sites->texts, site->filename),
                                      site->lineno, graph_new_text(&sites->texts, site->function));
        if (row == NULL) {
            Py_CLEAR(table);
            break;
        }
        PyList_SET_ITEM(table, (Py_ssize_t)i, row);
    }
    return table != NULL
               ? Py_BuildValue("y#N", (const char *)sites->of_node,
                               (Py_ssize_t)(self->graph->count * sizeof *sites->of_node), table)
               : NULL;
}
