#include "file/heap_loader.h"

#include <inttypes.h>

#include "base/mem.h"

/* -- what shapes are made of ----------------------------------------------------------------- */

static int
read_names(struct heap_loader *self, struct heap_pool *pool)
{
    struct labels *labels = self->file->labels;
    uint64_t count;
    if (cursor_count(&self->cursor, "number of names", 2, &count) < 0) {
        return -1;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct label_name name;
        if (heap_read_text(self, pool, &name.kind) < 0
            || heap_read_optional_text(self, pool, &name.text) < 0) {
            return -1;
        }
        if (labels_add_name(labels, name) < 0) {
            return heap_loader_fail_memory(self);
        }
    }
    return cursor_close(&self->cursor);
}

static int
read_references(struct heap_loader *self, uint32_t count)
{
    struct labels *labels = self->file->labels;
    uint64_t edge, name;
    for (uint32_t i = 0; i < count; i++) {
        if (cursor_number(&self->cursor, "position of a reference", 0, UINT32_MAX - 1, &edge) < 0) {
            return -1;
        }
        name = reader_varint(&self->cursor.reader);
        if (name >= labels->name_count) {
            return cursor_check(&self->cursor) < 0
                       ? -1
                       : cursor_fail(&self->cursor,
                                     "has name %" PRIu64 " before offset %zu, expected one of "
                                     "%" PRIu32,
                                     name, cursor_offset(&self->cursor), labels->name_count);
        }
        if (labels_add_reference(labels, (struct label_reference){(uint32_t)edge, (uint32_t)name})
            < 0) {
            return heap_loader_fail_memory(self);
        }
    }
    return 0;
}

static int
read_shapes(struct heap_loader *self)
{
    struct labels *labels = self->file->labels;
    uint64_t shapes, start, count, before;
    if (cursor_count(&self->cursor, "number of shapes", 4, &shapes) < 0) {
        return -1;
    }
    for (uint64_t i = 0; i < shapes; i++) {
        struct label_shape shape = {.first = labels->reference_count};
        shape.form = reader_u8(&self->cursor.reader);
        if (cursor_number(&self->cursor, "start of the contents", 0, UINT32_MAX - 1, &start) < 0
            || cursor_count(&self->cursor, "number of named references", 1, &count) < 0
            || cursor_number(&self->cursor, "number of references before the contents", 0, count,
                             &before)
                   < 0) {
            return -1;
        }
        if (shape.form >= LABEL_FORMS) {
            return cursor_fail_number(&self->cursor, "form", shape.form, 0, LABEL_FORMS - 1);
        }
        shape.start = (uint32_t)start;
        shape.count = (uint32_t)count;
        shape.before = (uint32_t)before;
        if (read_references(self, shape.count) < 0) {
            return -1;
        }
        if (labels_add_shape(labels, shape) < 0) {
            return heap_loader_fail_memory(self);
        }
    }
    return cursor_close(&self->cursor);
}

/* -- by node ------------------------------------------------------------------------------------ */

static int
read_shape_column(struct heap_loader *self, const uint32_t *least)
{
    const struct graph *graph = self->file->graph;
    struct labels *labels = self->file->labels;
    uint64_t number;
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        if (cursor_number(&self->cursor, "shape", 0, labels->shape_count - 1u, &number) < 0) {
            return -1;
        }
        uint32_t edges = graph->out_start[node + 1] - graph->out_start[node];
        if (!labels_may_have(&labels->shapes[number], least[number], edges)) {
            return cursor_fail(&self->cursor,
                               "has shape %" PRIu64 " before offset %zu, expected one for a node "
                               "of %" PRIu32 " references",
                               number, cursor_offset(&self->cursor), edges);
        }
        labels->shape[node] = (uint32_t)number;
    }
    return cursor_close(&self->cursor);
}

static int
read_shapes_of_nodes(struct heap_loader *self)
{
    const struct labels *labels = self->file->labels;
    uint32_t *least = mem_malloc(labels->shape_count, sizeof *least);
    if (least == NULL) {
        return heap_loader_fail_memory(self);
    }
    for (uint32_t i = 0; i < labels->shape_count; i++) {
        least[i] = labels_least_edges(labels, &labels->shapes[i]);
    }
    int result = read_shape_column(self, least);
    mem_free(least);
    return result;
}

static int
read_notes(struct heap_loader *self)
{
    const struct graph *graph = self->file->graph;
    uint64_t note;
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        if (cursor_number(&self->cursor, "note", 0, UINT32_MAX, &note) < 0) {
            return -1;
        }
        self->file->labels->note[node] = (uint32_t)note;
    }
    return cursor_close(&self->cursor);
}

static int
read_label_texts(struct heap_loader *self, struct label_texts *texts)
{
    const struct graph *graph = self->file->graph;
    uint64_t count, step, next = graph->holder_count;
    if (cursor_count(&self->cursor, "number of texts", 2, &count) < 0) {
        return -1;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct heap_text text;
        graph_text place;
        step = reader_varint(&self->cursor.reader);
        if (step >= graph->count - next) {
            return cursor_check(&self->cursor) < 0
                       ? -1
                       : cursor_fail(&self->cursor,
                                     "has a text before offset %zu of a node that does not exist, "
                                     "expected one of %" PRIu32,
                                     cursor_offset(&self->cursor), graph->count);
        }
        next += step;
        if (heap_read_string(self, &text) < 0
            || heap_add_text(self, &self->file->labels->texts, &text, &place) < 0) {
            return -1;
        }
        if (label_texts_add(texts, (uint32_t)next, place) < 0) {
            return heap_loader_fail_memory(self);
        }
        next++;
    }
    return cursor_close(&self->cursor);
}

static int
read_label_chunks(struct heap_loader *self, struct heap_pool *pool)
{
    const struct graph *graph = self->file->graph;
    struct labels *labels = self->file->labels;
    size_t objects = graph->count - graph->holder_count;
    if (cursor_open(&self->cursor, "HNAM") < 0 || read_names(self, pool) < 0
        || cursor_open(&self->cursor, "HSHP") < 0 || read_shapes(self) < 0
        || cursor_open(&self->cursor, "HLAY") < 0
        || cursor_check_column(&self->cursor, objects, "HEAP") < 0 || read_shapes_of_nodes(self) < 0
        || cursor_open(&self->cursor, "HNOT") < 0
        || cursor_check_column(&self->cursor, objects, "HEAP") < 0 || read_notes(self) < 0
        || cursor_open(&self->cursor, "HKEY") < 0 || read_label_texts(self, &labels->keys) < 0
        || cursor_open(&self->cursor, "HTLD") < 0 || read_label_texts(self, &labels->told) < 0) {
        return -1;
    }
    return 0;
}

int
heap_read_labels(struct heap_loader *self)
{
    struct reader unused;
    if (!chunks_find(self->cursor.chunks, "HNAM", &unused)) {
        return 0;
    }
    struct heap_pool pool = {0};
    self->file->labels = labels_new(self->file->graph->count);
    if (self->file->labels == NULL || heap_pool_init(&pool, self, &self->file->labels->texts) < 0) {
        mem_free(pool.places);
        return heap_loader_fail_memory(self);
    }
    int result = read_label_chunks(self, &pool);
    mem_free(pool.places);
    return result;
}

/* -- sites ----------------------------------------------------------------------------------------- */

static int
read_site_table(struct heap_loader *self, struct heap_pool *pool)
{
    uint64_t count, lineno;
    if (cursor_count(&self->cursor, "number of sites", 3, &count) < 0) {
        return -1;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct site site;
        if (heap_read_text(self, pool, &site.filename) < 0
            || cursor_number(&self->cursor, "line number", 0, UINT32_MAX, &lineno) < 0
            || heap_read_text(self, pool, &site.function) < 0) {
            return -1;
        }
        site.lineno = (uint32_t)lineno;
        if (sites_add(self->file->sites, site) < 0) {
            return heap_loader_fail_memory(self);
        }
    }
    return cursor_close(&self->cursor);
}

static int
read_site_column(struct heap_loader *self)
{
    const struct graph *graph = self->file->graph;
    uint64_t number;
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        if (cursor_number(&self->cursor, "site", 0, self->file->sites->count, &number) < 0) {
            return -1;
        }
        self->file->sites->of_node[node] = (uint32_t)number;
    }
    return cursor_close(&self->cursor);
}

int
heap_read_sites(struct heap_loader *self)
{
    const struct graph *graph = self->file->graph;
    struct reader unused;
    if (!chunks_find(self->cursor.chunks, "HSIT", &unused)) {
        return 0;
    }
    if (cursor_open(&self->cursor, "HSID") < 0
        || cursor_check_column(&self->cursor, graph->count - graph->holder_count, "HEAP") < 0
        || cursor_open(&self->cursor, "HSIT") < 0) {
        return -1;
    }
    struct heap_pool pool = {0};
    self->file->sites = sites_new(graph->count);
    if (self->file->sites == NULL || heap_pool_init(&pool, self, &self->file->sites->texts) < 0) {
        mem_free(pool.places);
        return heap_loader_fail_memory(self);
    }
    int result = read_site_table(self, &pool);
    mem_free(pool.places);
    return result < 0 || cursor_open(&self->cursor, "HSID") < 0 ? -1 : read_site_column(self);
}
