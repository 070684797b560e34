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
    uint64_t pages = ((end - 1) >> 12) - (code >> 12) + 1;
    if (pages > UINT32_MAX) {
        return -1;
    }
    return hashmap_put(&self->known, code, function | pages << 32);
}

int
codes_forget(struct codes *self, uintptr_t code)
{
    uint64_t value;
    if (!hashmap_take(&self->known, code, &value)) {
        return 0;
    }
    uint64_t pages = value >> 32;
    if (pages > CODES_GENERATIONS) {
        pages = CODES_GENERATIONS;
    }
    int wrapped = 0;
    for (uint64_t i = 0; i < pages; i++) {
        size_t page = ((code >> 12) + i) & (CODES_GENERATIONS - 1);
        if ((uint16_t)(atomic_fetch_add(&self->generations[page], 1) + 1) == 0) {
            wrapped = 1;
        }
    }
    atomic_fetch_add(&self->deaths, 1);
    return wrapped;
}

void
codes_clear(struct codes *self)
{
    hashmap_clear(&self->known);
    atomic_fetch_add(&self->deaths, 1);
}
