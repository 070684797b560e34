/* From an object's address to its node, while a graph is made.
 *
 * A radix tree over the address leads to a region of 1 MiB, and in it to one of
 * 65,536 slots: an object takes 16 bytes at least, so no two share one.  Slots
 * are mapped and touched lazily; where objects lie, the map takes a quarter of
 * their space.  A lookup costs one cache miss, which pagemap_prefetch starts early.
 *
 * A zeroed struct is an empty map.  Locking: the caller's. */
#ifndef MEMSCOPE_PAGEMAP_H
#define MEMSCOPE_PAGEMAP_H

#include <stddef.h>
#include <stdint.h>

#define PAGEMAP_SLOT_BITS 4
#define PAGEMAP_REGION_BITS 20
#define PAGEMAP_LEVEL_BITS 14
#define PAGEMAP_FANOUT (1u << PAGEMAP_LEVEL_BITS)
#define PAGEMAP_SLOTS (1u << (PAGEMAP_REGION_BITS - PAGEMAP_SLOT_BITS))

/* Addresses above have no slot. */
#define PAGEMAP_ADDRESS_BITS (PAGEMAP_REGION_BITS + 2 * PAGEMAP_LEVEL_BITS)

struct pagemap {
    uint32_t **level[PAGEMAP_FANOUT];
    size_t regions;
};

/* The slots of the region of `address`; NULL if it has none. */
static inline uint32_t *
pagemap_region(const struct pagemap *self, uint64_t address)
{
    uint64_t region = address >> PAGEMAP_REGION_BITS;
    uint64_t high = region >> PAGEMAP_LEVEL_BITS;
    if (high >= PAGEMAP_FANOUT || self->level[high] == NULL) {
        return NULL;
    }
    return self->level[high][region & (PAGEMAP_FANOUT - 1)];
}

static inline size_t
pagemap_index(uint64_t address)
{
    return (address >> PAGEMAP_SLOT_BITS) & (PAGEMAP_SLOTS - 1);
}

/* What stands at `address`; 0: nothing. */
static inline uint32_t
pagemap_get(const struct pagemap *self, uint64_t address)
{
    const uint32_t *region = pagemap_region(self, address);
    return region != NULL ? region[pagemap_index(address)] : 0;
}

static inline void
pagemap_prefetch(const struct pagemap *self, uint64_t address)
{
#if defined(__GNUC__)
    const uint32_t *region = pagemap_region(self, address);
    if (region != NULL) {
        __builtin_prefetch(&region[pagemap_index(address)], 1);
    }
#else
    (void)self;
    (void)address;
#endif
}

/* The slot of `address`, made if need be; NULL without memory or beyond
 * PAGEMAP_ADDRESS_BITS. */
uint32_t *pagemap_slot(struct pagemap *self, uint64_t address);

struct pagemap *pagemap_new(void);
void pagemap_free(struct pagemap *self);

#endif
