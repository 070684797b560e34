/* The containers that can grow, and how much each holds.
 *
 * Lists, dicts, sets and deques, and instances of their subclasses: found in a pass over
 * what the collector tracks, as are the classes by which others of them can be known.  All
 * without a reference: whoever keeps the list must know which of them are alive.
 *
 * The GIL is held.  Failure: -1 without memory, and the list and the map can be released. */
#ifndef MEMSCOPE_LENGTHS_H
#define MEMSCOPE_LENGTHS_H

#include <stddef.h>
#include <stdint.h>

#include "base/hashmap.h"
#include "base/pycompat.h"

enum length_kind {
    LENGTH_OF_OTHER,
    LENGTH_METACLASS,
    LENGTH_FUNCTION,
    LENGTH_LIST,
    LENGTH_DICT,
    LENGTH_SET,
    LENGTH_DEQUE
};

struct length {
    const Py_ssize_t *counter;  /* borrowed: where the object counts its entries */
    union {
        uint32_t size;          /* until it is read: of the block, or less */
        uint32_t entries;       /* then: as it said, the lower half */
    };
    uint16_t mark;              /* the reader's own, of the block */
    uint8_t heat;               /* and of its changes */
    uint8_t place;              /* bytes from the start of the object's block to the counter */
};

struct lengths {
    struct length *items;
    size_t count, capacity;
};

int lengths_add(struct lengths *self, PyObject *object, unsigned kind, size_t before);
void lengths_release(struct lengths *self);

static inline uintptr_t
length_block(const struct length *self)
{
    return (uintptr_t)self->counter - self->place;
}

/* Bytes of such an object up to the end of its counter. */
size_t length_least_size(unsigned kind);

/* What the counter says now. */
static inline uint32_t
length_entries(const struct length *self)
{
    return (uint32_t)*self->counter;
}

/* By how much that is more than when it was read, if by less than 2^31. */
static inline int32_t
length_rise(const struct length *self)
{
    return (int32_t)(length_entries(self) - self->entries);
}

/* What is known of a class by its address, without a look at it: it may be gone. */
struct length_class {
    uint8_t kind;               /* of its instances */
    uint8_t before;             /* bytes from the start of the block to an instance */
    uint8_t is_heap_type;       /* made at run time, in a block, so that it can end */
    uint8_t block;              /* bytes from the start of its own block to the class */
};

/* A map from the address of a class: those of which lengths are read, and metaclasses. */
struct length_class length_class_of(PyTypeObject *type);
int length_classes_put(struct hashmap *classes, PyTypeObject *type, struct length_class class);
int length_classes_get(const struct hashmap *classes, const PyTypeObject *type,
                       struct length_class *class);

/* All that are tracked, frozen ones too, and until 3.13 the dicts that are not tracked and are
 * values of such; each once, by ascending address, entries not read.  Both empty before.
 *
 * Left out are classes whose instances are freed in a way of their own; and the attributes of
 * functions and classes, a third of what many a program has: for more and more of them there would
 * have to be more and more names.  No Python code runs.
 * Cost: one cache miss for each object. */
int lengths_find(struct lengths *self, struct hashmap *classes);

#endif
