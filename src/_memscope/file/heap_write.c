#include "file/heap_file.h"

#include <string.h>

#include "base/mem.h"

/* Texts get their numbers when they are first spoken of; the chunk that has them is the
 * last, for the order of chunks means nothing. */
enum pool { OF_GRAPH, OF_LABELS, OF_SITES, POOLS };

struct numbered_text {
    enum pool pool;
    graph_text text;
};

struct heap_writer {
    const struct heap_file *file;
    const struct writer *pools[POOLS];
    struct hashmap numbers[POOLS];      /* position of a text -> its number */
    struct numbered_text *texts;        /* the one with number 1 first */
    size_t text_count, text_capacity;
    uint32_t *class_node;               /* by class: its node + 1, or 0 */
    struct writer *out;
    bool failed;
};

/* -- texts ------------------------------------------------------------------------------ */

static void
write_text_number(struct heap_writer *self, enum pool pool, graph_text text, uint32_t shift)
{
    uint64_t number = 0;
    const uint64_t *known = NULL;
    if (text != 0 && !self->failed) {
        known = hashmap_get(&self->numbers[pool], text);
        number = known != NULL ? *known : self->text_count + 1;
    }
    if (number > self->text_count) {
        if (hashmap_put(&self->numbers[pool], text, number) < 0
            || (self->text_count == self->text_capacity
                && mem_grow((void **)&self->texts, &self->text_capacity, self->text_count + 1,
                            sizeof *self->texts)
                       < 0)) {
            self->failed = true;
            return;
        }
        self->texts[self->text_count++] = (struct numbered_text){pool, text};
    }
    writer_varint(self->out, number + shift);
}

static void
write_string(struct heap_writer *self, enum pool pool, graph_text text)
{
    const char *start = (const char *)self->pools[pool]->data + text;
    size_t length = strlen(start);
    writer_varint(self->out, length);
    writer_bytes(self->out, start, length);
}

static void
write_texts(struct heap_writer *self)
{
    writer_varint(self->out, self->text_count);
    for (size_t i = 0; i < self->text_count; i++) {
        write_string(self, self->texts[i].pool, self->texts[i].text);
    }
}

/* -- classes and holders ------------------------------------------------------------------ */

static int
find_classes(struct heap_writer *self)
{
    const struct graph *graph = self->file->graph;
    struct hashmap nodes = {0};
    int status = 0;
    self->class_node = mem_calloc((size_t)graph->type_count + 1, sizeof *self->class_node);
    if (self->class_node == NULL) {
        return -1;
    }
    for (uint32_t node = graph->holder_count; node < graph->count && status == 0; node++) {
        if (graph_flags(graph, node) & GRAPH_TYPE) {
            status = hashmap_put(&nodes, graph->address[node], (uint64_t)node + 1);
        }
    }
    for (uint32_t i = 0; i < graph->type_count && status == 0; i++) {
        const uint64_t *node = hashmap_get(&nodes, graph->types[i].address);
        self->class_node[i] = node != NULL ? (uint32_t)*node : 0;
    }
    hashmap_clear(&nodes);
    return status;
}

static void
write_classes(struct heap_writer *self)
{
    const struct graph *graph = self->file->graph;
    writer_varint(self->out, graph->type_count);
    for (uint32_t i = 0; i < graph->type_count; i++) {
        const struct graph_type *type = &graph->types[i];
        write_text_number(self, OF_GRAPH, type->module, 0);
        write_text_number(self, OF_GRAPH, type->qualname, 0);
        write_text_number(self, OF_GRAPH, type->name, 0);
        writer_varint(self->out, self->class_node[i]);
        writer_varint(self->out, type->address);
    }
}

static void
write_holders(struct heap_writer *self)
{
    const struct graph *graph = self->file->graph;
    for (uint32_t i = 0; i < graph->holder_count; i++) {
        const struct graph_holder *holder = &graph->holders[i];
        writer_varint(self->out, holder->kind == GRAPH_FRAME ? i - holder->thread : 0);
        writer_varint(self->out, holder->ident);
        write_text_number(self, OF_GRAPH, holder->name, 0);
        write_text_number(self, OF_GRAPH, holder->filename, 0);
        writer_varint(self->out, holder->lineno);
    }
}

static void
write_local_names(struct heap_writer *self)
{
    const struct graph *graph = self->file->graph;
    for (uint32_t edge = 0; edge < graph->out_start[graph->holder_count]; edge++) {
        write_text_number(self, OF_GRAPH, graph->local_names[edge], 0);
    }
}

/* -- nodes and edges ---------------------------------------------------------------------- */

static void
write_zigzag(struct writer *out, uint64_t step, uint64_t above)
{
    writer_varint(out, (step >> 63 ? ~(step << 1) : step << 1) + above);
}

static void
write_addresses(struct heap_writer *self)
{
    const struct graph *graph = self->file->graph;
    uint64_t bits = 0, last = 0;
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        bits |= graph->address[node];
    }
    uint8_t shift = 0;
    while (shift < 63 && ((bits >> shift) & 1) == 0) {
        shift++;
    }
    writer_u8(self->out, shift);
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        uint64_t address = graph->address[node] >> shift;
        write_zigzag(self->out, address - last, 0);
        last = address;
    }
}

/* Most references go to an object that was found through them (0), to the class (1), or
 * not far from where the one before goes. */
static void
write_edges(struct heap_writer *self)
{
    const struct graph *graph = self->file->graph;
    uint32_t fresh = graph->holder_count + graph->tracked_count;
    for (uint32_t node = 0; node < graph->count; node++) {
        uint64_t before = node;
        uint32_t class = self->class_node[graph_type_of(graph, node)];
        for (uint32_t edge = graph->out_start[node]; edge < graph->out_start[node + 1]; edge++) {
            uint32_t target = graph->out[edge];
            if (target == fresh) {
                writer_u8(self->out, 0);
                fresh++;
            }
            else if (target + 1 == class) {
                writer_u8(self->out, 1);
            }
            else {
                write_zigzag(self->out, target - before, 2);
                before = target;
            }
        }
    }
}

static void
write_nodes(struct heap_writer *self, struct chunks_writer *chunks)
{
    const struct graph *graph = self->file->graph;
    struct writer *out = self->out;
    chunks_begin(chunks, "HKND");
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        writer_varint(out, graph_type_of(graph, node));
    }
    chunks_begin(chunks, "HFLG");
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        writer_u8(out, (uint8_t)graph_flags(graph, node));
    }
    chunks_begin(chunks, "HSUR");
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        if (graph_flags(graph, node) & GRAPH_SURPLUS) {
            const uint64_t *surplus = hashmap_get(&graph->surplus, node);
            writer_varint(out, surplus != NULL ? *surplus : 0);
        }
    }
    chunks_begin(chunks, "HSIZ");
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        writer_varint(out, graph_size_of(graph, node));
    }
    chunks_begin(chunks, "HADR");
    write_addresses(self);
    chunks_begin(chunks, "HDEG");
    for (uint32_t node = 0; node < graph->count; node++) {
        writer_varint(out, graph->out_start[node + 1] - graph->out_start[node]);
    }
    chunks_begin(chunks, "HREF");
    write_edges(self);
}

/* -- labels and sites ----------------------------------------------------------------------- */

static void
write_names(struct heap_writer *self)
{
    const struct labels *labels = self->file->labels;
    writer_varint(self->out, labels->name_count);
    for (uint32_t i = 0; i < labels->name_count; i++) {
        const struct label_name *name = &labels->names[i];
        write_text_number(self, OF_LABELS, name->kind, 0);
        if (name->text == LABELS_NO_TEXT) {
            writer_varint(self->out, 0);
        }
        else {
            write_text_number(self, OF_LABELS, name->text, 1);
        }
    }
}

/* The empty shape is not written. */
static void
write_shapes(struct heap_writer *self)
{
    const struct labels *labels = self->file->labels;
    writer_varint(self->out, labels->shape_count - 1);
    for (uint32_t i = 1; i < labels->shape_count; i++) {
        const struct label_shape *shape = &labels->shapes[i];
        writer_u8(self->out, (uint8_t)shape->form);
        writer_varint(self->out, shape->start);
        writer_varint(self->out, shape->count);
        writer_varint(self->out, shape->before);
        for (uint32_t at = shape->first; at < shape->first + shape->count; at++) {
            writer_varint(self->out, labels->references[at].edge);
            writer_varint(self->out, labels->references[at].name);
        }
    }
}

static void
write_label_texts(struct heap_writer *self, const struct label_texts *texts)
{
    uint32_t last = self->file->graph->holder_count - 1;
    writer_varint(self->out, texts->count);
    for (uint32_t i = 0; i < texts->count; i++) {
        writer_varint(self->out, texts->nodes[i] - last - 1);
        write_string(self, OF_LABELS, texts->texts[i]);
        last = texts->nodes[i];
    }
}

static void
write_labels(struct heap_writer *self, struct chunks_writer *chunks)
{
    const struct graph *graph = self->file->graph;
    const struct labels *labels = self->file->labels;
    chunks_begin(chunks, "HNAM");
    write_names(self);
    chunks_begin(chunks, "HSHP");
    write_shapes(self);
    chunks_begin(chunks, "HLAY");
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        writer_varint(self->out, labels->shape[node]);
    }
    chunks_begin(chunks, "HNOT");
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        writer_varint(self->out, labels->note[node]);
    }
    chunks_begin(chunks, "HKEY");
    write_label_texts(self, &labels->keys);
    chunks_begin(chunks, "HTLD");
    write_label_texts(self, &labels->told);
}

static void
write_sites(struct heap_writer *self, struct chunks_writer *chunks)
{
    const struct graph *graph = self->file->graph;
    const struct sites *sites = self->file->sites;
    chunks_begin(chunks, "HSIT");
    writer_varint(self->out, sites->count);
    for (uint32_t i = 0; i < sites->count; i++) {
        write_text_number(self, OF_SITES, sites->sites[i].filename, 0);
        writer_varint(self->out, sites->sites[i].lineno);
        write_text_number(self, OF_SITES, sites->sites[i].function, 0);
    }
    chunks_begin(chunks, "HSID");
    for (uint32_t node = graph->holder_count; node < graph->count; node++) {
        writer_varint(self->out, sites->of_node[node]);
    }
}

/* -- the file --------------------------------------------------------------------------------- */

static void
write_heap(const struct heap_writer *self, const struct dump_origin *origin)
{
    const struct graph *graph = self->file->graph;
    writer_varint(self->out, graph->count);
    writer_varint(self->out, graph->holder_count);
    writer_varint(self->out, graph->tracked_count);
    writer_varint(self->out, graph->edge_count);
    writer_varint(self->out, graph->lost);
    chunks_write_origin(self->out, origin);
}

int
heap_file_write(const struct heap_file *file, const struct dump_origin *origin, struct writer *out)
{
    enum { CHUNKS = 12, OF_LABELS_TOO = 6, OF_SITES_TOO = 2 };
    struct heap_writer self = {.file = file};
    struct chunks_writer chunks;
    if (find_classes(&self) < 0) {
        mem_free(self.class_node);
        return -1;
    }
    self.pools[OF_GRAPH] = &file->graph->texts;
    self.pools[OF_LABELS] = file->labels != NULL ? &file->labels->texts : NULL;
    self.pools[OF_SITES] = file->sites != NULL ? &file->sites->texts : NULL;
    chunks_start(&chunks, CHUNKS + (file->labels != NULL ? OF_LABELS_TOO : 0)
                              + (file->sites != NULL ? OF_SITES_TOO : 0));
    self.out = &chunks.file;
    chunks_begin(&chunks, "HEAP");
    write_heap(&self, origin);
    chunks_begin(&chunks, "HCLS");
    write_classes(&self);
    chunks_begin(&chunks, "HOLD");
    write_holders(&self);
    chunks_begin(&chunks, "HLOC");
    write_local_names(&self);
    write_nodes(&self, &chunks);
    if (file->labels != NULL) {
        write_labels(&self, &chunks);
    }
    if (file->sites != NULL) {
        write_sites(&self, &chunks);
    }
    chunks_begin(&chunks, "HTXT");
    write_texts(&self);
    chunks_finish(&chunks);
    for (int pool = 0; pool < POOLS; pool++) {
        hashmap_clear(&self.numbers[pool]);
    }
    mem_free(self.texts);
    mem_free(self.class_node);
    *out = chunks.file;
    return out->failed || self.failed ? -1 : 0;
}

void
heap_file_release(struct heap_file *self)
{
    graph_free(self->graph);
    labels_free(self->labels);
    sites_free(self->sites);
    *self = (struct heap_file){0};
}
