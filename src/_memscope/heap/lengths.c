#include "heap/lengths.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/sort.h"
#include "heap/enumerate.h"

static int
lengths_reserve(struct lengths *self, size_t more)
{
    size_t count = self->count + more;
    return count <= self->capacity
               ? 0
               : mem_grow((void **)&self->items, &self->capacity, count, sizeof *self->items);
}

static size_t
counter_of(unsigned kind)
{
    return kind == LENGTH_SET    ? offsetof(PySetObject, used)
           : kind == LENGTH_DICT ? offsetof(PyDictObject, ma_used)
                                 : offsetof(PyVarObject, ob_size);
}

int
lengths_add(struct lengths *self, PyObject *object, unsigned kind, size_t before)
{
    if (lengths_reserve(self, 1) < 0) {
        return -1;
    }
    size_t in_object = counter_of(kind);
    size_t size = before + (size_t)Py_TYPE(object)->tp_basicsize;
    self->items[self->count++] = (struct length){
        .counter = (const Py_ssize_t *)((const char *)object + in_object),
        .size = (uint32_t)(size < UINT32_MAX ? size : UINT32_MAX),
        .place = (uint8_t)(before + in_object),
    };
    return 0;
}

void
lengths_release(struct lengths *self)
{
    mem_free(self->items);
    *self = (struct lengths){0};
}

size_t
length_least_size(unsigned kind)
{
    return counter_of(kind) + sizeof(Py_ssize_t);
}

/* -- classes ----------------------------------------------------------------------------- */

/* The class by which a deque's length is read: the interpreter's own, which no Python code
 * can have made or changed. */
static int
is_deque(const PyTypeObject *type)
{
    return (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE)
           && strcmp(type->tp_name, "collections.deque") == 0;
}

static enum length_kind
kind_of(const PyTypeObject *type)
{
    if (type->tp_flags & Py_TPFLAGS_TYPE_SUBCLASS) {
        return LENGTH_METACLASS;
    }
    if (type == &PyFunction_Type) {
        return LENGTH_FUNCTION;
    }
    if (type->tp_free != PyObject_GC_Del) {
        return LENGTH_OF_OTHER;
    }
    if (type->tp_flags & Py_TPFLAGS_LIST_SUBCLASS) {
        return LENGTH_LIST;
    }
    if (type->tp_flags & Py_TPFLAGS_DICT_SUBCLASS) {
        return LENGTH_DICT;
    }
    for (; type != NULL; type = type->tp_base) {
        if (type == &PySet_Type) {
            return LENGTH_SET;
        }
        if (is_deque(type)) {
            return LENGTH_DEQUE;
        }
    }
    return LENGTH_OF_OTHER;
}

struct length_class
length_class_of(PyTypeObject *type)
{
    return (struct length_class){(uint8_t)kind_of(type), (uint8_t)pycompat_preheader_size(type),
                                 (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0,
                                 (uint8_t)pycompat_preheader_size(Py_TYPE(type))};
}

int
length_classes_put(struct hashmap *classes, PyTypeObject *type, struct length_class class)
{
    uint64_t value = 0;
    memcpy(&value, &class, sizeof class);
    return hashmap_put(classes, (uintptr_t)type, value);
}

int
length_classes_get(const struct hashmap *classes, const PyTypeObject *type,
                   struct length_class *class)
{
    const uint64_t *value = hashmap_get(classes, (uintptr_t)type);
    if (value != NULL) {
        memcpy(class, value, sizeof *class);
    }
    return value != NULL;
}

/* -- the pass ---------------------------------------------------------------------------- */

enum { RECENT = 256, DICTS = 16, VALUES = 64 };

/* What is looked at some turns after it was met, when its memory has come. */
struct pass {
    struct lengths *found;
    struct hashmap *classes;
    struct hashmap attributes;      /* blocks of the dicts that are left out */
    /* Classes, found again by some bits of the address. */
    struct {
        PyTypeObject *type;
        struct length_class class;
    } recent[RECENT];
    PyObject *dicts[DICTS], *values[VALUES];
    unsigned next_dict, next_value;
};

/* The collector tracks a dict from the first item on since 3.14. */
#define HAS_UNTRACKED_DICTS (PY_VERSION_HEX < 0x030E0000)

static int
look_at_value(struct pass *pass, PyObject *value)
{
    PyObject **slot = &pass->values[pass->next_value++ % VALUES], *before = *slot;
    *slot = value;
    PREFETCH(value);
    if (before == NULL || !PyDict_CheckExact(before) || PyObject_GC_IsTracked(before)) {
        return 0;
    }
    return lengths_add(pass->found, before, LENGTH_DICT, pycompat_preheader_size(&PyDict_Type));
}

static int
look_at_dict(struct pass *pass, PyObject *dict)
{
    PyObject **slot = &pass->dicts[pass->next_dict++ % DICTS], *before = *slot, *value;
    *slot = dict;
    if (dict != NULL) {
        PREFETCH(((PyDictObject *)dict)->ma_keys);
        PREFETCH((const char *)((PyDictObject *)dict)->ma_keys + 64);
        PREFETCH(((PyDictObject *)dict)->ma_values);
    }
    Py_ssize_t at = 0;
    int failed = 0;
    while (before != NULL && !failed && PyDict_Next(before, &at, NULL, &value)) {
        failed = look_at_value(pass, value);
    }
    return failed;
}

static int
look_at_rest(struct pass *pass)
{
    int failed = 0;
    for (int i = 0; i < DICTS && !failed; i++) {
        failed = look_at_dict(pass, NULL);
    }
    for (int i = 0; i < VALUES && !failed; i++) {
        failed = look_at_value(pass, NULL);
    }
    return failed;
}

static int
leave_out(struct pass *pass, PyObject *dict)
{
    return dict == NULL ? 0
                        : hashmap_put(&pass->attributes,
                                      (uintptr_t)dict - pycompat_preheader_size(&PyDict_Type), 1);
}

static int
leave_out_attributes(struct pass *pass, const PyFunctionObject *function)
{
    return leave_out(pass, function->func_dict) < 0
                   || leave_out(pass, function->func_annotations) < 0
                   || leave_out(pass, function->func_kwdefaults) < 0
               ? -1
               : 0;
}

/* Classes are known by themselves, and those that are in no list, being static, by an instance. */
static int
look_at_class(struct pass *pass, PyTypeObject *type, struct length_class *class)
{
    *class = length_class_of(type);
    return class->kind == LENGTH_OF_OTHER || class->kind == LENGTH_FUNCTION
               ? 0
               : length_classes_put(pass->classes, type, *class);
}

static int
pass_visit(void *whole, void *piece, PyObject *object)
{
    struct pass *pass = whole;
    PyTypeObject *type = Py_TYPE(object);
    size_t slot = ((uintptr_t)type >> 5 ^ (uintptr_t)type >> 13) % RECENT;
    if (pass->recent[slot].type != type) {
        if (look_at_class(pass, type, &pass->recent[slot].class) < 0) {
            return -1;
        }
        pass->recent[slot].type = type;
    }
    struct length_class class = pass->recent[slot].class, own;
    switch (class.kind) {
    case LENGTH_OF_OTHER:
        return 0;
    case LENGTH_METACLASS:
        return leave_out(pass, ((PyTypeObject *)object)->tp_dict) < 0
                       || look_at_class(pass, (PyTypeObject *)object, &own) < 0
                   ? -1
                   : 0;
    case LENGTH_FUNCTION:
        return leave_out_attributes(pass, (PyFunctionObject *)object);
    case LENGTH_DICT:
        if (HAS_UNTRACKED_DICTS && PyDict_GET_SIZE(object) > 0 && look_at_dict(pass, object) < 0) {
            return -1;
        }
        break;
    default:
        break;
    }
    return lengths_add(piece, object, class.kind, class.before);
}

static int
pass_join(void *whole, void *piece)
{
    struct lengths *self = ((struct pass *)whole)->found, *more = piece;
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
pass_release(void *piece)
{
    lengths_release(piece);
}

/* A dict that is the value of two others was met twice. */
static int
sort_each_once(struct lengths *self, const struct hashmap *left_out)
{
    uint32_t *order = mem_malloc(self->count + 1, sizeof *order);
    uint64_t *keys = mem_malloc(self->count + 1, sizeof *keys);
    struct lengths sorted = {mem_malloc(self->count + 1, sizeof *sorted.items), 0, self->count + 1};
    int failed = order == NULL || keys == NULL || sorted.items == NULL || self->count > UINT32_MAX;
    for (size_t i = 0; i < self->count && !failed; i++) {
        order[i] = (uint32_t)i;
        keys[i] = length_block(&self->items[i]);
    }
    failed = failed || sort_by_key(order, self->count, keys) < 0;
    for (size_t i = 0; i < self->count && !failed; i++) {
        struct length next = self->items[order[i]];
        bool again = sorted.count > 0 && sorted.items[sorted.count - 1].counter == next.counter;
        if (!again && hashmap_get(left_out, length_block(&next)) == NULL) {
            sorted.items[sorted.count++] = next;
        }
    }
    mem_free(order);
    mem_free(keys);
    if (failed) {
        lengths_release(&sorted);
        return -1;
    }
    lengths_release(self);
    *self = sorted;
    return 0;
}

int
lengths_find(struct lengths *self, struct hashmap *classes)
{
    static const struct at_tracked work = {sizeof(struct lengths), pass_visit, pass_join,
                                           pass_release};
    struct pass pass = {.found = self, .classes = classes};
    int failed = visit_tracked(&work, &pass, 1) < 0 || look_at_rest(&pass) < 0
                 || sort_each_once(self, &pass.attributes) < 0;
    hashmap_clear(&pass.attributes);
    return failed ? -1 : 0;
}
