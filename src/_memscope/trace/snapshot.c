#include "trace/snapshot.h"

#include <string.h>

#include "base/mem.h"

#define SIZE_IS_LARGE UINT32_MAX

/* address, traceback, size, epoch, domain */
#define ROW_BYTES (sizeof(uint64_t) + 2 * sizeof(uint32_t) + 2 * sizeof(uint8_t))

struct snapshot *
snapshot_new(struct tracebacks *tracebacks, size_t capacity)
{
    struct snapshot *self = mem_calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    tracebacks_ref(tracebacks);
    self->tracebacks = tracebacks;
    /* One block, widest column first, so that all are aligned and most of the
     * memory can be in large pages: page faults are half the cost of a copy. */
    self->address = mem_malloc(capacity, ROW_BYTES);
    if (self->address == NULL) {
        snapshot_free(self);
        return NULL;
    }
    mem_prefer_large_pages(self->address, capacity * ROW_BYTES);
    self->traceback = (uint32_t *)(self->address + capacity);
    self->size = self->traceback + capacity;
    self->epoch = (uint8_t *)(self->size + capacity);
    self->domain = self->epoch + capacity;
    return self;
}

void
snapshot_free(struct snapshot *self)
{
    if (self == NULL) {
        return;
    }
    tracebacks_unref(self->tracebacks);
    mem_free(self->address);
    mem_free(self->large);
    mem_free(self);
}

void
snapshot_copy_header(struct snapshot *self, const struct snapshot *from)
{
    memcpy(self->tracked_domains, from->tracked_domains, sizeof(self->tracked_domains));
    memcpy(self->epochs, from->epochs, sizeof(self->epochs));
    self->tracked_count = from->tracked_count;
    self->now = from->now;
    self->lost = from->lost;
    self->traceback_limit = from->traceback_limit;
}

int
snapshot_append_large(struct snapshot *self, size_t row, uint64_t size)
{
    /* No capacity field: there is always room for the next power of two. */
    size_t count = self->large_count;
    if ((count & (count - 1)) == 0) {
        void *block = self->large;
        size_t capacity = count;
        if (mem_grow(&block, &capacity, count == 0 ? 1 : count * 2, sizeof(*self->large)) < 0) {
            return -1;
        }
        self->large = block;
    }
    self->large[count] = (struct snapshot_large){row, size};
    self->large_count = count + 1;
    self->size[row] = SIZE_IS_LARGE;
    return 0;
}

int
snapshot_append(struct snapshot *self, const struct snapshot_row *row)
{
    size_t i = self->count;
    if (row->size < SIZE_IS_LARGE) {
        self->size[i] = (uint32_t)row->size;
    }
    else if (snapshot_append_large(self, i, row->size) < 0) {
        return -1;
    }
    self->traceback[i] = row->traceback;
    self->address[i] = row->address;
    self->epoch[i] = row->epoch;
    self->domain[i] = row->domain;
    self->count = i + 1;
    return 0;
}

int
snapshot_domain_index(struct snapshot *self, uint32_t number)
{
    if (number == 0) {
        return SNAPSHOT_OBJ;
    }
    for (uint32_t i = 0; i < self->tracked_count; i++) {
        if (self->tracked_domains[i] == number) {
            return (int)(SNAPSHOT_TRACKED + i);
        }
    }
    if (self->tracked_count == SNAPSHOT_MAX_TRACKED) {
        return -1;
    }
    self->tracked_domains[self->tracked_count] = number;
    return (int)(SNAPSHOT_TRACKED + self->tracked_count++);
}

uint32_t
snapshot_domain_number(const struct snapshot *self, uint8_t domain)
{
    return domain < SNAPSHOT_TRACKED ? 0 : self->tracked_domains[domain - SNAPSHOT_TRACKED];
}

/* The entry of a row that has one. */
static const struct snapshot_large *
find_large(const struct snapshot *self, size_t row)
{
    size_t low = 0, high = self->large_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (self->large[middle].row <= row) {
            low = middle;
        }
        else {
            high = middle;
        }
    }
    return &self->large[low];
}

uint64_t
snapshot_size(const struct snapshot *self, size_t row)
{
    uint32_t size = self->size[row];
    return size == SIZE_IS_LARGE ? find_large(self, row)->size : size;
}

uint64_t
snapshot_total_size(const struct snapshot *self)
{
    uint64_t total = 0;
    for (size_t i = 0; i < self->count; i++) {
        total += self->size[i];
    }
    for (size_t i = 0; i < self->large_count; i++) {
        total += self->large[i].size - SIZE_IS_LARGE;
    }
    return total;
}

size_t
snapshot_bytes(const struct snapshot *self)
{
    return sizeof(*self) + self->count * ROW_BYTES + self->large_count * sizeof(*self->large);
}
