#include "file/dump.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/reader.h"

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
    const struct chunks *chunks;
    struct chunks_error *error;
    struct tracebacks *tree;
    struct snapshot header;     /* all of it but the rows */
    struct snapshot *snapshot;
    struct reader reader;       /* of the chunk being read ... */
    const char *id;             /* ... its name ... */
    bool no_memory;
    uint64_t row_count;
    uint32_t epoch_count;
    /* By the file's numbers, from 1: */
    uint32_t *texts, *functions;
    struct loaded_node *nodes;
    struct loaded_site *sites;  /* from 0 */
    uint64_t text_count, function_count, node_count, site_count;
};

/* Where in the file the reader is. */
static size_t
offset(const struct loader *self)
{
    return (size_t)(self->reader.next - self->chunks->data);
}

static int
fail_memory(struct loader *self)
{
    self->no_memory = true;
    return -1;
}

/* A number in a chunk is not what it may be. */
static int
fail_number(struct loader *self, const char *what, uint64_t found, uint64_t lowest,
            uint64_t highest)
{
    return chunks_fail(self->error, "bad memscope dump: chunk %s has %s %" PRIu64
                       " before offset %zu, expected %" PRIu64 " to %" PRIu64, self->id, what,
                       found, offset(self), lowest, highest);
}

/* Whether the chunk could be read so far. */
static int
check_reader(struct loader *self)
{
    switch (self->reader.status) {
    case READER_OK:
        return 0;
    case READER_ENDED:
        return chunks_fail(self->error, "bad memscope dump: chunk %s ends at offset %zu, "
                           "expected more", self->id, offset(self));
    default:
        return chunks_fail(self->error, "bad memscope dump: chunk %s has a number of more than "
                           "64 bits before offset %zu", self->id, offset(self));
    }
}

static int
open_chunk(struct loader *self, const char *id)
{
    self->id = id;
    if (!chunks_find(self->chunks, id, &self->reader)) {
        return chunks_fail(self->error, "bad memscope dump: chunk %s is not in the table at "
                           "offset %d, expected once", id, CHUNKS_HEADER_BYTES);
    }
    return 0;
}

static int
close_chunk(struct loader *self)
{
    if (check_reader(self) < 0) {
        return -1;
    }
    size_t left = reader_left(&self->reader);
    if (left != 0) {
        return chunks_fail(self->error, "bad memscope dump: chunk %s goes on for %zu bytes at "
                           "offset %zu, expected its end", self->id, left, offset(self));
    }
    return 0;
}

/* A number of items that take at least `bytes` each in the rest of the chunk;
 * so whoever names a count has paid for it. */
static int
read_count(struct loader *self, const char *what, size_t bytes, uint64_t *count)
{
    *count = reader_varint(&self->reader);
    if (check_reader(self) < 0) {
        return -1;
    }
    size_t most = reader_left(&self->reader) / bytes;
    if (*count > most || *count >= UINT32_MAX) {
        return fail_number(self, what, *count, 0, most < UINT32_MAX ? most : UINT32_MAX - 1);
    }
    return 0;
}

static int
read_number(struct loader *self, const char *what, uint64_t lowest, uint64_t highest,
            uint64_t *number)
{
    *number = reader_varint(&self->reader);
    if (check_reader(self) < 0) {
        return -1;
    }
    if (*number < lowest || *number > highest) {
        return fail_number(self, what, *number, lowest, highest);
    }
    return 0;
}

static int
skip_string(struct loader *self)
{
    uint64_t length;
    if (read_count(self, "a string's length", 1, &length) < 0) {
        return -1;
    }
    reader_bytes(&self->reader, (size_t)length);
    return 0;
}

/* META may go on: a later minor version adds at the end. */
static int
read_meta(struct loader *self)
{
    uint64_t limit, epochs, tracked, number;
    struct snapshot *snapshot = &self->header;
    self->row_count = reader_varint(&self->reader);
    if (read_number(self, "traceback limit", 0, UINT32_MAX, &limit) < 0) {
        return -1;
    }
    snapshot->traceback_limit = (uint32_t)limit;
    snapshot->lost = reader_varint(&self->reader);
    snapshot->now = reader_varint(&self->reader);
    if (read_number(self, "number of epochs", 1, 256, &epochs) < 0) {
        return -1;
    }
    self->epoch_count = (uint32_t)epochs;
    for (uint32_t i = 0; i < epochs; i++) {
        snapshot->epochs[i] = reader_varint(&self->reader);
    }
    if (read_number(self, "number of tracked domains", 0, SNAPSHOT_MAX_TRACKED, &tracked) < 0) {
        return -1;
    }
    snapshot->tracked_count = (uint32_t)tracked;
    for (uint32_t i = 0; i < tracked; i++) {
        if (read_number(self, "tracked domain", 0, UINT32_MAX, &number) < 0) {
            return -1;
        }
        snapshot->tracked_domains[i] = (uint32_t)number;
    }
    for (int i = 0; i < 3; i++) {
        if (skip_string(self) < 0) {
            return -1;
        }
    }
    return check_reader(self);
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
    uint32_t kind = reader_u8(&self->reader);
    if (check_reader(self) < 0) {
        return -1;
    }
    if (kind != 1 && kind != 2 && kind != 4) {
        return chunks_fail(self->error, "bad memscope dump: chunk %s has a text of %" PRIu32
                           " bytes a character before offset %zu, expected 1, 2 or 4", self->id,
                           kind, offset(self));
    }
    if (read_count(self, "a text's length", kind, &length) < 0) {
        return -1;
    }
    const unsigned char *bytes = reader_bytes(&self->reader, (size_t)length * kind);
    void *data = mem_malloc((size_t)length, kind);
    if (data == NULL) {
        return fail_memory(self);
    }
    uint32_t highest = decode_text(bytes, kind, (size_t)length, data);
    uint32_t lowest = kind == 1 ? 0 : kind == 2 ? 0x100 : 0x10000;
    if (highest < lowest || highest > MAX_CODE_POINT) {
        mem_free(data);
        return fail_number(self, "a text with highest code point", highest, lowest,
                           MAX_CODE_POINT);
    }
    *id = tracebacks_intern_text(self->tree, (struct text){data, (uint32_t)length, kind});
    mem_free(data);
    return *id == 0 ? fail_memory(self) : 0;
}

static int
read_texts(struct loader *self)
{
    if (read_count(self, "number of texts", 2, &self->text_count) < 0) {
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
    return close_chunk(self);
}

static int
read_functions(struct loader *self)
{
    if (read_count(self, "number of functions", 2, &self->function_count) < 0) {
        return -1;
    }
    self->functions = mem_malloc((size_t)self->function_count + 1, sizeof(*self->functions));
    if (self->functions == NULL) {
        return fail_memory(self);
    }
    for (uint64_t i = 1; i <= self->function_count; i++) {
        uint64_t filename, name;
        if (read_number(self, "text", 1, self->text_count, &filename) < 0
            || read_number(self, "text", 1, self->text_count, &name) < 0) {
            return -1;
        }
        struct function function = {self->texts[filename], self->texts[name]};
        self->functions[i] = tracebacks_intern_function(self->tree, function);
        if (self->functions[i] == 0) {
            return fail_memory(self);
        }
    }
    return close_chunk(self);
}

/* Node number `i`.  A TRACEBACK_TOTAL node stands in front of a frame, and
 * nothing in front of it. */
static int
read_node(struct loader *self, uint64_t i, struct loaded_node *loaded)
{
    uint64_t step, function, lineno;
    if (read_number(self, "distance to a node's parent", 1, i, &step) < 0
        || read_number(self, "function", 0, self->function_count, &function) < 0
        || read_number(self, "line number", 0, UINT32_MAX, &lineno) < 0) {
        return -1;
    }
    static const struct loaded_node none = {0, 0, false};
    const struct loaded_node *parent = step < i ? &self->nodes[i - step] : &none;
    loaded->is_total = function == 0;
    if (parent->is_total || (loaded->is_total && parent->id == 0)) {
        return chunks_fail(self->error, "bad memscope dump: chunk %s has a total number of frames "
                           "without a frame behind it before offset %zu, expected in front of a "
                           "newest frame", self->id, offset(self));
    }
    uint32_t depth = parent->depth + !loaded->is_total;
    if (depth > DUMP_MAX_DEPTH) {
        return fail_number(self, "a traceback of length", depth, 1, DUMP_MAX_DEPTH);
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
    if (read_count(self, "number of nodes", 3, &self->node_count) < 0) {
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
    return close_chunk(self);
}

static int
read_sites(struct loader *self)
{
    if (read_count(self, "number of sites", 3, &self->site_count) < 0) {
        return -1;
    }
    self->sites = mem_malloc((size_t)self->site_count, sizeof(*self->sites));
    if (self->sites == NULL) {
        return fail_memory(self);
    }
    uint32_t domains = SNAPSHOT_TRACKED + self->header.tracked_count;
    for (uint64_t i = 0; i < self->site_count; i++) {
        uint64_t node;
        if (read_number(self, "node", 1, self->node_count, &node) < 0) {
            return -1;
        }
        struct loaded_site *site = &self->sites[i];
        site->traceback = self->nodes[node].id;
        site->epoch = reader_u8(&self->reader);
        site->domain = reader_u8(&self->reader);
        if (check_reader(self) < 0) {
            return -1;
        }
        if (site->epoch >= self->epoch_count) {
            return fail_number(self, "epoch", site->epoch, 0, self->epoch_count - 1);
        }
        if (site->domain >= domains) {
            return fail_number(self, "domain", site->domain, 0, domains - 1);
        }
    }
    return close_chunk(self);
}

/* A chunk of one varint a row: at least as many bytes as there are rows. */
static int
check_rows(struct loader *self)
{
    size_t most = reader_left(&self->reader);
    if (self->row_count > most) {
        return chunks_fail(self->error, "bad memscope dump: chunk META speaks of %" PRIu64
                           " rows, chunk %s at offset %zu has room for %zu at most",
                           self->row_count, self->id, offset(self), most);
    }
    return 0;
}

static int
read_rows(struct loader *self)
{
    struct snapshot *snapshot = self->snapshot;
    for (size_t i = 0; i < self->row_count; i++) {
        uint64_t site = reader_varint(&self->reader);
        if (site >= self->site_count) {
            if (check_reader(self) < 0) {
                return -1;
            }
            return chunks_fail(self->error, "bad memscope dump: chunk %s has site %" PRIu64
                               " before offset %zu, expected one of %" PRIu64, self->id, site,
                               offset(self), self->site_count);
        }
        snapshot->traceback[i] = self->sites[site].traceback;
        snapshot->epoch[i] = self->sites[site].epoch;
        snapshot->domain[i] = self->sites[site].domain;
    }
    return close_chunk(self);
}

static int
read_sizes(struct loader *self)
{
    struct snapshot *snapshot = self->snapshot;
    uint64_t left = INT64_MAX;
    for (size_t i = 0; i < self->row_count; i++) {
        uint64_t size = reader_varint(&self->reader);
        if (size > left) {
            return chunks_fail(self->error, "bad memscope dump: chunk %s comes to more than 2**63 "
                               "- 1 bytes before offset %zu, expected less", self->id,
                               offset(self));
        }
        left -= size;
        if (size < UINT32_MAX) {
            snapshot->size[i] = (uint32_t)size;
        }
        else if (snapshot_append_large(snapshot, i, size) < 0) {
            return fail_memory(self);
        }
    }
    return close_chunk(self);
}

static int
read_addresses(struct loader *self)
{
    struct snapshot *snapshot = self->snapshot;
    unsigned shift = reader_u8(&self->reader);
    if (shift > 63) {
        return fail_number(self, "a shift of addresses by", shift, 0, 63);
    }
    uint64_t address = 0;
    for (size_t i = 0; i < self->row_count; i++) {
        uint64_t step = reader_varint(&self->reader);
        address += step & 1 ? ~(step >> 1) : step >> 1;
        snapshot->address[i] = address << shift;
    }
    return close_chunk(self);
}

/* Makes the snapshot once every column is known to be long enough. */
static int
start_rows(struct loader *self)
{
    static const char *const columns[] = {"ROWS", "SIZE", "ADDR"};
    for (int i = 0; i < 3; i++) {
        struct reader unused;
        if (i == 2 && !chunks_find(self->chunks, columns[i], &unused)) {
            continue;
        }
        if (open_chunk(self, columns[i]) < 0 || check_rows(self) < 0) {
            return -1;
        }
    }
    self->snapshot = snapshot_new(self->tree, (size_t)self->row_count);
    if (self->snapshot == NULL) {
        return fail_memory(self);
    }
    snapshot_copy_header(self->snapshot, &self->header);
    self->snapshot->count = (size_t)self->row_count;
    return 0;
}

static int
read_chunks(struct loader *self)
{
    if (open_chunk(self, "META") < 0 || read_meta(self) < 0
        || open_chunk(self, "TEXT") < 0 || read_texts(self) < 0
        || open_chunk(self, "FUNC") < 0 || read_functions(self) < 0
        || open_chunk(self, "NODE") < 0 || read_nodes(self) < 0
        || open_chunk(self, "SITE") < 0 || read_sites(self) < 0
        || start_rows(self) < 0
        || open_chunk(self, "ROWS") < 0 || read_rows(self) < 0
        || open_chunk(self, "SIZE") < 0 || read_sizes(self) < 0) {
        return -1;
    }
    if (chunks_find(self->chunks, "ADDR", &self->reader)) {
        self->id = "ADDR";
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
    struct loader self = {.chunks = &chunks, .error = error, .tree = tracebacks_new()};
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
