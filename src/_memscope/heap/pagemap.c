#include "heap/pagemap.h"

#include "base/mem.h"

struct pagemap *
pagemap_new(void)
{
    return mem_calloc(1, sizeof(struct pagemap));
}

void
pagemap_free(struct pagemap *self)
{
    for (size_t high = 0; self != NULL && high < PAGEMAP_FANOUT; high++) {
        for (size_t low = 0; self->level[high] != NULL && low < PAGEMAP_FANOUT; low++) {
            mem_free(self->level[high][low]);
        }
        mem_free(self->level[high]);
    }
    mem_free(self);
}

uint32_t *
pagemap_slot(struct pagemap *self, uint64_t address)
{
    uint32_t *slots = pagemap_region(self, address);
    if (slots == NULL) {
        uint64_t region = address >> PAGEMAP_REGION_BITS;
        uint64_t high = region >> PAGEMAP_LEVEL_BITS;
        if (high >= PAGEMAP_FANOUT) {
            return NULL;
        }
        if (self->level[high] == NULL) {
            self->level[high] = mem_calloc(PAGEMAP_FANOUT, sizeof *self->level[high]);
            if (self->level[high] == NULL) {
                return NULL;
            }
        }
        slots = mem_calloc(PAGEMAP_SLOTS, sizeof *slots);
        if (slots == NULL) {
            return NULL;
        }
        self->level[high][region & (PAGEMAP_FANOUT - 1)] = slots;
        self->regions++;
    }
    return &slots[pagemap_index(address)];
}
