/* What the nodes of a graph, and the references between them, are called: columns beside a
 * graph, frozen like it, for who has the objects no more.
 *
 * Names of references are shared.  A *shape* says what the edges of a node are called,
 * by their position among them; all instances of a class that set the same attributes have
 * one shape.  What a container has is not told edge by edge: its shape has a *form*, which
 * says how the names follow from the positions, or from the keys, which are nodes too.
 *
 *     node -> shape -> form, and references: (edge, name) ... -> name: kind and text
 *     key of a dict -> its text
 *     node -> note: length, or nothing but its class; or a text of its own
 *
 * The numbers are trusted by all readers: who fills the columns has checked them. */
#ifndef MEMSCOPE_LABELS_H
#define MEMSCOPE_LABELS_H

#include "heap/graph.h"

#define LABELS_NO_TEXT UINT32_MAX
#define LABELS_MOST_LENGTH (UINT32_MAX - 2u)

/* How the contents of a container, the edges from `start` to the last, are called. */
enum label_form {
    LABEL_NOTHING,      /* there are none */
    LABEL_ITEMS,        /* by index, the first first */
    LABEL_ITEMS_BACK,   /* by index, the last first */
    LABEL_KEYS_APART,   /* n values, then their n keys */
    LABEL_KEYS_BESIDE,  /* each value is followed by its key */
    LABEL_ELEMENTS,     /* all alike */
    LABEL_FORMS
};

struct label_name {
    graph_text kind;            /* as edge_names() in bind/names.c has it */
    graph_text text;            /* LABELS_NO_TEXT: the kind says all */
};

struct label_reference {
    uint32_t edge;              /* position among the edges of the node */
    uint32_t name;
};

struct label_shape {
    uint32_t form, start;
    uint32_t first, count;      /* in `references` */
    uint32_t before;            /* so many of them are told before the contents */
};

/* Texts of some nodes. */
struct label_texts {
    uint32_t *nodes;            /* ascending */
    graph_text *texts;
    uint32_t count;
    size_t node_capacity, text_capacity;
};

/* Values of `note`; above, NOTE_LENGTH + its length. */
enum { NOTE_CLASS, NOTE_GONE, NOTE_LENGTH };

struct labels {
    uint32_t *shape, *note;     /* by node; shape 0 is empty */
    struct label_shape *shapes;
    struct label_reference *references;
    struct label_name *names;
    uint32_t shape_count, reference_count, name_count;
    size_t shape_capacity, reference_capacity, name_capacity;
    struct label_texts keys;    /* of dicts; one without is known by its class alone */
    struct label_texts told;    /* what a node is, where that is more than its note */
    struct writer texts;
};

/* Columns for so many nodes, all zero, with the empty shape; NULL without memory. */
struct labels *labels_new(size_t count);
void labels_free(struct labels *self);
size_t labels_nbytes(const struct labels *self, size_t count);

/* All return -1 without memory, or with more than a column can number; 0 else. */
int labels_add_name(struct labels *self, struct label_name name);
int labels_add_reference(struct labels *self, struct label_reference reference);
int labels_add_shape(struct labels *self, struct label_shape shape);
int label_texts_add(struct label_texts *self, uint32_t node, graph_text text);
void label_texts_release(struct label_texts *self);

/* The text of a node, or LABELS_NO_TEXT. */
graph_text label_texts_find(const struct label_texts *self, uint32_t node);

/* Edges that a node of this shape must have, and whether it may have `count`. */
uint32_t labels_least_edges(const struct labels *self, const struct label_shape *shape);
bool labels_may_have(const struct label_shape *shape, uint32_t least, uint32_t count);

/* What a reference is called: a name, or the index of an item, or the key of a value. */
enum label_told {
    LABEL_IS_NAME,
    LABEL_IS_INDEX,
    LABEL_IS_KEY,
    LABEL_IS_KEY_ITSELF,
    LABEL_IS_ELEMENT
};

struct label {
    enum label_told told;
    uint32_t number;            /* of the name; the index; the node of the key */
};

/* Calls `visit` for each name by which `source` refers to `target`, in the order in which
 * the live object would tell them, until one returns non-zero; returns that. */
int labels_visit(const struct labels *self, const struct graph *graph, uint32_t source,
                 uint32_t target, int (*visit)(struct label label, void *arg), void *arg);

static inline const char *
labels_text(const struct labels *self, graph_text text)
{
    return (const char *)self->texts.data + text;
}

#endif
