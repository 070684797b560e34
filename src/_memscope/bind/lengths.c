/* How much each container holds, noted in one pass, to be compared later.
 *
 * A program that puts what it has already into a list allocates nothing until the list
 * is resized: only its length tells.  What is noted is data, so that it keeps nothing
 * alive and is no growth itself. */
#include <string.h>

#include "base/mem.h"
#include "base/sort.h"
#include "bind/bind.h"
#include "heap/enumerate.h"
#include "trace/tracer.h"

enum kind { UNKNOWN, OTHER, LIST, DICT, SET, DEQUE };

/* The class by which a deque's length is read: the interpreter's own, which no Python code
 * can have made or changed. */
static int
is_deque(const PyTypeObject *type)
{
    return (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE)
           && strcmp(type->tp_name, "collections.deque") == 0;
}

static enum kind
kind_of(const PyTypeObject *type)
{
    if (type->tp_flags & Py_TPFLAGS_LIST_SUBCLASS) {
        return LIST;
    }
    if (type->tp_flags & Py_TPFLAGS_DICT_SUBCLASS) {
        return DICT;
    }
    for (; type != NULL; type = type->tp_base) {
        if (type == &PySet_Type) {
            return SET;
        }
        if (is_deque(type)) {
            return DEQUE;
        }
    }
    return OTHER;
}

struct length {
    uint64_t address, entries;
};

struct lengths {
    struct length *items;
    size_t count, capacity;
};

enum { RECENT = 256, DICTS = 16, VALUES = 64 };

/* What is looked at some turns after it was met, when its memory has come. */
struct all_lengths {
    struct lengths lengths;
    /* Kinds of classes, found again by some bits of the address. */
    struct {
        const PyTypeObject *type;
        enum kind kind;
    } recent[RECENT];
    PyObject *dicts[DICTS], *values[VALUES];
    unsigned next_dict, next_value;
};

static int
lengths_reserve(struct lengths *self, size_t more)
{
    size_t count = self->count + more;
    return count <= self->capacity
               ? 0
               : mem_grow((void **)&self->items, &self->capacity, count, sizeof *self->items);
}

static int
lengths_add(struct lengths *self, PyObject *object, Py_ssize_t entries)
{
    if (lengths_reserve(self, 1) < 0) {
        return -1;
    }
    self->items[self->count++] = (struct length){(uintptr_t)object, (uint64_t)entries};
    return 0;
}

/* -- dicts that the collector does not track, among the values of those it does --------- */

static int
look_at_value(struct all_lengths *all, PyObject *value)
{
    PyObject **slot = &all->values[all->next_value++ % VALUES], *before = *slot;
    *slot = value;
    PREFETCH(value);
    return before != NULL && PyDict_CheckExact(before) && !PyObject_GC_IsTracked(before)
               ? lengths_add(&all->lengths, before, PyDict_GET_SIZE(before))
               : 0;
}

static int
look_at_dict(struct all_lengths *all, PyObject *dict)
{
    PyObject **slot = &all->dicts[all->next_dict++ % DICTS], *before = *slot, *value;
    *slot = dict;
    if (dict != NULL) {
        PREFETCH(((PyDictObject *)dict)->ma_keys);
        PREFETCH((const char *)((PyDictObject *)dict)->ma_keys + 64);
        PREFETCH(((PyDictObject *)dict)->ma_values);
    }
    Py_ssize_t at = 0;
    int failed = 0;
    while (before != NULL && !failed && PyDict_Next(before, &at, NULL, &value)) {
        failed = look_at_value(all, value);
    }
    return failed;
}

/* The collector tracks a dict from the first item on since 3.14. */
#define HAS_UNTRACKED_DICTS (PY_VERSION_HEX < 0x030E0000)

static int
look_at_rest(struct all_lengths *all)
{
    int failed = 0;
    for (int i = 0; i < DICTS && !failed; i++) {
        failed = look_at_dict(all, NULL);
    }
    for (int i = 0; i < VALUES && !failed; i++) {
        failed = look_at_value(all, NULL);
    }
    return failed;
}

static int
lengths_visit(void *whole, void *piece, PyObject *object)
{
    struct all_lengths *all = whole;
    struct lengths *self = piece;
    const PyTypeObject *type = Py_TYPE(object);
    size_t slot = ((uintptr_t)type >> 5 ^ (uintptr_t)type >> 13) % RECENT;
    if (all->recent[slot].type != type) {
        all->recent[slot].type = type;
        all->recent[slot].kind = kind_of(type);
    }
    switch (all->recent[slot].kind) {
    case LIST:
    case DEQUE:
        return lengths_add(self, object, Py_SIZE(object));
    case DICT:
        if (HAS_UNTRACKED_DICTS && PyDict_GET_SIZE(object) > 0 && look_at_dict(all, object) < 0) {
            return -1;
        }
        return lengths_add(self, object, PyDict_GET_SIZE(object));
    case SET:
        return lengths_add(self, object, PySet_GET_SIZE(object));
    default:
        return 0;
    }
}

static int
lengths_join(void *whole, void *piece)
{
    struct lengths *self = &((struct all_lengths *)whole)->lengths, *more = piece;
    if (lengths_reserve(self, more->count) < 0) {
        return -1;
    }
    if (more->count > 0) {
        memcpy(self->items + self->count, more->items, more->count * sizeof *more->items);
        self->count += more->count;
    }
    return 0;
}

static void
lengths_release(void *piece)
{
    mem_free(((struct lengths *)piece)->items);
}

/* The lengths by ascending address; NULL with an exception. */
static PyObject *
sorted_bytes(const struct lengths *self)
{
    uint32_t *order = mem_malloc(self->count + 1, sizeof *order);
    uint64_t *keys = mem_malloc(self->count + 1, sizeof *keys);
    PyObject *bytes = NULL;
    int failed = order == NULL || keys == NULL;
    for (size_t i = 0; i < self->count && !failed; i++) {
        order[i] = (uint32_t)i;
        keys[i] = self->items[i].address;
    }
    if (failed || sort_by_key(order, self->count, keys) < 0) {
        PyErr_NoMemory();
    }
    else {
        bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(self->count * sizeof *self->items));
    }
    for (size_t i = 0; i < self->count && bytes != NULL; i++) {
        memcpy(PyBytes_AS_STRING(bytes) + i * sizeof *self->items, &self->items[order[i]],
               sizeof *self->items);
    }
    mem_free(order);
    mem_free(keys);
    return bytes;
}

/* Leaves out the containers that were allocated in that epoch or later.  All are alive still: no
 * code of the program has run since they were met. */
static void
lengths_drop_younger(struct lengths *self, uint64_t epoch)
{
    const struct traces *traces = &tracer.traces;
    int biased = tracer_lock();
    size_t kept = 0;
    for (size_t i = 0; i < self->count && tracer_is_on(); i++) {
        uintptr_t address = (uintptr_t)self->items[i].address;
        address -= pycompat_preheader_size(Py_TYPE((PyObject *)address));
        uint64_t word = shadow_get(&traces->gil.shadow, address);
        if (shadow_word_traceback(word) == 0 || traces->epochs[shadow_word_epoch(word)] < epoch) {
            self->items[kept++] = self->items[i];
        }
    }
    self->count = tracer_is_on() ? kept : self->count;
    tracer_unlock(biased);
}

PyDoc_STRVAR(gc_lengths_doc,
"gc_lengths($module, before=None, /)\n"
"--\n"
"\n"
"(address, number of entries) of each list, dict, set and deque that the collector tracks,\n"
"and of those of their subclasses, frozen ones too, and of the dicts it does not track that\n"
"are values of other dicts; the addresses ascend, as bytes of native 64-bit numbers.\n"
"\n"
"before: an epoch; those that were allocated in it or later are left out, as far as that was\n"
"traced: what is at the address of one that is gone is no longer that one.\n"
"\n"
"Raises MemoryError; OverflowError and TypeError for what is no epoch.  Cost: one pass, and\n"
"16 bytes for a container.");

static PyObject *
gc_lengths(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *before = Py_None;
    if (!PyArg_ParseTuple(args, "|O:gc_lengths", &before)) {
        return NULL;
    }
    unsigned long long epoch = before != Py_None ? PyLong_AsUnsignedLongLong(before) : 0;
    if (PyErr_Occurred()) {
        return NULL;
    }
    static const struct at_tracked work = {sizeof(struct lengths), lengths_visit, lengths_join,
                                           lengths_release};
    struct all_lengths all = {0};
    int failed = visit_tracked(&work, &all, 1) < 0 || look_at_rest(&all) < 0
                 || all.lengths.count > UINT32_MAX;
    if (before != Py_None && !failed) {
        lengths_drop_younger(&all.lengths, epoch);
    }
    PyObject *bytes = failed ? PyErr_NoMemory() : sorted_bytes(&all.lengths);
    mem_free(all.lengths.items);
    return bytes;
}

PyDoc_STRVAR(longest_rise_doc,
"longest_rise($module, current, old, /)\n"
"--\n"
"\n"
"By how many entries that container grew that grew most, of those in both *current* and\n"
"*old*, as from gc_lengths(); 0: none grew.\n"
"\n"
"Raises ValueError if a length is no multiple of 16.  Cost: one pass over both.");

static struct length
length_at(const Py_buffer *buffer, Py_ssize_t i)
{
    struct length one;
    memcpy(&one, (const char *)buffer->buf + (size_t)i * sizeof one, sizeof one);
    return one;
}

static uint64_t
find_longest_rise(const Py_buffer *current, const Py_buffer *old)
{
    Py_ssize_t count = current->len / (Py_ssize_t)sizeof(struct length);
    Py_ssize_t old_count = old->len / (Py_ssize_t)sizeof(struct length);
    uint64_t longest = 0;
    for (Py_ssize_t i = 0, j = 0; i < count && j < old_count;) {
        struct length now = length_at(current, i), then = length_at(old, j);
        if (now.address == then.address && now.entries > then.entries
            && now.entries - then.entries > longest) {
            longest = now.entries - then.entries;
        }
        i += now.address <= then.address;
        j += then.address <= now.address;
    }
    return longest;
}

static PyObject *
longest_rise(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer current, old;
    if (!PyArg_ParseTuple(args, "y*y*:longest_rise", &current, &old)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (current.len % (Py_ssize_t)sizeof(struct length) != 0
        || old.len % (Py_ssize_t)sizeof(struct length) != 0) {
        PyErr_SetString(PyExc_ValueError, "lengths are 16 bytes each");
    }
    else {
        result = PyLong_FromUnsignedLongLong(find_longest_rise(&current, &old));
    }
    PyBuffer_Release(&current);
    PyBuffer_Release(&old);
    return result;
}

PyMethodDef lengths_methods[] = {
    {"gc_lengths", gc_lengths, METH_VARARGS, gc_lengths_doc},
    {"longest_rise", longest_rise, METH_VARARGS, longest_rise_doc},
    {NULL, NULL, 0, NULL},
};
