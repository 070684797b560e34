/* What the collector tracks, counted and listed, without a graph.
 *
 * The time goes into waiting for the memory of the objects, so each is looked at once:
 * what is asked of it is done while the lists of the collector are walked (visit_tracked).
 *
 * The objects are borrowed until Python code may run, and making any object may start a
 * collection (3.11).  So everything is worked out first, what is to be returned is
 * referenced, and only then lists are made. */
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/sort.h"
#include "bind/bind.h"
#include "heap/enumerate.h"
#include "heap/pagemap.h"
#include "heap/sizes.h"
#include "heap/visit.h"

#define AHEAD 16

static int
check_objects(PyObject *given)
{
    if (given != NULL && given != Py_None && !PyList_Check(given) && !PyTuple_Check(given)) {
        PyErr_Format(PyExc_TypeError, "objects must be a list or a tuple, not %.200s",
                     Py_TYPE(given)->tp_name);
        return -1;
    }
    return 0;
}

static int
is_given(PyObject *given)
{
    return given != NULL && given != Py_None;
}

/* All tracked objects, or those of a list or tuple that the caller gave, as one piece.
 * -1 without memory. */
static int
visit_objects(const struct at_tracked *work, void *whole, PyObject *given)
{
    if (!is_given(given)) {
        return visit_tracked(work, whole, 0);
    }
    void *piece = mem_calloc(1, work->piece_size);
    if (piece == NULL) {
        return -1;
    }
    Py_ssize_t count = PySequence_Fast_GET_SIZE(given);
    int failed = 0;
    for (Py_ssize_t i = 0; i < count && !failed; i++) {
        if (i + AHEAD < count) {
            PREFETCH(PySequence_Fast_GET_ITEM(given, i + AHEAD));
        }
        failed = work->visit(whole, piece, PySequence_Fast_GET_ITEM(given, i)) < 0;
    }
    failed = failed || work->join(whole, piece) < 0;
    work->release(piece);
    mem_free(piece);
    return failed ? -1 : 0;
}

/* -- by class ----------------------------------------------------------------------- */

struct numbers {
    uint64_t *items;
    size_t count, capacity;
};

static int
numbers_reserve(struct numbers *self, size_t more)
{
    size_t count = self->count + more;
    return count <= self->capacity
               ? 0
               : mem_grow((void **)&self->items, &self->capacity, count, sizeof *self->items);
}

/* What is known of the objects of one class. */
struct total {
    size_t count, bytes;
    struct numbers addresses;
};

/* Totals by the number of the class, and in which order these were first met. */
struct tally {
    struct total *of;
    size_t capacity;
    struct numbers met;
};

static void
tally_release(void *piece)
{
    struct tally *self = piece;
    for (size_t i = 0; i < self->capacity; i++) {
        mem_free(self->of[i].addresses.items);
    }
    mem_free(self->of);
    mem_free(self->met.items);
}

/* The total of a class, noted as met; NULL without memory. */
static struct total *
tally_of(struct tally *self, size_t class)
{
    if (class >= self->capacity) {
        size_t before = self->capacity;
        if (mem_grow((void **)&self->of, &self->capacity, class + 1, sizeof *self->of) < 0) {
            return NULL;
        }
        memset(self->of + before, 0, (self->capacity - before) * sizeof *self->of);
    }
    struct total *total = &self->of[class];
    if (total->count == 0) {
        if (numbers_reserve(&self->met, 1) < 0) {
            return NULL;
        }
        self->met.items[self->met.count++] = class;
    }
    return total;
}

struct class {
    PyTypeObject *type;
    struct sizer sizer;
};

enum { RECENT = 256 };

/* The classes of all pieces are numbered together; what is met is each piece's own.
 * `recent` is looked at before the index, by some bits of the address. */
struct census {
    int sizes, addresses;       /* what is wanted besides the number */
    struct class *classes;
    size_t count, capacity;
    struct hashmap index;
    struct recent {
        PyTypeObject *type;
        size_t class;
    } recent[RECENT];
    struct tally all;
};

static void
census_release(struct census *self)
{
    mem_free(self->classes);
    hashmap_clear(&self->index);
    tally_release(&self->all);
}

/* Number of a class, or -1 without memory. */
static Py_ssize_t
census_class(struct census *self, PyTypeObject *type)
{
    struct recent *recent = &self->recent[((uintptr_t)type >> 5 ^ (uintptr_t)type >> 13) % RECENT];
    if (recent->type == type) {
        return (Py_ssize_t)recent->class;
    }
    const uint64_t *known = hashmap_get(&self->index, (uintptr_t)type);
    if (known != NULL) {
        *recent = (struct recent){type, (size_t)*known};
        return (Py_ssize_t)*known;
    }
    if ((self->count == self->capacity
         && mem_grow((void **)&self->classes, &self->capacity, self->count + 1,
                     sizeof *self->classes)
                < 0)
        || hashmap_put(&self->index, (uintptr_t)type, self->count) < 0) {
        return -1;
    }
    self->classes[self->count] = (struct class){type, sizer_of(type)};
    return (Py_ssize_t)self->count++;
}

static int
census_visit(void *whole, void *piece, PyObject *object)
{
    struct census *self = whole;
    Py_ssize_t class = census_class(self, Py_TYPE(object));
    struct total *total = class < 0 ? NULL : tally_of(piece, (size_t)class);
    if (total == NULL) {
        return -1;
    }
    if (self->addresses) {
        if (numbers_reserve(&total->addresses, 1) < 0) {
            return -1;
        }
        total->addresses.items[total->addresses.count++] = (uintptr_t)object;
    }
    if (self->sizes) {
        total->bytes += sizer_measure(&self->classes[class].sizer, object);
    }
    total->count++;
    return 0;
}

static int
census_join(void *whole, void *piece)
{
    struct census *self = whole;
    struct tally *tally = piece;
    for (size_t i = 0; i < tally->met.count; i++) {
        size_t class = tally->met.items[i];
        struct total *total = tally_of(&self->all, class), *more = &tally->of[class];
        if (total == NULL || numbers_reserve(&total->addresses, more->addresses.count) < 0) {
            return -1;
        }
        if (more->addresses.count > 0) {
            memcpy(total->addresses.items + total->addresses.count, more->addresses.items,
                   more->addresses.count * sizeof *more->addresses.items);
            total->addresses.count += more->addresses.count;
        }
        total->count += more->count;
        total->bytes += more->bytes;
    }
    return 0;
}

static int
census_take(struct census *self, PyObject *given)
{
    static const struct at_tracked work = {sizeof(struct tally), census_visit, census_join,
                                           tally_release};
    int status = visit_objects(&work, self, given);
    for (size_t i = 0; i < self->all.met.count; i++) {
        Py_INCREF(self->classes[self->all.met.items[i]].type);
    }
    return status;
}

/* A list of rows, one for each class that was met, from *row*; NULL with an exception.
 * Ends the census. */
static PyObject *
census_list(struct census *self, int status,
            PyObject *(*row)(PyTypeObject *type, const struct total *total))
{
    size_t count = self->all.met.count;
    PyObject *list = status < 0 ? PyErr_NoMemory() : PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        size_t class = self->all.met.items[i];
        PyObject *made = row(self->classes[class].type, &self->all.of[class]);
        if (made == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, made);
    }
    for (size_t i = 0; i < count; i++) {
        Py_DECREF(self->classes[self->all.met.items[i]].type);
    }
    census_release(self);
    return list;
}

static PyObject *
types_row(PyTypeObject *type, const struct total *total)
{
    return Py_BuildValue("Onn", type, (Py_ssize_t)total->count, (Py_ssize_t)total->bytes);
}

PyDoc_STRVAR(gc_types_doc,
"gc_types($module, objects=None, /, *, sizes=False)\n"
"--\n"
"\n"
"(class, number of objects, bytes) for each class among what the collector tracks, or\n"
"among *objects*, in the order in which they are first met.  bytes is 0 unless *sizes*.\n"
"\n"
"Raises TypeError, MemoryError.  Cost: one pass, no allocation for an object.");

static PyObject *
gc_types(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "sizes", NULL};
    PyObject *given = NULL;
    struct census census = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$p:gc_types", names, &given, &census.sizes)
        || check_objects(given) < 0) {
        return NULL;
    }
    return census_list(&census, census_take(&census, given), types_row);
}

/* -- lists of objects ------------------------------------------------------------------ */

/* A new list of what was chosen; NULL with the exception that is set, or MemoryError. */
static PyObject *
chosen_list(struct object_list *self, int failed)
{
    for (size_t i = 0; i < self->count; i++) {
        if (i + AHEAD < self->count) {
            PREFETCH(self->items[i + AHEAD]);
        }
        Py_INCREF(self->items[i]);
    }
    if (failed && !PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    PyObject *list = failed ? NULL : PyList_New((Py_ssize_t)self->count);
    for (size_t i = 0; i < self->count; i++) {
        if (list != NULL) {
            PyList_SET_ITEM(list, (Py_ssize_t)i, self->items[i]);
        }
        else {
            Py_DECREF(self->items[i]);
        }
    }
    mem_free(self->items);
    return list;
}

/* Adds the address of each item of an iterable of objects (or of ints, if they are
 * `numbers`) to a set.  -1 with an exception. */
static int
add_all(struct hashmap *set, PyObject *iterable, int numbers)
{
    PyObject *items = PySequence_Fast(iterable, "expected an iterable");
    int status = items == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PySequence_Fast_GET_SIZE(items); i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(items, i);
        uint64_t key = (uintptr_t)item;
        if (numbers) {
            key = PyLong_AsUnsignedLongLong(item);
            if (key == (uint64_t)-1 && PyErr_Occurred()) {
                if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
                    status = -1;
                    break;
                }
                PyErr_Clear();      /* no address is negative or that large */
                continue;
            }
        }
        if (key != HASHMAP_NO_KEY && hashmap_put(set, key, 0) < 0) {
            PyErr_NoMemory();
            status = -1;
        }
    }
    Py_XDECREF(items);
    return status;
}

/* Which objects are wanted: by their class, or by themselves. */
struct wanted {
    struct hashmap keys;
    int by_class;
    struct object_list found;
};

static int
wanted_visit(void *whole, void *piece, PyObject *object)
{
    struct wanted *self = whole;
    uintptr_t key = (uintptr_t)(self->by_class ? (void *)Py_TYPE(object) : (void *)object);
    return hashmap_get(&self->keys, key) == NULL ? 0 : object_list_add(piece, object);
}

static int
wanted_join(void *whole, void *piece)
{
    return object_list_join(&((struct wanted *)whole)->found, piece);
}

static PyObject *
wanted_list(struct wanted *self, PyObject *given)
{
    static const struct at_tracked work = {sizeof(struct object_list), wanted_visit, wanted_join,
                                           object_list_release};
    int failed = self->keys.count > 0 && visit_objects(&work, self, given) < 0;
    hashmap_clear(&self->keys);
    return chosen_list(&self->found, failed);
}

PyDoc_STRVAR(gc_objects_doc,
"gc_objects($module, types, objects=None, /)\n"
"--\n"
"\n"
"The objects of exactly these classes among what the collector tracks, or among\n"
"*objects*, in their order.\n"
"\n"
"Raises TypeError, MemoryError.  Cost: one pass.");

static PyObject *
gc_objects(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *types, *given = NULL;
    struct wanted wanted = {.by_class = 1};
    if (!PyArg_ParseTuple(args, "O|O:gc_objects", &types, &given) || check_objects(given) < 0) {
        return NULL;
    }
    if (add_all(&wanted.keys, types, 0) < 0) {
        hashmap_clear(&wanted.keys);
        return NULL;
    }
    return wanted_list(&wanted, given);
}

PyDoc_STRVAR(gc_at_doc,
"gc_at($module, addresses, /)\n"
"--\n"
"\n"
"The tracked objects at the given addresses.\n"
"\n"
"Raises TypeError, MemoryError.  Cost: one pass over what is tracked.");

static PyObject *
gc_at(PyObject *Py_UNUSED(module), PyObject *addresses)
{
    struct wanted wanted = {0};
    if (add_all(&wanted.keys, addresses, 1) < 0) {
        hashmap_clear(&wanted.keys);
        return NULL;
    }
    return wanted_list(&wanted, NULL);
}

/* -- what nothing refers to ---------------------------------------------------------------- */

#define REFERRED 1
#define CANDIDATE 2

struct marking {
    struct pagemap *map;
    PyObject *pending[512];
    size_t count;
};

static void
mark_pending(struct marking *self)
{
    for (size_t i = 0; i < self->count; i++) {
        uint32_t *region = pagemap_region(self->map, (uintptr_t)self->pending[i]);
        if (region != NULL) {
            region[pagemap_index((uintptr_t)self->pending[i])] |= REFERRED;
        }
    }
    self->count = 0;
}

static int
mark_later(PyObject *object, void *arg)
{
    struct marking *self = arg;
    pagemap_prefetch(self->map, (uintptr_t)object);
    self->pending[self->count++] = object;
    if (self->count == sizeof self->pending / sizeof *self->pending) {
        mark_pending(self);
    }
    return 0;
}

PyDoc_STRVAR(gc_unreferenced_doc,
"gc_unreferenced($module, objects=None, /)\n"
"--\n"
"\n"
"The objects, of all tracked ones or of *objects*, that no tracked object refers to;\n"
"*objects* itself does not count.\n"
"\n"
"Raises TypeError, MemoryError.  Cost: one pass over all tracked objects and what they\n"
"refer to.");

static PyObject *
gc_unreferenced(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *given = NULL, **tracked = NULL, **candidates;
    size_t tracked_count = 0, count;
    if (!PyArg_ParseTuple(args, "|O:gc_unreferenced", &given) || check_objects(given) < 0) {
        return NULL;
    }
    struct marking *marking = mem_calloc(1, sizeof *marking);
    struct pagemap *map = NULL;
    struct object_list chosen = {0};
    int failed = marking == NULL || enumerate_tracked(&tracked, &tracked_count, 0) < 0
                 || (map = pagemap_new()) == NULL;
    candidates = is_given(given) ? PySequence_Fast_ITEMS(given) : tracked;
    count = is_given(given) ? (size_t)PySequence_Fast_GET_SIZE(given) : tracked_count;
    for (size_t i = 0; i < count && !failed; i++) {
        if (i + AHEAD < count) {
            pagemap_prefetch(map, (uintptr_t)candidates[i + AHEAD]);
        }
        uint32_t *slot = pagemap_slot(map, (uintptr_t)candidates[i]);
        failed = slot == NULL;
        if (!failed) {
            *slot = CANDIDATE;
        }
    }
    if (!failed) {
        marking->map = map;
    }
    for (size_t i = 0; i < tracked_count && !failed; i++) {
        if (i + AHEAD < tracked_count) {
            PREFETCH(tracked[i + AHEAD]);
            object_prefetch_contents(tracked[i + AHEAD / 2]);
        }
        if (tracked[i] != given) {
            Py_TYPE(tracked[i])->tp_traverse(tracked[i], mark_later, marking);
        }
    }
    if (!failed) {
        mark_pending(marking);
    }
    for (size_t i = 0; i < count && !failed; i++) {
        if (i + AHEAD < count) {
            pagemap_prefetch(map, (uintptr_t)candidates[i + AHEAD]);
        }
        if (!(pagemap_get(map, (uintptr_t)candidates[i]) & REFERRED)) {
            failed = object_list_add(&chosen, candidates[i]) < 0;
        }
    }
    mem_free(marking);
    pagemap_free(map);
    mem_free(tracked);
    return chosen_list(&chosen, failed);
}

/* -- addresses as data ------------------------------------------------------------------------ */

PyDoc_STRVAR(gc_ids_doc,
"gc_ids($module, /)\n"
"--\n"
"\n"
"(class, addresses) for each class among what the collector tracks, in the order in\n"
"which they are first met; the addresses ascend, as bytes of native 64-bit numbers.\n"
"\n"
"Raises MemoryError.  Cost: one pass and a sort; 8 bytes for an object.");

static PyObject *
ids_row(PyTypeObject *type, const struct total *total)
{
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)total->addresses.items,
                                                (Py_ssize_t)(total->count * sizeof(uint64_t)));
    return bytes == NULL ? NULL : Py_BuildValue("ON", type, bytes);
}

static PyObject *
gc_ids(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    struct census census = {.addresses = 1};
    int status = census_take(&census, NULL);
    for (size_t i = 0; i < census.all.met.count && status == 0; i++) {
        const struct total *total = &census.all.of[census.all.met.items[i]];
        status = sort_numbers(total->addresses.items, total->count);
    }
    return census_list(&census, status, ids_row);
}

PyDoc_STRVAR(ids_added_doc,
"ids_added($module, current, old, /)\n"
"--\n"
"\n"
"The set of numbers in *current* that are not in *old*, both as from gc_ids().\n"
"\n"
"Raises ValueError if a length is no multiple of 8.  Cost: one pass over both.");

static PyObject *
ids_added(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer current, old;
    if (!PyArg_ParseTuple(args, "y*y*:ids_added", &current, &old)) {
        return NULL;
    }
    PyObject *set = NULL;
    if (current.len % 8 != 0 || old.len % 8 != 0) {
        PyErr_SetString(PyExc_ValueError, "addresses are 8 bytes each");
    }
    else {
        set = PySet_New(NULL);
    }
    Py_ssize_t j = 0, old_count = old.len / 8;
    for (Py_ssize_t i = 0; set != NULL && i < current.len / 8; i++) {
        uint64_t number, other = 0;
        memcpy(&number, (const char *)current.buf + 8 * i, 8);
        for (; j < old_count; j++) {
            memcpy(&other, (const char *)old.buf + 8 * j, 8);
            if (other >= number) {
                break;
            }
        }
        if (j < old_count && other == number) {
            continue;
        }
        PyObject *object = PyLong_FromUnsignedLongLong(number);
        if (object == NULL || PySet_Add(set, object) < 0) {
            Py_CLEAR(set);
        }
        Py_XDECREF(object);
    }
    PyBuffer_Release(&current);
    PyBuffer_Release(&old);
    return set;
}

PyMethodDef counting_methods[] = {
    {"gc_types", (PyCFunction)(void (*)(void))gc_types, METH_VARARGS | METH_KEYWORDS, gc_types_doc},
    {"gc_objects", gc_objects, METH_VARARGS, gc_objects_doc},
    {"gc_at", gc_at, METH_O, gc_at_doc},
    {"gc_unreferenced", gc_unreferenced, METH_VARARGS, gc_unreferenced_doc},
    {"gc_ids", gc_ids, METH_NOARGS, gc_ids_doc},
    {"ids_added", ids_added, METH_VARARGS, ids_added_doc},
    {NULL, NULL, 0, NULL},
};
