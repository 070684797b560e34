/* Retained bytes of groups of nodes: by class, by where they were allocated, by who holds
 * them. */
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/graph_dominators.h"
#include "bind/graph_join.h"

/* -- by class ---------------------------------------------------------------------------- */

const char dominators_by_type_doc[] =
    "by_type($self, labels=None, /)\n"
    "--\n"
    "\n"
    "(group, objects, their bytes, retained bytes) of each group that has objects.\n"
    "\n"
    "labels: the group of each class, by its number in the graph's types(); None: each is\n"
    "its own.  What objects of a group dominate counts once for the group.  Raises\n"
    "ValueError if there are not as many labels as classes.  Cost: one pass over the tree.";

struct type_key {
    const struct graph *graph;
    const uint32_t *label;      /* by type; NULL: the type itself */
};

static uint32_t
key_of_type(uint32_t node, void *arg)
{
    const struct type_key *self = arg;
    if (node < self->graph->holder_count) {
        return GRAPH_NONE;
    }
    uint32_t type = graph_type_of(self->graph, node);
    return self->label != NULL ? self->label[type] : type;
}

static PyObject *
new_groups(const struct dominators_group *groups, size_t count)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < count; i++) {
        if (groups[i].count == 0) {
            continue;
        }
        PyObject *row = Py_BuildValue("nKKK", (Py_ssize_t)i, (unsigned long long)groups[i].count,
                                      (unsigned long long)groups[i].bytes,
                                      (unsigned long long)groups[i].retained);
        if (row == NULL || PyList_Append(list, row) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    return list;
}

/* A new array of a label for each class, all below the number of classes. */
static uint32_t *
parse_labels(const struct graph *graph, PyObject *labels)
{
    PyObject *items = PySequence_Tuple(labels);
    if (items == NULL) {
        return NULL;
    }
    uint32_t *numbers = NULL;
    if ((size_t)PyTuple_GET_SIZE(items) != graph->type_count) {
        PyErr_Format(PyExc_ValueError, "labels must be as many as types(): %zu, not %zd",
                     (size_t)graph->type_count, PyTuple_GET_SIZE(items));
    }
    else if ((numbers = mem_malloc((size_t)graph->type_count + 1, sizeof *numbers)) == NULL) {
        PyErr_NoMemory();
    }
    else if (graph_parse_nodes(items, graph->type_count, numbers) < 0) {
        mem_free(numbers);
        numbers = NULL;
    }
    Py_DECREF(items);
    return numbers;
}

PyObject *
dominators_by_type(PyObject *object, PyObject *args)
{
    Dominators *self = (Dominators *)object;
    const struct graph *graph = self->graph->graph;
    PyObject *labels = Py_None;
    if (!PyArg_ParseTuple(args, "|O:by_type", &labels)) {
        return NULL;
    }
    uint32_t *label = labels != Py_None ? parse_labels(graph, labels) : NULL;
    if (label == NULL && labels != Py_None) {
        return NULL;
    }
    struct type_key key = {graph, label};
    size_t count = graph->type_count;
    struct dominators_group *groups = mem_calloc(count + 1, sizeof *groups);
    PyObject *list = NULL;
    if (groups == NULL) {
        PyErr_NoMemory();
    }
    else {
        Py_BEGIN_ALLOW_THREADS
            dominators_group(self->tree, graph, key_of_type, &key, groups);
        Py_END_ALLOW_THREADS
        list = new_groups(groups, count);
    }
    mem_free(groups);
    mem_free(label);
    return list;
}

const char dominators_children_by_type_doc[] =
    "children_by_type($self, node, /)\n"
    "--\n"
    "\n"
    "children(node) by class: (number of the class, children, their bytes, what they retain,\n"
    "the most that one of them retains).  Threads and frames are in none.";

struct kind_of_child {
    uint64_t count, bytes, retained, most;
};

static PyObject *
new_kinds_of_children(const struct kind_of_child *kinds, size_t count)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < count; i++) {
        if (kinds[i].count == 0) {
            continue;
        }
        PyObject *row =
            Py_BuildValue("nKKKK", (Py_ssize_t)i, (unsigned long long)kinds[i].count,
                          (unsigned long long)kinds[i].bytes, (unsigned long long)kinds[i].retained,
                          (unsigned long long)kinds[i].most);
        if (row == NULL || PyList_Append(list, row) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    return list;
}

PyObject *
dominators_children_by_type(PyObject *object, PyObject *number)
{
    Dominators *self = (Dominators *)object;
    const struct dominators *tree = self->tree;
    const struct graph *graph = self->graph->graph;
    uint32_t node;
    if (dominators_node_arg(self, number, &node) < 0) {
        return NULL;
    }
    struct kind_of_child *kinds = mem_calloc((size_t)graph->type_count + 1, sizeof *kinds);
    if (kinds == NULL) {
        return PyErr_NoMemory();
    }
    uint32_t start = tree->rank[node];
    for (uint32_t rank = start + 1; rank < start + tree->span[start]; rank += tree->span[rank]) {
        uint32_t child = tree->order[rank];
        if (child >= graph->holder_count && child < tree->count) {
            struct kind_of_child *kind = &kinds[graph_type_of(graph, child)];
            uint64_t retained = tree->retained[rank];
            kind->count++;
            kind->bytes += graph_size_of(graph, child);
            kind->retained += retained;
            kind->most = retained > kind->most ? retained : kind->most;
        }
    }
    PyObject *list = new_kinds_of_children(kinds, graph->type_count);
    mem_free(kinds);
    return list;
}

/* -- by where they were allocated ---------------------------------------------------------- */

const char dominators_by_site_doc[] =
    "by_site($self, join, key='lineno', /)\n"
    "--\n"
    "\n"
    "Objects by the place that allocated them: (places, kinds).\n"
    "\n"
    "places: (file name or None, line, function, objects, their bytes, retained bytes);\n"
    "what was not traced is one with None.  key: 'lineno', 'filename' or 'function'; line\n"
    "and function are 0 and '' where they do not tell places apart.  kinds: (number of the\n"
    "place, number of the class, objects, their bytes).  What objects of a place dominate\n"
    "counts once for the place.\n"
    "\n"
    "Raises ValueError for another key, and if the join is of another graph.  Cost: one\n"
    "pass over the tree.";

enum place_key { PLACE_LINENO, PLACE_FILENAME, PLACE_FUNCTION };

struct place {
    uint32_t filename, function, lineno;    /* texts of the tree; 0: none */
};

/* Objects of one class from one place. */
struct place_kind {
    uint32_t place, type;
    uint64_t count, bytes;
};

struct places {
    const Join *join;
    const struct graph *graph;
    enum place_key key;
    struct place *items;        /* 0: not traced */
    size_t count, capacity;
    uint32_t *of_traceback;     /* place + 1, by traceback id; 0: not looked at yet */
    struct hashmap by_key[2];   /* (file, line) or file; (file, function) */
    struct hashmap kind_index;  /* (place, type) -> position */
    struct place_kind *kinds;
    size_t kind_count, kind_capacity;
    bool failed;
};

static void
places_release(struct places *self)
{
    mem_free(self->items);
    mem_free(self->of_traceback);
    mem_free(self->kinds);
    hashmap_clear(&self->by_key[0]);
    hashmap_clear(&self->by_key[1]);
    hashmap_clear(&self->kind_index);
}

static struct place
place_of(const struct places *self, uint32_t traceback)
{
    const struct tracebacks *tree = self->join->columns->snapshot->tracebacks;
    const struct traceback_node *node = tracebacks_node(tree, traceback);
    if (node->function == TRACEBACK_TOTAL) {
        node = tracebacks_node(tree, node->parent);
    }
    const struct function *function = tracebacks_function(tree, node->function);
    struct place place = {.filename = function->filename};
    if (self->key == PLACE_LINENO) {
        place.lineno = node->lineno;
    }
    else if (self->key == PLACE_FUNCTION) {
        place.function = function->name;
    }
    return place;
}

static uint32_t
intern_place(struct places *self, struct place place)
{
    struct hashmap *map = &self->by_key[self->key == PLACE_FUNCTION];
    uint64_t key = (uint64_t)place.filename << 32 | (place.lineno | place.function);
    const uint64_t *known = hashmap_get(map, key);
    if (known != NULL) {
        return (uint32_t)*known;
    }
    if ((self->count == self->capacity
         && mem_grow((void **)&self->items, &self->capacity, self->count + 1, sizeof *self->items)
                < 0)
        || hashmap_put(map, key, self->count) < 0) {
        self->failed = true;
        return 0;
    }
    self->items[self->count] = place;
    return (uint32_t)self->count++;
}

static uint32_t
place_of_node(struct places *self, uint32_t node)
{
    uint32_t traceback = graph_join_traceback(self->join, node);
    if (traceback == 0) {
        return 0;
    }
    if (self->of_traceback[traceback] == 0) {
        self->of_traceback[traceback] = intern_place(self, place_of(self, traceback)) + 1;
    }
    return self->of_traceback[traceback] - 1;
}

static void
count_kind(struct places *self, uint32_t place, uint32_t node)
{
    uint32_t type = graph_type_of(self->graph, node);
    uint64_t key = (uint64_t)place << 32 | type;
    const uint64_t *known = hashmap_get(&self->kind_index, key);
    size_t at = known != NULL ? (size_t)*known : self->kind_count;
    if (known == NULL) {
        if ((self->kind_count == self->kind_capacity
             && mem_grow((void **)&self->kinds, &self->kind_capacity, self->kind_count + 1,
                         sizeof *self->kinds)
                    < 0)
            || hashmap_put(&self->kind_index, key, at) < 0) {
            self->failed = true;
            return;
        }
        self->kinds[self->kind_count++] = (struct place_kind){.place = place, .type = type};
    }
    self->kinds[at].count++;
    self->kinds[at].bytes += graph_size_of(self->graph, node);
}

static uint32_t
key_of_place(uint32_t node, void *arg)
{
    struct places *self = arg;
    return node >= self->graph->holder_count ? place_of_node(self, node) : GRAPH_NONE;
}

/* All places and kinds, then the sums.  -1 without memory. */
static int
places_find(struct places *self, const struct dominators *tree, struct dominators_group **groups)
{
    size_t tracebacks = tracebacks_node_count(self->join->columns->snapshot->tracebacks);
    self->of_traceback = mem_calloc(tracebacks + 1, sizeof *self->of_traceback);
    self->failed = self->of_traceback == NULL
                   || mem_grow((void **)&self->items, &self->capacity, 1, sizeof *self->items) < 0;
    if (!self->failed) {
        self->items[self->count++] = (struct place){0};
    }
    for (uint32_t node = self->graph->holder_count; node < self->graph->count && !self->failed;
         node++) {
        count_kind(self, place_of_node(self, node), node);
    }
    if (!self->failed) {
        *groups = mem_calloc(self->count + 1, sizeof **groups);
        self->failed = *groups == NULL;
    }
    if (!self->failed) {
        dominators_group(tree, self->graph, key_of_place, self, *groups);
    }
    return self->failed ? -1 : 0;
}

/* New str of a text, or of none. */
static PyObject *
new_text(const struct tracebacks *tree, uint32_t text)
{
    return text != 0 ? objects_new_text(tracebacks_text(tree, text)) : PyUnicode_FromString("");
}

static PyObject *
new_places(const struct places *self, const struct dominators_group *groups)
{
    const struct tracebacks *tree = self->join->columns->snapshot->tracebacks;
    PyObject *list = PyList_New((Py_ssize_t)self->count);
    for (size_t i = 0; list != NULL && i < self->count; i++) {
        const struct place *place = &self->items[i];
        PyObject *filename = i > 0 ? new_text(tree, place->filename) : Py_NewRef(Py_None);
        PyObject *row =
            Py_BuildValue("NINKKK", filename, place->lineno, new_text(tree, place->function),
                          (unsigned long long)groups[i].count, (unsigned long long)groups[i].bytes,
                          (unsigned long long)groups[i].retained);
        if (row == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    return list;
}

static PyObject *
new_kinds(const struct places *self)
{
    PyObject *list = PyList_New((Py_ssize_t)self->kind_count);
    for (size_t i = 0; list != NULL && i < self->kind_count; i++) {
        const struct place_kind *kind = &self->kinds[i];
        PyObject *row =
            Py_BuildValue("IIKK", kind->place, kind->type, (unsigned long long)kind->count,
                          (unsigned long long)kind->bytes);
        if (row == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    return list;
}

static int
parse_place_key(const char *name, enum place_key *key)
{
    static const char *const names[] = {"lineno", "filename", "function"};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *key = (enum place_key)i;
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "unknown key: '%s'", name);
    return -1;
}

PyObject *
dominators_by_site(PyObject *object, PyObject *args)
{
    Dominators *self = (Dominators *)object;
    struct module_state *state = PyType_GetModuleState(Py_TYPE(self));
    struct places places = {.graph = self->graph->graph};
    PyObject *join;
    const char *key = "lineno";
    if (!PyArg_ParseTuple(args, "O!|s:by_site", state->join_type, &join, &key)
        || parse_place_key(key, &places.key) < 0) {
        return NULL;
    }
    places.join = (const Join *)join;
    if (places.join->graph != self->graph) {
        PyErr_SetString(PyExc_ValueError, "the join is of another graph");
        return NULL;
    }
    struct dominators_group *groups = NULL;
    int status;
    Py_BEGIN_ALLOW_THREADS
        status = places_find(&places, self->tree, &groups);
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (status < 0) {
        PyErr_NoMemory();
    }
    else {
        result = Py_BuildValue("NN", new_places(&places, groups), new_kinds(&places));
    }
    mem_free(groups);
    places_release(&places);
    return result;
}

/* -- by who holds them --------------------------------------------------------------------- */

const char dominators_by_holder_doc[] =
    "by_holder($self, /)\n"
    "--\n"
    "\n"
    "What each holder alone keeps: (kind, node, nodes at its top, their bytes, retained\n"
    "bytes), which add up to the whole heap.\n"
    "\n"
    "kind: 'thread', 'module' (it, and what only it refers to directly: its namespace),\n"
    "with the node; and with -1 'shared' (held by several), 'C' (also by C code or the\n"
    "interpreter), 'immortal', 'garbage'.";

enum holder_kind { BY_SHARED, BY_C, BY_IMMORTAL, BY_GARBAGE, BY_THREAD, BY_MODULE };

struct holder_row {
    enum holder_kind kind;
    uint32_t node;
    uint64_t count, bytes, retained;
};

struct holder_rows {
    struct holder_row *items;
    size_t count, capacity;
    struct hashmap index;       /* kind << 32 | node -> position */
};

/* The one module that refers to a node, or GRAPH_NONE. */
static uint32_t
module_of(const struct graph *graph, uint32_t node)
{
    uint32_t found = GRAPH_NONE;
    for (uint32_t edge = graph->in_start[node]; edge < graph->in_start[node + 1]; edge++) {
        uint32_t source = graph->in[edge];
        if ((graph_flags(graph, source) & GRAPH_MODULE) != 0 && source != found) {
            if (found != GRAPH_NONE) {
                return GRAPH_NONE;
            }
            found = source;
        }
    }
    return found;
}

static struct holder_row
holder_of(const struct graph *graph, uint32_t node)
{
    unsigned flags = graph_flags(graph, node);
    if (node < graph->holder_count) {
        return (struct holder_row){.kind = BY_THREAD, .node = node};
    }
    uint32_t module = (flags & GRAPH_MODULE) != 0 ? node : module_of(graph, node);
    if (module != GRAPH_NONE) {
        return (struct holder_row){.kind = BY_MODULE, .node = module};
    }
    enum holder_kind kind = (flags & GRAPH_IMMORTAL) != 0  ? BY_IMMORTAL
                            : (flags & GRAPH_SURPLUS) != 0 ? BY_C
                                                           : BY_SHARED;
    return (struct holder_row){.kind = kind, .node = GRAPH_NONE};
}

static int
add_holder_row(struct holder_rows *self, struct holder_row row)
{
    uint64_t key = (uint64_t)row.kind << 32 | row.node;
    const uint64_t *known = hashmap_get(&self->index, key);
    if (known != NULL) {
        struct holder_row *same = &self->items[*known];
        same->count += row.count;
        same->bytes += row.bytes;
        same->retained += row.retained;
        return 0;
    }
    if ((self->count == self->capacity
         && mem_grow((void **)&self->items, &self->capacity, self->count + 1, sizeof *self->items)
                < 0)
        || hashmap_put(&self->index, key, self->count) < 0) {
        return -1;
    }
    self->items[self->count++] = row;
    return 0;
}

static int
holder_rows_find(struct holder_rows *self, const struct dominators *tree, const struct graph *graph)
{
    int status = 0;
    for (uint32_t rank = 1; rank < tree->count + 2 && status == 0; rank += tree->span[rank]) {
        uint32_t node = tree->order[rank];
        struct holder_row row = {.kind = BY_GARBAGE, .node = GRAPH_NONE};
        if (node < tree->count) {
            row = holder_of(graph, node);
            row.count = 1;
            row.bytes = graph_size_of(graph, node);
        }
        else if (tree->span[rank] == 1) {
            continue;
        }
        row.retained = tree->retained[rank];
        status = add_holder_row(self, row);
    }
    return status;
}

static PyObject *
new_holder_rows(const struct holder_rows *self)
{
    static const char *const names[] = {"shared", "C", "immortal", "garbage", "thread", "module"};
    PyObject *list = PyList_New((Py_ssize_t)self->count);
    for (size_t i = 0; list != NULL && i < self->count; i++) {
        const struct holder_row *row = &self->items[i];
        PyObject *made = Py_BuildValue(
            "sLKKK", names[row->kind], row->node != GRAPH_NONE ? (long long)row->node : -1,
            (unsigned long long)row->count, (unsigned long long)row->bytes,
            (unsigned long long)row->retained);
        if (made == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, made);
    }
    return list;
}

PyObject *
dominators_by_holder(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Dominators *self = (Dominators *)object;
    struct holder_rows rows = {0};
    int status;
    Py_BEGIN_ALLOW_THREADS
        status = holder_rows_find(&rows, self->tree, self->graph->graph);
    Py_END_ALLOW_THREADS
    PyObject *list = status == 0 ? new_holder_rows(&rows) : PyErr_NoMemory();
    mem_free(rows.items);
    hashmap_clear(&rows.index);
    return list;
}
