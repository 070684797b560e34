#include "heap/sites.h"

#include "base/mem.h"

struct sites *
sites_new(size_t count)
{
    struct sites *self = mem_calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->of_node = mem_calloc(count + 1, sizeof *self->of_node);
    writer_u8(&self->texts, 0);
    if (self->of_node == NULL || self->texts.failed) {
        sites_free(self);
        return NULL;
    }
    return self;
}

void
sites_free(struct sites *self)
{
    if (self != NULL) {
        mem_free(self->of_node);
        mem_free(self->sites);
        writer_release(&self->texts);
        mem_free(self);
    }
}

size_t
sites_nbytes(const struct sites *self, size_t count)
{
    return sizeof *self + count * sizeof *self->of_node + self->count * sizeof *self->sites
           + self->texts.capacity;
}

int
sites_add(struct sites *self, struct site site)
{
    if (self->count >= GRAPH_NONE - 1
        || (self->count == self->capacity
            && mem_grow((void **)&self->sites, &self->capacity, (size_t)self->count + 1,
                        sizeof site)
                   < 0)) {
        return -1;
    }
    self->sites[self->count++] = site;
    return 0;
}
