/* The Graph type: a heap graph as a Python object.  graph.c has the type and what is in
 * a graph, graph_take.c how one is made, graph_objects.c the way to the live objects,
 * graph_file.c that into a file and back, graph_labels.c what came with it; the others
 * its questions. */
#ifndef MEMSCOPE_BIND_GRAPH_H
#define MEMSCOPE_BIND_GRAPH_H

#include "base/pycompat.h"
#include "heap/graph.h"
#include "heap/labels.h"
#include "heap/pagemap.h"
#include "heap/sites.h"

typedef struct {
    PyObject_HEAD
    struct graph *graph;        /* owned; never NULL */
    PyObject **kept;            /* strong references, one for each node but holders; or NULL */
    struct pagemap *index;      /* owned; from address to node + 1; NULL if not kept */
    int stored;                 /* from a file: addresses mean nothing in this process */
    struct labels *labels;      /* owned; NULL unless stored, and then too if not in the file */
    struct sites *sites;        /* the same */
} Graph;

/* Reads a node number; -1 with IndexError or TypeError.  `what` begins the message. */
int graph_node_arg(Graph *self, PyObject *number, uint32_t *node);

/* Reads a tuple of numbers below `count`; -1 with TypeError or IndexError.  A tuple,
 * because __index__ and a collection run code that could change a list. */
int graph_parse_nodes(PyObject *sequence, uint32_t count, uint32_t *out);

/* Node numbers given as a sequence; `nodes` is released with mem_free. */
struct node_args {
    uint32_t *nodes;
    size_t count;
};

/* 0, or -1 with an exception and nothing to release.  NULL: none are given. */
int graph_nodes_arg(Graph *self, PyObject *sequence, struct node_args *out);

/* An object without a graph, not yet tracked: it is made before the graph is, since
 * making it could start a collection. */
Graph *graph_new_empty(PyTypeObject *type);

/* A new list of ints. */
PyObject *graph_node_list(const uint32_t *nodes, size_t count);

/* graph_take.c */

/* Called with a graph that has just been taken, and its map; nothing has happened since.
 * 0, or -1 without memory; no exception. */
typedef int (*graph_moment)(const struct graph *graph, const struct pagemap *map, void *arg);

/* What Graph.take does with its arguments; `moment` may be NULL. */
Graph *graph_take_at(PyTypeObject *type, PyObject *args, PyObject *kwargs, graph_moment moment,
                     void *arg);
PyObject *graph_take(PyObject *type, PyObject *args, PyObject *kwargs);
PyObject *graph_from_python(PyObject *type, PyObject *args);
extern const char graph_take_doc[], graph_from_python_doc[];

/* graph_objects.c */
PyObject *graph_find(PyObject *self, PyObject *objects);
PyObject *graph_objects(PyObject *self, PyObject *args);
extern const char graph_find_doc[], graph_objects_doc[];

/* graph_paths.c */
PyObject *graph_chain(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *graph_paths_to_root(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *graph_merged_paths(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *graph_reachable(PyObject *self, PyObject *args, PyObject *kwargs);
extern const char graph_chain_doc[], graph_paths_to_root_doc[], graph_merged_paths_doc[],
    graph_reachable_doc[];

/* graph_dominators.c */
PyObject *graph_dominators(PyObject *self, PyObject *ignored);
extern const char graph_dominators_doc[];

/* graph_growth.c */
PyObject *graph_grown(PyObject *self, PyObject *args);
extern const char graph_grown_doc[];

/* graph_file.c */
PyObject *graph_to_bytes(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *graph_from_bytes(PyObject *type, PyObject *data);
extern const char graph_to_bytes_doc[], graph_from_bytes_doc[];

/* graph_labels.c */
PyObject *graph_edge_names(PyObject *self, PyObject *args);
PyObject *graph_description(PyObject *self, PyObject *number);
PyObject *graph_sites(PyObject *self, PyObject *ignored);
extern const char graph_edge_names_doc[], graph_description_doc[], graph_sites_doc[];

/* A new str of a text (graph.c). */
PyObject *graph_new_text(const struct writer *texts, graph_text text);

#endif
