/* traces_snapshot: the live table, copied into columns in one pass. */
#include "trace/traces.h"

struct freeze {
    const struct traces *traces;
    const struct realm *realm;
    struct snapshot *snapshot;
    int failed;
};

static void
freeze_word(void *context, uintptr_t address, uint64_t *word)
{
    struct freeze *freeze = context;
    uint32_t traceback = shadow_word_traceback(*word);
    if (traceback == 0) {
        return;
    }
    const struct traces *traces = freeze->traces;
    if (freeze->realm == &traces->raw
        && shadow_word_traceback(shadow_get(&traces->gil.shadow, address)) != 0) {
        return;     /* freed unseen, and the address taken over */
    }
    struct snapshot *snapshot = freeze->snapshot;
    size_t row = snapshot->count;
    uint64_t size = shadow_word_size(*word);
    snapshot->traceback[row] = traceback;
    snapshot->size[row] = (uint32_t)size;
    snapshot->address[row] = address;
    snapshot->epoch[row] = (uint8_t)shadow_word_epoch(*word);
    snapshot->domain[row] = (uint8_t)shadow_word_domain(*word);
    if (size == SHADOW_LARGE) {
        size = realm_size(freeze->realm, address, *word);
        snapshot->size[row] = (uint32_t)size;
        if (size >= UINT32_MAX && snapshot_append_large(snapshot, row, size) < 0) {
            freeze->failed = 1;
            return;
        }
    }
    snapshot->count++;
}

static void
freeze_realm(struct freeze *freeze, const struct realm *realm)
{
    freeze->realm = realm;
    shadow_each(&realm->shadow, freeze_word, freeze);
}

static void
freeze_tracked(struct freeze *freeze, const struct tracked *tracked)
{
    for (size_t i = 0; i < tracked->used; i++) {
        const struct tracked_block *block = &tracked->blocks[i];
        if (block->traceback == 0) {
            continue;
        }
        int domain = snapshot_domain_index(freeze->snapshot, block->domain);
        struct snapshot_row row = {
            .traceback = block->traceback,
            .size = block->size,
            .address = block->address,
            .epoch = block->epoch,
            .domain = (uint8_t)domain,
        };
        if (domain < 0) {
            freeze->snapshot->lost++;   /* more domains than a row can name */
        }
        else if (snapshot_append(freeze->snapshot, &row) < 0) {
            freeze->failed = 1;
        }
    }
}

struct snapshot *
traces_snapshot(const struct traces *self, uint32_t nframe)
{
    struct snapshot *snapshot = snapshot_new(self->tracebacks, (size_t)traces_count(self));
    if (snapshot == NULL) {
        return NULL;
    }
    snapshot->traceback_limit = nframe;
    snapshot->now = self->now;
    snapshot->lost = atomic_load(&self->lost);
    for (unsigned i = 0; i < 256; i++) {
        snapshot->epochs[i] = self->epochs[i];
    }
    struct freeze freeze = {.traces = self, .snapshot = snapshot};
    freeze_realm(&freeze, &self->gil);
    freeze_realm(&freeze, &self->raw);
    freeze_tracked(&freeze, &self->tracked);
    if (freeze.failed || snapshot_move_unknown_last(snapshot) < 0) {
        snapshot_free(snapshot);
        return NULL;
    }
    return snapshot;
}
