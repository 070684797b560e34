/* What was allocated when.
 *
 * A word of the live table has 8 bits for its epoch, an index of the 256
 * `epochs`.  When those are used up, each two neighbours of the older half
 * become one, in a pass over all words. */
#include "trace/traces.h"

static unsigned
epoch_merged(unsigned epoch)
{
    return epoch < 128 ? epoch / 2 : epoch - 64;
}

static unsigned
merge_old_epochs(struct traces *self, unsigned newest)
{
    shadow_renumber(&self->gil.shadow, epoch_merged);
    shadow_renumber(&self->raw.shadow, epoch_merged);
    for (size_t i = 0; i < self->tracked.used; i++) {
        struct tracked_block *block = &self->tracked.blocks[i];
        block->epoch = (uint8_t)epoch_merged(block->epoch);
    }
    /* Downwards would overwrite numbers still to be read; upwards each target
     * lies at or below its source, and of two that merge the older is kept. */
    for (unsigned epoch = 0; epoch <= newest; epoch++) {
        if (epoch >= 128 || epoch % 2 == 0) {
            self->epochs[epoch_merged(epoch)] = self->epochs[epoch];
        }
    }
    return epoch_merged(newest);
}

uint64_t
traces_advance_epoch(struct traces *self)
{
    unsigned epoch = self->epoch;
    if (epoch == 255) {
        epoch = merge_old_epochs(self, epoch);
    }
    self->now++;
    self->epochs[epoch + 1] = self->now;
    self->epoch = epoch + 1;
    atomic_store(&self->epoch_bits, shadow_epoch_bits(epoch + 1));
    return self->now;
}

struct tally {
    const struct traces *traces;
    bool chosen[256];       /* by index of `epochs` */
    unsigned oldest;        /* the first that is chosen */
    struct traced_memory memory;
};

static void
tally_realm(struct tally *tally, const struct realm *realm)
{
    struct shadow_walk walk = {.since = tally->oldest};
    const struct shadow_page *page;
    while ((page = shadow_next(&realm->shadow, &walk)) != NULL) {
        size_t i = 0;
        while ((i = shadow_word_from(page, i)) < shadow_slots(page)) {
            uint64_t word = page->slots[i++];
            if (!tally->chosen[shadow_word_epoch(word)] || shadow_word_traceback(word) == 0) {
                continue;
            }
            uintptr_t address = shadow_address(&walk, word);
            if (!traces_is_ghost(tally->traces, realm, address)) {
                tally->memory.bytes += realm_size(realm, address, word);
                tally->memory.blocks++;
            }
        }
    }
}

struct traced_memory
traces_memory_of(const struct traces *self, const uint64_t *epochs, size_t count)
{
    struct tally tally = {.traces = self, .oldest = 256};
    for (size_t i = 0; i < count; i++) {
        for (unsigned index = 0; index <= self->epoch; index++) {
            if (self->epochs[index] == epochs[i]) {
                tally.chosen[index] = true;
                tally.oldest = index < tally.oldest ? index : tally.oldest;
            }
        }
    }
    tally_realm(&tally, &self->gil);
    tally_realm(&tally, &self->raw);
    for (size_t i = 0; i < self->tracked.used; i++) {
        const struct tracked_block *block = &self->tracked.blocks[i];
        if (block->traceback != 0 && tally.chosen[block->epoch]) {
            tally.memory.bytes += block->size;
            tally.memory.blocks++;
        }
    }
    return tally.memory;
}
