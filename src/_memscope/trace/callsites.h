/* Call sites: from (traceback of the caller, instruction) to traceback, at once.
 *
 * To learn file, function and line from a frame means to read the code object
 * and to decode its line table: hundreds of nanoseconds.  A program allocates
 * from the same places again and again, so the answer is remembered by the
 * address of the instruction.  A miss costs a decode, never a wrong answer.
 *
 * struct callsites, one for each realm (traces.h): a direct-mapped cache,
 * 16 bytes an entry.
 *
 * struct newest: the same for tracebacks of one frame, which have no caller:
 * 8 bytes an entry, and the quickest look-up there is.
 *
 * struct codes, one for the process: which code objects the caches know.  A
 * code object can die and another take its place, even the very same
 * instruction addresses.  Whoever puts a call site in a cache first makes
 * sure that the code is watched: its block in the shadow carries SHADOW_WATCHED,
 * so the free hook sees it die *before* the memory is reused, and codes_forget
 * advances the generation of the pages the code lay on.  The generation is
 * part of every key in callsites, so all entries of the dead code miss from
 * then on.  (It has 16 bits; when one wraps, the caches are cleared.)  In
 * newest, where the place of an entry follows from the instruction alone, the
 * entries of the dead code are looked up and removed.
 *
 * Locking: a cache belongs to its realm.  `codes` is changed under the tracer's
 * lock; generations are atomic, because caches read them without it.  That is
 * sound: a thread that runs new code at an old address got there after the
 * death, by way of the interpreter's own synchronisation. */
#ifndef MEMSCOPE_CALLSITES_H
#define MEMSCOPE_CALLSITES_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/hashmap.h"

#define CODES_GENERATIONS 4096
#define NEWEST_BITS 15

struct codes {
    struct hashmap known;       /* address of a watched code object -> function | bytes << 32 */
    atomic_uint deaths;         /* how many watched code objects have died */
    _Atomic uint16_t generations[CODES_GENERATIONS];   /* by page of code, modulo */
};

struct callsite {
    uint64_t key;               /* instruction | generation << 48 */
    uint32_t parent;            /* traceback of the caller */
    uint32_t traceback;         /* CALLSITE_SKIP: this frame is not to be shown */
};

/* Entries are traceback | instruction >> 16 << 32; what is missing of the
 * instruction is the place in the table. */
struct newest {
    uint64_t *entries;          /* [1 << NEWEST_BITS] */
};

#define CALLSITE_SKIP 0u
#define CALLSITE_NONE UINT32_MAX

struct callsites {
    struct callsite *entries;   /* [mask + 1] */
    size_t mask;
};

static inline uint64_t *
newest_at(const struct newest *self, uintptr_t instruction)
{
    return &self->entries[(instruction >> 1) & (((uintptr_t)1 << NEWEST_BITS) - 1)];
}

/* The traceback of one frame at `instruction`; CALLSITE_NONE if not remembered. */
static inline uint32_t
newest_get(const struct newest *self, uintptr_t instruction)
{
    uint64_t entry = *newest_at(self, instruction);
    return entry >> 32 == instruction >> (NEWEST_BITS + 1) ? (uint32_t)entry : CALLSITE_NONE;
}

int newest_init(struct newest *self);
void newest_clear(struct newest *self);
void newest_release(struct newest *self);

/* Remembers; the code of `instruction` must be watched. */
void newest_put(struct newest *self, uintptr_t instruction, uint32_t traceback);

/* Forgets all instructions in [code, code + bytes). */
void newest_forget(struct newest *self, uintptr_t code, uint64_t bytes);

/* 0, or -1 without memory. */
int callsites_init(struct callsites *self, unsigned bits);
void callsites_clear(struct callsites *self);
void callsites_release(struct callsites *self);

static inline uint64_t
callsites_key(const struct codes *codes, uintptr_t instruction)
{
    size_t page = (instruction >> 12) & (CODES_GENERATIONS - 1);
    uint64_t generation = atomic_load_explicit(&codes->generations[page], memory_order_relaxed);
    return (uint64_t)instruction | generation << 48;
}

static inline struct callsite *
callsites_at(const struct callsites *self, uint64_t key, uint32_t parent)
{
    /* Neighbouring instructions get neighbouring entries. */
    uint64_t hash = (key >> 1) ^ (key >> 17) ^ (uint64_t)parent * 0x9E3779B1u;
    return &self->entries[hash & self->mask];
}

/* What follows `parent` at `instruction`; CALLSITE_NONE if not remembered. */
static inline uint32_t
callsites_get(const struct callsites *self, const struct codes *codes, uint32_t parent,
              uintptr_t instruction)
{
    uint64_t key = callsites_key(codes, instruction);
    const struct callsite *entry = callsites_at(self, key, parent);
    return entry->key == key && entry->parent == parent ? entry->traceback : CALLSITE_NONE;
}

/* Remembers; the code of `instruction` must be watched. */
void callsites_put(struct callsites *self, const struct codes *codes, uint32_t parent,
                   uintptr_t instruction, uint32_t traceback);

/* Function id of a watched code object, 0 if it is not watched. */
uint32_t codes_get(const struct codes *self, uintptr_t code);

/* Notes that the code object in [code, end) is watched.  0, or -1. */
int codes_put(struct codes *self, uintptr_t code, uintptr_t end, uint32_t function);

/* The code object is dying.  Returns the bytes it spans, 0 if it is not watched;
 * *wrapped: a generation has wrapped, so all callsites must be cleared. */
uint64_t codes_forget(struct codes *self, uintptr_t code, int *wrapped);

/* Forgets all, because function ids have changed; the caches must be cleared. */
void codes_clear(struct codes *self);

#endif
