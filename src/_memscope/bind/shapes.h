/* The names that live objects have for what they refer to, as shapes (heap/labels.h). */
#ifndef MEMSCOPE_BIND_SHAPES_H
#define MEMSCOPE_BIND_SHAPES_H

#include "base/pycompat.h"
#include "bind/names.h"
#include "heap/labels.h"

/* A name that is the text of a key which only Python can tell. */
struct key_name {
    PyObject *key;              /* borrowed, for as long as no Python code runs */
    uint32_t name;
};

struct shapes {
    struct labels *labels;      /* what is filled; borrowed */
    Py_ssize_t longest;         /* characters of a str that are told */
    struct hashmap names;       /* what a name says -> its number */
    struct hashmap shapes;      /* hash -> number */
    graph_text kinds[NAME_FUNCTION + 1], told_kind;
    struct key_name *keys;
    size_t key_count, key_capacity;
    /* The shape that is made now: */
    struct label_shape next;
    struct label_reference *references;
    size_t reference_capacity;
    bool failed;                /* no memory, or too much of something */
};

void shapes_release(struct shapes *self);

/* Make a shape: begin, add names, and where they belong the contents, and end.  `edges` are
 * the `count` edges of the node that has it; a name without an edge is left out.  `likely`:
 * the number of one that it may well be. */
void shapes_begin(struct shapes *self);
void shapes_add(struct shapes *self, const struct graph *graph, const uint32_t *edges,
                uint32_t count, const struct name *names, size_t name_count);
void shapes_add_contents(struct shapes *self, enum label_form form, uint32_t start);
uint32_t shapes_end(struct shapes *self, uint32_t likely);

/* Begins with the references that a shape has, so that more can follow them. */
void shapes_begin_from(struct shapes *self, uint32_t shape);

/* Adds a reference by its position, with a name that is this text alone. */
void shapes_add_told(struct shapes *self, uint32_t edge, PyObject *text);

/* Adds the text of a key to a pool: 1, or 0 if it is neither a number nor a short str, or
 * -1 without memory.  Runs no Python code. */
int shapes_key_text(PyObject *key, Py_ssize_t longest, struct writer *texts, graph_text *text);

/* Adds a str to a pool; the empty text if it is none. */
graph_text shapes_text(struct writer *texts, PyObject *unicode);

#endif
