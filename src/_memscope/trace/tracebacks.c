#include "trace/tracebacks.h"

#include <stdatomic.h>
#include <string.h>

#include "base/bits.h"
#include "base/hashmap.h"
#include "base/mem.h"

/* Three tables of one shape: entries that never move, numbered from 1, and an
 * open-addressing index of numbers to find an equal entry by its hash.
 *
 * Entries live in segments, each twice as long as the one before, so an entry
 * keeps its address for the life of the tree while the table grows without
 * copying; segment and place follow from the number by a count of leading
 * zeros.  Slot 0 of the first segment stays empty: id 0 is "none". */

#define FIRST_SEGMENT_BITS 10
#define SEGMENTS 19     /* FIRST_SEGMENT << SEGMENTS > TRACEBACK_MAX */

struct table {
    char *segments[SEGMENTS];
    size_t item;                /* bytes an entry */
    atomic_uint count;          /* highest id; written last, read by snapshots */
    uint32_t *index;            /* ids; 0: empty; at most half full */
    size_t index_capacity;      /* 0 or a power of two */
    size_t bytes;               /* held by segments and index */
};

struct tracebacks {
    atomic_size_t references;
    struct table texts;         /* struct text */
    struct table functions;     /* struct function */
    struct table nodes;         /* struct traceback_node */
    size_t text_bytes;
};

static inline void
table_locate(uint32_t id, unsigned *segment, size_t *place)
{
    uint64_t n = (uint64_t)id + (1u << FIRST_SEGMENT_BITS);
    unsigned top = log2_floor(n);
    *segment = top - FIRST_SEGMENT_BITS;
    *place = (size_t)(n - (UINT64_C(1) << top));
}

static inline void *
table_at(const struct table *self, uint32_t id)
{
    unsigned segment;
    size_t place;
    table_locate(id, &segment, &place);
    return self->segments[segment] + place * self->item;
}

static uint32_t
table_count(const struct table *self)
{
    return atomic_load_explicit(&self->count, memory_order_acquire);
}

typedef uint64_t (*hash_fn)(const void *entry);
typedef int (*equal_fn)(const void *a, const void *b);

static size_t
table_probe(const struct table *self, const void *entry, uint64_t hash, equal_fn equal)
{
    size_t mask = self->index_capacity - 1;
    size_t at = (size_t)hash & mask;
    while (self->index[at] != 0 && !equal(table_at(self, self->index[at]), entry)) {
        at = (at + 1) & mask;
    }
    return at;
}

static int
table_grow_index(struct table *self, hash_fn hash)
{
    size_t capacity = self->index_capacity == 0 ? 256 : self->index_capacity * 2;
    uint32_t *index = mem_calloc(capacity, sizeof(*index));
    if (index == NULL) {
        return -1;
    }
    uint32_t count = table_count(self);
    for (uint32_t id = 1; id <= count; id++) {
        size_t at = (size_t)hash(table_at(self, id)) & (capacity - 1);
        while (index[at] != 0) {
            at = (at + 1) & (capacity - 1);
        }
        index[at] = id;
    }
    mem_free(self->index);
    self->bytes += (capacity - self->index_capacity) * sizeof(*index);
    self->index = index;
    self->index_capacity = capacity;
    return 0;
}

/* Id of an entry equal to `entry`; 0 if there is none, and then *slot is where
 * table_append may put it.  Fails (-1) for want of memory. */
static int
table_find(struct table *self, const void *entry, hash_fn hash, equal_fn equal, size_t *slot,
           uint32_t *id)
{
    if (((size_t)table_count(self) + 1) * 2 > self->index_capacity) {
        if (table_grow_index(self, hash) < 0) {
            return -1;
        }
    }
    *slot = table_probe(self, entry, hash(entry), equal);
    *id = self->index[*slot];
    return 0;
}

static uint32_t
table_append(struct table *self, const void *entry, size_t slot)
{
    uint32_t id = table_count(self) + 1;
    if (id > TRACEBACK_MAX) {
        return 0;
    }
    unsigned segment;
    size_t place;
    table_locate(id, &segment, &place);
    if (self->segments[segment] == NULL) {
        size_t length = (size_t)1 << (FIRST_SEGMENT_BITS + segment);
        self->segments[segment] = mem_malloc(length, self->item);
        if (self->segments[segment] == NULL) {
            return 0;
        }
        self->bytes += length * self->item;
    }
    memcpy(table_at(self, id), entry, self->item);
    self->index[slot] = id;
    atomic_store_explicit(&self->count, id, memory_order_release);
    return id;
}

static uint32_t
table_intern(struct table *self, const void *entry, hash_fn hash, equal_fn equal)
{
    size_t slot;
    uint32_t id;
    if (table_find(self, entry, hash, equal, &slot, &id) < 0) {
        return 0;
    }
    return id != 0 ? id : table_append(self, entry, slot);
}

static void
table_release(struct table *self)
{
    for (unsigned i = 0; i < SEGMENTS; i++) {
        mem_free(self->segments[i]);
    }
    mem_free(self->index);
}

static size_t
text_bytes(const struct text *text)
{
    return (size_t)text->length * text->kind;
}

static uint64_t
text_hash(const void *entry)
{
    const struct text *text = entry;
    const unsigned char *data = text->data;
    size_t left = text_bytes(text);
    uint64_t hash = hashmap_mix(((uint64_t)text->kind << 32) | text->length);
    while (left >= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        hash = hashmap_mix(hash ^ word);
        data += 8;
        left -= 8;
    }
    uint64_t word = 0;
    memcpy(&word, data, left);
    return hashmap_mix(hash ^ word);
}

static int
text_equal(const void *a, const void *b)
{
    const struct text *x = a, *y = b;
    return x->kind == y->kind && x->length == y->length
           && memcmp(x->data, y->data, text_bytes(x)) == 0;
}

static uint64_t
function_hash(const void *entry)
{
    const struct function *function = entry;
    return hashmap_mix(((uint64_t)function->filename << 32) | function->name);
}

static int
function_equal(const void *a, const void *b)
{
    const struct function *x = a, *y = b;
    return x->filename == y->filename && x->name == y->name;
}

static uint64_t
node_hash(const void *entry)
{
    const struct traceback_node *node = entry;
    uint64_t place = ((uint64_t)node->function << 32) | node->lineno;
    return hashmap_mix(hashmap_mix(place) + node->parent);
}

static int
node_equal(const void *a, const void *b)
{
    const struct traceback_node *x = a, *y = b;
    return x->parent == y->parent && x->function == y->function && x->lineno == y->lineno;
}

struct tracebacks *
tracebacks_new(void)
{
    struct tracebacks *self = mem_calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->references = 1;
    self->texts.item = sizeof(struct text);
    self->functions.item = sizeof(struct function);
    self->nodes.item = sizeof(struct traceback_node);
    struct text unknown = {"<unknown>", 9, 1};
    struct text empty = {"", 0, 1};
    struct function function = {TEXT_UNKNOWN, TEXT_EMPTY};
    struct traceback_node node = {0, 1, 0};
    struct traceback_node total = {TRACEBACK_UNKNOWN, TRACEBACK_TOTAL, 1};
    if (tracebacks_intern_text(self, unknown) != TEXT_UNKNOWN
        || tracebacks_intern_text(self, empty) != TEXT_EMPTY
        || tracebacks_intern_function(self, function) != 1
        || tracebacks_intern_node(self, node) != TRACEBACK_UNKNOWN
        || tracebacks_intern_node(self, total) != TRACEBACK_UNKNOWN_TOTAL) {
        tracebacks_unref(self);
        return NULL;
    }
    return self;
}

void
tracebacks_ref(struct tracebacks *self)
{
    atomic_fetch_add_explicit(&self->references, 1, memory_order_relaxed);
}

void
tracebacks_unref(struct tracebacks *self)
{
    if (self == NULL
        || atomic_fetch_sub_explicit(&self->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    uint32_t texts = table_count(&self->texts);
    for (uint32_t id = 1; id <= texts; id++) {
        mem_free((void *)tracebacks_text(self, id)->data);
    }
    table_release(&self->texts);
    table_release(&self->functions);
    table_release(&self->nodes);
    mem_free(self);
}

uint32_t
tracebacks_intern_text(struct tracebacks *self, struct text text)
{
    size_t slot;
    uint32_t id;
    if (table_find(&self->texts, &text, text_hash, text_equal, &slot, &id) < 0) {
        return 0;
    }
    if (id != 0) {
        return id;
    }
    size_t bytes = text_bytes(&text);
    void *copy = mem_malloc(bytes, 1);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, text.data, bytes);
    text.data = copy;
    id = table_append(&self->texts, &text, slot);
    if (id == 0) {
        mem_free(copy);
        return 0;
    }
    self->text_bytes += bytes;
    return id;
}

uint32_t
tracebacks_intern_function(struct tracebacks *self, struct function function)
{
    return table_intern(&self->functions, &function, function_hash, function_equal);
}

uint32_t
tracebacks_intern_node(struct tracebacks *self, struct traceback_node node)
{
    return table_intern(&self->nodes, &node, node_hash, node_equal);
}

const struct text *
tracebacks_text(const struct tracebacks *self, uint32_t id)
{
    return table_at(&self->texts, id);
}

const struct function *
tracebacks_function(const struct tracebacks *self, uint32_t id)
{
    return table_at(&self->functions, id);
}

const struct traceback_node *
tracebacks_node(const struct tracebacks *self, uint32_t id)
{
    return table_at(&self->nodes, id);
}

uint32_t
tracebacks_text_count(const struct tracebacks *self)
{
    return table_count(&self->texts);
}

uint32_t
tracebacks_function_count(const struct tracebacks *self)
{
    return table_count(&self->functions);
}

uint32_t
tracebacks_node_count(const struct tracebacks *self)
{
    return table_count(&self->nodes);
}

size_t
tracebacks_bytes(const struct tracebacks *self)
{
    return sizeof(*self) + self->texts.bytes + self->functions.bytes + self->nodes.bytes
           + self->text_bytes;
}

static uint32_t
text_point(const struct text *text, uint32_t i)
{
    switch (text->kind) {
    case 1:
        return ((const uint8_t *)text->data)[i];
    case 2:
        return ((const uint16_t *)text->data)[i];
    default:
        return ((const uint32_t *)text->data)[i];
    }
}

int
text_compare(const struct text *a, const struct text *b)
{
    uint32_t shorter = a->length < b->length ? a->length : b->length;
    for (uint32_t i = 0; i < shorter; i++) {
        uint32_t x = text_point(a, i), y = text_point(b, i);
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return (a->length > b->length) - (a->length < b->length);
}
