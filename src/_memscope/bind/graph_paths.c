#include "bind/graph.h"

#include "base/mem.h"
#include "heap/merged_paths.h"
#include "heap/paths.h"
#include "heap/search.h"

static int
parse_targets(Graph *self, PyObject *targets, PyObject *avoid, struct node_args *out_targets,
              struct node_args *out_avoid)
{
    if (graph_nodes_arg(self, targets, out_targets) < 0) {
        return -1;
    }
    if (graph_nodes_arg(self, avoid, out_avoid) < 0) {
        mem_free(out_targets->nodes);
        return -1;
    }
    return 0;
}

/* -- chain ------------------------------------------------------------------------------- */

const char graph_chain_doc[] =
    "chain($self, start, predicate, /, max_depth=20, ignore=(), backward=True)\n"
    "--\n"
    "\n"
    "The objects from the nearest one that *predicate* accepts to *start*, backward through\n"
    "what the collector tracks, or, if not *backward*, from *start* to it, through whatever\n"
    "an object refers to; None if there is none within *max_depth* steps.\n"
    "\n"
    "The predicate is called with each object once, the nearest first, *start* before all;\n"
    "what it raises ends the search.  None stands for: is a module of sys.modules.\n"
    "ignore: identities of objects not to be stepped on.\n"
    "\n"
    "Raises ValueError if the graph was taken without keep.  Cost: the references of what\n"
    "is visited, and one call of the predicate for each.";

struct chain_test {
    Graph *graph;
    PyObject *predicate;        /* NULL: modules */
};

static int
accepts(PyObject *predicate, PyObject *object)
{
    PyObject *answer = PyObject_CallOneArg(predicate, object);
    int truth = answer != NULL ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return truth;
}

static int
is_end_of_chain(uint32_t node, void *arg)
{
    const struct chain_test *test = arg;
    if (test->predicate == NULL) {
        return (graph_flags(test->graph->graph, node) & GRAPH_MODULE) != 0;
    }
    return accepts(test->predicate, test->graph->kept[node]);
}

/* The node at an address, or GRAPH_NONE. */
static uint32_t
node_at(const Graph *self, uint64_t address)
{
    uint32_t slot = pagemap_get(self->index, address);
    return slot == 0 || slot > self->graph->count ? GRAPH_NONE : slot - 1;
}

static int
parse_ignored(const Graph *self, PyObject *ids, struct node_queue *out)
{
    PyObject *iterator = PyObject_GetIter(ids), *id;
    if (iterator == NULL) {
        return -1;
    }
    while ((id = PyIter_Next(iterator)) != NULL) {
        unsigned long long address = PyLong_Check(id) ? PyLong_AsUnsignedLongLongMask(id) : 0;
        Py_DECREF(id);
        uint32_t node = node_at(self, address);
        if (node != GRAPH_NONE && node_queue_add(out, node) < 0) {
            PyErr_NoMemory();
            break;
        }
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() != NULL ? -1 : 0;
}

static PyObject *
new_chain(const Graph *self, const struct node_queue *path, int backward)
{
    PyObject *list = PyList_New((Py_ssize_t)path->count);
    for (size_t i = 0; list != NULL && i < path->count; i++) {
        size_t from = backward ? i : path->count - 1 - i;
        PyList_SET_ITEM(list, (Py_ssize_t)i, Py_NewRef(self->kept[path->nodes[from]]));
    }
    return list;
}

/* A start that is not in the graph, for instance an int that only C knows, is at the
 * beginning of no chain but that of itself. */
static PyObject *
chain_of_stranger(PyObject *start, PyObject *predicate)
{
    int found = predicate != NULL ? accepts(predicate, start) : 0;
    if (found < 0) {
        return NULL;
    }
    return found ? Py_BuildValue("[O]", start) : Py_NewRef(Py_None);
}

static PyObject *
run_chain(Graph *self, struct search *search, PyObject *predicate)
{
    struct chain_test test = {.graph = self, .predicate = predicate};
    struct node_queue path = {0};
    search->graph = self->graph;
    search->test = is_end_of_chain;
    search->arg = &test;
    PyObject *result = NULL;
    switch (search_run(search, &path)) {
    case SEARCH_FOUND:
        result = new_chain(self, &path, search->backward);
        break;
    case SEARCH_NOTHING:
        result = Py_NewRef(Py_None);
        break;
    case SEARCH_NO_MEMORY:
        PyErr_NoMemory();
        break;
    case SEARCH_STOPPED:
        break;
    }
    node_queue_release(&path);
    return result;
}

PyObject *
graph_chain(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "", "max_depth", "ignore", "backward", NULL};
    Graph *self = (Graph *)object;
    PyObject *start, *predicate, *ignore = NULL;
    Py_ssize_t max_depth = 20;
    int backward = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|nOp:chain", names, &start, &predicate,
                                     &max_depth, &ignore, &backward)) {
        return NULL;
    }
    if (self->kept == NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "this graph does not hold its objects; take it with keep=True");
        return NULL;
    }
    predicate = predicate != Py_None ? predicate : NULL;
    struct node_queue ignored = {0};
    PyObject *result = NULL;
    /* The predicate may drop every other reference to the graph. */
    Py_INCREF(self);
    if (ignore == NULL || parse_ignored(self, ignore, &ignored) == 0) {
        struct search search = {
            .start = node_at(self, (uintptr_t)start),
            .max_depth = max_depth > 0 ? (size_t)max_depth : 0,
            .backward = backward != 0,
            .ignore = ignored.nodes,
            .ignore_count = ignored.count,
        };
        result = search.start != GRAPH_NONE ? run_chain(self, &search, predicate)
                                            : chain_of_stranger(start, predicate);
    }
    Py_DECREF(self);
    node_queue_release(&ignored);
    return result;
}

/* -- paths to roots ------------------------------------------------------------------------- */

const char graph_paths_to_root_doc[] =
    "paths_to_root($self, targets, limit=1, /, avoid=())\n"
    "--\n"
    "\n"
    "Up to *limit* paths through which a root holds one of *targets*, shortest first; each\n"
    "is a list of nodes, the root first and the target last.\n"
    "\n"
    "Roots are threads, through their frames, and modules; where none of these leads to a\n"
    "target, objects with references that are not in the graph, then immortal objects.  An\n"
    "empty list: nothing holds them, they are garbage.  A path has one root, one target and\n"
    "no node of *avoid*; it goes from an object to its class only where nothing else\n"
    "leads there.\n"
    "\n"
    "Raises IndexError for a number that is no node, ValueError for a limit below 1.\n"
    "Cost: with limit 1, what is nearer to a target than the root; else a pass over the\n"
    "graph.  Other threads run meanwhile.";

static PyObject *
new_paths(const struct paths *paths)
{
    PyObject *list = PyList_New((Py_ssize_t)paths->count);
    size_t start = 0;
    for (size_t i = 0; list != NULL && i < paths->count; i++) {
        PyObject *path = graph_node_list(paths->nodes.nodes + start, paths->end[i] - start);
        start = paths->end[i];
        if (path == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, path);
    }
    return list;
}

/* Reads a number of results, at least 1. */
static int
parse_limit(Py_ssize_t limit, uint32_t *out)
{
    if (limit < 1) {
        PyErr_SetString(PyExc_ValueError, "limit must be at least 1");
        return -1;
    }
    *out = (size_t)limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX;
    return 0;
}

PyObject *
graph_paths_to_root(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "", "avoid", NULL};
    Graph *self = (Graph *)object;
    PyObject *targets_arg, *avoid_arg = NULL;
    Py_ssize_t limit = 1;
    struct paths_query query = {.graph = self->graph};
    struct node_args targets, avoid;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|nO:paths_to_root", names, &targets_arg,
                                     &limit, &avoid_arg)
        || parse_limit(limit, &query.limit) < 0
        || parse_targets(self, targets_arg, avoid_arg, &targets, &avoid) < 0) {
        return NULL;
    }
    query.targets = targets.nodes;
    query.target_count = targets.count;
    query.avoid = avoid.nodes;
    query.avoid_count = avoid.count;
    struct paths paths = {0};
    int status;
    Py_BEGIN_ALLOW_THREADS
        status = paths_find(&query, &paths);
    Py_END_ALLOW_THREADS
    PyObject *result = status == 0 ? new_paths(&paths) : PyErr_NoMemory();
    paths_release(&paths);
    mem_free(targets.nodes);
    mem_free(avoid.nodes);
    return result;
}

const char graph_merged_paths_doc[] =
    "merged_paths($self, targets, limit=10, /, avoid=())\n"
    "--\n"
    "\n"
    "(groups, number of groups, targets without a path): the ways in which roots hold many\n"
    "*targets*, one path for each target, those merged that begin at the same module or in\n"
    "the same frame and go through objects of the same classes.\n"
    "\n"
    "Up to *limit* groups, most targets first: (targets, their bytes, how many of them only\n"
    "another target holds, the path of the first of them as a list of nodes, for each step\n"
    "of it the number of nodes at that step in all paths of the group).  A path of more\n"
    "than 64 nodes is cut: the target follows its 63rd node.\n"
    "\n"
    "Roots as in paths_to_root, for each target by itself.  Raises IndexError for a number\n"
    "that is no node, ValueError for a limit below 1.  Cost: a pass over the graph.  Other\n"
    "threads run meanwhile.";

static PyObject *
new_merged_path(const struct merged_path *group)
{
    return Py_BuildValue("KKKNN", (unsigned long long)group->count,
                         (unsigned long long)group->bytes, (unsigned long long)group->behind,
                         graph_node_list(group->path, group->steps),
                         graph_node_list(group->width, group->steps));
}

static PyObject *
new_merged_paths(const struct merged_paths *merged)
{
    PyObject *list = PyList_New((Py_ssize_t)merged->count);
    for (size_t i = 0; list != NULL && i < merged->count; i++) {
        PyObject *group = new_merged_path(&merged->groups[i]);
        if (group == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, group);
    }
    return list != NULL
               ? Py_BuildValue("Nnn", list, (Py_ssize_t)merged->total, (Py_ssize_t)merged->garbage)
               : NULL;
}

PyObject *
graph_merged_paths(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "", "avoid", NULL};
    Graph *self = (Graph *)object;
    PyObject *targets_arg, *avoid_arg = NULL;
    Py_ssize_t limit_arg = 10;
    uint32_t limit;
    struct node_args targets, avoid;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|nO:merged_paths", names, &targets_arg,
                                     &limit_arg, &avoid_arg)
        || parse_limit(limit_arg, &limit) < 0
        || parse_targets(self, targets_arg, avoid_arg, &targets, &avoid) < 0) {
        return NULL;
    }
    struct merged_paths merged = {0};
    int status;
    Py_BEGIN_ALLOW_THREADS
        status = merged_paths_find(self->graph, targets.nodes, targets.count, avoid.nodes,
                                   avoid.count, limit, &merged);
    Py_END_ALLOW_THREADS
    PyObject *result = status == 0 ? new_merged_paths(&merged) : PyErr_NoMemory();
    merged_paths_release(&merged);
    mem_free(targets.nodes);
    mem_free(avoid.nodes);
    return result;
}

/* -- what a node leads to -------------------------------------------------------------------- */

const char graph_reachable_doc[] =
    "reachable($self, nodes, /, avoid=())\n"
    "--\n"
    "\n"
    "(number, bytes) of the objects that *nodes* lead to, these included, without stepping\n"
    "on a node of *avoid*.\n"
    "\n"
    "Raises IndexError for a number that is no node.  Cost: the references of what is\n"
    "visited.  Other threads run meanwhile.";

PyObject *
graph_reachable(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "avoid", NULL};
    Graph *self = (Graph *)object;
    PyObject *nodes_arg, *avoid_arg = NULL;
    struct node_args nodes, avoid;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:reachable", names, &nodes_arg, &avoid_arg)
        || parse_targets(self, nodes_arg, avoid_arg, &nodes, &avoid) < 0) {
        return NULL;
    }
    struct search_total total;
    int status;
    Py_BEGIN_ALLOW_THREADS
        status = search_reachable(self->graph, nodes.nodes, nodes.count, avoid.nodes, avoid.count,
                                  &total);
    Py_END_ALLOW_THREADS
    mem_free(nodes.nodes);
    mem_free(avoid.nodes);
    return status == 0 ? Py_BuildValue("KK", (unsigned long long)total.objects,
                                       (unsigned long long)total.bytes)
                       : PyErr_NoMemory();
}
