/* Between nodes of a graph and the objects of the live heap. */
#include "base/mem.h"
#include "bind/graph.h"
#include "heap/enumerate.h"
#include "heap/stacks.h"
#include "heap/visit.h"

const char graph_find_doc[] =
    "find($self, objects, /)\n"
    "--\n"
    "\n"
    "The node of each object, -1 for one that is not in the graph; for all, if it is from a\n"
    "file.\n"
    "\n"
    "An address may have been given to another object since the graph was taken; then the\n"
    "node is that of the object that was there.  Cost: one pass over the graph, without\n"
    "keep; a lookup with it.";

PyObject *
graph_find(PyObject *object, PyObject *sequence)
{
    Graph *self = (Graph *)object;
    const struct graph *graph = self->graph;
    PyObject *objects = PySequence_Tuple(sequence);
    if (objects == NULL) {
        return NULL;
    }
    struct hashmap wanted = {0};
    Py_ssize_t count = PySequence_Fast_GET_SIZE(objects);
    int failed = 0;
    for (Py_ssize_t i = 0; i < count && self->index == NULL && !failed; i++) {
        failed = hashmap_put(&wanted, (uintptr_t)PySequence_Fast_GET_ITEM(objects, i), 0) < 0;
    }
    for (uint32_t i = graph->holder_count; i < graph->count && wanted.count > 0 && !self->stored;
         i++) {
        uint64_t *node = hashmap_get(&wanted, graph->address[i]);
        if (node != NULL) {
            *node = (uint64_t)i + 1;
        }
    }
    PyObject *list = failed ? PyErr_NoMemory() : PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        uintptr_t address = (uintptr_t)PySequence_Fast_GET_ITEM(objects, i);
        uint64_t node;
        if (self->index != NULL) {
            node = pagemap_get(self->index, address);
            node = node > graph->count ? 0 : node;      /* hidden */
        }
        else {
            node = *hashmap_get(&wanted, address);
        }
        PyObject *number = PyLong_FromLongLong((long long)node - 1);
        if (number == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, number);
    }
    hashmap_clear(&wanted);
    Py_DECREF(objects);
    return list;
}

/* -- what is still there
 *
 * Without strong references, an object may be gone, and its memory be anything.  What
 * the collector tracks now is alive.  Another object is, if something alive refers to
 * it; so such a node is looked for through its referrers, or in running frames. */

#define CLIMB_STEPS 3       /* references between an object and a tracked one */
#define CLIMB_WIDTH 4       /* referrers of each that are tried */

enum liveness { UNKNOWN, ALIVE, VISITED };      /* VISITED: and so were its referents */

struct liveness_check {
    const struct graph *graph;
    struct hashmap state;           /* address -> enum liveness */
    uint32_t *candidates;           /* nodes whose address is in it */
    size_t count, capacity;
};

static void
liveness_release(struct liveness_check *self)
{
    hashmap_clear(&self->state);
    mem_free(self->candidates);
}

/* Adds a node, and the referrers that may vouch for it. */
static int
add_candidate(struct liveness_check *self, uint32_t node, int steps)
{
    const struct graph *graph = self->graph;
    if (node < graph->holder_count || (graph_flags(graph, node) & GRAPH_IMMORTAL)) {
        return 0;
    }
    if (hashmap_get(&self->state, graph->address[node]) == NULL) {
        if ((self->count == self->capacity
             && mem_grow((void **)&self->candidates, &self->capacity, self->count + 1,
                         sizeof *self->candidates)
                    < 0)
            || hashmap_put(&self->state, graph->address[node], UNKNOWN) < 0) {
            return -1;
        }
        self->candidates[self->count++] = node;
    }
    if (graph_flags(graph, node) & GRAPH_TRACKED) {
        return 0;
    }
    uint32_t edge = graph->in_start[node];
    for (int i = 0; i < CLIMB_WIDTH && steps > 0 && edge < graph->in_start[node + 1]; i++) {
        if (add_candidate(self, graph->in[edge++], steps - 1) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
mark_alive(PyObject *object, void *arg)
{
    struct liveness_check *self = arg;
    uint64_t *state = hashmap_get(&self->state, (uintptr_t)object);
    if (state != NULL && *state == UNKNOWN) {
        *state = ALIVE;
    }
    return 0;
}

static int
mark_local(PyObject *object, graph_text name, void *arg)
{
    (void)name;
    return mark_alive(object, arg);
}

static int
mark_locals(struct liveness_check *self)
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
    return status;
}

static int
mark_tracked(struct liveness_check *self)
{
    PyObject **tracked;
    size_t count;
    if (enumerate_tracked(&tracked, &count, 1) < 0) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        mark_alive(tracked[i], self);
    }
    mem_free(tracked);
    return 0;
}

/* Looks into each candidate that is known to be alive, once: what it refers to is
 * alive too.  A round may find more of them. */
static void
mark_referents(struct liveness_check *self)
{
    for (int round = 0; round <= CLIMB_STEPS; round++) {
        for (size_t i = 0; i < self->count; i++) {
            uint64_t address = self->graph->address[self->candidates[i]];
            uint64_t *state = hashmap_get(&self->state, address);
            if (*state == ALIVE) {
                *state = VISITED;
                object_visit((PyObject *)(uintptr_t)address, mark_alive, self);
            }
        }
    }
}

static int
find_alive(struct liveness_check *self, const uint32_t *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (add_candidate(self, nodes[i], CLIMB_STEPS) < 0) {
            return -1;
        }
    }
    if (mark_tracked(self) < 0 || mark_locals(self) < 0) {
        return -1;
    }
    mark_referents(self);
    return 0;
}

static int
is_alive(const struct liveness_check *self, uint32_t node)
{
    if (node < self->graph->holder_count) {
        return 0;
    }
    if (graph_flags(self->graph, node) & GRAPH_IMMORTAL) {
        return 1;
    }
    uint64_t address = self->graph->address[node];
    const uint64_t *state = hashmap_get(&self->state, address);
    if (state == NULL || *state == UNKNOWN) {
        return 0;
    }
    /* What has the address now may be another object. */
    uint64_t class = self->graph->types[graph_type_of(self->graph, node)].address;
    return class == (uintptr_t)Py_TYPE((PyObject *)(uintptr_t)address);
}

const char graph_objects_doc[] =
    "objects($self, nodes, default=None, /)\n"
    "--\n"
    "\n"
    "The object of each node; *default* for a thread, a frame and an object that is gone,\n"
    "or of which that cannot be told, and for all in a graph from a file.\n"
    "\n"
    "Without keep, another object of the same class may meanwhile have the address of one\n"
    "that is gone.\n"
    "Cost: without keep, a pass over what the collector tracks.";

PyObject *
graph_objects(PyObject *object, PyObject *args)
{
    Graph *self = (Graph *)object;
    const struct graph *graph = self->graph;
    PyObject *nodes_arg, *missing = Py_None;
    if (!PyArg_ParseTuple(args, "O|O:objects", &nodes_arg, &missing)) {
        return NULL;
    }
    PyObject *sequence = PySequence_Tuple(nodes_arg);
    if (sequence == NULL) {
        return NULL;
    }
    size_t count = (size_t)PySequence_Fast_GET_SIZE(sequence);
    uint32_t *nodes = mem_malloc(count + 1, sizeof *nodes);
    struct liveness_check check = {.graph = graph};
    PyObject *list = NULL;
    if (nodes == NULL) {
        PyErr_NoMemory();
    }
    else if (graph_parse_nodes(sequence, graph->count, nodes) == 0) {
        list = PyList_New((Py_ssize_t)count);
    }
    bool looks = self->kept == NULL && !self->stored;
    if (list != NULL && looks && find_alive(&check, nodes, count) < 0) {
        PyErr_NoMemory();
        Py_CLEAR(list);
    }
    for (size_t i = 0; list != NULL && i < count; i++) {
        bool known = self->kept != NULL ? nodes[i] >= graph->holder_count
                                        : looks && is_alive(&check, nodes[i]);
        PyObject *found = known ? (PyObject *)(uintptr_t)graph->address[nodes[i]] : missing;
        PyList_SET_ITEM(list, (Py_ssize_t)i, Py_NewRef(found));
    }
    liveness_release(&check);
    mem_free(nodes);
    Py_DECREF(sequence);
    return list;
}
