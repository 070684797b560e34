/* An open-addressing map from a 64-bit key to a 64-bit value.
 *
 * Linear probing, at most three quarters full, deletion by shifting back (no
 * tombstones, so a map that is filled and emptied for ever stays fast).  Any
 * key but HASHMAP_NO_KEY.  A zeroed struct is an empty map.
 *
 * Locking: the caller's.  Failure: hashmap_put returns -1 when memory ends and
 * leaves the map as it was. */
#ifndef MEMSCOPE_HASHMAP_H
#define MEMSCOPE_HASHMAP_H

#include <stddef.h>
#include <stdint.h>

#define HASHMAP_NO_KEY UINT64_MAX

struct hashmap_entry {
    uint64_t key;
    uint64_t value;
};

struct hashmap {
    struct hashmap_entry *entries;
    size_t capacity;        /* 0 or a power of two */
    size_t count;
};

/* Pointer to the value of `key`, valid until the map changes; NULL if absent. */
uint64_t *hashmap_get(const struct hashmap *self, uint64_t key);

/* Sets the value of `key`, new or not. */
int hashmap_put(struct hashmap *self, uint64_t key, uint64_t value);

/* Removes `key`; 1 if it was there, its value then in *value. */
int hashmap_take(struct hashmap *self, uint64_t key, uint64_t *value);

/* Frees everything; the map is empty and usable. */
void hashmap_clear(struct hashmap *self);

/* A well-spread 64-bit hash of a key (the finaliser of MurmurHash3, Appleby). */
static inline uint64_t
hashmap_mix(uint64_t key)
{
    key ^= key >> 33;
    key *= UINT64_C(0xff51afd7ed558ccd);
    key ^= key >> 33;
    key *= UINT64_C(0xc4ceb9fe1a85ec53);
    key ^= key >> 33;
    return key;
}

#endif
