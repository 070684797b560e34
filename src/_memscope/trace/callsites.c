#include "trace/callsites.h"

#include <string.h>

#include "base/mem.h"

int
callsites_init(struct callsites *self, unsigned bits)
{
    *self = (struct callsites){.mask = ((size_t)1 << bits) - 1};
    self->entries = mem_calloc(self->mask + 1, sizeof(*self->entries));
    return self->entries == NULL ? -1 : 0;
}

void
callsites_clear(struct callsites *self)
{
    memset(self->entries, 0, (self->mask + 1) * sizeof(*self->entries));
}

void
callsites_release(struct callsites *self)
{
    mem_free(self->entries);
    *self = (struct callsites){0};
}

void
callsites_put(struct callsites *self, const struct codes *codes, uint32_t parent,
              uintptr_t instruction, uint32_t traceback)
{
    uint64_t key = callsites_key(codes, instruction);
    struct callsite *entry = callsites_at(self, key, parent);
    *entry = (struct callsite){.key = key, .parent = parent, .traceback = traceback};
}

uint32_t
codes_get(const struct codes *self, uintptr_t code)
{
    const uint64_t *value = hashmap_get(&self->known, code);
    return value == NULL ? 0 : (uint32_t)*value;
}

int
codes_put(struct codes *self, uintptr_t code, uintptr_t end, uint32_t function)
{
    uint64_t bytes = end - code;
    if (bytes > UINT32_MAX) {
        return -1;
    }
    return hashmap_put(&self->known, code, function | bytes << 32);
}

uint64_t
codes_forget(struct codes *self, uintptr_t code, int *wrapped)
{
    uint64_t value;
    *wrapped = 0;
    if (!hashmap_take(&self->known, code, &value)) {
        return 0;
    }
    uint64_t bytes = value >> 32;
    uint64_t pages = ((code + bytes - 1) >> 12) - (code >> 12) + 1;
    if (pages > CODES_GENERATIONS) {
        pages = CODES_GENERATIONS;
    }
    for (uint64_t i = 0; i < pages; i++) {
        size_t page = ((code >> 12) + i) & (CODES_GENERATIONS - 1);
        if ((uint16_t)(atomic_fetch_add(&self->generations[page], 1) + 1) == 0) {
            *wrapped = 1;
        }
    }
    atomic_fetch_add(&self->deaths, 1);
    return bytes;
}

void
codes_clear(struct codes *self)
{
    hashmap_clear(&self->known);
    atomic_fetch_add(&self->deaths, 1);
}

int
newest_init(struct newest *self)
{
    self->entries = mem_calloc((size_t)1 << NEWEST_BITS, sizeof(*self->entries));
    return self->entries == NULL ? -1 : 0;
}

void
newest_clear(struct newest *self)
{
    memset(self->entries, 0, sizeof(*self->entries) << NEWEST_BITS);
}

void
newest_release(struct newest *self)
{
    mem_free(self->entries);
    self->entries = NULL;
}

void
newest_put(struct newest *self, uintptr_t instruction, uint32_t traceback)
{
    uint64_t tag = (uint64_t)instruction >> (NEWEST_BITS + 1);
    if (tag <= UINT32_MAX) {
        *newest_at(self, instruction) = tag << 32 | traceback;
    }
}

void
newest_forget(struct newest *self, uintptr_t code, uint64_t bytes)
{
    if (bytes >> (NEWEST_BITS + 1) != 0) {
        newest_clear(self);
        return;
    }
    for (uintptr_t instruction = code; instruction < code + bytes; instruction += 2) {
        uint64_t *entry = newest_at(self, instruction);
        if (*entry >> 32 == (uint64_t)instruction >> (NEWEST_BITS + 1)) {
            *entry = 0;
        }
    }
}
