/* The page shadow: from the address of a block to its trace in two loads.
 *
 * A hash table costs a cache miss for every allocation, since neighbours in
 * memory are strangers in the table.  Allocators hand out neighbours, so the
 * shadow keeps their traces side by side:
 *
 *     address  |  bits 30..47  |  bits 12..29  |  bits 0..11  |
 *                     |               |               |
 *                 top[2^18] --> leaf.pages[2^18] --> slots[2^(12 - shift)]
 *
 * A page of 4096 bytes owns an array of 8-byte slots, one for each 2^shift
 * bytes.  shift is the base-2 logarithm, rounded down, of the smallest block
 * seen on the page since it was last empty.  Two live blocks start at least
 * the lower one's size apart, so they never share a slot; a smaller block that
 * arrives splits the page finer, and a page that has run empty takes the shift
 * of the next block put there.  Where two traces do want one slot, the old one
 * belongs to a block whose free was never seen, and is replaced.
 *
 * Cost: 8 to 16 bytes a block for the common sizes plus 16 bytes a page; a
 * put, get or take touches the page entry and one slot.
 *
 * A slot is one packed word:
 *
 *     size:16 | place:9 | epoch:8 | domain:2 | watched:1 | traceback:28
 *
 *   traceback  id in the calling-context tree; 0 with `watched` set: the block
 *              is not traced, only watched
 *   watched    its death matters to somebody: while the bit is here, the block
 *              is the one that was watched.  traces.c is told when it dies
 *   place      bits 3..11 of the address, so that the slot knows its block
 *   size       requested bytes; SHADOW_LARGE: kept in the owner's side table
 *
 * The all-zero word is an empty slot.
 *
 * Locking: the caller's; one shadow is used by one thread at a time.
 * Failure: shadow_put returns -1 when memory ends, and the shadow is as before. */
#ifndef MEMSCOPE_SHADOW_H
#define MEMSCOPE_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "trace/tracebacks.h"

#define SHADOW_LARGE 0xFFFFu
#define SHADOW_WATCHED (UINT64_C(1) << 28)

#define SHADOW_PAGE_BITS 12
#define SHADOW_PAGE ((uintptr_t)1 << SHADOW_PAGE_BITS)
#define SHADOW_LEAF_BITS 18
#define SHADOW_TOP_BITS 18
#define SHADOW_MIN_SHIFT 3

struct shadow_page {
    uint64_t *slots;    /* NULL: never used */
    uint16_t live;      /* slots in use */
    uint8_t shift;      /* bytes a slot, as a power of two */
    uint8_t newest;     /* while any is in use, no word has a later epoch */
};

#define SHADOW_GROUP_BITS 8     /* pages of one bit in `touched` */
#define SHADOW_GROUPS (1u << (SHADOW_LEAF_BITS - SHADOW_GROUP_BITS))
#define SHADOW_REGION_BITS 4    /* pages of one entry in `newest` */
#define SHADOW_REGIONS (1u << (SHADOW_LEAF_BITS - SHADOW_REGION_BITS))

struct shadow_leaf {
    struct shadow_page pages[1 << SHADOW_LEAF_BITS];
    uint64_t touched[SHADOW_GROUPS / 64];   /* which groups of pages were ever used */
    uint8_t newest[SHADOW_REGIONS];         /* no word of these pages has a later epoch */
};

#define SHADOW_CLASSES (SHADOW_PAGE_BITS - SHADOW_MIN_SHIFT + 1)

struct shadow {
    struct shadow_leaf **top;               /* [1 << SHADOW_TOP_BITS], mapped */
    size_t *used;                           /* where `top` has leaves */
    size_t used_count, used_capacity;
    uint64_t *spare[SHADOW_CLASSES]; /* free slot arrays by length, all zero but the link */
    char *slab; /* where the next new slot array comes from */
    size_t slab_left;
    char **slabs; /* every slab, to be freed */
    size_t slab_count, slab_capacity;
    size_t page_bytes; /* of leaves, touched */
};

/* 0, or -1 without memory.  shadow_release frees everything; safe after a
 * failed init and on a zeroed struct. */
int shadow_init(struct shadow *self);
void shadow_release(struct shadow *self);

/* The epoch as it stands in a word. */
static inline uint64_t
shadow_epoch_bits(unsigned epoch)
{
    return (uint64_t)epoch << 31;
}

/* `place` is a multiple of 8 within the page, `size` at most SHADOW_LARGE. */
static inline uint64_t
shadow_word_packed(uint32_t traceback, unsigned domain, uint64_t epoch_bits, uint64_t place,
                   size_t size)
{
    return (uint64_t)traceback | ((uint64_t)domain << 29) | epoch_bits | (place << 36)
           | ((uint64_t)size << 48);
}

static inline uint64_t
shadow_word(uint32_t traceback, unsigned domain, uint64_t epoch_bits, uintptr_t address,
            size_t size)
{
    return shadow_word_packed(traceback, domain, epoch_bits, address & (SHADOW_PAGE - 8), size);
}

/* The word of the same block with another owner. */
static inline uint64_t
shadow_word_rebirth(uint64_t word, uint32_t traceback, uint64_t epoch_bits)
{
    uint64_t owner = TRACEBACK_MAX | shadow_epoch_bits(255);
    return (word & ~owner) | traceback | epoch_bits;
}

static inline uint32_t
shadow_word_traceback(uint64_t word)
{
    return (uint32_t)(word & TRACEBACK_MAX);
}

static inline unsigned
shadow_word_domain(uint64_t word)
{
    return (unsigned)(word >> 29) & 3;
}

static inline unsigned
shadow_word_epoch(uint64_t word)
{
    return (unsigned)(word >> 31) & 255;
}

static inline unsigned
shadow_word_size(uint64_t word)
{
    return (unsigned)(word >> 48);
}

/* Whether `word` is of the block at `address`, given that it is of one on the
 * same page. */
static inline int
shadow_word_is_at(uint64_t word, uintptr_t address)
{
    return (((word >> 39) ^ (address >> 3)) & 511) == 0;
}

/* Where in its leaf the page of `address` is. */
static inline size_t
shadow_in_leaf(uintptr_t address)
{
    return (address >> SHADOW_PAGE_BITS) & ((1u << SHADOW_LEAF_BITS) - 1);
}

static inline struct shadow_leaf *
shadow_leaf(const struct shadow *self, uintptr_t address)
{
    uint64_t number = (uint64_t)address >> (SHADOW_PAGE_BITS + SHADOW_LEAF_BITS);
    return number >> SHADOW_TOP_BITS ? NULL : self->top[number];
}

static inline struct shadow_page *
shadow_page(const struct shadow *self, uintptr_t address)
{
    struct shadow_leaf *leaf = shadow_leaf(self, address);
    return leaf == NULL ? NULL : &leaf->pages[shadow_in_leaf(address)];
}

/* Of the page at `address`, which has a word of this epoch now, or will. */
void shadow_note_epoch(struct shadow *self, uintptr_t address, unsigned epoch);

/* The slot of `address`, or NULL if its page was never used. */
static inline uint64_t *
shadow_slot(const struct shadow_page *page, uintptr_t address)
{
    if (page == NULL || page->slots == NULL) {
        return NULL;
    }
    return &page->slots[(address & (SHADOW_PAGE - 1)) >> page->shift];
}

/* The word of the block that starts at `address`; 0 if there is none. */
static inline uint64_t
shadow_get(const struct shadow *self, uintptr_t address)
{
    uint64_t *slot = shadow_slot(shadow_page(self, address), address);
    return slot != NULL && shadow_word_is_at(*slot, address) ? *slot : 0;
}

/* Removes and returns the word of the block at `address`; 0: there was none. */
static inline uint64_t
shadow_take(struct shadow *self, uintptr_t address)
{
    struct shadow_page *page = shadow_page(self, address);
    uint64_t *slot = shadow_slot(page, address);
    if (slot == NULL || *slot == 0 || !shadow_word_is_at(*slot, address)) {
        return 0;
    }
    uint64_t word = *slot;
    *slot = 0;
    page->live--;
    return word;
}

/* How far apart blocks of `size` bytes are at least: allocators round up to 16.
 * Only one that hands out 8-byte blocks (mimalloc) ever returns an address that
 * is no multiple of 16, and for those this is not asked. */
static inline size_t
shadow_footprint(size_t size)
{
    return ((size + 15) & ~(size_t)15) | (size == 0 ? 16 : 0);
}

/* Whether the page can take a block of this footprint as it is.  A page that
 * was never used has shift 0 and no live slot, and cannot. */
static inline int
shadow_page_fits(const struct shadow_page *page, size_t footprint)
{
    size_t widths = footprint >> page->shift;
    return page->live != 0 ? widths != 0 : widths == 1;
}

/* Slow path of shadow_put: makes the page fit for the block. */
struct shadow_page *shadow_prepare(struct shadow *self, uintptr_t address, size_t size);

/* Stores `word` for the block of `size` bytes at `address`.  *old is what the
 * slot held: 0, or the word of a block that is gone without our seeing it
 * (`*old_address` is where it was). */
static inline int
shadow_put(struct shadow *self, uintptr_t address, size_t size, uint64_t word, uint64_t *old,
           uintptr_t *old_address)
{
    struct shadow_page *page = shadow_page(self, address);
    if (page == NULL || (address & 8) || !shadow_page_fits(page, shadow_footprint(size))) {
        page = shadow_prepare(self, address, size);
        if (page == NULL) {
            return -1;
        }
    }
    uint64_t *slot = &page->slots[(address & (SHADOW_PAGE - 1)) >> page->shift];
    *old = *slot;
    shadow_note_epoch(self, address, shadow_word_epoch(word));
    if (*old == 0) {
        page->live++;
    }
    else {
        *old_address = (address & ~(SHADOW_PAGE - 1)) | (uintptr_t)((*old >> 39) & 511) << 3;
    }
    *slot = word;
    return 0;
}

/* Words in the shadow.  A pass over the pages in use. */
uint64_t shadow_count(const struct shadow *self);

/* A walk over the pages that have live slots, or words of one epoch and later ones:
 *
 *     struct shadow_walk walk = {.since = 0};
 *     const struct shadow_page *page;
 *     while ((page = shadow_next(shadow, &walk)) != NULL) {
 *         size_t i = 0;
 *         while ((i = shadow_word_from(page, i)) < shadow_slots(page)) {
 *             ... shadow_address(&walk, page->slots[i++])
 */
struct shadow_walk {
    unsigned since; /* pages with no word of this epoch or a later one are left out */
    size_t leaf; /* where to look next: position in `used` */
    size_t page; /* and page of that leaf */
    uintptr_t base; /* address of the page just returned */
};

const struct shadow_page *shadow_next(const struct shadow *self, struct shadow_walk *walk);

static inline size_t
shadow_slots(const struct shadow_page *page)
{
    return (size_t)1 << (SHADOW_PAGE_BITS - page->shift);
}

/* The first slot from this one on that holds a word.  Most of a page is empty where a program
 * frees what it makes: eight slots are passed at once. */
static inline size_t
shadow_word_from(const struct shadow_page *page, size_t slot)
{
    const uint64_t *slots = page->slots;
    size_t count = shadow_slots(page);
    while (slot < count && slots[slot] == 0) {
        bool passes = slot % 8 == 0 && slot + 8 <= count
                      && (slots[slot] | slots[slot + 1] | slots[slot + 2] | slots[slot + 3]
                          | slots[slot + 4] | slots[slot + 5] | slots[slot + 6] | slots[slot + 7])
                             == 0;
        slot += passes ? 8 : 1;
    }
    return slot;
}

static inline uintptr_t
shadow_address(const struct shadow_walk *walk, uint64_t word)
{
    return walk->base | (uintptr_t)(((word >> 39) & 511) << 3);
}

/* Calls visit for every word; it may change the word, but not to 0. */
typedef void (*shadow_visit)(void *context, uint64_t *word);
void shadow_each(const struct shadow *self, shadow_visit visit, void *context);

/* Gives each word the epoch that `renumbered` has for its own.  Later ones stay later, or
 * become the same, and 0 stays. */
void shadow_renumber(struct shadow *self, unsigned (*renumbered)(unsigned epoch));

#endif
