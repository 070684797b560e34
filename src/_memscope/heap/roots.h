/* What keeps objects alive by itself, and which references a path to it may take.
 *
 * Almost every object has some root, so what is wanted is the one that tells most to a
 * human.  Kinds are tried in the order of enum root_kind, and a later one only for
 * what no earlier one reaches:
 *
 *   named       threads (with their frames) and modules, without stepping from an
 *               object to its class: "an instance of it exists" explains no object that
 *               a class holds, and there may be thousands of instances;
 *   by class    the same roots, and those steps too;
 *   C           objects with references that are not in the graph;
 *   immortal    objects whose reference count says nothing. */
#ifndef MEMSCOPE_ROOTS_H
#define MEMSCOPE_ROOTS_H

#include "heap/graph.h"

enum root_kind { ROOT_NAMED, ROOT_BY_CLASS, ROOT_IN_C, ROOT_IMMORTAL, ROOT_KINDS };

static inline bool
root_is_module(const struct graph *graph, uint32_t node)
{
    return (graph_flags(graph, node) & GRAPH_MODULE) != 0;
}

static inline bool
root_is(const struct graph *graph, enum root_kind kind, uint32_t node)
{
    if (node < graph->holder_count) {
        return kind <= ROOT_BY_CLASS && graph->holders[node].kind == GRAPH_THREAD;
    }
    unsigned flags = graph_flags(graph, node);
    if (kind <= ROOT_BY_CLASS) {
        return (flags & GRAPH_MODULE) != 0;
    }
    if (kind == ROOT_IN_C) {
        return (flags & GRAPH_SURPLUS) != 0 && (flags & GRAPH_IMMORTAL) == 0;
    }
    return (flags & GRAPH_IMMORTAL) != 0;
}

/* Whether `source` is an object and `target` its class. */
static inline bool
root_is_class_step(const struct graph *graph, uint32_t source, uint32_t target)
{
    return (graph_flags(graph, target) & GRAPH_TYPE) != 0 && source >= graph->holder_count
           && graph->types[graph_type_of(graph, source)].address == graph->address[target];
}

/* Whether paths to roots of this kind may go from `source` to `target`, which it refers to. */
static inline bool
root_may_step(const struct graph *graph, enum root_kind kind, uint32_t source, uint32_t target)
{
    return kind != ROOT_NAMED || !root_is_class_step(graph, source, target);
}

#endif
