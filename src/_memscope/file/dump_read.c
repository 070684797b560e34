#include "file/dump.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "file/cursor.h"

#define MAX_CODE_POINT 0x10FFFF

struct loaded_node {
    uint32_t id;            /* in the tree */
    uint16_t depth;         /* frames down to the oldest */
    bool is_total;
};

struct loaded_site {
    uint32_t traceback;     /* in the tree */
    uint8_t epoch, domain;
};

struct loader {
    struct tracebacks *tree;
    struct snapshot header;     /* all of it but the rows */
    struct snapshot *snapshot;
    struct cursor cursor;       /* in the chunk being read */
    bool no_memory;
    uint64_t row_count;
    uint32_t epoch_count;
    /* By the file's numbers, from 1: */
    uint32_t *texts, *functions;
    struct loaded_node *nodes;
    struct loaded_site *sites;  /* from 0 */
    uint64_t text_count, function_count, node_count, site_count;
};

static int
fail_memory(struct loader *self)
{
    self->no_memory = true;
    return -1;
}

/* META may go on: a later minor version adds at the end. */
static int
read_meta(struct loader *self)
{
    uint64_t limit, epochs, tracked, number;
    struct snapshot *snapshot = &self->header;
    self->row_count = reader_varint(&self->cursor.reader);
    if (cursor_number(&self->cursor, "traceback limit", 0, UINT32_MAX, &limit) < 0) {
        return -1;
    }
    snapshot->traceback_limit = (uint32_t)limit;
    snapshot->lost = reader_varint(&self->cursor.reader);
    snapshot->now = reader_varint(&self->cursor.reader);
    if (cursor_number(&self->cursor, "number of epochs", 1, 256, &epochs) < 0) {
        return -1;
    }
    self->epoch_count = (uint32_t)epochs;
    for (uint32_t i = 0; i < epochs; i++) {
        snapshot->epochs[i] = reader_varint(&self->cursor.reader);
    }
    if (cursor_number(&self->cursor, "number of tracked domains", 0, SNAPSHOT_MAX_TRACKED, &tracked)
        < 0) {
        return -1;
    }
    snapshot->tracked_count = (uint32_t)tracked;
    for (uint32_t i = 0; i < tracked; i++) {
        if (cursor_number(&self->cursor, "tracked domain", 0, UINT32_MAX, &number) < 0) {
            return -1;
        }
        snapshot->tracked_domains[i] = (uint32_t)number;
    }
    for (int i = 0; i < 3; i++) {
        if (cursor_skip_string(&self->cursor) < 0) {
            return -1;
        }
    }
    return cursor_check(&self->cursor);
}

/* Text of `count` code points of 1, 2 or 4 bytes into `data`, in the machine's
 * byte order.  Returns the highest. */
static uint32_t
decode_text(const unsigned char *bytes, uint32_t kind, size_t count, void *data)
{
    uint32_t highest = 0;
    struct reader reader;
    reader_init(&reader, bytes, count * kind);
    for (size_t i = 0; i < count; i++) {
        uint32_t point = kind == 1   ? reader_u8(&reader)
                         : kind == 2 ? reader_u16(&reader)
                                     : reader_u32(&reader);
        highest = point > highest ? point : highest;
        if (kind == 1) {
            ((uint8_t *)data)[i] = (uint8_t)point;
        }
        else if (kind == 2) {
            ((uint16_t *)data)[i] = (uint16_t)point;
        }
        else {
            ((uint32_t *)data)[i] = point;
        }
    }
    return highest;
}

static int
read_text(struct loader *self, uint32_t *id)
{
    uint64_t length;
    uint32_t kind = reader_u8(&self->cursor.reader);
    if (cursor_check(&self->cursor) < 0) {
        return -1;
    }
    if (kind != 1 && kind != 2 && kind != 4) {
        return cursor_fail(&self->cursor,
                           "has a text of %" PRIu32 " bytes a character before offset %zu, "
                           "expected 1, 2 or 4",
                           kind, cursor_offset(&self->cursor));
    }
    if (cursor_count(&self->cursor, "a text's length", kind, &length) < 0) {
        return -1;
    }
    const unsigned char *bytes = reader_bytes(&self->cursor.reader, (size_t)length * kind);
    void *data = mem_malloc((size_t)length, kind);
    if (data == NULL) {
        return fail_memory(self);
    }
    uint32_t highest = decode_text(bytes, kind, (size_t)length, data);
    uint32_t lowest = kind == 1 ? 0 : kind == 2 ? 0x100 : 0x10000;
    if (highest < lowest || highest > MAX_CODE_POINT) {
        mem_free(data);
        return cursor_fail_number(&self->cursor, "a text with highest code point", highest, lowest,
                                  MAX_CODE_POINT);
    }
    *id = tracebacks_intern_text(self->tree, (struct text){data, (uint32_t)length, kind});
    mem_free(data);
    return *id == 0 ? fail_memory(self) : 0;
}

static int
read_texts(struct loader *self)
{
    if (cursor_count(&self->cursor, "number of texts", 2, &self->text_count) < 0) {
        return -1;
    }
    self->texts = mem_malloc((size_t)self->text_count + 1, sizeof(*self->texts));
    if (self->texts == NULL) {
        return fail_memory(self);
    }
    for (uint64_t i = 1; i <= self->text_count; i++) {
        if (read_text(self, &self->texts[i]) < 0) {
            return -1;
        }
    }
    return cursor_close(&self->cursor);
}

static int
read_functions(struct loader *self)
{
    if (cursor_count(&self->cursor, "number of functions", 2, &self->function_count) < 0) {
        return -1;
    }
    self->functions = mem_malloc((size_t)self->function_count + 1, sizeof(*self->functions));
    if (self->functions == NULL) {
        return fail_memory(self);
    }
    for (uint64_t i = 1; i <= self->function_count; i++) {
        uint64_t filename, name;
        if (cursor_number(&self->cursor, "text", 1, self->text_count, &filename) < 0
            || cursor_number(&self->cursor, "text", 1, self->text_count, &name) < 0) {
            return -1;
        }
        struct function function = {self->texts[filename], self->texts[name]};
        self->functions[i] = tracebacks_intern_function(self->tree, function);
        if (self->functions[i] == 0) {
            return fail_memory(self);
        }
    }
    return cursor_close(&self->cursor);
}

/* Node number `i`.  A TRACEBACK_TOTAL node stands in front of a frame, and
 * nothing in front of it. */
static int
read_node(struct loader *self, uint64_t i, struct loaded_node *loaded)
{
    uint64_t step, function, lineno;
    if (cursor_number(&self->cursor, "distance to a node's parent", 1, i, &step) < 0
        || cursor_number(&self->cursor, "function", 0, self->function_count, &function) < 0
        || cursor_number(&self->cursor, "line number", 0, UINT32_MAX, &lineno) < 0) {
        return -1;
    }
    static const struct loaded_node none = {0, 0, false};
    const struct loaded_node *parent = step < i ? &self->nodes[i - step] : &none;
    loaded->is_total = function == 0;
    if (parent->is_total || (loaded->is_total && parent->id == 0)) {
        return cursor_fail(&self->cursor,
                           "has a total number of frames without a frame behind it before offset "
                           "%zu, expected in front of a newest frame",
                           cursor_offset(&self->cursor));
    }
    uint32_t depth = parent->depth + !loaded->is_total;
    if (depth > DUMP_MAX_DEPTH) {
        return cursor_fail_number(&self->cursor, "a traceback of length", depth, 1, DUMP_MAX_DEPTH);
    }
    loaded->depth = (uint16_t)depth;
    loaded->id = tracebacks_intern_node(
        self->tree, (struct traceback_node){
                        parent->id, loaded->is_total ? TRACEBACK_TOTAL : self->functions[function],
                        (uint32_t)lineno});
    return loaded->id == 0 ? fail_memory(self) : 0;
}

static int
read_nodes(struct loader *self)
{
    if (cursor_count(&self->cursor, "number of nodes", 3, &self->node_count) < 0) {
        return -1;
    }
    self->nodes = mem_malloc((size_t)self->node_count + 1, sizeof(*self->nodes));
    if (self->nodes == NULL) {
        return fail_memory(self);
    }
    for (uint64_t i = 1; i <= self->node_count; i++) {
        if (read_node(self, i, &self->nodes[i]) < 0) {
            return -1;
        }
    }
    return cursor_close(&self->cursor);
}

static int
read_sites(struct loader *self)
{
    if (cursor_count(&self->cursor, "number of sites", 3, &self->site_count) < 0) {
        return -1;
    }
    self->sites = mem_malloc((size_t)self->site_count, sizeof(*self->sites));
    if (self->sites == NULL) {
        return fail_memory(self);
    }
    uint32_t domains = SNAPSHOT_TRACKED + self->header.tracked_count;
    for (uint64_t i = 0; i < self->site_count; i++) {
        uint64_t node;
        if (cursor_number(&self->cursor, "node", 1, self->node_count, &node) < 0) {
            return -1;
        }
        struct loaded_site *site = &self->sites[i];
        site->traceback = self->nodes[node].id;
        site->epoch = reader_u8(&self->cursor.reader);
        site->domain = reader_u8(&self->cursor.reader);
        if (cursor_check(&self->cursor) < 0) {
            return -1;
        }
        if (site->epoch >= self->epoch_count) {
            return cursor_fail_number(&self->cursor, "epoch", site->epoch, 0,
                                      self->epoch_count - 1);
        }
        if (site->domain >= domains) {
            return cursor_fail_number(&self->cursor, "domain", site->domain, 0, domains - 1);
        }
    }
    return cursor_close(&self->cursor);
}

/* Makes the snapshot once every column is known to be long enough. */
static int
start_rows(struct loader *self)
{
    static const char *const columns[] = {"ROWS", "SIZE", "ADDR"};
    for (int i = 0; i < 3; i++) {
        struct reader unused;
        if (i == 2 && !chunks_find(self->cursor.chunks, columns[i], &unused)) {
            continue;
        }
        if (cursor_open(&self->cursor, columns[i]) < 0
            || cursor_check_column(&self->cursor, self->row_count, "META") < 0) {
            return -1;
        }
    }
    self->snapshot = snapshot_new(self->tree, (size_t)self->row_count);
    if (self->snapshot == NULL) {
        return fail_memory(self);
    }
    snapshot_copy_header(self->snapshot, &self->header);
    self->snapshot->count = (size_t)self->row_count;
    return cursor_open(&self->cursor, "ROWS");
}

static int
read_rows(struct loader *self)
{
    if (start_rows(self) < 0) {
        return -1;
    }
    struct snapshot *snapshot = self->snapshot;
    for (size_t i = 0; i < self->row_count; i++) {
        uint64_t site = reader_varint(&self->cursor.reader);
        if (site >= self->site_count) {
            if (cursor_check(&self->cursor) < 0) {
                return -1;
            }
            return cursor_fail(&self->cursor,
                               "has site %" PRIu64 " before offset %zu, expected one of %" PRIu64,
                               site, cursor_offset(&self->cursor), self->site_count);
        }
        snapshot->traceback[i] = self->sites[site].traceback;
        snapshot->epoch[i] = self->sites[site].epoch;
        snapshot->domain[i] = self->sites[site].domain;
    }
    return cursor_close(&self->cursor);
}

static int
read_sizes(struct loader *self)
{
    struct snapshot *snapshot = self->snapshot;
    uint64_t left = INT64_MAX;
    for (size_t i = 0; i < self->row_count; i++) {
        uint64_t size = reader_varint(&self->cursor.reader);
        if (size > left) {
            return cursor_fail(
                &self->cursor,
                "comes to more than 2**63 - 1 bytes before offset %zu, expected less",
                cursor_offset(&self->cursor));
        }
        left -= size;
        if (size < UINT32_MAX) {
            snapshot->size[i] = (uint32_t)size;
        }
        else if (snapshot_append_large(snapshot, i, size) < 0) {
            return fail_memory(self);
        }
    }
    return cursor_close(&self->cursor);
}

static int
read_addresses(struct loader *self)
{
    struct snapshot *snapshot = self->snapshot;
    unsigned shift = reader_u8(&self->cursor.reader);
    if (shift > 63) {
        return cursor_fail_number(&self->cursor, "a shift of addresses by", shift, 0, 63);
    }
    uint64_t address = 0;
    for (size_t i = 0; i < self->row_count; i++) {
        uint64_t step = reader_varint(&self->cursor.reader);
        address += step & 1 ? ~(step >> 1) : step >> 1;
        snapshot->address[i] = address << shift;
    }
    return cursor_close(&self->cursor);
}

static int
read_chunks(struct loader *self)
{
    static const struct {
        const char *id;
        int (*read)(struct loader *self);
    } steps[] = {
        {"META", read_meta},  {"TEXT", read_texts}, {"FUNC", read_functions}, {"NODE", read_nodes},
        {"SITE", read_sites}, {"ROWS", read_rows},  {"SIZE", read_sizes},
    };
    struct reader unused;
    if (!chunks_find(self->cursor.chunks, "META", &unused)
        && chunks_find(self->cursor.chunks, "HEAP", &unused)) {
        return chunks_fail(self->cursor.error,
                           "bad memscope dump: this is a snapshot of the heap, which "
                           "HeapSnapshot.load reads; expected one of allocations");
    }
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        if (cursor_open(&self->cursor, steps[i].id) < 0 || steps[i].read(self) < 0) {
            return -1;
        }
    }
    if (chunks_find(self->cursor.chunks, "ADDR", &self->cursor.reader)) {
        self->cursor.id = "ADDR";
        return read_addresses(self);
    }
    memset(self->snapshot->address, 0, self->snapshot->count * sizeof(uint64_t));
    return 0;
}

enum dump_status
dump_read(const unsigned char *data, size_t length, struct snapshot **snapshot,
          struct chunks_error *error)
{
    struct chunks chunks;
    if (chunks_open(&chunks, data, length, error) < 0) {
        return DUMP_INVALID;
    }
    struct loader self = {.cursor = {.chunks = &chunks, .error = error}, .tree = tracebacks_new()};
    if (self.tree == NULL) {
        return DUMP_NO_MEMORY;
    }
    int result = read_chunks(&self);
    mem_free(self.texts);
    mem_free(self.functions);
    mem_free(self.nodes);
    mem_free(self.sites);
    tracebacks_unref(self.tree);    /* the snapshot has its own reference */
    if (result < 0) {
        snapshot_free(self.snapshot);
        return self.no_memory ? DUMP_NO_MEMORY : DUMP_INVALID;
    }
    *snapshot = self.snapshot;
    return DUMP_OK;
}
