#include <stdlib.h>

#include "base/mem.h"
#include "bind/bind.h"
#include "bind/graph_join.h"
#include "bind/history.h"

typedef struct {
    PyObject_HEAD
    History *history;           /* owned */
    struct survivors found;     /* owned; borrows from the history */
} Survivors;

static int
survivors_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((Survivors *)object)->history);
    return 0;
}

static void
survivors_dealloc(PyObject *object)
{
    Survivors *self = (Survivors *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    survivors_release(&self->found);
    Py_DECREF(self->history);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

PyObject *
survivors_new(PyTypeObject *type, History *history, PyObject *avoid)
{
    const struct graph *graph = history->graph->graph;
    PyObject *sequence = avoid != NULL ? PySequence_Tuple(avoid) : PyTuple_New(0);
    if (sequence == NULL) {
        return NULL;
    }
    size_t count = (size_t)PyTuple_GET_SIZE(sequence);
    uint32_t *nodes = mem_malloc(count + 1, sizeof *nodes);
    Survivors *self = NULL;
    if (nodes == NULL) {
        PyErr_NoMemory();
    }
    else if (graph_parse_nodes(sequence, graph->count, nodes) == 0) {
        self = PyObject_GC_New(Survivors, type);
    }
    if (self != NULL) {
        self->history = (History *)Py_NewRef(history);
        self->found = (struct survivors){0};
        int status;
        Py_BEGIN_ALLOW_THREADS
            status = survivors_find(graph, &history->history, nodes, count, &self->found);
        Py_END_ALLOW_THREADS
        PyObject_GC_Track(self);
        if (status < 0) {
            Py_CLEAR(self);
            PyErr_NoMemory();
        }
    }
    mem_free(nodes);
    Py_DECREF(sequence);
    return (PyObject *)self;
}

/* A new list of one count for each moment from 1 on. */
static PyObject *
moment_list(const uint32_t *counts, uint16_t moments)
{
    return graph_node_list(counts + 1, moments);
}

/* -- piles --------------------------------------------------------------------------------- */

static PyObject *
new_pile(const Survivors *self, const struct survivors_pile *pile, uint32_t *born)
{
    const struct history *history = &self->history->history;
    for (uint32_t i = 0; i <= history->moment; i++) {
        born[i] = 0;
    }
    for (uint32_t i = pile->first; i < pile->first + pile->count; i++) {
        born[history->birth[self->found.nodes[i]]]++;
    }
    long long holder = pile->holder == GRAPH_NONE ? -1 : (long long)pile->holder;
    return Py_BuildValue("LIIIKN", holder, pile->root, pile->count, pile->entries,
                         (unsigned long long)pile->bytes, moment_list(born, history->moment));
}

PyDoc_STRVAR(piles_doc,
"piles($self, limit, /)\n"
"--\n"
"\n"
"The *limit* piles of most bytes: (node of the holder or -1, kind of root, objects,\n"
"those of them that it holds directly, bytes, objects by moment of birth).\n"
"\n"
"Kinds: 0 named, 1 through a class, 2 held by C, 3 immortal, 4 garbage.");

static PyObject *
piles(PyObject *object, PyObject *number)
{
    Survivors *self = (Survivors *)object;
    Py_ssize_t limit = PyNumber_AsSsize_t(number, PyExc_OverflowError);
    if (limit < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "limit must be at least 0");
        }
        return NULL;
    }
    size_t count = (size_t)limit < self->found.pile_count ? (size_t)limit : self->found.pile_count;
    uint32_t *born = mem_malloc((size_t)self->history->history.moment + 1, sizeof *born);
    PyObject *list = born != NULL ? PyList_New((Py_ssize_t)count) : PyErr_NoMemory();
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *pile = new_pile(self, &self->found.piles[i], born);
        if (pile == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, pile);
    }
    mem_free(born);
    return list;
}

/* -- groups of one pile ----------------------------------------------------------------------- */

/* New objects of one class, from one traceback, that are all entries or all none. */
struct group {
    uint32_t type, traceback, entry;
    uint32_t example;           /* a node, the newest of them */
    uint32_t count;
    uint64_t bytes, below;
};

/* Where traces come from, and from which epoch on that of an object born at a moment can
 * be its own: an older one is that of the block's former owner, which a free list gave on. */
struct allocations {
    const Join *join;           /* or NULL */
    uint64_t *epochs;
    size_t epoch_count;
};

static uint32_t
own_traceback(const struct allocations *self, const struct history *history, uint32_t node)
{
    uint64_t epoch;
    size_t moment = history->birth[node];
    if (self->join == NULL || !graph_join_epoch(self->join, node, &epoch)) {
        return 0;
    }
    if (moment > 0 && moment <= self->epoch_count && epoch < self->epochs[moment - 1]) {
        return 0;
    }
    return graph_join_traceback(self->join, node);
}

static uint64_t
group_key(const Survivors *self, const struct survivors_pile *pile,
          const struct allocations *allocations, uint32_t node, struct group *out)
{
    out->type = graph_type_of(self->found.graph, node);
    out->traceback = own_traceback(allocations, &self->history->history, node);
    out->entry = survivors_is_entry(&self->found, pile, node);
    /* A class has a number below 2**24, so this is no HASHMAP_NO_KEY. */
    return (uint64_t)out->entry << 56 | (uint64_t)out->type << 32 | out->traceback;
}

struct grouping {
    struct hashmap numbers;     /* key -> group */
    struct group *groups;
    size_t count, capacity;
    uint32_t *born;             /* moments + 1 for each group */
    size_t born_capacity;
};

static int
add_to_group(struct grouping *self, const Survivors *of, const struct survivors_pile *pile,
             const struct allocations *allocations, uint32_t at)
{
    const struct history *history = &of->history->history;
    size_t moments = (size_t)history->moment + 1;
    uint32_t node = of->found.nodes[at];
    struct group group = {.example = node};
    uint64_t key = group_key(of, pile, allocations, node, &group);
    const uint64_t *known = hashmap_get(&self->numbers, key);
    size_t number = known != NULL ? (size_t)*known : self->count;
    if (known == NULL) {
        if (mem_grow((void **)&self->groups, &self->capacity, number + 1, sizeof group) < 0
            || mem_grow((void **)&self->born, &self->born_capacity, (number + 1) * moments,
                        sizeof *self->born)
                   < 0
            || hashmap_put(&self->numbers, key, number) < 0) {
            return -1;
        }
        self->groups[self->count++] = group;
        for (size_t i = 0; i < moments; i++) {
            self->born[number * moments + i] = 0;
        }
    }
    struct group *into = &self->groups[number];
    into->count++;
    into->bytes += graph_size_of(of->found.graph, node);
    into->below += of->found.below[at];
    if (history->birth[node] >= history->birth[into->example]) {
        into->example = node;
    }
    self->born[number * moments + history->birth[node]]++;
    return 0;
}

static PyObject *
group_list(const struct grouping *self, uint16_t moments)
{
    PyObject *list = PyList_New((Py_ssize_t)self->count);
    for (size_t i = 0; list != NULL && i < self->count; i++) {
        const struct group *group = &self->groups[i];
        PyObject *row = Py_BuildValue(
            "IIOIKKIN", group->type, group->traceback, group->entry ? Py_True : Py_False,
            group->count, (unsigned long long)group->bytes, (unsigned long long)group->below,
            group->example, moment_list(self->born + i * ((size_t)moments + 1), moments));
        if (row == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    return list;
}

PyDoc_STRVAR(groups_doc,
"groups($self, pile, join=None, epochs=(), /)\n"
"--\n"
"\n"
"The new objects of the pile with this number, by class, by traceback (which *join* knows;\n"
"0 also for one from before the object's moment, of the epochs that began with each),\n"
"and by whether the holder has them directly: (class, traceback, whether it has, objects,\n"
"their bytes, bytes of all new ones behind each of them, one of the newest, objects by\n"
"moment of birth).\n"
"\n"
"Raises MemoryError, IndexError; ValueError for a join of another graph.  Cost: a pass\n"
"over the pile.");

static PyObject *
groups(PyObject *object, PyObject *args)
{
    Survivors *self = (Survivors *)object;
    struct module_state *state = PyType_GetModuleState(Py_TYPE(object));
    Py_ssize_t number;
    PyObject *join = Py_None, *epochs = NULL;
    if (!PyArg_ParseTuple(args, "n|OO!:groups", &number, &join, &PyTuple_Type, &epochs)) {
        return NULL;
    }
    if (number < 0 || (size_t)number >= self->found.pile_count) {
        PyErr_Format(PyExc_IndexError, "pile %zd is not one of %zu", number,
                     self->found.pile_count);
        return NULL;
    }
    if (join != Py_None
        && (!Py_IS_TYPE(join, state->join_type) || ((Join *)join)->graph != self->history->graph)) {
        PyErr_SetString(PyExc_ValueError, "join must be a Join of the same graph, or None");
        return NULL;
    }
    struct allocations allocations = {.join = join != Py_None ? (Join *)join : NULL};
    if (epochs != NULL) {
        allocations.epochs = history_parse_epochs(epochs, &allocations.epoch_count);
        if (allocations.epochs == NULL) {
            return NULL;
        }
    }
    const struct survivors_pile *pile = &self->found.piles[number];
    struct grouping grouping = {0};
    int status = 0;
    for (uint32_t i = pile->first; i < pile->first + pile->count && status == 0; i++) {
        status = add_to_group(&grouping, self, pile, &allocations, i);
    }
    PyObject *result =
        status == 0 ? group_list(&grouping, self->history->history.moment) : PyErr_NoMemory();
    hashmap_clear(&grouping.numbers);
    mem_free(grouping.groups);
    mem_free(grouping.born);
    mem_free(allocations.epochs);
    return result;
}

PyDoc_STRVAR(way_doc,
"way($self, node, /)\n"
"--\n"
"\n"
"The way by which *node* is charged to a pile: nodes from the root on.");

static PyObject *
way(PyObject *object, PyObject *number)
{
    Survivors *self = (Survivors *)object;
    uint32_t node;
    if (graph_node_arg(self->history->graph, number, &node) < 0) {
        return NULL;
    }
    struct node_queue nodes = {0};
    int status = node_queue_add(&nodes, node);
    while (status == 0 && self->found.parent[node] != node
           && self->found.parent[node] != GRAPH_NONE) {
        node = self->found.parent[node];
        status = node_queue_add(&nodes, node);
    }
    PyObject *list = status == 0 ? graph_node_list(nodes.nodes, nodes.count) : PyErr_NoMemory();
    node_queue_release(&nodes);
    if (list != NULL && PyList_Reverse(list) < 0) {
        Py_CLEAR(list);
    }
    return list;
}

PyDoc_STRVAR(members_doc,
"members($self, pile, entries=False, limit=1000, /)\n"
"--\n"
"\n"
"Up to *limit* nodes of the pile with this number; only those that the holder has directly\n"
"if *entries*.");

static PyObject *
members(PyObject *object, PyObject *args)
{
    Survivors *self = (Survivors *)object;
    Py_ssize_t number, limit = 1000;
    int entries = 0;
    if (!PyArg_ParseTuple(args, "n|pn:members", &number, &entries, &limit)) {
        return NULL;
    }
    if (number < 0 || (size_t)number >= self->found.pile_count) {
        PyErr_Format(PyExc_IndexError, "pile %zd is not one of %zu", number,
                     self->found.pile_count);
        return NULL;
    }
    const struct survivors_pile *pile = &self->found.piles[number];
    struct node_queue nodes = {0};
    int status = 0;
    for (uint32_t i = pile->first; i < pile->first + pile->count && status == 0; i++) {
        uint32_t node = self->found.nodes[i];
        if ((Py_ssize_t)nodes.count < limit
            && (!entries || survivors_is_entry(&self->found, pile, node))) {
            status = node_queue_add(&nodes, node);
        }
    }
    PyObject *list = status == 0 ? graph_node_list(nodes.nodes, nodes.count) : PyErr_NoMemory();
    node_queue_release(&nodes);
    return list;
}

static Py_ssize_t
survivors_length(PyObject *self)
{
    return (Py_ssize_t)((Survivors *)self)->found.pile_count;
}

static PyMethodDef methods[] = {
    {"piles", piles, METH_O, piles_doc},
    {"groups", groups, METH_VARARGS, groups_doc},
    {"members", members, METH_VARARGS, members_doc},
    {"way", way, METH_O, way_doc},
    {0},
};

PyDoc_STRVAR(survivors_doc,
"What came after the beginning of a history and is still there, in piles, one for each\n"
"object that holds some.  Its length is their number.  Made by History.survivors().");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)survivors_doc},   {Py_tp_dealloc, survivors_dealloc},
    {Py_tp_traverse, survivors_traverse}, {Py_tp_methods, methods},
    {Py_sq_length, survivors_length},     {0, NULL},
};

PyType_Spec survivors_spec = {
    .name = "memscope._memscope.Survivors",
    .basicsize = sizeof(Survivors),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
