#include "trace/shadow.h"

#include <string.h>

#include "base/mem.h"

#define SLAB ((size_t)64 << 10)
#define TOP_BYTES (sizeof(struct shadow_leaf *) << SHADOW_TOP_BITS)

/* Slot arrays are never given back while tracing: an empty page keeps its
 * array until a block of another size wants a different one, and then the two
 * are exchanged through `spare`. */

int
shadow_init(struct shadow *self)
{
    *self = (struct shadow){0};
    self->top = mem_map(TOP_BYTES);
    return self->top == NULL ? -1 : 0;
}

void
shadow_release(struct shadow *self)
{
    for (size_t i = 0; i < self->used_count; i++) {
        mem_unmap(self->top[self->used[i]], sizeof(struct shadow_leaf));
    }
    mem_unmap(self->top, TOP_BYTES);
    mem_free(self->used);
    for (size_t i = 0; i < self->slab_count; i++) {
        mem_free(self->slabs[i]);
    }
    mem_free(self->slabs);
    mem_account(-(ptrdiff_t)self->page_bytes);
    *self = (struct shadow){0};
}

static size_t
slots_bytes(unsigned shift)
{
    return sizeof(uint64_t) << (SHADOW_PAGE_BITS - shift);
}

/* An all-zero slot array for pages of this shift. */
static uint64_t *
slots_new(struct shadow *self, unsigned shift)
{
    uint64_t **spare = &self->spare[shift - SHADOW_MIN_SHIFT];
    if (*spare != NULL) {
        uint64_t *slots = *spare;
        memcpy(spare, slots, sizeof(*spare));
        slots[0] = 0;
        return slots;
    }
    size_t bytes = slots_bytes(shift);
    if (self->slab_left < bytes) {
        if (mem_grow((void **)&self->slabs, &self->slab_capacity, self->slab_count + 1,
                     sizeof(*self->slabs))
            < 0) {
            return NULL;
        }
        char *slab = mem_calloc(SLAB, 1);
        if (slab == NULL) {
            return NULL;
        }
        self->slabs[self->slab_count++] = slab;
        self->slab = slab;
        self->slab_left = SLAB;
    }
    uint64_t *slots = (uint64_t *)self->slab;
    self->slab += bytes;
    self->slab_left -= bytes;
    return slots;
}

/* Takes back an all-zero array. */
static void
slots_drop(struct shadow *self, uint64_t *slots, unsigned shift)
{
    uint64_t **spare = &self->spare[shift - SHADOW_MIN_SHIFT];
    memcpy(slots, spare, sizeof(*spare));
    *spare = slots;
}

static void
page_split(struct shadow_page *page, uint64_t *finer, unsigned shift)
{
    size_t length = (size_t)1 << (SHADOW_PAGE_BITS - page->shift);
    for (size_t i = 0; i < length; i++) {
        uint64_t word = page->slots[i];
        if (word != 0) {
            size_t place = (size_t)((word >> 39) & 511) << 3;
            finer[place >> shift] = word;
            page->slots[i] = 0;
        }
    }
}

static struct shadow_leaf *
leaf_new(struct shadow *self, size_t number)
{
    if (mem_grow((void **)&self->used, &self->used_capacity, self->used_count + 1,
                 sizeof(*self->used))
        < 0) {
        return NULL;
    }
    struct shadow_leaf *leaf = mem_map(sizeof(*leaf));
    if (leaf != NULL) {
        self->used[self->used_count++] = number;
        self->top[number] = leaf;
    }
    return leaf;
}

/* The width of a slot for such a block, as a power of two. */
static unsigned
slot_shift(uintptr_t address, size_t size)
{
    if (address & 8) {
        return SHADOW_MIN_SHIFT;
    }
    size_t footprint = shadow_footprint(size);
    return footprint >= SHADOW_PAGE ? SHADOW_PAGE_BITS : log2_floor(footprint);
}

struct shadow_page *
shadow_prepare(struct shadow *self, uintptr_t address, size_t size)
{
    unsigned shift = slot_shift(address, size);
    uint64_t number = (uint64_t)address >> (SHADOW_PAGE_BITS + SHADOW_LEAF_BITS);
    if (number >> SHADOW_TOP_BITS) {
        return NULL;
    }
    struct shadow_leaf *leaf = self->top[number];
    if (leaf == NULL) {
        leaf = leaf_new(self, (size_t)number);
        if (leaf == NULL) {
            return NULL;
        }
    }
    size_t at = shadow_in_leaf(address);
    struct shadow_page *page = &leaf->pages[at];
    if (page->slots != NULL && (page->shift == shift || (page->live != 0 && page->shift < shift))) {
        return page;
    }
    uint64_t *slots = slots_new(self, shift);
    if (slots == NULL) {
        return NULL;
    }
    if (page->slots == NULL) {
        size_t group = at >> SHADOW_GROUP_BITS;
        uint64_t bit = UINT64_C(1) << (group % 64);
        if (!(leaf->touched[group / 64] & bit)) {
            leaf->touched[group / 64] |= bit;
            size_t bytes = sizeof(struct shadow_page) << SHADOW_GROUP_BITS;
            self->page_bytes += bytes;
            mem_account((ptrdiff_t)bytes);
        }
    }
    else {
        if (page->live != 0) {
            page_split(page, slots, shift);
        }
        slots_drop(self, page->slots, page->shift);
    }
    page->slots = slots;
    page->shift = (uint8_t)shift;
    return page;
}

void
shadow_note_epoch(struct shadow *self, uintptr_t address, unsigned epoch)
{
    struct shadow_leaf *leaf = shadow_leaf(self, address);
    size_t at = shadow_in_leaf(address);
    struct shadow_page *page = &leaf->pages[at];
    uint8_t *of_region = &leaf->newest[at >> SHADOW_REGION_BITS];
    if (page->live == 0 || page->newest < epoch) {
        page->newest = (uint8_t)epoch;
    }
    *of_region = *of_region < epoch ? (uint8_t)epoch : *of_region;
}

static int
is_touched(const struct shadow_leaf *leaf, size_t page)
{
    size_t group = page >> SHADOW_GROUP_BITS;
    return (int)(leaf->touched[group / 64] >> (group % 64) & 1);
}

/* The next page of a leaf, from walk->page on, that the walk wants. */
static const struct shadow_page *
next_in_leaf(const struct shadow_leaf *leaf, struct shadow_walk *walk)
{
    while (walk->page < (size_t)1 << SHADOW_LEAF_BITS) {
        if (!is_touched(leaf, walk->page)) {
            walk->page = ((walk->page >> SHADOW_GROUP_BITS) + 1) << SHADOW_GROUP_BITS;
            continue;
        }
        if (leaf->newest[walk->page >> SHADOW_REGION_BITS] < walk->since) {
            walk->page = ((walk->page >> SHADOW_REGION_BITS) + 1) << SHADOW_REGION_BITS;
            continue;
        }
        const struct shadow_page *page = &leaf->pages[walk->page++];
        if (page->live != 0 && page->newest >= walk->since) {
            return page;
        }
    }
    return NULL;
}

const struct shadow_page *
shadow_next(const struct shadow *self, struct shadow_walk *walk)
{
    for (; walk->leaf < self->used_count; walk->leaf++) {
        size_t top = self->used[walk->leaf];
        const struct shadow_page *page = next_in_leaf(self->top[top], walk);
        if (page != NULL) {
            walk->base = (uintptr_t)top << (SHADOW_PAGE_BITS + SHADOW_LEAF_BITS)
                         | (uintptr_t)(walk->page - 1) << SHADOW_PAGE_BITS;
            return page;
        }
        walk->page = 0;
    }
    return NULL;
}

uint64_t
shadow_count(const struct shadow *self)
{
    struct shadow_walk walk = {0};
    const struct shadow_page *page;
    uint64_t count = 0;
    while ((page = shadow_next(self, &walk)) != NULL) {
        count += page->live;
    }
    return count;
}

void
shadow_each(const struct shadow *self, shadow_visit visit, void *context)
{
    struct shadow_walk walk = {0};
    const struct shadow_page *page;
    while ((page = shadow_next(self, &walk)) != NULL) {
        size_t i = 0;
        while ((i = shadow_word_from(page, i)) < shadow_slots(page)) {
            visit(context, &page->slots[i++]);
        }
    }
}

void
shadow_renumber(struct shadow *self, unsigned (*renumbered)(unsigned epoch))
{
    struct shadow_walk walk = {.since = 1};
    while (shadow_next(self, &walk) != NULL) {
        struct shadow_page *page = shadow_page(self, walk.base);
        page->newest = (uint8_t)renumbered(page->newest);
        size_t i = 0;
        while ((i = shadow_word_from(page, i)) < shadow_slots(page)) {
            uint64_t word = page->slots[i];
            uint64_t epoch = shadow_epoch_bits(renumbered(shadow_word_epoch(word)));
            page->slots[i++] = (word & ~shadow_epoch_bits(255)) | epoch;
        }
    }
    /* Not before: the walk goes by them. */
    for (size_t i = 0; i < self->used_count; i++) {
        struct shadow_leaf *leaf = self->top[self->used[i]];
        for (size_t region = 0; region < SHADOW_REGIONS; region++) {
            if (is_touched(leaf, region << SHADOW_REGION_BITS)) {
                leaf->newest[region] = (uint8_t)renumbered(leaf->newest[region]);
            }
        }
    }
}
