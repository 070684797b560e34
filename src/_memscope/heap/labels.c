#include "heap/labels.h"

#include "base/mem.h"

struct labels *
labels_new(size_t count)
{
    struct labels *self = mem_calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->shape = mem_calloc(count + 1, sizeof *self->shape);
    self->note = mem_calloc(count + 1, sizeof *self->note);
    writer_u8(&self->texts, 0);     /* the empty text */
    if (self->shape == NULL || self->note == NULL || self->texts.failed
        || labels_add_shape(self, (struct label_shape){0}) < 0) {
        labels_free(self);
        return NULL;
    }
    return self;
}

void
label_texts_release(struct label_texts *self)
{
    mem_free(self->nodes);
    mem_free(self->texts);
    *self = (struct label_texts){0};
}

void
labels_free(struct labels *self)
{
    if (self == NULL) {
        return;
    }
    mem_free(self->shape);
    mem_free(self->note);
    mem_free(self->shapes);
    mem_free(self->references);
    mem_free(self->names);
    label_texts_release(&self->keys);
    label_texts_release(&self->told);
    writer_release(&self->texts);
    mem_free(self);
}

size_t
labels_nbytes(const struct labels *self, size_t count)
{
    return sizeof *self + 2 * count * sizeof(uint32_t) + self->shape_count * sizeof *self->shapes
           + self->reference_count * sizeof *self->references
           + self->name_count * sizeof *self->names
           + 2 * ((size_t)self->keys.count + self->told.count) * sizeof(uint32_t)
           + self->texts.capacity;
}

/* Room for one more in a column whose numbers stay below GRAPH_NONE. */
static int
grow(void **column, size_t *capacity, uint32_t count, size_t size)
{
    if (count >= GRAPH_NONE - 1) {
        return -1;
    }
    return count < *capacity ? 0 : mem_grow(column, capacity, (size_t)count + 1, size);
}

int
labels_add_name(struct labels *self, struct label_name name)
{
    if (grow((void **)&self->names, &self->name_capacity, self->name_count, sizeof name) < 0) {
        return -1;
    }
    self->names[self->name_count++] = name;
    return 0;
}

int
labels_add_reference(struct labels *self, struct label_reference reference)
{
    if (grow((void **)&self->references, &self->reference_capacity, self->reference_count,
             sizeof reference)
        < 0) {
        return -1;
    }
    self->references[self->reference_count++] = reference;
    return 0;
}

int
labels_add_shape(struct labels *self, struct label_shape shape)
{
    if (grow((void **)&self->shapes, &self->shape_capacity, self->shape_count, sizeof shape) < 0) {
        return -1;
    }
    self->shapes[self->shape_count++] = shape;
    return 0;
}

int
label_texts_add(struct label_texts *self, uint32_t node, graph_text text)
{
    if (grow((void **)&self->nodes, &self->node_capacity, self->count, sizeof node) < 0
        || grow((void **)&self->texts, &self->text_capacity, self->count, sizeof text) < 0) {
        return -1;
    }
    self->nodes[self->count] = node;
    self->texts[self->count++] = text;
    return 0;
}

graph_text
label_texts_find(const struct label_texts *self, uint32_t node)
{
    uint32_t low = 0, high = self->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->nodes[middle] < node) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low < self->count && self->nodes[low] == node ? self->texts[low] : LABELS_NO_TEXT;
}

uint32_t
labels_least_edges(const struct labels *self, const struct label_shape *shape)
{
    uint32_t least = shape->start;
    for (uint32_t i = shape->first; i < shape->first + shape->count; i++) {
        uint32_t edge = self->references[i].edge;
        least = edge >= least ? edge + 1 : least;
    }
    return least;
}

bool
labels_may_have(const struct label_shape *shape, uint32_t least, uint32_t count)
{
    bool in_pairs = shape->form == LABEL_KEYS_APART || shape->form == LABEL_KEYS_BESIDE;
    return count >= least && !(in_pairs && (count - shape->start) % 2 != 0);
}

/* The edges of one node, of which those to `target` are told. */
struct telling {
    const struct labels *labels;
    const uint32_t *edges;
    uint32_t count, target;
    int (*visit)(struct label label, void *arg);
    void *arg;
};

static int
tell_named(const struct telling *self, uint32_t from, uint32_t to)
{
    int status = 0;
    for (uint32_t i = from; i < to && status == 0; i++) {
        struct label_reference reference = self->labels->references[i];
        if (self->edges[reference.edge] == self->target) {
            status = self->visit((struct label){LABEL_IS_NAME, reference.name}, self->arg);
        }
    }
    return status;
}

static int
tell_entries(const struct telling *self, const uint32_t *values, const uint32_t *keys,
             uint32_t step, uint32_t count)
{
    int status = 0;
    for (uint32_t i = 0; i < count && status == 0; i++) {
        uint32_t key = keys[(size_t)i * step];
        if (values[(size_t)i * step] == self->target) {
            status = self->visit((struct label){LABEL_IS_KEY, key}, self->arg);
        }
        if (key == self->target && status == 0) {
            status = self->visit((struct label){LABEL_IS_KEY_ITSELF, key}, self->arg);
        }
    }
    return status;
}

static int
tell_contents(const struct telling *self, const struct label_shape *shape)
{
    const uint32_t *contents = self->edges + shape->start;
    uint32_t count = self->count - shape->start;
    int status = 0;
    switch (shape->form) {
    case LABEL_KEYS_APART:
        return tell_entries(self, contents, contents + count / 2, 1, count / 2);
    case LABEL_KEYS_BESIDE:
        return tell_entries(self, contents, contents + 1, 2, count / 2);
    case LABEL_ITEMS:
    case LABEL_ITEMS_BACK:
    case LABEL_ELEMENTS:
        for (uint32_t i = 0; i < count && status == 0; i++) {
            uint32_t at = shape->form == LABEL_ITEMS_BACK ? count - 1 - i : i;
            if (contents[at] == self->target) {
                bool indexed = shape->form != LABEL_ELEMENTS;
                struct label label = {indexed ? LABEL_IS_INDEX : LABEL_IS_ELEMENT, i};
                status = self->visit(label, self->arg);
            }
        }
        return status;
    default:
        return 0;
    }
}

int
labels_visit(const struct labels *self, const struct graph *graph, uint32_t source, uint32_t target,
             int (*visit)(struct label label, void *arg), void *arg)
{
    const struct label_shape *shape = &self->shapes[self->shape[source]];
    const uint32_t *start = &graph->out_start[source];
    struct telling telling = {self, graph->out + start[0], start[1] - start[0], target, visit, arg};
    int status = tell_named(&telling, shape->first, shape->first + shape->before);
    if (status == 0) {
        status = tell_contents(&telling, shape);
    }
    return status != 0
               ? status
               : tell_named(&telling, shape->first + shape->before, shape->first + shape->count);
}
