#include "file/heap_loader.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

int
heap_loader_fail_memory(struct heap_loader *self)
{
    self->no_memory = true;
    return -1;
}

/* -- texts --------------------------------------------------------------------------------- */

/* Bytes of the character that begins here, or 0 if none does.  Surrogates are let through:
 * names of a program may hold them. */
static size_t
check_character(const unsigned char *bytes, size_t left)
{
    static const uint32_t least[] = {0, 0x01, 0x80, 0x800, 0x10000};
    unsigned char first = bytes[0];
    size_t length = first < 0x80   ? 1
                    : first < 0xc0 ? 0
                    : first < 0xe0 ? 2
                    : first < 0xf0 ? 3
                    : first < 0xf8 ? 4
                                   : 0;
    if (length == 0 || length > left) {
        return 0;
    }
    uint32_t point = length == 1 ? first : first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (bytes[i] & 0x3f);
    }
    return point >= least[length] && point <= 0x10ffff ? length : 0;
}

int
heap_read_string(struct heap_loader *self, struct heap_text *text)
{
    uint64_t length;
    if (cursor_count(&self->cursor, "a text's length", 1, &length) < 0) {
        return -1;
    }
    text->length = (size_t)length;
    text->bytes = reader_bytes(&self->cursor.reader, text->length);
    for (size_t at = 0, step; at < text->length; at += step) {
        step = check_character(text->bytes + at, text->length - at);
        if (step == 0) {
            return cursor_fail(&self->cursor,
                               "has a text before offset %zu that is not UTF-8, expected one",
                               cursor_offset(&self->cursor));
        }
    }
    return 0;
}

static int
read_texts(struct heap_loader *self)
{
    if (cursor_count(&self->cursor, "number of texts", 1, &self->text_count) < 0) {
        return -1;
    }
    self->texts = mem_malloc((size_t)self->text_count + 1, sizeof *self->texts);
    if (self->texts == NULL) {
        return heap_loader_fail_memory(self);
    }
    self->texts[0] = (struct heap_text){(const unsigned char *)"", 0};
    for (uint64_t i = 1; i <= self->text_count; i++) {
        if (heap_read_string(self, &self->texts[i]) < 0) {
            return -1;
        }
    }
    return cursor_close(&self->cursor);
}

int
heap_pool_init(struct heap_pool *self, const struct heap_loader *loader, struct writer *texts)
{
    self->texts = texts;
    self->places = mem_calloc((size_t)loader->text_count + 1, sizeof *self->places);
    if (self->places == NULL) {
        return -1;
    }
    if (texts->length == 0) {
        writer_u8(texts, 0);
    }
    return texts->failed ? -1 : 0;
}

int
heap_add_text(struct heap_loader *self, struct writer *texts, const struct heap_text *text,
              graph_text *place)
{
    if (texts->length + text->length + 1 >= LABELS_NO_TEXT) {
        return cursor_fail(&self->cursor, "has more than 4 GiB of texts, expected less");
    }
    *place = text->length != 0 ? (graph_text)texts->length : 0;
    if (text->length != 0) {
        writer_bytes(texts, text->bytes, text->length);
        writer_u8(texts, 0);
    }
    return texts->failed ? heap_loader_fail_memory(self) : 0;
}

static int
add_numbered(struct heap_loader *self, struct heap_pool *pool, uint64_t number, graph_text *text)
{
    if (pool->places[number] == 0
        && heap_add_text(self, pool->texts, &self->texts[number], &pool->places[number]) < 0) {
        return -1;
    }
    *text = pool->places[number];
    return 0;
}

int
heap_read_text(struct heap_loader *self, struct heap_pool *pool, graph_text *text)
{
    uint64_t number;
    return cursor_number(&self->cursor, "text", 0, self->text_count, &number) < 0
               ? -1
               : add_numbered(self, pool, number, text);
}

int
heap_read_optional_text(struct heap_loader *self, struct heap_pool *pool, graph_text *text)
{
    uint64_t number;
    if (cursor_number(&self->cursor, "text", 0, self->text_count + 1, &number) < 0) {
        return -1;
    }
    *text = LABELS_NO_TEXT;
    return number == 0 ? 0 : add_numbered(self, pool, number - 1, text);
}

/* -- the whole -------------------------------------------------------------------------------- */

/* Counts of the graph.  HEAP may go on: a later minor version adds at the end. */
static int
read_heap(struct heap_loader *self)
{
    struct graph *graph = self->file->graph;
    struct cursor *cursor = &self->cursor;
    uint64_t count, holders, tracked, edges;
    if (cursor_number(cursor, "number of nodes", 0, GRAPH_MOST_NODES, &count) < 0
        || cursor_number(cursor, "number of holders", 0, count, &holders) < 0
        || cursor_number(cursor, "number of tracked objects", 0, count - holders, &tracked) < 0
        || cursor_number(cursor, "number of references", 0, UINT32_MAX - 1, &edges) < 0) {
        return -1;
    }
    graph->lost = (size_t)reader_varint(&cursor->reader);
    for (int i = 0; i < 3; i++) {
        if (cursor_skip_string(cursor) < 0) {
            return -1;
        }
    }
    graph->count = (uint32_t)count;
    graph->holder_count = (uint32_t)holders;
    graph->tracked_count = (uint32_t)tracked;
    graph->edge_count = (uint32_t)edges;
    return cursor_check(cursor);
}

/* Columns of memory once every column of the file is known to be long enough. */
static int
allocate(struct heap_loader *self)
{
    struct graph *graph = self->file->graph;
    size_t objects = graph->count - graph->holder_count, count = graph->count;
    const struct {
        const char *id;
        size_t count;
    } columns[] = {
        {"HOLD", graph->holder_count},
        {"HKND", objects},
        {"HFLG", objects},
        {"HSIZ", objects},
        {"HADR", objects},
        {"HDEG", count},
        {"HREF", graph->edge_count},
    };
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        if (cursor_open(&self->cursor, columns[i].id) < 0
            || cursor_check_column(&self->cursor, columns[i].count, "HEAP") < 0) {
            return -1;
        }
    }
    graph->address = mem_malloc(count + 1, sizeof *graph->address);
    graph->size = mem_malloc(count + 1, sizeof *graph->size);
    graph->kind = mem_malloc(count + 1, sizeof *graph->kind);
    graph->out_start = mem_malloc(count + 2, sizeof *graph->out_start);
    graph->out = mem_malloc((size_t)graph->edge_count + 1, sizeof *graph->out);
    graph->holders = mem_calloc((size_t)graph->holder_count + 1, sizeof *graph->holders);
    if (graph->address == NULL || graph->size == NULL || graph->kind == NULL
        || graph->out_start == NULL || graph->out == NULL || graph->holders == NULL) {
        return heap_loader_fail_memory(self);
    }
    memset(graph->address, 0, graph->holder_count * sizeof *graph->address);
    memset(graph->size, 0, graph->holder_count * sizeof *graph->size);
    memset(graph->kind, 0, graph->holder_count * sizeof *graph->kind);
    return 0;
}

static int
read_classes(struct heap_loader *self, struct heap_pool *pool)
{
    struct graph *graph = self->file->graph;
    uint64_t count, node, address;
    if (cursor_count(&self->cursor, "number of classes", 5, &count) < 0) {
        return -1;
    }
    if (count > GRAPH_MOST_TYPES || (count == 0 && graph->count > graph->holder_count)) {
        return cursor_fail_number(&self->cursor, "number of classes", count, 1, GRAPH_MOST_TYPES);
    }
    graph->types = mem_calloc((size_t)count + 1, sizeof *graph->types);
    self->class_node = mem_calloc((size_t)count + 1, sizeof *self->class_node);
    if (graph->types == NULL || self->class_node == NULL) {
        return heap_loader_fail_memory(self);
    }
    for (; graph->type_count < count; graph->type_count++) {
        struct graph_type *type = &graph->types[graph->type_count];
        if (heap_read_text(self, pool, &type->module) < 0
            || heap_read_text(self, pool, &type->qualname) < 0
            || heap_read_text(self, pool, &type->name) < 0
            || cursor_number(&self->cursor, "node of a class", 0, graph->count, &node) < 0
            || cursor_number(&self->cursor, "address", 0, HEAP_FILE_MOST_ADDRESS, &address) < 0) {
            return -1;
        }
        self->class_node[graph->type_count] = (uint32_t)node;
        type->address = address;
    }
    return cursor_close(&self->cursor);
}

static int
read_holders(struct heap_loader *self, struct heap_pool *pool)
{
    struct graph *graph = self->file->graph;
    for (uint32_t i = 0; i < graph->holder_count; i++) {
        struct graph_holder *holder = &graph->holders[i];
        uint64_t distance, lineno;
        if (cursor_number(&self->cursor, "distance to a frame's thread", 0, i, &distance) < 0) {
            return -1;
        }
        holder->kind = distance == 0 ? GRAPH_THREAD : GRAPH_FRAME;
        holder->thread = i - (uint32_t)distance;
        if (distance != 0 && graph->holders[holder->thread].kind != GRAPH_THREAD) {
            return cursor_fail(&self->cursor,
                               "has a frame before offset %zu whose thread is a frame, expected "
                               "a thread",
                               cursor_offset(&self->cursor));
        }
        holder->ident = reader_varint(&self->cursor.reader);
        if (heap_read_text(self, pool, &holder->name) < 0
            || heap_read_text(self, pool, &holder->filename) < 0
            || cursor_number(&self->cursor, "line number", 0, UINT32_MAX, &lineno) < 0) {
            return -1;
        }
        holder->lineno = (uint32_t)lineno;
    }
    return cursor_close(&self->cursor);
}

/* -- nodes -------------------------------------------------------------------------------------- */

static int
read_kinds(struct heap_loader *self)
{
    struct graph *graph = self->file->graph;
    uint64_t type;
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        if (cursor_number(&self->cursor, "class", 0, graph->type_count - 1u, &type) < 0) {
            return -1;
        }
        graph->kind[node] = (uint32_t)type;
    }
    return cursor_close(&self->cursor);
}

static int
read_flags(struct heap_loader *self)
{
    struct graph *graph = self->file->graph;
    size_t count = graph->count - graph->holder_count;
    const unsigned char *flags = reader_bytes(&self->cursor.reader, count);
    for (size_t i = 0; flags != NULL && i < count; i++) {
        graph->kind[graph->holder_count + i] |= (uint32_t)flags[i] << 24;
    }
    return cursor_close(&self->cursor);
}

static int
read_surplus(struct heap_loader *self)
{
    struct graph *graph = self->file->graph;
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        if (graph_flags(graph, node) & GRAPH_SURPLUS) {
            uint64_t surplus = reader_varint(&self->cursor.reader);
            if (cursor_check(&self->cursor) < 0) {
                return -1;
            }
            if (hashmap_put(&graph->surplus, node, surplus) < 0) {
                return heap_loader_fail_memory(self);
            }
        }
    }
    return cursor_close(&self->cursor);
}

static int
read_sizes(struct heap_loader *self)
{
    struct graph *graph = self->file->graph;
    uint64_t left = INT64_MAX;
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        uint64_t size = reader_varint(&self->cursor.reader);
        if (size > left) {
            return cursor_fail(
                &self->cursor,
                "comes to more than 2**63 - 1 bytes before offset %zu, expected less",
                cursor_offset(&self->cursor));
        }
        left -= size;
        graph->size[node] = size < GRAPH_NONE ? (uint32_t)size : GRAPH_NONE;
        if (size >= GRAPH_NONE && hashmap_put(&graph->large, node, size) < 0) {
            return heap_loader_fail_memory(self);
        }
    }
    return cursor_close(&self->cursor);
}

static int
read_addresses(struct heap_loader *self)
{
    struct graph *graph = self->file->graph;
    uint64_t most = HEAP_FILE_MOST_ADDRESS < UINTPTR_MAX ? HEAP_FILE_MOST_ADDRESS : UINTPTR_MAX;
    unsigned shift = reader_u8(&self->cursor.reader);
    if (shift > 63) {
        return cursor_fail_number(&self->cursor, "a shift of addresses by", shift, 0, 63);
    }
    uint64_t address = 0;
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        uint64_t step = reader_varint(&self->cursor.reader);
        address += step & 1 ? ~(step >> 1) : step >> 1;
        if (address > most >> shift) {
            return cursor_fail(&self->cursor,
                               "has an address before offset %zu that is too high for any object "
                               "here, expected at most %#" PRIx64,
                               cursor_offset(&self->cursor), most);
        }
        graph->address[node] = (uintptr_t)(address << shift);
    }
    return cursor_close(&self->cursor);
}

/* -- edges ----------------------------------------------------------------------------------------- */

static int
read_degrees(struct heap_loader *self)
{
    struct graph *graph = self->file->graph;
    uint32_t start = 0;
    for (uint32_t node = 0; node < graph->count; node++) {
        uint64_t degree;
        graph->out_start[node] = start;
        if (cursor_number(&self->cursor, "number of references", 0, graph->edge_count - start,
                          &degree)
            < 0) {
            return -1;
        }
        start += (uint32_t)degree;
    }
    graph->out_start[graph->count] = start;
    if (start != graph->edge_count) {
        return cursor_fail(&self->cursor,
                           "comes to %" PRIu32 " references, expected the %" PRIu32
                           " of chunk HEAP",
                           start, graph->edge_count);
    }
    return cursor_close(&self->cursor);
}

/* Whether a walked graph may have this edge: objects and frames refer to objects, threads to
 * their frames. */
static bool
may_refer(const struct graph *graph, uint32_t source, uint64_t target)
{
    if (target >= graph->count) {
        return false;
    }
    if (source < graph->holder_count && graph->holders[source].kind == GRAPH_THREAD) {
        return target < graph->holder_count && graph->holders[target].kind == GRAPH_FRAME
               && graph->holders[target].thread == source;
    }
    return target >= graph->holder_count;
}

static int
read_edges(struct heap_loader *self)
{
    struct graph *graph = self->file->graph;
    uint64_t fresh = (uint64_t)graph->holder_count + graph->tracked_count;
    for (uint32_t node = 0; node < graph->count; node++) {
        uint64_t before = node;
        uint64_t class = (uint64_t)self->class_node[graph_type_of(graph, node)] - 1;
        for (uint32_t edge = graph->out_start[node]; edge < graph->out_start[node + 1]; edge++) {
            uint64_t code = reader_varint(&self->cursor.reader), target;
            if (code == 0) {
                target = fresh++;
            }
            else if (code == 1) {
                target = class;
            }
            else {
                code -= 2;
                before += code & 1 ? ~(code >> 1) : code >> 1;
                target = before;
            }
            if (!may_refer(graph, node, target)) {
                if (cursor_check(&self->cursor) < 0) {
                    return -1;
                }
                return cursor_fail(&self->cursor,
                                   "has a reference from node %" PRIu32 " to node %" PRIu64
                                   " before offset %zu, expected to one that it may have",
                                   node, target, cursor_offset(&self->cursor));
            }
            graph->out[edge] = (uint32_t)target;
        }
    }
    return cursor_close(&self->cursor);
}

static int
read_local_names(struct heap_loader *self, struct heap_pool *pool)
{
    struct graph *graph = self->file->graph;
    uint32_t count = graph->out_start[graph->holder_count];
    if (cursor_check_column(&self->cursor, count, "HDEG") < 0) {
        return -1;
    }
    graph->local_names = mem_malloc((size_t)count + 1, sizeof *graph->local_names);
    if (graph->local_names == NULL) {
        return heap_loader_fail_memory(self);
    }
    for (uint32_t edge = 0; edge < count; edge++) {
        if (heap_read_text(self, pool, &graph->local_names[edge]) < 0) {
            return -1;
        }
    }
    return cursor_close(&self->cursor);
}

/* -- the file ------------------------------------------------------------------------------------ */

static int
read_named(struct heap_loader *self)
{
    static const struct {
        const char *id;
        int (*read)(struct heap_loader *self, struct heap_pool *pool);
    } steps[] = {
        {"HCLS", read_classes}, {"HOLD", read_holders}, {"HDEG", NULL}, {"HLOC", read_local_names}};
    struct heap_pool pool;
    int result = 0;
    if (heap_pool_init(&pool, self, &self->file->graph->texts) < 0) {
        result = heap_loader_fail_memory(self);
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps && result == 0; i++) {
        result = cursor_open(&self->cursor, steps[i].id);
        if (result == 0) {
            result = steps[i].read != NULL ? steps[i].read(self, &pool) : read_degrees(self);
        }
    }
    mem_free(pool.places);
    return result;
}

static int
read_graph(struct heap_loader *self)
{
    static const struct {
        const char *id;
        int (*read)(struct heap_loader *self);
    } steps[] = {{"HKND", read_kinds}, {"HFLG", read_flags},     {"HSUR", read_surplus},
                 {"HSIZ", read_sizes}, {"HADR", read_addresses}, {"HREF", read_edges}};
    struct reader unused;
    if (!chunks_find(self->cursor.chunks, "HEAP", &unused)
        && chunks_find(self->cursor.chunks, "ROWS", &unused)) {
        return chunks_fail(
            self->cursor.error,
            "bad memscope dump: this is a snapshot of allocations, which Snapshot.load reads; "
            "expected one of the heap");
    }
    if (cursor_open(&self->cursor, "HEAP") < 0 || read_heap(self) < 0 || allocate(self) < 0
        || cursor_open(&self->cursor, "HTXT") < 0 || read_texts(self) < 0 || read_named(self) < 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (cursor_open(&self->cursor, steps[i].id) < 0 || steps[i].read(self) < 0) {
            return -1;
        }
    }
    if (graph_transpose(self->file->graph) < 0) {
        return heap_loader_fail_memory(self);
    }
    graph_sum_types(self->file->graph);
    return 0;
}

enum dump_status
heap_file_read(const unsigned char *data, size_t length, struct heap_file *file,
               struct chunks_error *error)
{
    struct chunks chunks;
    *file = (struct heap_file){0};
    if (chunks_open(&chunks, data, length, error) < 0) {
        return DUMP_INVALID;
    }
    file->graph = mem_calloc(1, sizeof *file->graph);
    if (file->graph == NULL) {
        return DUMP_NO_MEMORY;
    }
    struct heap_loader self = {.file = file, .cursor = {.chunks = &chunks, .error = error}};
    int result =
        read_graph(&self) < 0 || heap_read_labels(&self) < 0 || heap_read_sites(&self) < 0 ? -1 : 0;
    mem_free(self.texts);
    mem_free(self.class_node);
    if (result < 0) {
        heap_file_release(file);
        return self.no_memory ? DUMP_NO_MEMORY : DUMP_INVALID;
    }
    return DUMP_OK;
}
