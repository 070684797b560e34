#include "heap/graph.h"

#include <string.h>

#include "base/mem.h"

void
graph_free(struct graph *self)
{
    if (self == NULL) {
        return;
    }
    mem_free(self->address);
    mem_free(self->size);
    mem_free(self->kind);
    mem_free(self->out_start);
    mem_free(self->out);
    mem_free(self->in_start);
    mem_free(self->in);
    hashmap_clear(&self->large);
    hashmap_clear(&self->surplus);
    mem_free(self->holders);
    mem_free(self->local_names);
    mem_free(self->types);
    writer_release(&self->texts);
    mem_free(self);
}

size_t
graph_nbytes(const struct graph *self)
{
    size_t nodes = self->count, edges = self->edge_count;
    size_t maps = self->large.capacity + self->surplus.capacity;
    return sizeof *self + nodes * (sizeof *self->address + 4 * sizeof(uint32_t))
           + 2 * (edges + 1) * sizeof(uint32_t) + maps * sizeof(struct hashmap_entry)
           + self->holder_count * sizeof *self->holders + self->type_count * sizeof *self->types
           + self->texts.capacity;
}

static void
write_utf8(struct writer *out, uint32_t c)
{
    if (c < 0x80) {
        writer_u8(out, (uint8_t)c);
        return;
    }
    unsigned char bytes[4];
    int count = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = count - 1; i > 0; i--) {
        bytes[i] = (unsigned char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    bytes[0] = (unsigned char)((0xf00u >> count) | c);
    writer_bytes(out, bytes, (size_t)count);
}

graph_text
graph_write_text(struct writer *out, const void *text, size_t length, int width)
{
    if (out->length == 0) {
        writer_u8(out, 0);
    }
    if (length == 0 || out->length > UINT32_MAX - 4 * length - 1) {
        return 0;
    }
    graph_text start = (graph_text)out->length;
    for (size_t i = 0; i < length; i++) {
        uint32_t c = width == 1   ? ((const uint8_t *)text)[i]
                     : width == 2 ? ((const uint16_t *)text)[i]
                                  : ((const uint32_t *)text)[i];
        write_utf8(out, c != 0 ? c : ' ');
    }
    writer_u8(out, 0);
    return out->failed ? 0 : start;
}

graph_text
graph_add_text(struct graph *self, const void *text, size_t length, int width)
{
    return graph_write_text(&self->texts, text, length, width);
}

graph_text
graph_add_ascii(struct graph *self, const char *text)
{
    return graph_add_text(self, text, strlen(text), 1);
}

/* A counting sort of the edges by target.  `in_start` is shifted by one while it
 * is filled: what ends as the start of node i + 1 begins as that of node i. */
int
graph_transpose(struct graph *self)
{
    uint32_t count = self->count;
    uint32_t *start = mem_calloc((size_t)count + 2, sizeof *start);
    uint32_t *in = mem_malloc((size_t)self->edge_count + 1, sizeof *in);
    if (start == NULL || in == NULL) {
        mem_free(start);
        mem_free(in);
        return -1;
    }
    for (uint32_t edge = 0; edge < self->edge_count; edge++) {
        start[self->out[edge] + 2]++;
    }
    for (uint32_t node = 0; node < count; node++) {
        start[node + 2] += start[node + 1];
    }
    for (uint32_t node = 0; node < count; node++) {
        for (uint32_t edge = self->out_start[node]; edge < self->out_start[node + 1]; edge++) {
            in[start[self->out[edge] + 1]++] = node;
        }
    }
    self->in_start = start;
    self->in = in;
    return 0;
}

void
graph_sum_types(struct graph *self)
{
    for (uint32_t node = self->holder_count; node < self->count; node++) {
        struct graph_type *type = &self->types[graph_type_of(self, node)];
        type->count++;
        type->bytes += graph_size_of(self, node);
    }
}
