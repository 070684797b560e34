/* The live table: every block, with its size, domain, epoch and traceback.
 *
 * Two realms, because two kinds of callers meet here:
 *
 *     realm GIL    blocks of the MEM and OBJ domains.  Their callers hold the
 *                  GIL, so the realm is entered through the gate, which costs
 *                  them nothing (base/gate.h).
 *     realm RAW    blocks of the RAW domain, and what extensions report through
 *                  PyTraceMalloc_Track.  Their callers may hold no GIL and must
 *                  not take it, so the realm is used under `lock`.
 *
 * A block is freed through the domain that made it, so the two never look for
 * each other's blocks and need no agreement.  (A RAW free that nobody saw, and
 * the address then used by OBJ, is the one way to have both; the snapshot keeps
 * the newer kind.)
 *
 * Shared by both: the tree of tracebacks and `codes`, read freely, changed
 * under `lock`.
 *
 * Lock order: gate, then `lock`.  Nothing below calls Python, PyMem or the
 * dynamic loader.
 *
 * Failure: a trace that cannot be stored is counted in `lost`; nothing else
 * happens to the caller. */
#ifndef MEMSCOPE_TRACES_H
#define MEMSCOPE_TRACES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/gate.h"
#include "base/hashmap.h"
#include "trace/callsites.h"
#include "trace/shadow.h"
#include "trace/snapshot.h"
#include "trace/tracebacks.h"

/* The stack that was last turned into a traceback, oldest frame first: of the
 * next one, only what has changed is looked up. */
struct stack_frame {
    const void *frame;              /* the interpreter's, for frames.c; may be dead */
    uintptr_t instruction;
    uint32_t traceback;             /* of the stack up to this frame */
};

struct stack {
    struct stack_frame *frames;     /* [capacity] */
    struct stack_frame *scratch;    /* [capacity] the one being read, newest first */
    uint32_t depth, capacity;
    int cut;                        /* older frames than the capacity were left out */
    unsigned deaths;                /* codes.deaths when it was taken */
};

struct realm {
    struct shadow shadow;
    struct hashmap large;           /* address -> size, where the slot's field is too small */
    struct callsites callsites;
    struct stack stack;
    atomic_uint_fast64_t bytes;     /* live; written by the realm's holder only */
    uint64_t markers;               /* slots of blocks that are watched and not traced */
    uint64_t peak;                  /* largest bytes of both realms that this one has seen */
    uintptr_t newest;               /* address of the block last put */
};

/* Blocks reported by extensions.  Few, large, at any address and in any
 * domain: a plain table, with the blocks of one address chained. */
struct tracked_block {
    uintptr_t address;
    uint64_t size;
    uint32_t domain;
    uint32_t traceback;
    uint32_t next;                  /* position + 1 of another block at this address, 0: none */
    uint8_t epoch;
};

struct tracked {
    struct hashmap by_address;      /* address -> position + 1 of the first */
    struct tracked_block *blocks;   /* traceback 0: free, `next` links the free ones */
    size_t used, capacity;
    uint32_t spare;                 /* position + 1 of a free one, 0: none */
    uint64_t count;
};

/* Bytes in `gone`.  One for each 16 bytes of memory, as far as they reach. */
#define TRACES_GONE ((size_t)16 << 10)

struct traces {
    struct gate gate;
    struct lock lock;
    struct newest newest;           /* under the gate */
    struct realm gil;               /* under the gate */
    struct realm raw;               /* under `lock` */
    struct tracked tracked;         /* under `lock`; its bytes count in `raw` */
    struct tracebacks *tracebacks;  /* changed under `lock` */
    size_t compact_at;              /* tree bytes that make a compaction worth while */
    uint32_t numbering;             /* advances whenever traceback ids get a new meaning */
    uint32_t compactions;           /* since the start */
    struct codes codes;             /* changed under `lock` */
    uint64_t sight;                 /* advances whenever a watched block may have died unseen,
                                       and with each list of them that is begun */
    uint8_t gone[TRACES_GONE];      /* by address: not 0 where a block that was watched may be so
                                       no longer; under the gate */
    atomic_uint_fast64_t lost;
    atomic_uint_fast64_t epoch_bits;    /* of the current epoch, as a word has them */
    unsigned epoch;                 /* index of the current one in `epochs` */
    uint64_t epochs[256];           /* index -> number of the first checkpoint it stands for */
    uint64_t now;                   /* number of the current epoch */
};

/* Allocates the tables for tracebacks of up to `nframe` frames.  0, or -1
 * without memory and nothing held.  traces_release frees them; both with the
 * gate and the lock held, and no snapshot is touched. */
int traces_init(struct traces *self, uint32_t nframe);
void traces_release(struct traces *self);

static inline uint64_t
traces_bytes(const struct traces *self)
{
    return atomic_load_explicit(&self->gil.bytes, memory_order_relaxed)
           + atomic_load_explicit(&self->raw.bytes, memory_order_relaxed);
}

static inline void
traces_lose(struct traces *self)
{
    atomic_fetch_add_explicit(&self->lost, 1, memory_order_relaxed);
}

/* Slow halves of realm_put and realm_take. */
void realm_replaced(struct traces *self, struct realm *realm, uintptr_t address, uint64_t word);
uint64_t realm_take_large(struct realm *realm, uintptr_t address);
void realm_watched_died(struct traces *self, uintptr_t address);

/* Counts a block that has been put at `address`. */
static inline void
realm_add_bytes(struct traces *self, struct realm *realm, uintptr_t address, size_t size)
{
    uint64_t bytes = atomic_load_explicit(&realm->bytes, memory_order_relaxed) + size;
    atomic_store_explicit(&realm->bytes, bytes, memory_order_relaxed);
    realm->newest = address;
    const struct realm *other = realm == &self->gil ? &self->raw : &self->gil;
    uint64_t total = bytes + atomic_load_explicit(&other->bytes, memory_order_relaxed);
    if (total > realm->peak) {
        realm->peak = total;
    }
}

/* Records the block: what was known of the address before is replaced. */
static inline void
realm_put(struct traces *self, struct realm *realm, uintptr_t address, size_t size, unsigned domain,
          uint32_t traceback)
{
    uint64_t epoch = atomic_load_explicit(&self->epoch_bits, memory_order_relaxed);
    size_t field = size < SHADOW_LARGE ? size : SHADOW_LARGE;
    uint64_t word = shadow_word(traceback, domain, epoch, address, field);
    uint64_t old;
    uintptr_t old_address;
    if (shadow_put(&realm->shadow, address, size, word, &old, &old_address) < 0) {
        traces_lose(self);
        return;
    }
    if (old != 0) {
        realm_replaced(self, realm, old_address, old);
    }
    if (size >= SHADOW_LARGE && hashmap_put(&realm->large, address, size) < 0) {
        shadow_take(&realm->shadow, address);
        traces_lose(self);
        return;
    }
    realm_add_bytes(self, realm, address, size);
}

/* What realm_take found. */
struct taken {
    uint64_t word;      /* 0: the block was not known */
    uint64_t size;
    uint32_t numbering; /* traces.numbering, which the word's traceback belongs to */
};

/* Forgets the block, before it is freed; an unknown block is no error. */
static inline struct taken
realm_take(struct traces *self, struct realm *realm, uintptr_t address)
{
    struct taken taken = {shadow_take(&realm->shadow, address), 0, self->numbering};
    if (taken.word == 0) {
        return taken;
    }
    if (taken.word & SHADOW_WATCHED) {
        realm_watched_died(self, address);
        if (shadow_word_traceback(taken.word) == 0) {
            realm->markers--;
            taken.word = 0;
            return taken;
        }
    }
    taken.size = shadow_word_size(taken.word);
    if (taken.size == SHADOW_LARGE) {
        taken.size = realm_take_large(realm, address);
    }
    uint64_t bytes = atomic_load_explicit(&realm->bytes, memory_order_relaxed) - taken.size;
    atomic_store_explicit(&realm->bytes, bytes, memory_order_relaxed);
    return taken;
}

/* Requested size of the block whose word this is. */
uint64_t realm_size(const struct realm *realm, uintptr_t address, uint64_t word);

/* Whether what `realm` has at the address stands for a RAW block that was freed
 * unseen, and whose address the GIL realm has taken over. */
static inline bool
traces_is_ghost(const struct traces *self, const struct realm *realm, uintptr_t address)
{
    return realm == &self->raw
           && shadow_word_traceback(shadow_get(&self->gil.shadow, address)) != 0;
}

/* Puts back what realm_take took, after a realloc that failed. */
void realm_restore(struct traces *self, struct realm *realm, uintptr_t address, struct taken taken);

/* Makes sure the death of the block at `address` is seen, of a GIL domain and of
 * `size` bytes or more.  Gate and lock held.  0, or -1 without memory. */
int traces_watch(struct traces *self, uintptr_t address, size_t size);

/* The end of that, of a block that holds no code. */
void traces_unwatch(struct traces *self, uintptr_t address);

/* What `gone` has of the block at `address`. */
static inline size_t
traces_gone_at(uintptr_t address)
{
    return (address >> 4) % TRACES_GONE;
}

/* Whether the block at `address` is one that was watched and is not freed. */
static inline bool
traces_is_watched(const struct traces *self, uintptr_t address)
{
    return (shadow_get(&self->gil.shadow, address) & SHADOW_WATCHED) != 0;
}

/* The same for the code object in [code, end), whose function is noted. */
int traces_watch_code(struct traces *self, uintptr_t code, uintptr_t end, uint32_t function);

/* Stops relying on what is watched: some of it may have died unseen.  Gate and
 * lock held. */
void traces_forget_watched(struct traces *self);

/* PyTraceMalloc_Track and _Untrack; under the lock. */
void traces_track(struct traces *self, uint32_t domain, uintptr_t address, uint64_t size,
                  uint32_t traceback);
void traces_untrack(struct traces *self, uint32_t domain, uintptr_t address);

/* A block reported for this domain; NULL if there is none. */
const struct tracked_block *traces_tracked(const struct traces *self, uint32_t domain,
                                           uintptr_t address);

/* The rest: gate and lock held. */

/* Largest sum of live bytes since the start or the last reset. */
uint64_t traces_peak(const struct traces *self);
void traces_reset_peak(struct traces *self);

/* Blocks live now, of every kind.  A pass over the pages. */
uint64_t traces_count(const struct traces *self);

/* Begins a new epoch and returns its number.  A slot has 8 bits for the epoch:
 * when they are used up, neighbouring epochs of the older half are merged, so
 * young blocks keep exact numbers and old ones the right order. */
uint64_t traces_advance_epoch(struct traces *self);

struct traced_memory {
    uint64_t bytes, blocks;
};

/* What is live of the blocks that were allocated in one of the `count` epochs,
 * given by their numbers.  Of merged ones, the first stands for all; the others
 * have nothing.  One pass over the slots. */
struct traced_memory traces_memory_of(const struct traces *self, const uint64_t *epochs,
                                      size_t count);

/* A tree smaller than this is left alone. */
#define TRACES_COMPACT_FLOOR ((size_t)8 << 20)

/* Drops tracebacks and texts that no live block uses, when they have grown to
 * twice what was left the last time.  Snapshots keep the tree they were taken
 * with.  One pass over the slots. */
void traces_compact_if_due(struct traces *self);

/* A frozen copy; NULL without memory. */
struct snapshot *traces_snapshot(const struct traces *self, uint32_t nframe);

#endif
