#include "file/dump.h"

#include <string.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/sort.h"

#define CHUNKS 7        /* and ADDR where there are addresses */

/* Rows with the same traceback, epoch and domain share an entry here; the
 * entries that most rows share come first and so have the shortest numbers. */
struct sites {
    uint64_t *keys;         /* traceback << 16 | epoch << 8 | domain */
    uint64_t *rows;         /* how many share it */
    uint32_t *order;        /* numbers, most rows first */
    size_t count, key_capacity, row_capacity;
    uint32_t *of_row;       /* [rows of the snapshot] */
};

/* A snapshot knows its texts, functions and nodes by ids of a tree that holds
 * more than it uses.  Those in use are numbered anew, from 1, without gaps. */
struct numbering {
    uint32_t *number;       /* [limit] by id; 0: not in use */
    uint32_t *ids;          /* [count] in the order of numbers */
    uint32_t limit, count;
};

struct dumper {
    const struct snapshot *snapshot;
    const struct summary *summary;
    struct numbering texts, functions, nodes;
    struct sites sites;
    uint64_t address_bits;      /* all addresses, or'ed */
};

static int
numbering_init(struct numbering *self, uint32_t limit)
{
    self->limit = limit;
    self->number = mem_calloc(limit, sizeof(*self->number));
    self->ids = mem_malloc(limit, sizeof(*self->ids));
    return self->number == NULL || self->ids == NULL ? -1 : 0;
}

static void
numbering_add(struct numbering *self, uint32_t id)
{
    if (self->number[id] == 0) {
        self->ids[self->count++] = id;
        self->number[id] = self->count;
    }
}

static void
numbering_release(struct numbering *self)
{
    mem_free(self->number);
    mem_free(self->ids);
}

static int
number_names(struct dumper *self)
{
    const struct summary *summary = self->summary;
    const struct tracebacks *tree = summary->tracebacks;
    uint32_t functions = 0, texts = 0;
    for (uint32_t id = 1; id < summary->node_count; id++) {
        if (summary_is_frame(summary, id)) {
            uint32_t function = tracebacks_node(tree, id)->function;
            const struct function *names = tracebacks_function(tree, function);
            functions = function > functions ? function : functions;
            texts = names->filename > texts ? names->filename : texts;
            texts = names->name > texts ? names->name : texts;
        }
    }
    if (numbering_init(&self->nodes, summary->node_count) < 0
        || numbering_init(&self->functions, functions + 1) < 0
        || numbering_init(&self->texts, texts + 1) < 0) {
        return -1;
    }
    for (uint32_t id = 1; id < summary->node_count; id++) {
        if (summary->frames[id].file == SUMMARY_UNUSED) {
            continue;
        }
        numbering_add(&self->nodes, id);
        if (summary_is_frame(summary, id)) {
            uint32_t function = tracebacks_node(tree, id)->function;
            const struct function *names = tracebacks_function(tree, function);
            numbering_add(&self->functions, function);
            numbering_add(&self->texts, names->filename);
            numbering_add(&self->texts, names->name);
        }
    }
    return 0;
}

static int
sites_add(struct sites *self, uint64_t key, uint64_t *number, struct hashmap *index)
{
    void *keys = self->keys, *rows = self->rows;
    *number = self->count;
    if (mem_grow(&keys, &self->key_capacity, self->count + 1, sizeof(*self->keys)) < 0) {
        return -1;
    }
    self->keys = keys;
    if (mem_grow(&rows, &self->row_capacity, self->count + 1, sizeof(*self->rows)) < 0) {
        return -1;
    }
    self->rows = rows;
    if (self->count == UINT32_MAX || hashmap_put(index, key, *number) < 0) {
        return -1;
    }
    self->keys[self->count] = key;
    self->rows[self->count] = 0;
    self->count++;
    return 0;
}

static int
sites_find(struct sites *self, const struct snapshot *snapshot, struct hashmap *index)
{
    uint64_t last_key = HASHMAP_NO_KEY, number = 0;
    for (size_t i = 0; i < snapshot->count; i++) {
        uint64_t key = ((uint64_t)snapshot->traceback[i] << 16)
                       | ((uint64_t)snapshot->epoch[i] << 8) | snapshot->domain[i];
        if (key != last_key) {
            const uint64_t *known = hashmap_get(index, key);
            if (known != NULL) {
                number = *known;
            }
            else if (sites_add(self, key, &number, index) < 0) {
                return -1;
            }
            last_key = key;
        }
        self->of_row[i] = (uint32_t)number;
        self->rows[number]++;
    }
    return 0;
}

/* Orders the entries and renumbers the rows accordingly. */
static int
sites_sort(struct sites *self, size_t row_count)
{
    uint32_t *place = mem_malloc(self->count, sizeof(*place));
    self->order = mem_malloc(self->count, sizeof(*self->order));
    if (place == NULL || self->order == NULL) {
        mem_free(place);
        return -1;
    }
    for (size_t i = 0; i < self->count; i++) {
        self->order[i] = (uint32_t)i;
        self->rows[i] = ~self->rows[i];     /* descending */
    }
    if (sort_by_key(self->order, self->count, self->rows) < 0) {
        mem_free(place);
        return -1;
    }
    for (size_t i = 0; i < self->count; i++) {
        place[self->order[i]] = (uint32_t)i;
    }
    for (size_t i = 0; i < row_count; i++) {
        self->of_row[i] = place[self->of_row[i]];
    }
    mem_free(place);
    return 0;
}

static int
make_sites(struct dumper *self)
{
    const struct snapshot *snapshot = self->snapshot;
    struct hashmap index = {0};
    self->sites.of_row = mem_malloc(snapshot->count, sizeof(*self->sites.of_row));
    int result = self->sites.of_row == NULL ? -1 : sites_find(&self->sites, snapshot, &index);
    hashmap_clear(&index);
    return result < 0 ? -1 : sites_sort(&self->sites, snapshot->count);
}

static void
write_meta(const struct dumper *self, const struct dump_origin *origin, struct writer *out)
{
    const struct snapshot *snapshot = self->snapshot;
    uint32_t epochs = 256;
    while (epochs > 1 && snapshot->epochs[epochs - 1] == 0) {
        epochs--;
    }
    for (size_t i = 0; i < snapshot->count; i++) {
        epochs = snapshot->epoch[i] >= epochs ? snapshot->epoch[i] + 1u : epochs;
    }
    writer_varint(out, snapshot->count);
    writer_varint(out, snapshot->traceback_limit);
    writer_varint(out, snapshot->lost);
    writer_varint(out, snapshot->now);
    writer_varint(out, epochs);
    for (uint32_t i = 0; i < epochs; i++) {
        writer_varint(out, snapshot->epochs[i]);
    }
    writer_varint(out, snapshot->tracked_count);
    for (uint32_t i = 0; i < snapshot->tracked_count; i++) {
        writer_varint(out, snapshot->tracked_domains[i]);
    }
    chunks_write_origin(out, origin);
}

static void
write_texts(const struct dumper *self, struct writer *out)
{
    writer_varint(out, self->texts.count);
    for (uint32_t i = 0; i < self->texts.count; i++) {
        const struct text *text = tracebacks_text(self->summary->tracebacks, self->texts.ids[i]);
        writer_u8(out, (uint8_t)text->kind);
        writer_varint(out, text->length);
        switch (text->kind) {
        case 1:
            writer_bytes(out, text->data, text->length);
            break;
        case 2:
            for (uint32_t c = 0; c < text->length; c++) {
                writer_u16(out, ((const uint16_t *)text->data)[c]);
            }
            break;
        default:
            for (uint32_t c = 0; c < text->length; c++) {
                writer_u32(out, ((const uint32_t *)text->data)[c]);
            }
        }
    }
}

static void
write_functions(const struct dumper *self, struct writer *out)
{
    writer_varint(out, self->functions.count);
    for (uint32_t i = 0; i < self->functions.count; i++) {
        const struct function *function =
            tracebacks_function(self->summary->tracebacks, self->functions.ids[i]);
        writer_varint(out, self->texts.number[function->filename]);
        writer_varint(out, self->texts.number[function->name]);
    }
}

static void
write_nodes(const struct dumper *self, struct writer *out)
{
    writer_varint(out, self->nodes.count);
    for (uint32_t i = 0; i < self->nodes.count; i++) {
        const struct traceback_node *node =
            tracebacks_node(self->summary->tracebacks, self->nodes.ids[i]);
        bool total = node->function == TRACEBACK_TOTAL;
        writer_varint(out, i + 1 - self->nodes.number[node->parent]);
        writer_varint(out, total ? 0 : self->functions.number[node->function]);
        writer_varint(out, node->lineno);
    }
}

static void
write_sites(const struct dumper *self, struct writer *out)
{
    writer_varint(out, self->sites.count);
    for (size_t i = 0; i < self->sites.count; i++) {
        uint64_t key = self->sites.keys[self->sites.order[i]];
        writer_varint(out, self->nodes.number[key >> 16]);
        writer_u8(out, (uint8_t)(key >> 8));
        writer_u8(out, (uint8_t)key);
    }
}

static void
write_addresses(const struct dumper *self, struct writer *out)
{
    const struct snapshot *snapshot = self->snapshot;
    uint8_t shift = 0;
    while (((self->address_bits >> shift) & 1) == 0) {
        shift++;
    }
    writer_u8(out, shift);
    uint64_t last = 0;
    for (size_t i = 0; i < snapshot->count; i++) {
        uint64_t address = snapshot->address[i] >> shift;
        uint64_t step = address - last;
        writer_varint(out, step >> 63 ? ~(step << 1) : step << 1);
        last = address;
    }
}

static void
write_chunks(const struct dumper *self, const struct dump_origin *origin,
             struct chunks_writer *chunks)
{
    const struct snapshot *snapshot = self->snapshot;
    struct writer *out = &chunks->file;
    chunks_start(chunks, CHUNKS + (self->address_bits != 0));
    chunks_begin(chunks, "META");
    write_meta(self, origin, out);
    chunks_begin(chunks, "TEXT");
    write_texts(self, out);
    chunks_begin(chunks, "FUNC");
    write_functions(self, out);
    chunks_begin(chunks, "NODE");
    write_nodes(self, out);
    chunks_begin(chunks, "SITE");
    write_sites(self, out);
    chunks_begin(chunks, "ROWS");
    for (size_t i = 0; i < snapshot->count; i++) {
        writer_varint(out, self->sites.of_row[i]);
    }
    chunks_begin(chunks, "SIZE");
    const struct snapshot_large *large = snapshot->large;
    for (size_t i = 0; i < snapshot->count; i++) {
        uint32_t size = snapshot->size[i];
        writer_varint(out, size == UINT32_MAX ? (large++)->size : size);
    }
    if (self->address_bits != 0) {
        chunks_begin(chunks, "ADDR");
        write_addresses(self, out);
    }
    chunks_finish(chunks);
}

int
dump_write(const struct snapshot *snapshot, const struct summary *summary,
           const struct dump_origin *origin, struct writer *out)
{
    struct dumper self = {.snapshot = snapshot, .summary = summary};
    for (size_t i = 0; i < snapshot->count; i++) {
        self.address_bits |= snapshot->address[i];
    }
    int result = -1;
    if (number_names(&self) == 0 && make_sites(&self) == 0) {
        struct chunks_writer chunks;
        write_chunks(&self, origin, &chunks);
        *out = chunks.file;
        result = out->failed ? -1 : 0;
    }
    numbering_release(&self.texts);
    numbering_release(&self.functions);
    numbering_release(&self.nodes);
    mem_free(self.sites.keys);
    mem_free(self.sites.rows);
    mem_free(self.sites.order);
    mem_free(self.sites.of_row);
    return result;
}
