/* One pass over the objects that the collector tracks and what they lead to.  What an object
 * refers to is compared with the edges that the graph has: where they agree, as nearly
 * always, no address is looked up, and what is referred to is alive. */
#include "bind/gather.h"

#include "base/mem.h"
#include "bind/names.h"
#include "bind/shapes.h"
#include "bind/wanted.h"
#include "heap/enumerate.h"
#include "heap/stacks.h"
#include "heap/visit.h"

#define AHEAD 12                /* objects between fetching one and looking at it */
#define BEFORE 32               /* bytes in front of one that say where its attributes are */

/* Bits of `state`. */
enum { ALIVE = 1, LOOKED_AT = 2, KEY = 4, NAMED = 8, PARTED = 16 };

struct gather {
    Graph *self;
    const struct graph *graph;
    const struct wanted_options *options;
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

static struct wanted *
wanted_of(struct gather *self, uint32_t node, PyObject *object)
{
    struct wanted *wanted = &self->wanted[graph_type_of(self->graph, node)];
    if (!wanted->known) {
        self->failed |= wanted_find(wanted, self->options, object) < 0;
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

static void
mark_keys(struct gather *self, enum label_form form, const uint32_t *contents, uint32_t count)
{
    bool apart = form == LABEL_KEYS_APART;
    if (apart || form == LABEL_KEYS_BESIDE) {
        for (uint32_t i = apart ? count / 2 : 1; i < count; i += apart ? 1 : 2) {
            self->state[contents[i]] |= KEY;
        }
    }
}

static uint32_t
find_shape(struct gather *self, const struct wanted *wanted, PyObject *object,
           const struct comparison *edges)
{
    uint32_t start;
    bool unchanged = edges->same && edges->at == edges->count;
    enum label_form form = container_form(&wanted->container, self->graph, object, edges->edges,
                                          edges->count, unchanged, &start);
    mark_keys(self, form, edges->edges + start, edges->count - start);
    shapes_begin(&self->shapes);
    self->names.count = 0;
    if (wanted->container.exact && form != LABEL_NOTHING) {
        shapes_add_contents(&self->shapes, form, start);
        return shapes_end(&self->shapes, wanted->last_shape);
    }
    add_names(self, edges, names_of_instance, object);
    if (form != LABEL_NOTHING) {
        shapes_add_contents(&self->shapes, form, start);
    }
    else if (wanted->container.contents != NO_CONTENTS) {
        add_names(self, edges, names_of_contents, object);
    }
    size_t before = self->names.count;
    names_of_rest(&self->names, object, &wanted->members);
    shapes_add(&self->shapes, self->graph, edges->edges, edges->count, self->names.items + before,
               self->names.count - before);
    self->failed |= self->names.failed;
    return shapes_end(&self->shapes, wanted->last_shape);
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
    struct wanted *wanted = wanted_of(self, node, object);
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
        wanted->last_shape = find_shape(self, wanted, object, &edges);
        self->labels->shape[node] = wanted->last_shape;
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
tell_key(struct gather *self, uint32_t node, PyObject *key, struct gathered *out)
{
    graph_text text;
    if (!wanted_is_one_of(Py_TYPE(key), self->options->valued)) {
        return 0;
    }
    int told = shapes_key_text(key, self->options->longest, &self->labels->texts, &text);
    return told > 0    ? label_texts_add(&self->labels->keys, node, text)
           : told == 0 ? untold_add(&out->keys, key, node)
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
            || ((state & NAMED) && untold_add(&out->named, object, node) < 0)
            || ((state & PARTED) && untold_add(&out->parted, object, node) < 0)) {
            self->failed = true;
        }
    }
    for (size_t i = 0; i < self->shapes.key_count && !self->failed; i++) {
        const struct key_name *name = &self->shapes.keys[i];
        self->failed = untold_add(&out->key_names, name->key, name->name) < 0;
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
gather_labels(Graph *graph, const struct wanted_options *options, struct gathered *out)
{
    struct gather self = {.self = graph, .graph = graph->graph, .options = options};
    *out = (struct gathered){0};
    self.labels = out->labels = labels_new(self.graph->count);
    self.state = mem_calloc((size_t)self.graph->count + 1, 1);
    self.wanted = mem_calloc((size_t)self.graph->type_count + 1, sizeof *self.wanted);
    self.names =
        (struct names){.most = SIZE_MAX, .layout_is_verified = options->layout_is_verified};
    self.shapes = (struct shapes){.labels = self.labels, .longest = options->longest};
    self.failed =
        self.labels == NULL || self.state == NULL || self.wanted == NULL || make_index(&self) < 0;
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
