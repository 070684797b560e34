/* A frozen table of traces: one row per block that was live when it was taken.
 *
 * Columns, not objects: 18 bytes a row.  The tracer fills them in one pass
 * (traces_snapshot), the file reader and the Python binding build them row by
 * row, and from then on nothing changes; every question below is a pass over
 * arrays that needs neither Python nor a lock.
 *
 * Ownership: the snapshot owns its columns and one reference to its tree.
 * Failure:   -1 or NULL: no memory; nothing half-built stays behind. */
#ifndef MEMSCOPE_SNAPSHOT_H
#define MEMSCOPE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "trace/tracebacks.h"

/* Where a block came from.  0-2 are CPython's allocator domains, which
 * tracemalloc reports together as domain 0; from SNAPSHOT_TRACKED on, index
 * minus SNAPSHOT_TRACKED is a position in `tracked_domains`: the numbers that
 * extensions gave to PyTraceMalloc_Track. */
enum { SNAPSHOT_RAW, SNAPSHOT_MEM, SNAPSHOT_OBJ, SNAPSHOT_TRACKED };
#define SNAPSHOT_MAX_TRACKED (256 - SNAPSHOT_TRACKED)

struct snapshot_large {
    size_t row;
    uint64_t size;
};

struct snapshot {
    struct tracebacks *tracebacks;
    size_t count;                   /* rows */
    uint32_t *traceback;            /* [count] */
    uint32_t *size;                 /* [count]; UINT32_MAX: look in `large` */
    uint64_t *address;              /* [count]; 0 where not known; owns the block of all five */
    uint8_t *epoch;                 /* [count]; index into `epochs` */
    uint8_t *domain;                /* [count]; SNAPSHOT_RAW ... */
    struct snapshot_large *large;   /* sorted by row: sizes >= UINT32_MAX */
    size_t large_count;
    uint32_t tracked_domains[SNAPSHOT_MAX_TRACKED];
    uint32_t tracked_count;
    uint64_t epochs[256];           /* epoch byte -> number of the checkpoint it began at */
    uint64_t now;                   /* the epoch number at the moment it was taken */
    uint64_t lost;                  /* traces the tracer could not store */
    uint32_t traceback_limit;
};

/* One row, as snapshot_append takes it. */
struct snapshot_row {
    uint32_t traceback;
    uint64_t size;
    uint64_t address;
    uint8_t epoch;
    uint8_t domain;
};

/* An empty snapshot with room for `capacity` rows and a new reference to the
 * tree.  All else is zero: the maker sets epochs, now, lost, traceback_limit. */
struct snapshot *snapshot_new(struct tracebacks *tracebacks, size_t capacity);
void snapshot_free(struct snapshot *self);

/* Copies all but the rows and the tree. */
void snapshot_copy_header(struct snapshot *self, const struct snapshot *from);

/* Adds a row; fewer than `capacity` may be there.  0 or -1; only a size of
 * UINT32_MAX or more can fail, and then the row is not there. */
int snapshot_append(struct snapshot *self, const struct snapshot_row *row);

/* For makers that fill the columns themselves: sets the size of `row` to
 * UINT32_MAX or more.  Rows come in ascending order.  0 or -1. */
int snapshot_append_large(struct snapshot *self, size_t row, uint64_t size);

/* The row's domain byte for a number that an extension gave to
 * PyTraceMalloc_Track; -1 when SNAPSHOT_MAX_TRACKED others are there.  Number 0
 * is CPython's own: SNAPSHOT_OBJ.  O(tracked domains). */
int snapshot_domain_index(struct snapshot *self, uint32_t number);

/* The number that tracemalloc reports for a domain byte. */
uint32_t snapshot_domain_number(const struct snapshot *self, uint8_t domain);

/* Bytes of the row's block.  O(1); O(log large_count) from 4 GiB on. */
uint64_t snapshot_size(const struct snapshot *self, size_t row);

/* Sum of all sizes.  O(rows). */
uint64_t snapshot_total_size(const struct snapshot *self);

/* Bytes the columns hold, without the tree, which is shared. */
size_t snapshot_bytes(const struct snapshot *self);

#endif
