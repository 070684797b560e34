/* What the collector tracks, counted and listed, without a graph.
 *
 * Pointers from enumerate_tracked are good until Python code may run, and making any
 * object may start a collection (3.11).  So everything is worked out first, what is
 * to be returned is referenced, and only then lists are made. */
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/sort.h"
#include "bind/bind.h"
#include "heap/enumerate.h"
#include "heap/pagemap.h"
#include "heap/sizes.h"

#define AHEAD 16

#if defined(__GNUC__)
#  define PREFETCH(address) __builtin_prefetch(address)
#else
#  define PREFETCH(address) ((void)(address))
#endif

/* Either all tracked objects or those of a list or tuple that the caller gave. */
struct objects {
    PyObject **items;
    size_t count;
};

/* The references to objects of a sequence are the caller's, which holds the list. */
static int
objects_open(struct objects *self, PyObject *given)
{
    *self = (struct objects){0};
    if (given == NULL || given == Py_None) {
        if (enumerate_tracked(&self->items, &self->count, 0) < 0) {
            PyErr_NoMemory();
            return -1;
        }
        return 0;
    }
    if (!PyList_Check(given) && !PyTuple_Check(given)) {
        PyErr_Format(PyExc_TypeError, "objects must be a list or a tuple, not %.200s",
                     Py_TYPE(given)->tp_name);
        return -1;
    }
    size_t count = (size_t)PySequence_Fast_GET_SIZE(given);
    self->items = mem_malloc(count + 1, sizeof *self->items);
    if (self->items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        self->items[i] = PySequence_Fast_GET_ITEM(given, (Py_ssize_t)i);
    }
    self->count = count;
    return 0;
}

static void
objects_close(struct objects *self)
{
    mem_free(self->items);
}

/* Has the memory of an object come that is looked at soon. */
static void
fetch(const struct objects *self, size_t i)
{
    if (i + AHEAD < self->count) {
        PREFETCH(self->items[i + AHEAD]);
    }
}

/* -- by class ----------------------------------------------------------------------- */

struct class_count {
    PyTypeObject *type;
    struct sizer sizer;
    size_t count, bytes;
};

/* Classes in the order in which they were first met. */
struct classes {
    struct class_count *items;
    size_t count, capacity;
    struct hashmap index;
    PyTypeObject *last;
    size_t last_at;
};

static void
classes_release(struct classes *self)
{
    mem_free(self->items);
    hashmap_clear(&self->index);
}

/* Position of a class, or -1 without memory. */
static Py_ssize_t
classes_find(struct classes *self, PyTypeObject *type)
{
    if (type == self->last) {
        return (Py_ssize_t)self->last_at;
    }
    const uint64_t *known = hashmap_get(&self->index, (uintptr_t)type);
    size_t at = known != NULL ? (size_t)*known : self->count;
    if (known == NULL) {
        if ((self->count == self->capacity
             && mem_grow((void **)&self->items, &self->capacity, self->count + 1,
                         sizeof *self->items)
                    < 0)
            || hashmap_put(&self->index, (uintptr_t)type, self->count) < 0) {
            return -1;
        }
        self->items[self->count++] = (struct class_count){.type = type, .sizer = sizer_of(type)};
    }
    self->last = type;
    self->last_at = at;
    return (Py_ssize_t)at;
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
    PyObject *given = NULL, *list = NULL;
    int sizes = 0;
    struct objects objects;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$p:gc_types", names, &given, &sizes)
        || objects_open(&objects, given) < 0) {
        return NULL;
    }
    struct classes classes = {0};
    int failed = 0;
    for (size_t i = 0; i < objects.count && !failed; i++) {
        fetch(&objects, i);
        Py_ssize_t at = classes_find(&classes, Py_TYPE(objects.items[i]));
        failed = at < 0;
        if (failed) {
            break;
        }
        classes.items[at].count++;
        if (sizes) {
            classes.items[at].bytes += sizer_measure(&classes.items[at].sizer, objects.items[i]);
        }
    }
    for (size_t i = 0; i < classes.count; i++) {
        Py_INCREF(classes.items[i].type);
    }
    objects_close(&objects);
    list = failed ? PyErr_NoMemory() : PyList_New((Py_ssize_t)classes.count);
    for (size_t i = 0; list != NULL && i < classes.count; i++) {
        const struct class_count *found = &classes.items[i];
        PyObject *row =
            Py_BuildValue("Onn", found->type, (Py_ssize_t)found->count, (Py_ssize_t)found->bytes);
        if (row == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    for (size_t i = 0; i < classes.count; i++) {
        Py_DECREF(classes.items[i].type);
    }
    classes_release(&classes);
    return list;
}

/* -- lists of objects ------------------------------------------------------------------ */

struct chosen {
    PyObject **items;
    size_t count, capacity;
};

static int
choose(struct chosen *self, PyObject *object)
{
    if (self->count == self->capacity
        && mem_grow((void **)&self->items, &self->capacity, self->count + 1, sizeof *self->items)
               < 0) {
        return -1;
    }
    self->items[self->count++] = Py_NewRef(object);
    return 0;
}

/* A new list that takes over the references, also when it fails; NULL with the
 * exception that is set, or MemoryError. */
static PyObject *
chosen_list(struct chosen *self, int failed)
{
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
    struct hashmap wanted = {0};
    struct objects objects;
    if (!PyArg_ParseTuple(args, "O|O:gc_objects", &types, &given)) {
        return NULL;
    }
    if (add_all(&wanted, types, 0) < 0 || objects_open(&objects, given) < 0) {
        hashmap_clear(&wanted);
        return NULL;
    }
    struct chosen chosen = {0};
    int failed = 0;
    for (size_t i = 0; i < objects.count && !failed; i++) {
        fetch(&objects, i);
        if (hashmap_get(&wanted, (uintptr_t)Py_TYPE(objects.items[i])) != NULL) {
            failed = choose(&chosen, objects.items[i]) < 0;
        }
    }
    objects_close(&objects);
    hashmap_clear(&wanted);
    return chosen_list(&chosen, failed);
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
    struct hashmap wanted = {0};
    struct objects objects;
    if (add_all(&wanted, addresses, 1) < 0 || objects_open(&objects, NULL) < 0) {
        hashmap_clear(&wanted);
        return NULL;
    }
    struct chosen chosen = {0};
    int failed = 0;
    for (size_t i = 0; i < objects.count && !failed; i++) {
        if (hashmap_get(&wanted, (uintptr_t)objects.items[i]) != NULL) {
            failed = choose(&chosen, objects.items[i]) < 0;
        }
    }
    objects_close(&objects);
    hashmap_clear(&wanted);
    return chosen_list(&chosen, failed);
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
    PyObject *given = NULL;
    struct objects candidates, tracked = {0};
    if (!PyArg_ParseTuple(args, "|O:gc_unreferenced", &given)
        || objects_open(&candidates, given) < 0) {
        return NULL;
    }
    struct marking *marking = mem_calloc(1, sizeof *marking);
    struct pagemap *map = pagemap_new();
    struct chosen chosen = {0};
    int failed = marking == NULL || map == NULL || objects_open(&tracked, NULL) < 0;
    for (size_t i = 0; i < candidates.count && !failed; i++) {
        uint32_t *slot = pagemap_slot(map, (uintptr_t)candidates.items[i]);
        failed = slot == NULL;
        if (!failed) {
            *slot = CANDIDATE;
        }
    }
    if (!failed) {
        marking->map = map;
    }
    for (size_t i = 0; i < tracked.count && !failed; i++) {
        PyObject *object = tracked.items[i];
        fetch(&tracked, i);
        if (object != given) {
            Py_TYPE(object)->tp_traverse(object, mark_later, marking);
        }
    }
    if (!failed) {
        mark_pending(marking);
    }
    for (size_t i = 0; i < candidates.count && !failed; i++) {
        if (!(pagemap_get(map, (uintptr_t)candidates.items[i]) & REFERRED)) {
            failed = choose(&chosen, candidates.items[i]) < 0;
        }
    }
    mem_free(marking);
    pagemap_free(map);
    objects_close(&tracked);
    objects_close(&candidates);
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
gc_ids(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    struct objects objects;
    if (objects_open(&objects, NULL) < 0) {
        return NULL;
    }
    size_t count = objects.count;
    uint64_t *key = mem_malloc(count + 1, sizeof *key);
    uint32_t *order = mem_malloc(count + 1, sizeof *order);
    uint32_t *class_of = mem_malloc(count + 1, sizeof *class_of);
    struct classes classes = {0};
    int failed = key == NULL || order == NULL || class_of == NULL || count > UINT32_MAX;
    for (size_t i = 0; i < count && !failed; i++) {
        fetch(&objects, i);
        Py_ssize_t at = classes_find(&classes, Py_TYPE(objects.items[i]));
        failed = at < 0;
        if (!failed) {
            classes.items[at].count++;
            class_of[i] = (uint32_t)at;
            key[i] = (uintptr_t)objects.items[i];
            order[i] = (uint32_t)i;
        }
    }
    failed = failed || sort_by_key(order, count, key) < 0;
    for (size_t i = 0; i < classes.count; i++) {
        Py_INCREF(classes.items[i].type);
    }
    objects_close(&objects);
    PyObject *list = failed ? PyErr_NoMemory() : PyList_New((Py_ssize_t)classes.count);
    for (size_t i = 0; list != NULL && i < classes.count; i++) {
        PyObject *bytes = PyBytes_FromStringAndSize(
            NULL, (Py_ssize_t)(classes.items[i].count * sizeof(uint64_t)));
        PyObject *row = Py_BuildValue("ON", classes.items[i].type, bytes);
        if (row == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, row);
        classes.items[i].bytes = 0;         /* numbers written so far */
    }
    for (size_t i = 0; list != NULL && i < count; i++) {
        struct class_count *class = &classes.items[class_of[order[i]]];
        PyObject *row = PyList_GET_ITEM(list, (Py_ssize_t)class_of[order[i]]);
        uint64_t *numbers = (uint64_t *)(void *)PyBytes_AS_STRING(PyTuple_GET_ITEM(row, 1));
        numbers[class->bytes++] = key[order[i]];
    }
    for (size_t i = 0; i < classes.count; i++) {
        Py_DECREF(classes.items[i].type);
    }
    classes_release(&classes);
    mem_free(key);
    mem_free(order);
    mem_free(class_of);
    return list;
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
