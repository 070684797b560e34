/* The object graph of one moment: frozen columns.
 *
 * A node is an object, or a *holder*: something that keeps objects alive and
 * that no object stands for, namely a thread and each of its running frames.
 * Nodes are numbered holders first, then what the collector tracks, in its
 * order, then the rest in the order in which they were found.  An edge is one
 * reference; parallel references are parallel edges.
 *
 *     out_start[i] .. out_start[i + 1]   positions in `out` of the nodes that i refers to
 *     in_start[i]  .. in_start[i + 1]    positions in `in` of the nodes that refer to i,
 *                                        ascending
 *
 * This is compressed sparse row storage in both directions: 38 bytes for a node with
 * two references.
 *
 * A graph never changes and holds no Python object: an address is a number that
 * nobody may follow.  Who has the graph owns everything in it. */
#ifndef MEMSCOPE_GRAPH_H
#define MEMSCOPE_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hashmap.h"
#include "base/writer.h"

#define GRAPH_NONE UINT32_MAX           /* no node */
#define GRAPH_MOST_NODES (UINT32_MAX - 1)
#define GRAPH_MOST_TYPES (1u << 24)

/* Bits of graph_flags. */
enum {
    GRAPH_TRACKED = 1,      /* the collector knows it */
    GRAPH_IMMORTAL = 2,     /* its reference count means nothing */
    GRAPH_MODULE = 4,       /* a module found in sys.modules under its own name */
    GRAPH_TYPE = 8,         /* a class */
    GRAPH_WEAKREF = 16,
    GRAPH_SURPLUS = 32,     /* has references that are not in the graph; see `surplus` */
};

/* A position in `texts`, which holds UTF-8, each text ended by a NUL. */
typedef uint32_t graph_text;

struct graph_type {
    graph_text module, qualname, name;  /* module 0: has none */
    uint64_t address;                   /* of the class, while it lives */
    uint32_t count;                     /* nodes */
    uint64_t bytes;                     /* their sizes */
};

enum graph_holder_kind { GRAPH_THREAD, GRAPH_FRAME };

struct graph_holder {
    enum graph_holder_kind kind;
    uint32_t thread;            /* node of the thread it belongs to; its own for a thread */
    uint64_t ident;             /* of the thread, as threading.get_ident() */
    graph_text name;            /* frame: function, qualified; thread: "" or its name */
    graph_text filename;
    uint32_t lineno;            /* 0: not known */
};

struct graph {
    uint32_t count;             /* nodes, holders included */
    uint32_t holder_count;      /* nodes 0 .. holder_count - 1 are holders */
    uint32_t tracked_count;     /* the next so many are what the collector tracks */
    uint32_t edge_count;
    uintptr_t *address;         /* count; 0 for a holder */
    uint32_t *size;             /* count; bytes, as sys.getsizeof; GRAPH_NONE: see `large` */
    uint32_t *kind;             /* count; type in the low 24 bits, flags above */
    uint32_t *out_start, *out;  /* count + 1; edge_count */
    uint32_t *in_start, *in;    /* count + 1; edge_count */
    struct hashmap large;       /* node -> size, of sizes that do not fit */
    struct hashmap surplus;     /* node -> references not in the graph; flag GRAPH_SURPLUS */
    struct graph_holder *holders;
    graph_text *local_names;    /* name of each edge of a holder: out_start[holder_count] */
    struct graph_type *types;
    uint32_t type_count;
    struct writer texts;
    size_t lost;                /* references that led outside any address space we can index */
};

/* Frees the graph and all it owns; NULL is allowed. */
void graph_free(struct graph *self);

/* Bytes held. */
size_t graph_nbytes(const struct graph *self);

/* Adds a text to a pool of them, as `texts` is one: `length` characters of 1, 2 or 4 bytes.
 * 0, the empty text, and texts->failed without memory. */
graph_text graph_write_text(struct writer *texts, const void *text, size_t length, int width);

/* The same for the graph's own texts. */
graph_text graph_add_text(struct graph *self, const void *text, size_t length, int width);
graph_text graph_add_ascii(struct graph *self, const char *text);

/* The reverse edges, from the forward ones.  0, or -1 without memory. */
int graph_transpose(struct graph *self);

/* `count` and `bytes` of the types, which are 0, from the nodes. */
void graph_sum_types(struct graph *self);

/* A graph without types and texts but one "object", from edges given as pairs;
 * nodes of `root` get a surplus of 1.  For tests of algorithms.  NULL without memory;
 * every pair must be below `count`. */
struct graph *graph_from_pairs(uint32_t count, const uint32_t (*pairs)[2], uint32_t pair_count,
                               const uint32_t *root, uint32_t root_count);

static inline unsigned
graph_flags(const struct graph *self, uint32_t node)
{
    return self->kind[node] >> 24;
}

static inline uint32_t
graph_type_of(const struct graph *self, uint32_t node)
{
    return self->kind[node] & (GRAPH_MOST_TYPES - 1);
}

/* References that the node has to others. */
static inline uint32_t
graph_references(const struct graph *self, uint32_t node)
{
    return self->out_start[node + 1] - self->out_start[node];
}

static inline uint64_t
graph_size_of(const struct graph *self, uint32_t node)
{
    if (self->size[node] != GRAPH_NONE) {
        return self->size[node];
    }
    const uint64_t *large = hashmap_get(&self->large, node);
    return large != NULL ? *large : GRAPH_NONE;
}

static inline const char *
graph_text_of(const struct graph *self, graph_text text)
{
    return (const char *)self->texts.data + text;
}

#endif
