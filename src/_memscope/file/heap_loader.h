/* Reading a heap file: what heap_read.c, which reads the graph, and heap_labels.c, which
 * reads what comes with it, have in common.
 *
 * Everything that returns int gives 0, or -1 and either the sentence in the cursor's error
 * or `no_memory`. */
#ifndef MEMSCOPE_HEAP_LOADER_H
#define MEMSCOPE_HEAP_LOADER_H

#include "file/cursor.h"
#include "file/heap_file.h"

/* A text of the file, where it lies. */
struct heap_text {
    const unsigned char *bytes;
    size_t length;
};

/* Where in a pool each text of the file is, by its number; 0: not there yet. */
struct heap_pool {
    struct writer *texts;
    graph_text *places;
};

struct heap_loader {
    struct heap_file *file;
    struct cursor cursor;
    bool no_memory;
    struct heap_text *texts;    /* from 1 */
    uint64_t text_count;
    uint32_t *class_node;       /* by class: its node + 1, or 0 */
};

int heap_loader_fail_memory(struct heap_loader *self);

/* A pool, which is released with mem_free(places). */
int heap_pool_init(struct heap_pool *self, const struct heap_loader *loader, struct writer *texts);

/* Reads the number of a text, and puts the text into the pool unless it is there. */
int heap_read_text(struct heap_loader *self, struct heap_pool *pool, graph_text *text);

/* The same for a number that is one higher; LABELS_NO_TEXT for 0. */
int heap_read_optional_text(struct heap_loader *self, struct heap_pool *pool, graph_text *text);

/* Reads a string, in place.  It is UTF-8, but for surrogates, and without a NUL. */
int heap_read_string(struct heap_loader *self, struct heap_text *text);

/* Adds a text of the file to a pool. */
int heap_add_text(struct heap_loader *self, struct writer *texts, const struct heap_text *text,
                  graph_text *place);

/* heap_labels.c: the chunks that may be missing; the graph is there, and checked. */
int heap_read_labels(struct heap_loader *self);
int heap_read_sites(struct heap_loader *self);

#endif
