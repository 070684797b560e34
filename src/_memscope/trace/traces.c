#include "trace/traces.h"

#include <string.h>

#include "base/mem.h"

#define GIL_CALLSITE_BITS 15
#define RAW_CALLSITE_BITS 12

static void
realm_release(struct realm *self)
{
    shadow_release(&self->shadow);
    hashmap_clear(&self->large);
    callsites_release(&self->callsites);
    mem_free(self->stack.frames);
    mem_free(self->stack.scratch);
    *self = (struct realm){0};
}

static int
realm_init(struct realm *self, unsigned callsite_bits, uint32_t nframe)
{
    *self = (struct realm){0};
    self->stack.capacity = nframe;
    self->stack.frames = mem_malloc(nframe, sizeof(*self->stack.frames));
    self->stack.scratch = mem_malloc(nframe, sizeof(*self->stack.scratch));
    if (shadow_init(&self->shadow) < 0 || callsites_init(&self->callsites, callsite_bits) < 0
        || self->stack.frames == NULL || self->stack.scratch == NULL) {
        return -1;
    }
    return 0;
}

int
traces_init(struct traces *self, uint32_t nframe)
{
    self->tracebacks = tracebacks_new();
    self->compact_at = TRACES_COMPACT_FLOOR;
    self->compactions = 0;
    self->numbering++;
    self->sight++;
    atomic_store(&self->lost, 0);
    self->epoch = 0;
    atomic_store(&self->epoch_bits, 0);
    memset(self->epochs, 0, sizeof(self->epochs));
    self->now = 0;
    if (realm_init(&self->gil, GIL_CALLSITE_BITS, nframe) < 0
        || realm_init(&self->raw, RAW_CALLSITE_BITS, nframe) < 0 || newest_init(&self->newest) < 0
        || self->tracebacks == NULL) {
        traces_release(self);
        return -1;
    }
    return 0;
}

void
traces_release(struct traces *self)
{
    realm_release(&self->gil);
    realm_release(&self->raw);
    newest_release(&self->newest);
    hashmap_clear(&self->tracked.by_address);
    mem_free(self->tracked.blocks);
    self->tracked = (struct tracked){0};
    tracebacks_unref(self->tracebacks);
    self->tracebacks = NULL;
    codes_clear(&self->codes);
}

/* -- one block ------------------------------------------------------------ */

uint64_t
realm_take_large(struct realm *realm, uintptr_t address)
{
    uint64_t size = SHADOW_LARGE;
    hashmap_take(&realm->large, address, &size);
    return size;
}

uint64_t
realm_size(const struct realm *realm, uintptr_t address, uint64_t word)
{
    unsigned size = shadow_word_size(word);
    if (size != SHADOW_LARGE) {
        return size;
    }
    const uint64_t *large = hashmap_get(&realm->large, address);
    return large == NULL ? size : *large;
}

static void
add_bytes(struct realm *realm, uint64_t bytes)
{
    bytes += atomic_load_explicit(&realm->bytes, memory_order_relaxed);
    atomic_store_explicit(&realm->bytes, bytes, memory_order_relaxed);
}

void
realm_replaced(struct traces *self, struct realm *realm, uintptr_t address, uint64_t word)
{
    if (word & SHADOW_WATCHED) {
        realm_watched_died(self, address);
    }
    if (shadow_word_traceback(word) == 0) {
        realm->markers--;
        return;
    }
    uint64_t size = shadow_word_size(word);
    if (size == SHADOW_LARGE) {
        size = realm_take_large(realm, address);
    }
    add_bytes(realm, (uint64_t)0 - size);
}

void
realm_restore(struct traces *self, struct realm *realm, uintptr_t address, struct taken taken)
{
    uint64_t old;
    uintptr_t old_address;
    uint64_t word = taken.word & ~SHADOW_WATCHED;
    if (taken.numbering != self->numbering) {
        word = (word & ~(uint64_t)TRACEBACK_MAX) | TRACEBACK_UNKNOWN;
    }
    if (shadow_put(&realm->shadow, address, taken.size, word, &old, &old_address) < 0) {
        traces_lose(self);
        return;
    }
    if (shadow_word_size(word) == SHADOW_LARGE
        && hashmap_put(&realm->large, address, taken.size) < 0) {
        shadow_take(&realm->shadow, address);
        traces_lose(self);
        return;
    }
    add_bytes(realm, taken.size);
}

/* -- watched blocks, code objects among them ------------------------------ */

static void
forget_callsites(struct traces *self)
{
    callsites_clear(&self->gil.callsites);
    callsites_clear(&self->raw.callsites);
    newest_clear(&self->newest);
}

/* Under the gate and the lock. */
static void
forget_watched(struct traces *self, uintptr_t address)
{
    self->gone[traces_gone_at(address)] = 1;
    int wrapped;
    uint64_t bytes = codes_forget(&self->codes, address, &wrapped);
    newest_forget(&self->newest, address, bytes);
    if (wrapped) {
        forget_callsites(self);
    }
}

void
traces_forget_watched(struct traces *self)
{
    self->sight++;
    codes_clear(&self->codes);
    forget_callsites(self);
    self->gil.stack.depth = 0;
}

void
realm_watched_died(struct traces *self, uintptr_t address)
{
    lock_acquire(&self->lock);
    forget_watched(self, address);
    lock_release(&self->lock);
}

int
traces_watch(struct traces *self, uintptr_t address, size_t size)
{
    struct shadow *shadow = &self->gil.shadow;
    if (shadow_get(shadow, address) != 0) {
        *shadow_slot(shadow_page(shadow, address), address) |= SHADOW_WATCHED;
        return 0;
    }
    uint64_t old;
    uintptr_t old_address;
    uint64_t word = shadow_word(0, 0, 0, address, 0) | SHADOW_WATCHED;
    if (shadow_put(shadow, address, size, word, &old, &old_address) < 0) {
        return -1;
    }
    self->gil.markers++;
    if (old != 0) {
        /* A block that ended unseen where this one now lies; its own code
         * object, if it was one, is forgotten without the lock we hold. */
        if (old & SHADOW_WATCHED) {
            forget_watched(self, old_address);
        }
        realm_replaced(self, &self->gil, old_address, old & ~SHADOW_WATCHED);
    }
    return 0;
}

void
traces_unwatch(struct traces *self, uintptr_t address)
{
    struct shadow *shadow = &self->gil.shadow;
    uint64_t word = shadow_get(shadow, address);
    if (word & SHADOW_WATCHED) {
        self->gone[traces_gone_at(address)] = 1;
        if (shadow_word_traceback(word) == 0) {
            shadow_take(shadow, address);
            self->gil.markers--;
        }
        else {
            *shadow_slot(shadow_page(shadow, address), address) &= ~SHADOW_WATCHED;
        }
    }
}

int
traces_watch_code(struct traces *self, uintptr_t code, uintptr_t end, uint32_t function)
{
    if (traces_watch(self, code, end - code) < 0) {
        return -1;
    }
    return codes_put(&self->codes, code, end, function);
}

/* -- blocks reported by extensions ----------------------------------------- */

static struct tracked_block *
tracked_at(const struct tracked *self, uint32_t number)
{
    return number == 0 ? NULL : &self->blocks[number - 1];
}

/* The number (position + 1) of the block, 0 if unknown. */
static uint32_t
tracked_find(const struct tracked *self, uint32_t domain, uintptr_t address)
{
    if (address == HASHMAP_NO_KEY) {
        return 0;
    }
    const uint64_t *first = hashmap_get(&self->by_address, address);
    uint32_t number = first == NULL ? 0 : (uint32_t)*first;
    while (number != 0 && tracked_at(self, number)->domain != domain) {
        number = tracked_at(self, number)->next;
    }
    return number;
}

static uint32_t
tracked_new(struct tracked *self)
{
    uint32_t number = self->spare;
    if (number != 0) {
        self->spare = tracked_at(self, number)->next;
        return number;
    }
    if (self->used >= UINT32_MAX - 1
        || mem_grow((void **)&self->blocks, &self->capacity, self->used + 1, sizeof(*self->blocks))
               < 0) {
        return 0;
    }
    return (uint32_t)++self->used;
}

static void
tracked_drop(struct tracked *self, uint32_t number)
{
    struct tracked_block *block = tracked_at(self, number);
    block->traceback = 0;
    block->next = self->spare;
    self->spare = number;
}

void
traces_track(struct traces *self, uint32_t domain, uintptr_t address, uint64_t size,
             uint32_t traceback)
{
    struct tracked *tracked = &self->tracked;
    if (address == HASHMAP_NO_KEY) {
        traces_lose(self);      /* the last byte of memory starts no block */
        return;
    }
    uint32_t number = tracked_find(tracked, domain, address);
    if (number == 0) {
        const uint64_t *first = hashmap_get(&tracked->by_address, address);
        uint32_t next = first == NULL ? 0 : (uint32_t)*first;
        number = tracked_new(tracked);
        if (number == 0) {
            traces_lose(self);
            return;
        }
        if (hashmap_put(&tracked->by_address, address, number) < 0) {
            tracked_drop(tracked, number);
            traces_lose(self);
            return;
        }
        tracked_at(tracked, number)->next = next;
        tracked->count++;
    }
    else {
        add_bytes(&self->raw, (uint64_t)0 - tracked_at(tracked, number)->size);
    }
    struct tracked_block *block = tracked_at(tracked, number);
    block->address = address;
    block->size = size;
    block->domain = domain;
    block->traceback = traceback;
    block->epoch = (uint8_t)self->epoch;
    add_bytes(&self->raw, size);
    uint64_t total = traces_bytes(self);
    if (total > self->raw.peak) {
        self->raw.peak = total;
    }
}

void
traces_untrack(struct traces *self, uint32_t domain, uintptr_t address)
{
    struct tracked *tracked = &self->tracked;
    uint32_t number = tracked_find(tracked, domain, address);
    if (number == 0) {
        return;
    }
    struct tracked_block *block = tracked_at(tracked, number);
    uint64_t *first = hashmap_get(&tracked->by_address, address);
    uint64_t old;
    if (*first != number) {
        uint32_t before = (uint32_t)*first;
        while (tracked_at(tracked, before)->next != number) {
            before = tracked_at(tracked, before)->next;
        }
        tracked_at(tracked, before)->next = block->next;
    }
    else if (block->next != 0) {
        *first = block->next;
    }
    else {
        hashmap_take(&tracked->by_address, address, &old);
    }
    add_bytes(&self->raw, (uint64_t)0 - block->size);
    tracked_drop(tracked, number);
    tracked->count--;
}

const struct tracked_block *
traces_tracked(const struct traces *self, uint32_t domain, uintptr_t address)
{
    return tracked_at(&self->tracked, tracked_find(&self->tracked, domain, address));
}

/* -- totals and epochs ------------------------------------------------------ */

uint64_t
traces_peak(const struct traces *self)
{
    uint64_t peak = traces_bytes(self);
    if (self->gil.peak > peak) {
        peak = self->gil.peak;
    }
    return self->raw.peak > peak ? self->raw.peak : peak;
}

void
traces_reset_peak(struct traces *self)
{
    self->gil.peak = self->raw.peak = traces_bytes(self);
}

uint64_t
traces_count(const struct traces *self)
{
    return shadow_count(&self->gil.shadow) - self->gil.markers + shadow_count(&self->raw.shadow)
           + self->tracked.count;
}
