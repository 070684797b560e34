#include "trace/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SIZE_IS_LARGE UINT32_MAX

struct snapshot *
snapshot_new(struct tracebacks *tracebacks, size_t capacity)
{
    struct snapshot *self = mem_calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    tracebacks_ref(tracebacks);
    self->tracebacks = tracebacks;
    self->traceback = mem_malloc(capacity, sizeof(*self->traceback));
    self->size = mem_malloc(capacity, sizeof(*self->size));
    self->address = mem_malloc(capacity, sizeof(*self->address));
    self->epoch = mem_malloc(capacity, sizeof(*self->epoch));
    self->domain = mem_malloc(capacity, sizeof(*self->domain));
    if (self->traceback == NULL || self->size == NULL || self->address == NULL
        || self->epoch == NULL || self->domain == NULL) {
        snapshot_free(self);
        return NULL;
    }
    return self;
}

void
snapshot_free(struct snapshot *self)
{
    if (self == NULL) {
        return;
    }
    tracebacks_unref(self->tracebacks);
    mem_free(self->traceback);
    mem_free(self->size);
    mem_free(self->address);
    mem_free(self->epoch);
    mem_free(self->domain);
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
static struct snapshot_large *
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
    size_t row = sizeof(*self->traceback) + sizeof(*self->size) + sizeof(*self->address)
                 + sizeof(*self->epoch) + sizeof(*self->domain);
    return sizeof(*self) + self->count * row + self->large_count * sizeof(*self->large);
}

/* For each traceback id up to the highest in the rows, whether it is the
 * "<unknown>" frame and nothing else. */
static uint8_t *
find_unknown(const struct snapshot *self)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < self->count; i++) {
        highest = self->traceback[i] > highest ? self->traceback[i] : highest;
    }
    uint8_t *unknown = mem_calloc((size_t)highest + 1, 1);
    if (unknown == NULL) {
        return NULL;
    }
    for (uint32_t id = 1; id <= highest; id++) {
        const struct traceback_node *node = tracebacks_node(self->tracebacks, id);
        unknown[id] = id == TRACEBACK_UNKNOWN
                      || (node->function == TRACEBACK_TOTAL && node->parent == TRACEBACK_UNKNOWN);
    }
    return unknown;
}

static int
compare_large(const void *a, const void *b)
{
    size_t x = ((const struct snapshot_large *)a)->row;
    size_t y = ((const struct snapshot_large *)b)->row;
    return (x > y) - (x < y);
}

#define SWAP(type, column, i, j)    \
    do {                            \
        type swapped = (column)[i]; \
        (column)[i] = (column)[j];  \
        (column)[j] = swapped;      \
    } while (0)

static void
swap_rows(struct snapshot *self, size_t i, size_t j)
{
    SWAP(uint32_t, self->traceback, i, j);
    SWAP(uint32_t, self->size, i, j);
    SWAP(uint64_t, self->address, i, j);
    SWAP(uint8_t, self->epoch, i, j);
    SWAP(uint8_t, self->domain, i, j);
}

int
snapshot_move_unknown_last(struct snapshot *self)
{
    /* `large` is searched by old row while the new ones are written. */
    struct snapshot_large *moved = mem_malloc(self->large_count, sizeof(*moved));
    uint8_t *unknown = find_unknown(self);
    if (moved == NULL || unknown == NULL) {
        mem_free(moved);
        mem_free(unknown);
        return -1;
    }
    for (size_t i = 0; i < self->large_count; i++) {
        moved[i] = self->large[i];
    }
    size_t front = 0, back = self->count;
    for (;;) {
        while (front < back && !unknown[self->traceback[front]]) {
            front++;
        }
        while (front < back && unknown[self->traceback[back - 1]]) {
            back--;
        }
        if (front == back) {
            break;
        }
        back--;
        if (self->size[front] == SIZE_IS_LARGE) {
            moved[find_large(self, front) - self->large].row = back;
        }
        if (self->size[back] == SIZE_IS_LARGE) {
            moved[find_large(self, back) - self->large].row = front;
        }
        swap_rows(self, front, back);
        front++;
    }
    qsort(moved, self->large_count, sizeof(*moved), compare_large);
    for (size_t i = 0; i < self->large_count; i++) {
        self->large[i] = moved[i];
    }
    mem_free(moved);
    mem_free(unknown);
    return 0;
}
