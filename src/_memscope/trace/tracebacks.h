/* Tracebacks as a calling-context tree.
 *
 * A traceback is a node; its parent is the traceback of its caller, so equal
 * prefixes (the oldest frames) are stored once and a traceback is one 32-bit
 * number.  Nodes are (parent, function, line); a function is (file name,
 * qualified name); both names are texts copied out of the interpreter, so the
 * tree holds no Python object and outlives every code object, every
 * interpreter and the tracer that filled it.
 *
 *      node 7 {parent 3, function 2, line 88}   newest frame: where the block came from
 *      node 3 {parent 1, function 1, line 12}
 *      node 1 {parent 0, function 0, line 5}    oldest frame kept
 *
 * A node whose function is TRACEBACK_TOTAL is no frame: it stands in front of
 * the newest frame and its `lineno` is the number of frames the stack had
 * before it was cut to the limit (tracemalloc's total_nframe).
 *
 * Ids:       0 is "no traceback"; ids never change and are never reused.
 * Sharing:   reference counted.  The tracer appends; snapshots keep a
 *            reference and read.  Storage never moves, so a reader that learnt
 *            an id through a synchronising operation needs no lock.
 * Locking:   all tracebacks_intern_* calls on one tree are made under one lock
 *            (the tracer's), or by the only owner.
 * Failure:   0 from tracebacks_intern_*, NULL from tracebacks_new: no memory,
 *            or TRACEBACK_MAX reached; the tree stays as it was. */
#ifndef MEMSCOPE_TRACEBACKS_H
#define MEMSCOPE_TRACEBACKS_H

#include <stddef.h>
#include <stdint.h>

struct tracebacks;

#define TRACEBACK_MAX ((1u << 28) - 1)
#define TRACEBACK_TOTAL UINT32_MAX

/* Unicode text as CPython stores it: `length` code points of `kind` bytes
 * each (1, 2 or 4; the narrowest that fits, so equal text has equal bytes).
 * Lone surrogates and NULs occur. */
struct text {
    const void *data;
    uint32_t length;
    uint32_t kind;
};

struct function {
    uint32_t filename;      /* text id */
    uint32_t name;          /* text id; the empty text where not known */
};

struct traceback_node {
    uint32_t parent;        /* traceback id of the caller, 0 at the oldest */
    uint32_t function;      /* function id, or TRACEBACK_TOTAL */
    uint32_t lineno;        /* 0 where not known */
};

/* A tree with one reference.  These exist from the start: text 1 is "<unknown>",
 * text 2 the empty text; node 1 is the frame ("<unknown>", line 0) that stands
 * for "no Python frame", and node 2 says that it is one frame in all. */
struct tracebacks *tracebacks_new(void);
void tracebacks_ref(struct tracebacks *self);
void tracebacks_unref(struct tracebacks *self);

#define TRACEBACK_UNKNOWN 1u
#define TRACEBACK_UNKNOWN_TOTAL 2u
#define TEXT_UNKNOWN 1u
#define TEXT_EMPTY 2u

/* Id of the equal entry, made if there is none.  `text` is copied. */
uint32_t tracebacks_intern_text(struct tracebacks *self, struct text text);
uint32_t tracebacks_intern_function(struct tracebacks *self, struct function function);
uint32_t tracebacks_intern_node(struct tracebacks *self, struct traceback_node node);

/* Entries by id; 1 <= id <= the matching count.  The pointers stay valid as
 * long as the tree. */
const struct text *tracebacks_text(const struct tracebacks *self, uint32_t id);
const struct function *tracebacks_function(const struct tracebacks *self, uint32_t id);
const struct traceback_node *tracebacks_node(const struct tracebacks *self, uint32_t id);

/* Highest id in use of each kind: ids run from 1 to these, inclusive. */
uint32_t tracebacks_text_count(const struct tracebacks *self);
uint32_t tracebacks_function_count(const struct tracebacks *self);
uint32_t tracebacks_node_count(const struct tracebacks *self);

/* Bytes this tree holds. */
size_t tracebacks_bytes(const struct tracebacks *self);

/* Code point order, as Python compares str: <0, 0, >0. */
int text_compare(const struct text *a, const struct text *b);

#endif
