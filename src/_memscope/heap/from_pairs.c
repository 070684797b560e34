#include "base/mem.h"
#include "heap/graph.h"
#include "heap/pagemap.h"

static int
allocate(struct graph *self)
{
    size_t count = self->count;
    self->address = mem_malloc(count + 1, sizeof *self->address);
    self->size = mem_malloc(count + 1, sizeof *self->size);
    self->kind = mem_malloc(count + 1, sizeof *self->kind);
    self->out_start = mem_calloc(count + 2, sizeof *self->out_start);
    self->out = mem_malloc((size_t)self->edge_count + 1, sizeof *self->out);
    self->types = mem_calloc(1, sizeof *self->types);
    return self->address == NULL || self->size == NULL || self->kind == NULL
                   || self->out_start == NULL || self->out == NULL || self->types == NULL
               ? -1
               : 0;
}

/* A counting sort by source, which keeps the order of the pairs; out_start is shifted
 * by one meanwhile, as graph_transpose shifts in_start. */
static void
sort_pairs(struct graph *self, const uint32_t (*pairs)[2])
{
    uint32_t *start = self->out_start;
    for (uint32_t i = 0; i < self->edge_count; i++) {
        start[pairs[i][0] + 2]++;
    }
    for (uint32_t node = 0; node < self->count; node++) {
        start[node + 2] += start[node + 1];
    }
    for (uint32_t i = 0; i < self->edge_count; i++) {
        self->out[start[pairs[i][0] + 1]++] = pairs[i][1];
    }
}

static int
fill(struct graph *self, const uint32_t (*pairs)[2], const uint32_t *root, uint32_t root_count)
{
    for (uint32_t node = 0; node < self->count; node++) {
        /* As far apart as objects are, so that graphs of a series can be matched. */
        self->address[node] = ((uintptr_t)node + 1) << PAGEMAP_SLOT_BITS;
        self->size[node] = 1;
        self->kind[node] = (uint32_t)GRAPH_TRACKED << 24;
    }
    for (uint32_t i = 0; i < root_count; i++) {
        self->kind[root[i]] |= (uint32_t)GRAPH_SURPLUS << 24;
        if (hashmap_put(&self->surplus, root[i], 1) < 0) {
            return -1;
        }
    }
    struct graph_type *type = &self->types[0];
    type->module = graph_add_ascii(self, "builtins");
    type->qualname = type->name = graph_add_ascii(self, "object");
    type->count = self->count;
    type->bytes = self->count;
    sort_pairs(self, pairs);
    return self->texts.failed ? -1 : graph_transpose(self);
}

struct graph *
graph_from_pairs(uint32_t count, const uint32_t (*pairs)[2], uint32_t pair_count,
                 const uint32_t *root, uint32_t root_count)
{
    struct graph *self = mem_calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->count = self->tracked_count = count;
    self->edge_count = pair_count;
    self->type_count = 1;
    if (allocate(self) < 0 || fill(self, pairs, root, root_count) < 0) {
        graph_free(self);
        return NULL;
    }
    return self;
}
