/* One pass over the objects that the collector tracks and what they lead to.  What an object
 * refers to is compared with the edges that the graph has: where they agree, as nearly
 * always, no address is looked up, and what is referred to is alive. */
#include "bind/gather.h"

#include "base/mem.h"
#include "base/object_layout.h"
#include "bind/names.h"
#include "bind/shapes.h"
#include "heap/enumerate.h"
#include "heap/stacks.h"
#include "heap/visit.h"

#define AHEAD 12                /* objects between fetching one and looking at it */
#define BEFORE 32               /* bytes in front of one that say where its attributes are */

#if defined(__GNUC__)
#  define PREFETCH(address) __builtin_prefetch((const void *)(address))
#else
#  define PREFETCH(address) ((void)(address))
#endif

/* Bits of `state`. */
enum { ALIVE = 1, LOOKED_AT = 2, KEY = 4, NAMED = 8, PARTED = 16 };

enum contents { NO_CONTENTS, DICT, SEQUENCE, SET, OTHER_CONTENTS };

/* What instances of a class want. */
struct wanted {
    bool known;
    bool named, sized, parted;
    bool exact;                 /* a container of the interpreter, with nothing but contents */
    enum contents contents;
    struct members members;
};

struct gather {
    Graph *self;
    const struct graph *graph;
    const struct gather_options *options;
    struct labels *labels;
    struct pagemap *index;
    unsigned char *state;       /* by node */
    struct wanted *wanted;      /* by class */
    uint32_t *stack;            /* nodes to be looked at */
    size_t stack_count, stack_capacity;
    bool all_come;              /* what the collector tracks will be looked at without it */
    struct names names;
    struct shapes shapes;
    bool failed;
};

/* -- classes -------------------------------------------------------------------------------- */

static bool
is_instance(PyTypeObject *type, PyObject *classes)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(classes); i++) {
        PyObject *class = PyTuple_GET_ITEM(classes, i);
        if (PyType_Check(class) && PyType_IsSubtype(type, (PyTypeObject *)class)) {
            return true;
        }
    }
    return false;
}

static bool
is_one_of(const PyTypeObject *type, PyObject *classes)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(classes); i++) {
        if (PyTuple_GET_ITEM(classes, i) == (const PyObject *)type) {
            return true;
        }
    }
    return false;
}

static enum contents
contents_of(PyObject *object)
{
    if (pycompat_is_dict(object)) {
        return DICT;
    }
    if (PyList_Check(object) || PyTuple_Check(object)) {
        return SEQUENCE;
    }
    return PyAnySet_Check(object) ? SET : names_has_contents(object) ? OTHER_CONTENTS : NO_CONTENTS;
}

static const struct wanted *
wanted_of(struct gather *self, uint32_t node, PyObject *object)
{
    struct wanted *wanted = &self->wanted[graph_type_of(self->graph, node)];
    PyTypeObject *type = Py_TYPE(object);
    if (!wanted->known) {
        wanted->known = true;
        wanted->named = is_instance(type, self->options->named);
        wanted->parted = is_instance(type, self->options->parted);
        wanted->sized = is_one_of(type, self->options->sized);
        wanted->exact = type == &PyDict_Type || PyList_CheckExact(object)
                        || PyTuple_CheckExact(object) || PyAnySet_CheckExact(object);
        wanted->contents = contents_of(object);
        self->failed |= names_find_members(type, &wanted->members) < 0;
    }
    return wanted;
}

/* -- what is alive ---------------------------------------------------------------------------- */

static void
push(struct gather *self, uint32_t node)
{
    if (self->stack_count == self->stack_capacity
        && mem_grow((void **)&self->stack, &self->stack_capacity, self->stack_count + 1,
                    sizeof *self->stack)
               < 0) {
        self->failed = true;
        return;
    }
    self->stack[self->stack_count++] = node;
}

/* Whether it is enough to know that the object is alive. */
static bool
is_plain(const struct gather *self, uint32_t node)
{
    const struct wanted *wanted = &self->wanted[graph_type_of(self->graph, node)];
    return self->graph->out_start[node] == self->graph->out_start[node + 1] && wanted->known
           && !wanted->named && !wanted->sized;
}

static void
mark_alive(struct gather *self, uint32_t node)
{
    if (self->state[node] & (ALIVE | LOOKED_AT)) {
        return;
    }
    self->state[node] |= ALIVE;
    if (!(self->all_come && (graph_flags(self->graph, node) & GRAPH_TRACKED))
        && !is_plain(self, node)) {
        push(self, node);
    }
}

/* The node at an address, or GRAPH_NONE. */
static uint32_t
node_at(const struct gather *self, const void *object)
{
    uint32_t slot = pagemap_get(self->index, (uintptr_t)object);
    return slot == 0 || slot > self->graph->count ? GRAPH_NONE : slot - 1;
}

/* An object's references, compared with its edges. */
struct comparison {
    struct gather *gather;
    const uint32_t *edges;
    uint32_t count, at;
    bool same;
};

static int
compare(PyObject *object, void *arg)
{
    struct comparison *self = arg;
    struct gather *gather = self->gather;
    if (self->same && self->at < self->count) {
        uint32_t node = self->edges[self->at];
        if (gather->graph->address[node] == (uintptr_t)object) {
            self->at++;
            mark_alive(gather, node);
            return 0;
        }
    }
    self->same = false;
    uint32_t node = node_at(gather, object);
    if (node != GRAPH_NONE) {
        mark_alive(gather, node);
    }
    return 0;
}

/* -- contents of containers --------------------------------------------------------------------- */

static bool
is_at(const struct graph *graph, const uint32_t *edge, const void *object)
{
    return graph->address[*edge] == (uintptr_t)object;
}

/* Whether the first `count` entries of a dict are the edges from `values` and `keys` on. */
static bool
has_entries(const struct graph *graph, PyObject *dict, const uint32_t *values,
            const uint32_t *keys, size_t step, size_t count)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    for (size_t i = 0; i < count; i++) {
        if (!PyDict_Next(dict, &position, &key, &value) || !is_at(graph, &values[i * step], value)
            || !is_at(graph, &keys[i * step], key)) {
            return false;
        }
    }
    return true;
}

static enum label_form
find_entries(struct gather *self, PyObject *dict, const uint32_t *edges, size_t length)
{
    int kind = object_dict_kind(dict);
    bool apart = kind == DICT_KEYS_UNICODE;
    const uint32_t *keys = edges + (apart ? length : 1);
    size_t step = apart ? 1 : 2;
    if (kind == DICT_KEYS_SPLIT || !has_entries(self->graph, dict, edges, keys, step, length)) {
        return LABEL_NOTHING;
    }
    for (size_t i = 0; i < length; i++) {
        self->state[keys[i * step]] |= KEY;
    }
    return apart ? LABEL_KEYS_APART : LABEL_KEYS_BESIDE;
}

static enum label_form
find_items(const struct gather *self, PyObject *object, const uint32_t *edges, size_t length)
{
    PyObject *const *items = PyList_Check(object) ? ((PyListObject *)object)->ob_item
                                                  : ((PyTupleObject *)object)->ob_item;
    bool forth = length <= (size_t)Py_SIZE(object), back = forth;
    for (size_t i = 0; i < length && (forth || back); i++) {
        forth = forth && is_at(self->graph, &edges[i], items[i]);
        back = back && is_at(self->graph, &edges[i], items[length - 1 - i]);
    }
    return back ? LABEL_ITEMS_BACK : forth ? LABEL_ITEMS : LABEL_NOTHING;
}

/* How the edges of a container from *start on are called by their position; LABEL_NOTHING if
 * they are not, or it has changed by more than additions. */
static enum label_form
find_form(struct gather *self, const struct wanted *wanted, PyObject *object,
          const struct comparison *edges, uint32_t *start)
{
    bool unchanged = edges->same && edges->at == edges->count;
    bool is_dict = wanted->contents == DICT;
    size_t length = is_dict ? edges->count / 2 : edges->count;
    *start = 0;
    if (wanted->contents == SET) {
        return wanted->exact && unchanged ? LABEL_ELEMENTS : LABEL_NOTHING;
    }
    if (!wanted->exact && unchanged && wanted->contents != NO_CONTENTS) {
        /* What the class of the interpreter visits comes last. */
        length = is_dict ? (size_t)PyDict_GET_SIZE(object) : (size_t)Py_SIZE(object);
        size_t taken = is_dict ? 2 * length : length;
        if (taken > edges->count) {
            return LABEL_NOTHING;
        }
        *start = edges->count - (uint32_t)taken;
    }
    else if (!wanted->exact || (is_dict && edges->count % 2 != 0)) {
        return LABEL_NOTHING;
    }
    switch (wanted->contents) {
    case DICT:
        return find_entries(self, object, edges->edges + *start, length);
    case SEQUENCE:
        return find_items(self, object, edges->edges + *start, length);
    default:
        return LABEL_NOTHING;
    }
}

/* -- one object ------------------------------------------------------------------------------------ */

static void
add_names(struct gather *self, const struct comparison *edges,
          void (*find)(struct names *names, PyObject *source), PyObject *object)
{
    size_t before = self->names.count;
    find(&self->names, object);
    shapes_add(&self->shapes, self->graph, edges->edges, edges->count, self->names.items + before,
               self->names.count - before);
}

static uint32_t
find_shape(struct gather *self, const struct wanted *wanted, PyObject *object,
           const struct comparison *edges)
{
    uint32_t start;
    enum label_form form = find_form(self, wanted, object, edges, &start);
    shapes_begin(&self->shapes);
    self->names.count = 0;
    if (wanted->exact && form != LABEL_NOTHING) {
        shapes_add_contents(&self->shapes, form, start);
        return shapes_end(&self->shapes);
    }
    add_names(self, edges, names_of_instance, object);
    if (form != LABEL_NOTHING) {
        shapes_add_contents(&self->shapes, form, start);
    }
    else if (wanted->contents != NO_CONTENTS) {
        add_names(self, edges, names_of_contents, object);
    }
    size_t before = self->names.count;
    names_of_rest(&self->names, object, &wanted->members);
    shapes_add(&self->shapes, self->graph, edges->edges, edges->count, self->names.items + before,
               self->names.count - before);
    self->failed |= self->names.failed;
    return shapes_end(&self->shapes);
}

static void
note_length(struct gather *self, uint32_t node, PyObject *object)
{
    Py_ssize_t length = PyObject_Size(object);
    if (length < 0) {
        PyErr_Clear();
    }
    else if ((size_t)length < LABELS_MOST_LENGTH - NOTE_LENGTH) {
        self->labels->note[node] = NOTE_LENGTH + (uint32_t)length;
    }
    else {
        self->state[node] |= NAMED;
    }
}

static void
look_at(struct gather *self, uint32_t node)
{
    const struct graph *graph = self->graph;
    PyObject *object = (PyObject *)(uintptr_t)graph->address[node];
    unsigned char *state = &self->state[node];
    if (*state & LOOKED_AT) {
        return;
    }
    if (graph->types[graph_type_of(graph, node)].address != (uintptr_t)Py_TYPE(object)) {
        *state = LOOKED_AT;
        return;
    }
    *state |= ALIVE | LOOKED_AT;
    const struct wanted *wanted = wanted_of(self, node, object);
    if (wanted->named) {
        *state |= NAMED;
    }
    if (wanted->sized) {
        note_length(self, node, object);
    }
    const uint32_t *start = &graph->out_start[node];
    struct comparison edges = {self, graph->out + start[0], start[1] - start[0], 0, true};
    if (!Py_IS_TYPE(object, Py_TYPE(self->self))) {
        object_visit(object, compare, &edges);
    }
    if (edges.count > 0) {
        self->labels->shape[node] = find_shape(self, wanted, object, &edges);
        *state |= wanted->parted ? PARTED : 0;
    }
}

static void
look_at_stack(struct gather *self)
{
    while (self->stack_count > 0 && !self->failed) {
        look_at(self, self->stack[--self->stack_count]);
    }
}

/* -- all of them ----------------------------------------------------------------------------------- */

/* Fetches an object that will be looked at soon, and of one that comes sooner what lies
 * outside of it, and where its edges lead. */
static void
fetch(const struct gather *self, PyObject *const *objects, size_t count, size_t at, uint32_t node)
{
    const struct graph *graph = self->graph;
    if (at + AHEAD < count) {
        PREFETCH((const char *)objects[at + AHEAD] - BEFORE);
        PREFETCH(objects[at + AHEAD]);
    }
    if (at + AHEAD / 2 < count) {
        object_prefetch_contents(objects[at + AHEAD / 2]);
    }
    if (node + AHEAD / 4 < graph->count) {
        uint32_t edge = graph->out_start[node + AHEAD / 4];
        uint32_t end = graph->out_start[node + AHEAD / 4 + 1];
        for (int i = 0; i < AHEAD / 2 && edge < end; i++, edge++) {
            PREFETCH(&graph->address[graph->out[edge]]);
            PREFETCH(&self->state[graph->out[edge]]);
        }
    }
}

/* The collector has them nearly in the order of the nodes, unless it has run since. */
static void
look_at_tracked(struct gather *self)
{
    const struct graph *graph = self->graph;
    PyObject **objects = NULL;
    size_t count = 0;
    if (enumerate_tracked(&objects, &count, 1) < 0) {
        self->failed = true;
        return;
    }
    self->all_come = true;
    uint32_t next = graph->holder_count;
    for (size_t i = 0; i < count && !self->failed; i++) {
        if (next >= graph->count || graph->address[next] != (uintptr_t)objects[i]) {
            uint32_t node = node_at(self, objects[i]);
            if (node == GRAPH_NONE) {
                continue;
            }
            next = node;
        }
        fetch(self, objects, count, i, next);
        look_at(self, next++);
        look_at_stack(self);
    }
    self->all_come = false;
    mem_free(objects);
}

static int
mark_local(PyObject *object, graph_text name, void *arg)
{
    (void)name;
    uint32_t node = node_at(arg, object);
    if (node != GRAPH_NONE) {
        mark_alive(arg, node);
    }
    return 0;
}

static void
mark_locals(struct gather *self)
{
    struct graph *holders = mem_calloc(1, sizeof *holders);
    struct stacks stacks = {0};
    int status = holders == NULL ? -1 : stacks_find(&stacks, holders, NULL);
    for (size_t i = 0; i < stacks.count && status == 0; i++) {
        if (stacks.frames[i] != NULL) {
            status = stacks_visit(stacks.frames[i], holders, mark_local, self);
        }
    }
    stacks_release(&stacks);
    graph_free(holders);
    self->failed |= status < 0;
}

static void
look_at_all(struct gather *self)
{
    const struct graph *graph = self->graph;
    bool kept = self->self->kept != NULL;
    for (uint32_t node = graph->holder_count; node < graph->count && !self->failed; node++) {
        if (kept || (graph_flags(graph, node) & GRAPH_IMMORTAL)) {
            look_at(self, node);
        }
    }
    if (!kept) {
        look_at_tracked(self);
        mark_locals(self);
        /* What the collector does not track any more. */
        for (uint32_t node = graph->holder_count; node < graph->count && !self->failed; node++) {
            if ((self->state[node] & (ALIVE | LOOKED_AT)) == ALIVE && !is_plain(self, node)) {
                push(self, node);
            }
        }
    }
    look_at_stack(self);
}

/* -- the result -------------------------------------------------------------------------------------- */

static int
add_untold(struct untold *self, PyObject *object, uint32_t number)
{
    if ((self->count == self->object_capacity
         && mem_grow((void **)&self->objects, &self->object_capacity, self->count + 1,
                     sizeof *self->objects)
                < 0)
        || (self->count == self->number_capacity
            && mem_grow((void **)&self->numbers, &self->number_capacity, self->count + 1,
                        sizeof *self->numbers)
                   < 0)) {
        return -1;
    }
    self->objects[self->count] = Py_NewRef(object);
    self->numbers[self->count++] = number;
    return 0;
}

static int
tell_key(struct gather *self, uint32_t node, PyObject *key, struct gathered *out)
{
    graph_text text;
    if (!is_one_of(Py_TYPE(key), self->options->valued)) {
        return 0;
    }
    int told = shapes_key_text(key, self->options->longest, &self->labels->texts, &text);
    return told > 0    ? label_texts_add(&self->labels->keys, node, text)
           : told == 0 ? add_untold(&out->keys, key, node)
                       : -1;
}

static void
finish(struct gather *self, struct gathered *out)
{
    const struct graph *graph = self->graph;
    for (uint32_t node = graph->holder_count; node < graph->count && !self->failed; node++) {
        PyObject *object = (PyObject *)(uintptr_t)graph->address[node];
        unsigned state = self->state[node];
        if (!(state & ALIVE)) {
            self->labels->note[node] = NOTE_GONE;
            continue;
        }
        if (((state & KEY) && tell_key(self, node, object, out) < 0)
            || ((state & NAMED) && add_untold(&out->named, object, node) < 0)
            || ((state & PARTED) && add_untold(&out->parted, object, node) < 0)) {
            self->failed = true;
        }
    }
    for (size_t i = 0; i < self->shapes.key_count && !self->failed; i++) {
        const struct key_name *name = &self->shapes.keys[i];
        self->failed = add_untold(&out->key_names, name->key, name->name) < 0;
    }
}

static int
make_index(struct gather *self)
{
    const struct graph *graph = self->graph;
    if (self->self->index != NULL) {
        self->index = self->self->index;
        return 0;
    }
    self->index = pagemap_new();
    for (uint32_t node = graph->holder_count; self->index != NULL && node < graph->count; node++) {
        if (node + AHEAD < graph->count) {
            pagemap_prefetch(self->index, graph->address[node + AHEAD]);
        }
        uint32_t *slot = pagemap_slot(self->index, graph->address[node]);
        if (slot == NULL) {
            return -1;
        }
        *slot = node + 1;
    }
    return self->index != NULL ? 0 : -1;
}

int
gather_labels(Graph *graph, const struct gather_options *options, struct gathered *out)
{
    struct gather self = {.self = graph, .graph = graph->graph, .options = options};
    *out = (struct gathered){0};
    self.labels = out->labels = labels_new(self.graph->count);
    self.state = mem_calloc((size_t)self.graph->count + 1, 1);
    self.wanted = mem_calloc((size_t)self.graph->type_count + 1, sizeof *self.wanted);
    self.names = (struct names){.most = SIZE_MAX, .layout_is_verified = options->layout_is_verified};
    self.shapes = (struct shapes){.labels = self.labels, .longest = options->longest};
    self.failed = self.labels == NULL || self.state == NULL || self.wanted == NULL
                  || make_index(&self) < 0;
    if (!self.failed) {
        look_at_all(&self);
        finish(&self, out);
    }
    self.failed |= self.shapes.failed || self.labels->texts.failed;
    for (uint32_t i = 0; self.wanted != NULL && i < self.graph->type_count; i++) {
        mem_free(self.wanted[i].members.items);
    }
    if (self.index != graph->index) {
        pagemap_free(self.index);
    }
    mem_free(self.state);
    mem_free(self.wanted);
    mem_free(self.stack);
    names_release(&self.names);
    shapes_release(&self.shapes);
    if (self.failed) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static void
untold_release(struct untold *self)
{
    for (size_t i = 0; i < self->count; i++) {
        Py_DECREF(self->objects[i]);
    }
    mem_free(self->objects);
    mem_free(self->numbers);
    *self = (struct untold){0};
}

void
gathered_release(struct gathered *self)
{
    labels_free(self->labels);
    self->labels = NULL;
    untold_release(&self->named);
    untold_release(&self->keys);
    untold_release(&self->key_names);
    untold_release(&self->parted);
}
