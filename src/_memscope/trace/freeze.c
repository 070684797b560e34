/* traces_snapshot: the live table, copied into columns in one pass.
 *
 * Blocks of no known owner go to the end, so that a reader meets Python's own
 * allocations first: the columns are filled from both ends. */
#include "trace/traces.h"

#include <string.h>

struct freeze {
    const struct traces *traces;
    struct snapshot *snapshot;
    size_t front;           /* rows filled from the start */
    size_t back;            /* first row filled from the end */
    int failed;
};

static inline void
freeze_word(struct freeze *freeze, const struct realm *realm, uintptr_t address, uint64_t word)
{
    struct snapshot *snapshot = freeze->snapshot;
    uint32_t traceback = shadow_word_traceback(word);
    uint64_t size = shadow_word_size(word);
    if (size == SHADOW_LARGE) {
        size = realm_size(realm, address, word);
    }
    int beyond = size >= UINT32_MAX;    /* and those must be met in ascending order */
    size_t row = traceback <= TRACEBACK_UNKNOWN_TOTAL && !beyond ? --freeze->back : freeze->front++;
    snapshot->traceback[row] = traceback;
    snapshot->size[row] = (uint32_t)size;
    snapshot->address[row] = address;
    snapshot->epoch[row] = (uint8_t)shadow_word_epoch(word);
    snapshot->domain[row] = (uint8_t)shadow_word_domain(word);
    if (beyond && snapshot_append_large(snapshot, row, size) < 0) {
        freeze->failed = 1;
    }
}

static void
freeze_realm(struct freeze *freeze, const struct realm *realm)
{
    struct shadow_walk walk = {0};
    const struct shadow_page *page;
    while ((page = shadow_next(&realm->shadow, &walk)) != NULL) {
        size_t i = 0;
        while ((i = shadow_word_from(page, i)) < shadow_slots(page)) {
            uint64_t word = page->slots[i++];
            if (shadow_word_traceback(word) != 0) {
                uintptr_t address = shadow_address(&walk, word);
                if (!traces_is_ghost(freeze->traces, realm, address)) {
                    freeze_word(freeze, realm, address, word);
                }
            }
        }
    }
}

static void
freeze_tracked(struct freeze *freeze, const struct tracked *tracked)
{
    struct snapshot *snapshot = freeze->snapshot;
    snapshot->count = freeze->front;
    for (size_t i = 0; i < tracked->used; i++) {
        const struct tracked_block *block = &tracked->blocks[i];
        if (block->traceback == 0) {
            continue;
        }
        int domain = snapshot_domain_index(snapshot, block->domain);
        struct snapshot_row row = {
            .traceback = block->traceback,
            .size = block->size,
            .address = block->address,
            .epoch = block->epoch,
            .domain = (uint8_t)domain,
        };
        if (domain < 0) {
            snapshot->lost++;       /* more domains than a row can name */
        }
        else if (snapshot_append(snapshot, &row) < 0) {
            freeze->failed = 1;
        }
    }
    freeze->front = snapshot->count;
}

/* Closes the gap that ghosts and nameless domains have left. */
static void
join_ends(struct freeze *freeze, size_t capacity)
{
    struct snapshot *snapshot = freeze->snapshot;
    size_t front = freeze->front, back = freeze->back, rows = capacity - back;
    memmove(snapshot->traceback + front, snapshot->traceback + back, rows * sizeof(uint32_t));
    memmove(snapshot->size + front, snapshot->size + back, rows * sizeof(uint32_t));
    memmove(snapshot->address + front, snapshot->address + back, rows * sizeof(uint64_t));
    memmove(snapshot->epoch + front, snapshot->epoch + back, rows);
    memmove(snapshot->domain + front, snapshot->domain + back, rows);
    snapshot->count = front + rows;
}

struct snapshot *
traces_snapshot(const struct traces *self, uint32_t nframe)
{
    size_t capacity = (size_t)traces_count(self);
    struct snapshot *snapshot = snapshot_new(self->tracebacks, capacity);
    if (snapshot == NULL) {
        return NULL;
    }
    snapshot->traceback_limit = nframe;
    snapshot->now = self->now;
    snapshot->lost = atomic_load(&self->lost);
    memcpy(snapshot->epochs, self->epochs, sizeof(snapshot->epochs));
    struct freeze freeze = {.traces = self, .snapshot = snapshot, .back = capacity};
    freeze_realm(&freeze, &self->gil);
    freeze_realm(&freeze, &self->raw);
    freeze_tracked(&freeze, &self->tracked);
    if (freeze.failed) {
        snapshot_free(snapshot);
        return NULL;
    }
    join_ends(&freeze, capacity);
    return snapshot;
}
