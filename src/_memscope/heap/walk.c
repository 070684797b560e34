/* How it goes fast.  A heap that has lived a while is a shuffled one: nearly every
 * step to another object is a wait for memory.  So nothing is looked at when it is
 * first heard of.  Objects are taken from the list of nodes, which is long known in
 * advance, and fetched some places ahead; the references that they report are put
 * aside, with the place of each in the map fetched early, and are looked up a batch
 * later. */
#include "heap/walk.h"

#include <string.h>

#include "base/mem.h"
#include "base/object_layout.h"
#include "heap/enumerate.h"
#include "heap/sizes.h"
#include "heap/stacks.h"
#include "heap/visit.h"

#define AHEAD 12            /* nodes between fetching an object and looking at it */
#define BATCH 512           /* references put aside before they are looked up */
#define HIDDEN UINT32_MAX   /* in the map: an object that is left out */

struct walk_type {
    PyTypeObject *type;
    struct sizer sizer;
    unsigned flags;             /* GRAPH_TYPE, GRAPH_WEAKREF: of its instances */
};

struct walk {
    const struct walk_options *options;
    struct graph *graph;
    struct pagemap *map;
    struct stacks stacks;
    size_t node_capacity, edge_capacity, type_capacity, walk_type_capacity, name_capacity;
    uint32_t *references;       /* of each node: its reference count, as far as it fits */
    size_t size_capacity, kind_capacity, start_capacity, reference_capacity;
    struct walk_type *types;    /* as graph->types */
    struct hashmap type_index;  /* class -> position */
    PyTypeObject *last_type;
    uint32_t last_index;
    PyObject **pending;         /* references of nodes done, not looked up yet */
    size_t pending_count, pending_capacity;
    uint32_t looked_up;         /* nodes whose edges are all in the graph */
    uint32_t done;              /* nodes that have been looked at */
    int failed;
};

/* -- nodes ------------------------------------------------------------------------- */

static uint32_t
add_node(struct walk *self, PyObject *object)
{
    struct graph *graph = self->graph;
    if (graph->count >= GRAPH_MOST_NODES
        || (graph->count >= self->node_capacity
            && mem_grow((void **)&graph->address, &self->node_capacity, graph->count + 1,
                        sizeof *graph->address)
                   < 0)) {
        self->failed = 1;
        return GRAPH_NONE;
    }
    graph->address[graph->count] = (uintptr_t)object;
    return graph->count++;
}

/* The node of an object, new if need be; GRAPH_NONE: it is left out. */
static uint32_t
intern_node(struct walk *self, PyObject *object)
{
    uint32_t *slot = pagemap_slot(self->map, (uintptr_t)object);
    if (slot == NULL) {
        /* Beyond the map, or no memory for it: only the latter ends the walk. */
        if ((uint64_t)(uintptr_t)object >> PAGEMAP_ADDRESS_BITS == 0) {
            self->failed = 1;
        }
        self->graph->lost++;
        return GRAPH_NONE;
    }
    if (*slot == 0) {
        uint32_t node = add_node(self, object);
        if (node == GRAPH_NONE) {
            return GRAPH_NONE;
        }
        *slot = node + 1;
        return node;
    }
    return *slot == HIDDEN ? GRAPH_NONE : *slot - 1;
}

/* -- classes -----------------------------------------------------------------------
 *
 * Names are copied: a class may be gone when somebody asks. */

static void
name_static_type(struct graph *graph, struct graph_type *out, const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot == NULL) {
        out->module = graph_add_ascii(graph, "builtins");
        out->name = out->qualname = graph_add_ascii(graph, name);
        return;
    }
    out->module = graph_add_text(graph, name, (size_t)(dot - name), 1);
    out->name = out->qualname = graph_add_ascii(graph, dot + 1);
}

static graph_text
find_module_name(struct graph *graph, PyTypeObject *type)
{
    PyObject *dict = pycompat_new_type_dict(type);
    PyObject *key, *value;
    Py_ssize_t position = 0;
    graph_text found = 0;
    while (dict != NULL && PyDict_Next(dict, &position, &key, &value)) {
        if (PyUnicode_CheckExact(key) && PyUnicode_CompareWithASCIIString(key, "__module__") == 0) {
            found = stacks_add_text(graph, value);
            break;
        }
    }
    Py_XDECREF(dict);
    return found;
}

static uint32_t
add_type(struct walk *self, PyTypeObject *type)
{
    struct graph *graph = self->graph;
    uint32_t index = graph->type_count;
    if (index >= GRAPH_MOST_TYPES
        || (index >= self->type_capacity
            && mem_grow((void **)&graph->types, &self->type_capacity, index + 1,
                        sizeof *graph->types)
                   < 0)
        || (index >= self->walk_type_capacity
            && mem_grow((void **)&self->types, &self->walk_type_capacity, index + 1,
                        sizeof *self->types)
                   < 0)
        || hashmap_put(&self->type_index, (uintptr_t)type, index) < 0) {
        self->failed = 1;
        return 0;
    }
    struct graph_type *out = &graph->types[index];
    *out = (struct graph_type){.address = (uintptr_t)type};
    if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
        const PyHeapTypeObject *heap = (const PyHeapTypeObject *)type;
        out->name = stacks_add_text(graph, heap->ht_name);
        out->qualname = stacks_add_text(graph, heap->ht_qualname);
        out->module = find_module_name(graph, type);
    }
    else {
        name_static_type(graph, out, type->tp_name);
    }
    unsigned flags = 0;
    if (PyType_FastSubclass(type, Py_TPFLAGS_TYPE_SUBCLASS)) {
        flags |= GRAPH_TYPE;
    }
    if (PyType_IsSubtype(type, &_PyWeakref_RefType) || type == &_PyWeakref_ProxyType
        || type == &_PyWeakref_CallableProxyType) {
        flags |= GRAPH_WEAKREF;
    }
    self->types[index] = (struct walk_type){.type = type, .sizer = sizer_of(type), .flags = flags};
    graph->type_count++;
    return index;
}

static uint32_t
intern_type(struct walk *self, PyTypeObject *type)
{
    if (type == self->last_type) {
        return self->last_index;
    }
    const uint64_t *known = hashmap_get(&self->type_index, (uintptr_t)type);
    uint32_t index = known != NULL ? (uint32_t)*known : add_type(self, type);
    self->last_type = type;
    self->last_index = index;
    return index;
}

/* -- edges ------------------------------------------------------------------------- */

static int
put_aside(PyObject *object, void *arg)
{
    struct walk *self = arg;
    if (self->pending_count == self->pending_capacity
        && mem_grow((void **)&self->pending, &self->pending_capacity, self->pending_count + 1,
                    sizeof *self->pending)
               < 0) {
        self->failed = 1;
        return 1;
    }
    pagemap_prefetch(self->map, (uintptr_t)object);
    self->pending[self->pending_count++] = object;
    return 0;
}

/* Turns what was put aside into edges.  Until here, the starts of the nodes since
 * `looked_up` count from the beginning of `pending`; objects left out make them
 * move up. */
static void
look_up_pending(struct walk *self)
{
    struct graph *graph = self->graph;
    if (self->failed || (uint64_t)graph->edge_count + self->pending_count >= UINT32_MAX
        || (graph->edge_count + self->pending_count > self->edge_capacity
            && mem_grow((void **)&graph->out, &self->edge_capacity,
                        graph->edge_count + self->pending_count, sizeof *graph->out)
                   < 0)) {
        self->failed = 1;
        return;
    }
    size_t at = 0;
    for (uint32_t node = self->looked_up; node < self->done; node++) {
        size_t end = node + 1 < self->done ? graph->out_start[node + 1] : self->pending_count;
        graph->out_start[node] = graph->edge_count;
        for (; at < end; at++) {
            uint32_t target = intern_node(self, self->pending[at]);
            if (target != GRAPH_NONE) {
                graph->out[graph->edge_count++] = target;
            }
        }
    }
    self->pending_count = 0;
    self->looked_up = self->done;
}

/* -- looking at nodes ---------------------------------------------------------------- */

/* Room for the columns of nodes that have been found. */
static int
grow_columns(struct walk *self)
{
    struct graph *graph = self->graph;
    size_t needed = (size_t)graph->count + 1;
    if ((needed > self->size_capacity
         && mem_grow((void **)&graph->size, &self->size_capacity, needed, sizeof *graph->size) < 0)
        || (needed > self->kind_capacity
            && mem_grow((void **)&graph->kind, &self->kind_capacity, needed, sizeof *graph->kind)
                   < 0)
        || (needed > self->start_capacity
            && mem_grow((void **)&graph->out_start, &self->start_capacity, needed,
                        sizeof *graph->out_start)
                   < 0)
        || (needed > self->reference_capacity
            && mem_grow((void **)&self->references, &self->reference_capacity, needed,
                        sizeof *self->references)
                   < 0)) {
        self->failed = 1;
        return -1;
    }
    return 0;
}

static void
set_size(struct walk *self, uint32_t node, size_t size)
{
    if (size < GRAPH_NONE) {
        self->graph->size[node] = (uint32_t)size;
    }
    else {
        self->graph->size[node] = GRAPH_NONE;
        self->failed |= hashmap_put(&self->graph->large, node, size) < 0;
    }
}

static void
look_at(struct walk *self, uint32_t node)
{
    struct graph *graph = self->graph;
    PyObject *object = (PyObject *)(uintptr_t)graph->address[node];
    PyTypeObject *class = Py_TYPE(object);
    uint32_t type = intern_type(self, class);
    if (self->failed) {
        return;
    }
    const struct walk_type *walk_type = &self->types[type];
    unsigned flags = walk_type->flags;
    if (node < graph->holder_count + graph->tracked_count) {
        flags |= GRAPH_TRACKED;
    }
    else if (PyType_IS_GC(class) && PyObject_GC_IsTracked(object)) {
        flags |= GRAPH_TRACKED;     /* frozen, or being collected right now */
    }
    if (pycompat_is_immortal(object)) {
        flags |= GRAPH_IMMORTAL;
    }
    graph->kind[node] = type | (uint32_t)flags << 24;
    Py_ssize_t references = Py_REFCNT(object);
    self->references[node] =
        references < (Py_ssize_t)GRAPH_NONE ? (uint32_t)references : GRAPH_NONE;
    set_size(self, node, sizer_measure(&walk_type->sizer, object));
    graph->out_start[node] = (uint32_t)self->pending_count;
    self->done = node + 1;
    if (class != self->options->leaf) {
        object_visit(object, put_aside, self);
    }
}

/* Fetches an object that will be looked at soon, and of one that comes sooner what
 * lies outside of it. */
static void
fetch(const struct graph *graph, uint32_t node)
{
    if (node + AHEAD < graph->count) {
        PREFETCH(graph->address[node + AHEAD]);
    }
    if (node + AHEAD / 2 < graph->count) {
        object_prefetch_contents((PyObject *)(uintptr_t)graph->address[node + AHEAD / 2]);
    }
}

static void
look_at_all(struct walk *self)
{
    struct graph *graph = self->graph;
    while (!self->failed && self->done < graph->count) {
        if (grow_columns(self) < 0) {
            return;
        }
        uint32_t known = graph->count;
        for (uint32_t node = self->done; node < known && !self->failed; node++) {
            fetch(graph, node);
            look_at(self, node);
            if (self->pending_count >= BATCH) {
                look_up_pending(self);
            }
        }
        look_up_pending(self);
    }
    if (!self->failed) {
        graph->out_start[graph->count] = graph->edge_count;
    }
}

/* -- what the graph begins with -------------------------------------------------------- */

static int
add_local(PyObject *object, graph_text name, void *arg)
{
    struct walk *self = arg;
    struct graph *graph = self->graph;
    uint32_t node = intern_node(self, object);
    if (node == GRAPH_NONE) {
        return self->failed;
    }
    if (graph->edge_count >= self->edge_capacity
        && mem_grow((void **)&graph->out, &self->edge_capacity, graph->edge_count + 1,
                    sizeof *graph->out)
               < 0) {
        return -1;
    }
    if (graph->edge_count >= self->name_capacity
        && mem_grow((void **)&graph->local_names, &self->name_capacity, graph->edge_count + 1,
                    sizeof *graph->local_names)
               < 0) {
        return -1;
    }
    graph->local_names[graph->edge_count] = name;
    graph->out[graph->edge_count++] = node;
    return 0;
}

static int
add_frame_edge(struct walk *self, uint32_t frame)
{
    struct graph *graph = self->graph;
    if ((graph->edge_count >= self->edge_capacity
         && mem_grow((void **)&graph->out, &self->edge_capacity, graph->edge_count + 1,
                     sizeof *graph->out)
                < 0)
        || (graph->edge_count >= self->name_capacity
            && mem_grow((void **)&graph->local_names, &self->name_capacity, graph->edge_count + 1,
                        sizeof *graph->local_names)
                   < 0)) {
        return -1;
    }
    graph->local_names[graph->edge_count] = 0;
    graph->out[graph->edge_count++] = frame;
    return 0;
}

/* The edges of holders.  Objects are numbered after this, so what locals lead to is
 * in the map before the holders' edges are written. */
static void
add_holder_edges(struct walk *self)
{
    struct graph *graph = self->graph;
    for (uint32_t holder = 0; holder < graph->holder_count && !self->failed; holder++) {
        graph->out_start[holder] = graph->edge_count;
        const struct frame *frame = self->stacks.frames[holder];
        if (frame != NULL) {
            self->failed |= stacks_visit(frame, graph, add_local, self) != 0;
            continue;
        }
        for (uint32_t next = holder + 1;
             next < graph->holder_count && graph->holders[next].thread == holder; next++) {
            self->failed |= add_frame_edge(self, next) < 0;
        }
    }
    self->done = self->looked_up = graph->holder_count;
}

static void
add_holders(struct walk *self)
{
    struct graph *graph = self->graph;
    self->failed |= stacks_find(&self->stacks, graph, self->options->hide_frames) < 0;
    for (uint32_t holder = 0; holder < self->stacks.count && !self->failed; holder++) {
        add_node(self, NULL);
    }
}

static void
hide_objects(struct walk *self)
{
    for (size_t i = 0; i < self->options->hide_count && !self->failed; i++) {
        uint32_t *slot = pagemap_slot(self->map, (uintptr_t)self->options->hide[i]);
        if (slot != NULL) {
            *slot = HIDDEN;
        }
    }
}

/* Room for what so many tracked objects lead to, as heaps usually are, so that columns are
 * not moved while they grow.  What is not filled is never touched, and trimmed. */
static void
reserve_columns(struct walk *self, size_t tracked)
{
    struct graph *graph = self->graph;
    size_t nodes = 2 * tracked + graph->count + 1;
    self->failed |=
        mem_grow((void **)&graph->address, &self->node_capacity, nodes, sizeof *graph->address) < 0
        || mem_grow((void **)&graph->size, &self->size_capacity, nodes, sizeof *graph->size) < 0
        || mem_grow((void **)&graph->kind, &self->kind_capacity, nodes, sizeof *graph->kind) < 0
        || mem_grow((void **)&graph->out_start, &self->start_capacity, nodes,
                    sizeof *graph->out_start)
               < 0
        || mem_grow((void **)&self->references, &self->reference_capacity, nodes,
                    sizeof *self->references)
               < 0
        || mem_grow((void **)&graph->out, &self->edge_capacity, 2 * nodes, sizeof *graph->out) < 0;
}

static void
add_tracked(struct walk *self)
{
    PyObject **objects = NULL;
    size_t count = 0;
    if (enumerate_tracked(&objects, &count, 1) < 0) {
        self->failed = 1;
        return;
    }
    reserve_columns(self, count);
    uint32_t before = self->graph->count;
    for (size_t i = 0; i < count && !self->failed; i++) {
        if (i + 2 * AHEAD < count) {
            pagemap_prefetch(self->map, (uintptr_t)objects[i + 2 * AHEAD]);
        }
        intern_node(self, objects[i]);
    }
    self->graph->tracked_count = self->graph->count - before;
    mem_free(objects);
}

/* -- what the graph ends with ---------------------------------------------------------- */

static void
add_flag(struct graph *graph, uint32_t node, unsigned flag)
{
    graph->kind[node] |= (uint32_t)flag << 24;
}

static int
is_called(PyObject *module, PyObject *name)
{
    PyObject *dict = PyModule_GetDict(module);
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (dict != NULL && PyDict_Next(dict, &position, &key, &value)) {
        if (PyUnicode_CheckExact(key) && PyUnicode_CompareWithASCIIString(key, "__name__") == 0) {
            return PyUnicode_CheckExact(value) && PyUnicode_Compare(value, name) == 0;
        }
    }
    return 0;
}

static void
flag_modules(struct walk *self)
{
    /* Gone near the end of the process, for which PyImport_GetModuleDict would end it. */
    PyObject *modules = PySys_GetObject("modules");
    PyObject *name, *module;
    Py_ssize_t position = 0;
    while (modules != NULL && PyDict_Check(modules)
           && PyDict_Next(modules, &position, &name, &module)) {
        uint32_t slot = pagemap_get(self->map, (uintptr_t)module);
        if (slot != 0 && slot != HIDDEN && PyModule_Check(module) && PyUnicode_CheckExact(name)
            && is_called(module, name)) {
            add_flag(self->graph, slot - 1, GRAPH_MODULE);
        }
    }
}

static void
count_surplus(struct walk *self)
{
    struct graph *graph = self->graph;
    for (uint32_t node = graph->holder_count; node < graph->count && !self->failed; node++) {
        uint32_t inside = graph->in_start[node + 1] - graph->in_start[node];
        if (self->references[node] > inside && !(graph_flags(graph, node) & GRAPH_IMMORTAL)) {
            add_flag(graph, node, GRAPH_SURPLUS);
            self->failed |= hashmap_put(&graph->surplus, node, self->references[node] - inside) < 0;
        }
    }
}

static void
run(struct walk *self)
{
    add_holders(self);
    hide_objects(self);
    add_tracked(self);
    if (self->failed || grow_columns(self) < 0) {
        return;
    }
    memset(self->graph->size, 0, self->graph->holder_count * sizeof *self->graph->size);
    memset(self->graph->kind, 0, self->graph->holder_count * sizeof *self->graph->kind);
    add_holder_edges(self);
    look_at_all(self);
    if (self->failed || graph_transpose(self->graph) < 0) {
        self->failed = 1;
        return;
    }
    flag_modules(self);
    count_surplus(self);
}

/* The columns at their final length; a block that cannot shrink stays. */
static void
trim(struct graph *graph)
{
    mem_trim((void **)&graph->address, graph->count, sizeof *graph->address);
    mem_trim((void **)&graph->size, graph->count, sizeof *graph->size);
    mem_trim((void **)&graph->kind, graph->count, sizeof *graph->kind);
    mem_trim((void **)&graph->out_start, (size_t)graph->count + 1, sizeof *graph->out_start);
    mem_trim((void **)&graph->out, graph->edge_count, sizeof *graph->out);
}

struct graph *
walk_heap(const struct walk_options *options, struct pagemap **index)
{
    struct walk self = {.options = options};
    PyObject *raised[3];
    PyErr_Fetch(&raised[0], &raised[1], &raised[2]);
    self.graph = mem_calloc(1, sizeof *self.graph);
    self.map = pagemap_new();
    self.failed = self.graph == NULL || self.map == NULL;
    if (!self.failed) {
        run(&self);
    }
    stacks_release(&self.stacks);
    mem_free(self.references);
    mem_free(self.types);
    mem_free(self.pending);
    hashmap_clear(&self.type_index);
    if (!self.failed) {
        trim(self.graph);
        for (uint32_t node = self.graph->holder_count; options->keep && node < self.graph->count;
             node++) {
            Py_INCREF((PyObject *)(uintptr_t)self.graph->address[node]);
        }
        graph_sum_types(self.graph);
    }
    if (self.failed) {
        graph_free(self.graph);
        self.graph = NULL;
    }
    if (index != NULL && !self.failed) {
        *index = self.map;
    }
    else {
        pagemap_free(self.map);
    }
    PyErr_Restore(raised[0], raised[1], raised[2]);
    return self.graph;
}
