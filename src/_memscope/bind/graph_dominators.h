/* The Dominators type: the dominator tree of a graph as a Python object.  It never
 * changes, and holds a reference to its graph; so the tree may be read without the GIL by
 * who holds a reference to it.  graph_dominators.c has the type, dominator_groups.c the sums
 * over groups of nodes. */
#ifndef MEMSCOPE_GRAPH_DOMINATORS_H
#define MEMSCOPE_GRAPH_DOMINATORS_H

#include "base/pycompat.h"
#include "bind/graph.h"
#include "heap/dominators.h"

typedef struct {
    PyObject_HEAD
    Graph *graph;               /* strong; never NULL */
    struct dominators *tree;    /* owned; never NULL */
} Dominators;

extern PyType_Spec graph_dominators_spec;

/* Reads a node, of which -1 is the root above all and -2 that of garbage; -1 with an
 * exception. */
int dominators_node_arg(Dominators *self, PyObject *number, uint32_t *node);

/* dominator_groups.c */
PyObject *dominators_children_by_type(PyObject *self, PyObject *node);
extern const char dominators_children_by_type_doc[];
PyObject *dominators_by_type(PyObject *self, PyObject *args);
PyObject *dominators_by_site(PyObject *self, PyObject *args);
PyObject *dominators_by_holder(PyObject *self, PyObject *ignored);
extern const char dominators_by_type_doc[], dominators_by_site_doc[], dominators_by_holder_doc[];

#endif
