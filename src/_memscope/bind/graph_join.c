/* How it goes fast.  The rows of a snapshot come nearly in the order of their addresses,
 * while the nodes of a graph are all over the place.  So the blocks are gone through, and
 * the walk's map from address to node is read along: both run through memory from its
 * beginning to its end, and only the answers are written here and there. */
#include "bind/graph_join.h"

#include <string.h>

#include "base/mem.h"
#include "bind/bind.h"

#define SLOT_BYTES ((uint64_t)1 << PAGEMAP_SLOT_BITS)
#define REGION_BYTES ((uint64_t)1 << PAGEMAP_REGION_BITS)

struct joiner {
    const struct graph *graph;
    const struct snapshot *snapshot;
    uint32_t *row;
    struct hashmap *types;      /* address of a class -> its number; NULL: no strays wanted,
                                   because the blocks may be gone */
    struct graph_join_stray *strays;
    size_t stray_count, stray_capacity;
};

/* Gives the node the row, unless a block that begins later contains it too. */
static void
claim(const struct joiner *self, uint32_t node, uint32_t row)
{
    const struct snapshot *snapshot = self->snapshot;
    uint32_t other = self->row[node];
    if (other == GRAPH_JOIN_NONE || snapshot->address[other] < snapshot->address[row]) {
        self->row[node] = row;
    }
}

/* What lies from `begin` to `end`, both in one region of the map; whether any object does,
 * hidden ones included. */
static bool
join_slots(const struct joiner *self, const uint32_t *slots, uint64_t begin, uint64_t end,
           uint32_t row)
{
    size_t first = pagemap_index(begin), last = pagemap_index(end - 1);
    /* At its ends a block may have but a part of a slot; then the object is asked. */
    size_t whole = begin % SLOT_BYTES == 0 ? (size_t)((end - begin) / SLOT_BYTES) : 0;
    bool any = false;
    for (size_t slot = first; slot <= last; slot++) {
        uint32_t found = slots[slot];
        any |= found != 0;
        if (found == 0 || found > self->graph->count) {     /* nothing, or hidden */
            continue;
        }
        bool is_whole = slot - first < whole;
        if (!is_whole) {
            uint64_t address = self->graph->address[found - 1];
            is_whole = address >= begin && address < end;
        }
        if (is_whole) {
            claim(self, found - 1, row);
        }
    }
    return any;
}

static bool
join_block(const struct joiner *self, const struct pagemap *map, uint64_t begin, uint64_t size,
           uint32_t row)
{
    uint64_t end = size < UINT64_MAX - begin ? begin + size : UINT64_MAX;
    bool any = false;
    while (begin < end) {
        uint64_t region_end = (begin | (REGION_BYTES - 1)) + 1;
        uint64_t stop = region_end > begin && region_end < end ? region_end : end;
        const uint32_t *slots = pagemap_region(map, begin);
        if (slots != NULL) {
            any |= join_slots(self, slots, begin, stop, row);
        }
        else if (begin >> PAGEMAP_ADDRESS_BITS != 0) {
            return true;
        }
        begin = stop;
    }
    return any;
}

/* Looks whether a block in which no object was found is one: it begins as an object does
 * that the collector does not know, alive, of a class that is in the graph.  The block is
 * allocated, because its trace is there and nobody has run since. */
static int
add_stray(struct joiner *self, uint32_t row)
{
    const PyObject *object = (const PyObject *)(uintptr_t)self->snapshot->address[row];
    if (snapshot_size(self->snapshot, row) < sizeof *object
        || (uintptr_t)object % sizeof(void *) != 0) {
        return 0;
    }
    const uint64_t *type = hashmap_get(self->types, (uintptr_t)object->ob_type);
    if (type == NULL || Py_REFCNT((PyObject *)(uintptr_t)object) <= 0) {    /* in a free list */
        return 0;
    }
    if (mem_grow((void **)&self->strays, &self->stray_capacity, self->stray_count + 1,
                 sizeof *self->strays)
        < 0) {
        return -1;
    }
    self->strays[self->stray_count++] = (struct graph_join_stray){row, (uint32_t)*type};
    return 0;
}

static int
join_all(struct joiner *self, const struct pagemap *map)
{
    const struct snapshot *snapshot = self->snapshot;
    size_t count = snapshot->count < GRAPH_JOIN_NONE ? snapshot->count : GRAPH_JOIN_NONE;
    for (uint32_t row = 0; row < count; row++) {
        if (snapshot->domain[row] >= SNAPSHOT_TRACKED || snapshot->address[row] == 0) {
            continue;
        }
        bool any = join_block(self, map, snapshot->address[row], snapshot_size(snapshot, row), row);
        if (!any && self->types != NULL && snapshot->domain[row] == SNAPSHOT_OBJ
            && add_stray(self, row) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Classes of which an object needs no header of the collector's, by address. */
static int
index_types(const struct graph *graph, struct hashmap *types)
{
    for (uint32_t i = 0; i < graph->type_count; i++) {
        const PyTypeObject *type = (const PyTypeObject *)(uintptr_t)graph->types[i].address;
        if (type != NULL && !(type->tp_flags & Py_TPFLAGS_HAVE_GC)
            && hashmap_put(types, graph->types[i].address, i) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Fills the empty columns of a join.  0, or -1 without memory, with no exception set;
 * what is there already goes with the object. */
static int
fill(Join *self, const struct graph *graph, const struct snapshot *snapshot,
     const struct pagemap *map, bool is_now)
{
    size_t count = (size_t)graph->count + 1;
    self->length = (Py_ssize_t)graph->count;
    self->row = mem_malloc(count, sizeof *self->row);
    if (self->row == NULL) {
        return -1;
    }
    memset(self->row, 0xff, count * sizeof *self->row);
    struct hashmap types = {0};
    struct joiner joiner = {
        .graph = graph, .snapshot = snapshot, .row = self->row, .types = is_now ? &types : NULL};
    int status = is_now ? index_types(graph, &types) : 0;
    if (status == 0) {
        status = join_all(&joiner, map);
    }
    self->strays = joiner.strays;
    self->stray_count = joiner.stray_count;
    hashmap_clear(&types);
    return status;
}

/* A map as the walk makes one; NULL without memory. */
static struct pagemap *
index_graph(const struct graph *graph)
{
    struct pagemap *map = pagemap_new();
    for (uint32_t node = graph->holder_count; map != NULL && node < graph->count; node++) {
        uint32_t *slot = pagemap_slot(map, graph->address[node]);
        if (slot != NULL) {
            *slot = node + 1;
        }
        else if ((uint64_t)graph->address[node] >> PAGEMAP_ADDRESS_BITS == 0) {
            pagemap_free(map);
            return NULL;
        }
    }
    return map;
}

/* -- making and ending ----------------------------------------------------------------- */

static Join *
new_empty(PyTypeObject *type)
{
    Join *self = PyObject_GC_New(Join, type);
    if (self != NULL) {
        self->graph = NULL;
        self->columns = NULL;
        self->row = NULL;
        self->length = 0;
        self->strays = NULL;
        self->stray_count = 0;
    }
    return self;
}

static int
join_traverse(PyObject *object, visitproc visit, void *arg)
{
    Join *self = (Join *)object;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->graph);
    Py_VISIT(self->columns);
    return 0;
}

/* No tp_clear: a cycle through here goes through what the graph keeps, and is broken
 * there; so the fields are set as long as anybody can see the object. */
static void
join_dealloc(PyObject *object)
{
    Join *self = (Join *)object;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->graph);
    Py_XDECREF(self->columns);
    mem_free(self->row);
    mem_free(self->strays);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(take_doc,
"take($type, /, *, keep=False, hide=(), threads=None, hide_frames='')\n"
"--\n"
"\n"
"The graph of every object and the table of all traces, of one moment, joined.\n"
"\n"
"Arguments as for Graph.take.  If tracing is off, the table is empty.\n"
"\n"
"Raises MemoryError.  Cost: that of Graph.take, of take_snapshot, and some nanoseconds\n"
"for each trace.");

struct moment {
    Join *join;
    struct snapshot *snapshot;
};

/* Called as soon as the graph is there, and before anything else happens. */
static int
join_now(const struct graph *graph, const struct pagemap *map, void *arg)
{
    struct moment *moment = arg;
    moment->snapshot = tracing_freeze();
    return moment->snapshot != NULL ? fill(moment->join, graph, moment->snapshot, map, true) : -1;
}

static PyObject *
take(PyObject *type, PyObject *args, PyObject *kwargs)
{
    struct module_state *state = PyType_GetModuleState((PyTypeObject *)type);
    struct moment moment = {new_empty((PyTypeObject *)type), NULL};
    Join *self = moment.join;
    if (self == NULL) {
        return NULL;
    }
    self->graph = graph_take_at(state->graph_type, args, kwargs, join_now, &moment);
    if (self->graph == NULL) {
        snapshot_free(moment.snapshot);
        PyObject_GC_Track(self);
        Py_DECREF(self);
        return NULL;
    }
    self->columns = (Columns *)columns_new(state, moment.snapshot);
    PyObject_GC_Track(self);
    if (self->columns == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static PyObject *
join_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "", NULL};
    struct module_state *state = PyType_GetModuleState(type);
    PyObject *graph, *columns;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!:Join", names, state->graph_type, &graph,
                                     state->columns_type, &columns)) {
        return NULL;
    }
    Join *self = new_empty(type);
    if (self == NULL) {
        return NULL;
    }
    self->graph = (Graph *)Py_NewRef(graph);
    self->columns = (Columns *)Py_NewRef(columns);
    PyObject_GC_Track(self);
    int status;
    Py_BEGIN_ALLOW_THREADS
        struct pagemap *made = self->graph->index == NULL ? index_graph(self->graph->graph) : NULL;
        const struct pagemap *map = made != NULL ? made : self->graph->index;
        status =
            map != NULL ? fill(self, self->graph->graph, self->columns->snapshot, map, false) : -1;
        pagemap_free(made);
    Py_END_ALLOW_THREADS
    if (status < 0) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

/* -- what is in it ----------------------------------------------------------------------- */

PyDoc_STRVAR(row_doc,
"row($self, node, /)\n"
"--\n"
"\n"
"The row of the table that has the node's block; -1 if that was not traced.");

static PyObject *
row(PyObject *object, PyObject *number)
{
    Join *self = (Join *)object;
    uint32_t node;
    if (graph_node_arg(self->graph, number, &node) < 0) {
        return NULL;
    }
    uint32_t found = self->row[node];
    return PyLong_FromLongLong(found != GRAPH_JOIN_NONE ? (long long)found : -1);
}

PyDoc_STRVAR(traceback_id_doc,
"traceback_id($self, node, /)\n"
"--\n"
"\n"
"A number that nodes allocated with the same traceback share; 0 if that was not traced.");

static PyObject *
traceback_id(PyObject *object, PyObject *number)
{
    Join *self = (Join *)object;
    uint32_t node;
    if (graph_node_arg(self->graph, number, &node) < 0) {
        return NULL;
    }
    return PyLong_FromUnsignedLong(graph_join_traceback(self, node));
}

PyDoc_STRVAR(epoch_doc,
"epoch($self, node, /)\n"
"--\n"
"\n"
"Number of the epoch in which the node's block was allocated; -1 if that was not traced.");

static PyObject *
epoch(PyObject *object, PyObject *number)
{
    Join *self = (Join *)object;
    uint32_t node;
    if (graph_node_arg(self->graph, number, &node) < 0) {
        return NULL;
    }
    uint64_t found;
    return graph_join_epoch(self, node, &found) ? PyLong_FromUnsignedLongLong(found)
                                                : PyLong_FromLong(-1);
}

PyDoc_STRVAR(traceback_doc,
"traceback($self, node, /)\n"
"--\n"
"\n"
"Where the node's block was allocated: (frames, total_nframe), the frames (file name,\n"
"line) newest first; None if that was not traced.");

static PyObject *
traceback(PyObject *object, PyObject *number)
{
    Join *self = (Join *)object;
    uint32_t node;
    if (graph_node_arg(self->graph, number, &node) < 0) {
        return NULL;
    }
    uint32_t id = graph_join_traceback(self, node);
    if (id == 0) {
        Py_RETURN_NONE;
    }
    PyObject *total;
    PyObject *frames = columns_frames(self->columns->snapshot->tracebacks, id, &total);
    return frames != NULL ? Py_BuildValue("NN", frames, total) : NULL;
}

PyDoc_STRVAR(sites_doc,
"sites($self, nodes, /)\n"
"--\n"
"\n"
"(file name, line) where the block of each node was allocated; None for one that was not\n"
"traced.  Equal ones are the same tuple.");

/* New reference to the frame of a traceback, made when first met; `known`: id -> frame,
 * borrowed from the list that it is put in. */
static PyObject *
new_site(const struct tracebacks *tree, uint32_t id, struct hashmap *known)
{
    const uint64_t *before = hashmap_get(known, id);
    if (before != NULL) {
        return Py_NewRef((PyObject *)(uintptr_t)*before);
    }
    const struct traceback_node *node = tracebacks_node(tree, id);
    if (node->function == TRACEBACK_TOTAL) {
        node = tracebacks_node(tree, node->parent);
    }
    uint32_t name = tracebacks_function(tree, node->function)->filename;
    PyObject *filename = objects_new_text(tracebacks_text(tree, name));
    PyObject *frame = filename != NULL ? objects_new_frame(filename, node->lineno) : NULL;
    Py_XDECREF(filename);
    if (frame != NULL && hashmap_put(known, id, (uintptr_t)frame) < 0) {
        Py_CLEAR(frame);
        PyErr_NoMemory();
    }
    return frame;
}

static PyObject *
sites(PyObject *object, PyObject *nodes_arg)
{
    Join *self = (Join *)object;
    struct node_args nodes;
    if (graph_nodes_arg(self->graph, nodes_arg, &nodes) < 0) {
        return NULL;
    }
    struct hashmap known = {0};
    PyObject *list = PyList_New((Py_ssize_t)nodes.count);
    for (size_t i = 0; list != NULL && i < nodes.count; i++) {
        uint32_t id = graph_join_traceback(self, nodes.nodes[i]);
        PyObject *frame = id == 0 ? Py_NewRef(Py_None)
                                  : new_site(self->columns->snapshot->tracebacks, id, &known);
        if (frame == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, frame);
    }
    hashmap_clear(&known);
    mem_free(nodes.nodes);
    return list;
}

PyDoc_STRVAR(tell_types_doc,
"tell_types($self, /)\n"
"--\n"
"\n"
"Let the table know which class of object each block has, for its types(); it then needs\n"
"the graph no more.  4 bytes for each row.");

/* New tuple of (module or None, qualified name) of each class. */
static PyObject *
new_type_names(const struct graph *graph)
{
    PyObject *names = PyTuple_New((Py_ssize_t)graph->type_count);
    for (uint32_t i = 0; names != NULL && i < graph->type_count; i++) {
        const struct graph_type *type = &graph->types[i];
        PyObject *module =
            type->module != 0 ? graph_new_text(&graph->texts, type->module) : Py_NewRef(Py_None);
        PyObject *name = Py_BuildValue("NN", module, graph_new_text(&graph->texts, type->qualname));
        if (name == NULL) {
            Py_CLEAR(names);
            break;
        }
        PyTuple_SET_ITEM(names, (Py_ssize_t)i, name);
    }
    return names;
}

static PyObject *
tell_types(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Join *self = (Join *)object;
    const struct graph *graph = self->graph->graph;
    size_t rows = self->columns->snapshot->count;
    uint32_t *type = mem_malloc(rows + 1, sizeof *type);
    if (type == NULL) {
        return PyErr_NoMemory();
    }
    memset(type, 0xff, rows * sizeof *type);
    /* Of several objects in one block, which is rare, the one with the lowest number. */
    for (uint32_t node = graph->count; node-- > graph->holder_count;) {
        if (self->row[node] != GRAPH_JOIN_NONE) {
            type[self->row[node]] = graph_type_of(graph, node);
        }
    }
    if (columns_set_types(self->columns, type, new_type_names(graph)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* -- the type -------------------------------------------------------------------------- */

static int
join_getbuffer(PyObject *object, Py_buffer *view, int flags)
{
    Join *self = (Join *)object;
    Py_ssize_t bytes = self->length * (Py_ssize_t)sizeof *self->row;
    if (PyBuffer_FillInfo(view, object, self->row, bytes, 1, flags) < 0) {
        return -1;
    }
    view->itemsize = sizeof *self->row;
    view->format = (flags & PyBUF_FORMAT) != 0 ? "I" : NULL;
    if ((flags & PyBUF_ND) != 0) {
        view->shape = &self->length;
    }
    if ((flags & PyBUF_STRIDES) == PyBUF_STRIDES) {
        view->strides = &view->itemsize;
    }
    return 0;
}

static PyObject *
get_rows(PyObject *object, void *Py_UNUSED(closure))
{
    return PyMemoryView_FromObject(object);
}

static PyObject *
get_graph(PyObject *object, void *Py_UNUSED(closure))
{
    return Py_NewRef((PyObject *)((Join *)object)->graph);
}

static PyObject *
get_columns(PyObject *object, void *Py_UNUSED(closure))
{
    return Py_NewRef((PyObject *)((Join *)object)->columns);
}

static PyObject *
get_nbytes(PyObject *object, void *Py_UNUSED(closure))
{
    const Join *self = (Join *)object;
    return PyLong_FromSize_t((size_t)self->length * sizeof *self->row);
}

static PyGetSetDef getset[] = {
    {"graph", get_graph, NULL, "The graph.", NULL},
    {"columns", get_columns, NULL, "The table of traces.", NULL},
    {"rows", get_rows, NULL,
     "row() of every node, as a memoryview of 32-bit numbers; 2**32 - 1: "
     "not traced.",
     NULL},
    {"nbytes", get_nbytes, NULL, "Bytes that the join takes, without the graph and the table.",
     NULL},
    {0},
};

PyDoc_STRVAR(places_doc,
"places($self, node, /)\n"
"--\n"
"\n"
"Where the node's block was allocated: (file name, line, function) of each frame, newest\n"
"first; [] if that was not traced.");

static PyObject *
place_list(const struct tracebacks *tree, uint32_t id)
{
    PyObject *list = PyList_New(0);
    while (list != NULL && id != 0) {
        const struct traceback_node *frame = tracebacks_node(tree, id);
        id = frame->parent;
        if (frame->function == TRACEBACK_TOTAL) {
            continue;
        }
        const struct function *function = tracebacks_function(tree, frame->function);
        PyObject *place =
            Py_BuildValue("NIN", objects_new_text(tracebacks_text(tree, function->filename)),
                          frame->lineno, objects_new_text(tracebacks_text(tree, function->name)));
        if (place == NULL || PyList_Append(list, place) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(place);
    }
    return list;
}

static PyObject *
places(PyObject *object, PyObject *number)
{
    Join *self = (Join *)object;
    uint32_t node;
    if (graph_node_arg(self->graph, number, &node) < 0) {
        return NULL;
    }
    return place_list(self->columns->snapshot->tracebacks, graph_join_traceback(self, node));
}

PyDoc_STRVAR(places_of_row_doc,
"places_of_row($self, row, /)\n"
"--\n"
"\n"
"As places, of a row of the table.");

static PyObject *
places_of_row(PyObject *object, PyObject *number)
{
    Join *self = (Join *)object;
    const struct snapshot *snapshot = self->columns->snapshot;
    Py_ssize_t row = PyNumber_AsSsize_t(number, PyExc_IndexError);
    if (row == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (row < 0 || (size_t)row >= snapshot->count) {
        PyErr_Format(PyExc_IndexError, "row %zd is not one of %zu", row, snapshot->count);
        return NULL;
    }
    return place_list(snapshot->tracebacks, snapshot->traceback[row]);
}

PyDoc_STRVAR(strays_doc,
"strays($self, /)\n"
"--\n"
"\n"
"Objects that nothing in the graph leads to, of classes the collector does not track (str,\n"
"bytes): (number of the class, row of the table, bytes, epoch) for each.  Only C code can hold them.  Known of Join.take() only.");

static PyObject *
strays(PyObject *object, PyObject *unused)
{
    (void)unused;
    Join *self = (Join *)object;
    const struct snapshot *snapshot = self->columns->snapshot;
    PyObject *list = PyList_New((Py_ssize_t)self->stray_count);
    for (size_t i = 0; list != NULL && i < self->stray_count; i++) {
        struct graph_join_stray one = self->strays[i];
        PyObject *row = Py_BuildValue(
            "IIKK", one.type, one.row, (unsigned long long)snapshot_size(snapshot, one.row),
            (unsigned long long)snapshot->epochs[snapshot->epoch[one.row]]);
        if (row == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    return list;
}

PyDoc_STRVAR(site_column_doc,
"site_column($self, /)\n"
"--\n"
"\n"
"(column, table): for each node, as four bytes, the number of the line that allocated it,\n"
"0 if that was not traced; and the lines from number 1 on, as (file name, line, function).");

/* The number of the line that is the newest frame of a traceback; 0 on failure. */
static uint32_t
site_number(const struct tracebacks *tree, uint32_t id, struct hashmap *numbers, PyObject *table)
{
    const struct traceback_node *frame = tracebacks_node(tree, id);
    if (frame->function == TRACEBACK_TOTAL) {
        frame = tracebacks_node(tree, frame->parent);
    }
    uint64_t key = (uint64_t)frame->function << 32 | frame->lineno;
    const uint64_t *known = hashmap_get(numbers, key);
    if (known != NULL) {
        return (uint32_t)*known;
    }
    const struct function *function = tracebacks_function(tree, frame->function);
    PyObject *place =
        Py_BuildValue("NIN", objects_new_text(tracebacks_text(tree, function->filename)),
                      frame->lineno, objects_new_text(tracebacks_text(tree, function->name)));
    int status = place != NULL ? PyList_Append(table, place) : -1;
    Py_XDECREF(place);
    uint32_t number = (uint32_t)PyList_GET_SIZE(table);
    if (status == 0 && hashmap_put(numbers, key, number) < 0) {
        PyErr_NoMemory();
        status = -1;
    }
    return status == 0 ? number : 0;
}

static PyObject *
site_column(PyObject *object, PyObject *unused)
{
    (void)unused;
    Join *self = (Join *)object;
    const struct snapshot *snapshot = self->columns->snapshot;
    struct hashmap numbers = {0};
    uint32_t last = 0, number = 0;
    PyObject *table = PyList_New(0);
    PyObject *column = PyBytes_FromStringAndSize(NULL, self->length * (Py_ssize_t)sizeof last);
    for (Py_ssize_t node = 0; table != NULL && column != NULL && node < self->length; node++) {
        uint32_t row = self->row[node];
        uint32_t id = row != GRAPH_JOIN_NONE ? snapshot->traceback[row] : 0;
        if (id != last) {       /* neighbours mostly come from one line */
            number = id != 0 ? site_number(snapshot->tracebacks, id, &numbers, table) : 0;
            last = id;
            if (id != 0 && number == 0) {
                Py_CLEAR(column);
                break;
            }
        }
        memcpy(PyBytes_AS_STRING(column) + node * (Py_ssize_t)sizeof number, &number,
               sizeof number);
    }
    hashmap_clear(&numbers);
    PyObject *result = table != NULL && column != NULL ? PyTuple_Pack(2, column, table) : NULL;
    Py_XDECREF(table);
    Py_XDECREF(column);
    return result;
}

static PyMethodDef methods[] = {
    {"site_column", site_column, METH_NOARGS, site_column_doc},
    {"places", places, METH_O, places_doc},
    {"places_of_row", places_of_row, METH_O, places_of_row_doc},
    {"strays", strays, METH_NOARGS, strays_doc},
    {"take", (PyCFunction)(void (*)(void))take, METH_CLASS | METH_VARARGS | METH_KEYWORDS,
     take_doc},
    {"row", row, METH_O, row_doc},
    {"traceback_id", traceback_id, METH_O, traceback_id_doc},
    {"traceback", traceback, METH_O, traceback_doc},
    {"epoch", epoch, METH_O, epoch_doc},
    {"tell_types", tell_types, METH_NOARGS, tell_types_doc},
    {"sites", sites, METH_O, sites_doc},
    {0},
};

PyDoc_STRVAR(join_doc,
"Join(graph, columns, /)\n"
"--\n"
"\n"
"Which traced block each node of a graph lies in.\n"
"\n"
"Graph and table must be of one moment; take() makes both.  4 bytes for each node.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)join_doc},     {Py_tp_new, join_new},
    {Py_tp_dealloc, join_dealloc},     {Py_tp_traverse, join_traverse},
    {Py_tp_methods, methods},          {Py_tp_getset, getset},
    {Py_bf_getbuffer, join_getbuffer}, {0, NULL},
};

PyType_Spec graph_join_spec = {
    .name = "memscope._memscope.Join",
    .basicsize = sizeof(Join),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
