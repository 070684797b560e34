#include "base/hashmap.h"

#include "base/mem.h"

#define FIRST_CAPACITY 64

static size_t
hashmap_find(const struct hashmap *self, uint64_t key)
{
    size_t mask = self->capacity - 1;
    size_t at = (size_t)hashmap_mix(key) & mask;
    while (self->entries[at].key != key && self->entries[at].key != HASHMAP_NO_KEY) {
        at = (at + 1) & mask;
    }
    return at;
}

static int
hashmap_resize(struct hashmap *self, size_t capacity)
{
    struct hashmap bigger = {.capacity = capacity, .count = self->count};
    bigger.entries = mem_malloc(capacity, sizeof(*bigger.entries));
    if (bigger.entries == NULL) {
        return -1;
    }
    for (size_t i = 0; i < capacity; i++) {
        bigger.entries[i].key = HASHMAP_NO_KEY;
    }
    for (size_t i = 0; i < self->capacity; i++) {
        if (self->entries[i].key != HASHMAP_NO_KEY) {
            bigger.entries[hashmap_find(&bigger, self->entries[i].key)] = self->entries[i];
        }
    }
    mem_free(self->entries);
    *self = bigger;
    return 0;
}

uint64_t *
hashmap_get(const struct hashmap *self, uint64_t key)
{
    if (self->count == 0) {
        return NULL;
    }
    size_t at = hashmap_find(self, key);
    return self->entries[at].key == key ? &self->entries[at].value : NULL;
}

int
hashmap_put(struct hashmap *self, uint64_t key, uint64_t value)
{
    uint64_t *known = hashmap_get(self, key);
    if (known != NULL) {
        *known = value;
        return 0;
    }
    if ((self->count + 1) * 4 > self->capacity * 3) {
        size_t capacity = self->capacity == 0 ? FIRST_CAPACITY : self->capacity * 2;
        if (hashmap_resize(self, capacity) < 0) {
            return -1;
        }
    }
    size_t at = hashmap_find(self, key);
    self->entries[at].key = key;
    self->entries[at].value = value;
    self->count++;
    return 0;
}

int
hashmap_take(struct hashmap *self, uint64_t key, uint64_t *value)
{
    if (self->count == 0) {
        return 0;
    }
    size_t hole = hashmap_find(self, key);
    if (self->entries[hole].key != key) {
        return 0;
    }
    *value = self->entries[hole].value;
    self->count--;
    /* Shift back what would no longer be reached across the hole (Knuth, TAOCP
     * vol. 3, 6.4, algorithm R). */
    size_t mask = self->capacity - 1;
    for (size_t at = (hole + 1) & mask; self->entries[at].key != HASHMAP_NO_KEY;
         at = (at + 1) & mask) {
        size_t home = (size_t)hashmap_mix(self->entries[at].key) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            self->entries[hole] = self->entries[at];
            hole = at;
        }
    }
    self->entries[hole].key = HASHMAP_NO_KEY;
    return 1;
}

void
hashmap_clear(struct hashmap *self)
{
    mem_free(self->entries);
    *self = (struct hashmap){0};
}
