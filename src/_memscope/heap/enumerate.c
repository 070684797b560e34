#include "heap/enumerate.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#if PY_VERSION_HEX >= 0x030E0000

struct walk {
    const struct at_tracked *work;
    void *whole, *piece;
    int failed;
};

static int
visit(PyObject *object, void *arg)
{
    struct walk *self = arg;
    self->failed = self->work->visit(self->whole, self->piece, object) < 0;
    return !self->failed;
}

static int
walk_lists(const struct at_tracked *work, void *whole, int frozen)
{
    (void)frozen;
    struct walk walk = {
        .work = work, .whole = whole, .piece = mem_calloc(1, work->piece_size), .failed = 1};
    if (walk.piece != NULL) {
        walk.failed = 0;
        PyUnstable_GC_VisitObjects(visit, &walk);
        walk.failed = walk.failed || work->join(whole, walk.piece) < 0;
        work->release(walk.piece);
        mem_free(walk.piece);
    }
    return walk.failed ? -1 : 0;
}

#else

/* Until 3.13 the lists of the generations are read where they lie (Modules/gcmodule.c,
 * Python/gc.c): 3.11 has no function that shows the objects without writing to each
 * of their reference counts, those of 3.12 and early 3.13 leave out what is frozen.
 *
 * The lists are circular; an object's links lie right before it.  The head of the
 * youngest follows the object tracked last, which is how it is found.  The heads are
 * neighbours, and a pointer to the first stands behind the third, which is how it is
 * known that the layout is the expected one. */

struct links {
    uintptr_t next;
    uintptr_t previous;         /* low two bits are flags */
};

struct generation {
    struct links head;
    int threshold, count;
};

/* After the three generations.  In late 3.13 these begin at any multiple of 4, this at one of 8. */
struct collector {
    struct links *first;
    struct generation permanent;        /* gc.freeze() */
    Py_ssize_t statistics[3][3];
    int collecting;
};

static const struct collector *
collector_of(const struct generation *generations)
{
    return (const struct collector *)(((uintptr_t)(generations + 3) + 7) & ~(uintptr_t)7);
}

enum { LISTS = 4 };

#define LINK_FLAGS ((uintptr_t)3)

static const struct links *
next_of(const struct links *links)
{
    return (const struct links *)(links->next & ~LINK_FLAGS);
}

static PyObject *
object_of(const struct links *links)
{
    return (PyObject *)(links + 1);
}

/* -- one list from many places -----------------------------------------------------
 *
 * Most of the cost is waiting for memory: a link is known only once the one before
 * has arrived.  So the lists are walked from many places at once, each up to where
 * another began, and the pieces are joined in the order of the lists.
 *
 * The places are found through sys.modules, which leads to the code of a program, and
 * through large containers, which are met early, being old.  That what they lead to is
 * in the lists is certain only while nothing is being collected, and while there is no
 * other interpreter, with lists of its own; else there is one place for each list.  One
 * that was passed before it was found makes a piece that nothing leads to, which is left
 * out. */

enum { PLACES = 96, FIRST_PLACES = 32, PLACE_TABLE = 4096, LARGE = 4096 };

struct place {
    const struct links *start, *at;     /* at: where the next piece starts, at the end */
    void *piece;
};

struct places {
    const struct links *heads[LISTS];
    struct place place[PLACES + LISTS];
    int count;
    int may_split;
    uint32_t random;
    /* place + 1, or IS_HEAD.  Open addressing; nearly empty, so that one look tells mostly. */
    unsigned char table[PLACE_TABLE];
};

#define IS_HEAD 0xff

static size_t
table_index(const struct links *links)
{
    return ((uintptr_t)links >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 52;
}

static int
lookup(const struct places *self, const struct links *links)
{
    for (size_t i = table_index(links);; i = (i + 1) % PLACE_TABLE) {
        int entry = self->table[i];
        if (entry == 0) {
            return 0;
        }
        if (entry != IS_HEAD && self->place[entry - 1].start == links) {
            return entry;
        }
        for (int head = 0; entry == IS_HEAD && head < LISTS; head++) {
            if (self->heads[head] == links) {
                return IS_HEAD;
            }
        }
    }
}

static void
insert(struct places *self, const struct links *links, int entry)
{
    size_t i = table_index(links);
    while (self->table[i] != 0) {
        i = (i + 1) % PLACE_TABLE;
    }
    self->table[i] = (unsigned char)entry;
}

static void
add_place(struct places *self, const struct links *start)
{
    if (self->count < PLACES + LISTS && lookup(self, start) == 0) {
        self->place[self->count] = (struct place){.start = start, .at = start};
        insert(self, start, ++self->count);
    }
}

static Py_ssize_t
random_below(struct places *self, Py_ssize_t end)
{
    self->random = self->random * 1664525u + 1013904223u;
    return (Py_ssize_t)(((uint64_t)self->random * (uint64_t)end) >> 32);
}

/* An item of a list or a dict, or NULL; borrowed. */
static PyObject *
random_item(struct places *self, PyObject *container)
{
    if (PyList_CheckExact(container)) {
        return PyList_GET_ITEM(container, random_below(self, PyList_GET_SIZE(container)));
    }
    /* Deleted items leave gaps, so there may be many more positions than items. */
    Py_ssize_t position = random_below(self, 3 * PyDict_GET_SIZE(container));
    PyObject *value;
    return PyDict_Next(container, &position, NULL, &value) ? value : NULL;
}

static int
is_large(PyObject *object)
{
    return (PyDict_CheckExact(object) && PyDict_GET_SIZE(object) >= LARGE)
           || (PyList_CheckExact(object) && PyList_GET_SIZE(object) >= LARGE);
}

static int
is_listed(PyObject *object)
{
    return PyObject_IS_GC(object) && PyObject_GC_IsTracked(object);
}

enum { REFERENTS = 8 };

struct referents {
    PyObject *objects[REFERENTS];
    int count;
};

static int
add_referent(PyObject *object, void *arg)
{
    struct referents *self = arg;
    if (!PyType_Check(object) && is_listed(object)) {
        self->objects[self->count++] = object;
    }
    return self->count == REFERENTS;
}

/* Some object a few references away.  A collection leaves the lists in the order in
 * which it reached the objects: items of a container first, then what they refer
 * to, so items alone would all be of one part. */
static PyObject *
stray(struct places *self, PyObject *object, int steps)
{
    for (; steps > 0; steps--) {
        struct referents referents = {.count = 0};
        Py_TYPE(object)->tp_traverse(object, add_referent, &referents);
        if (referents.count == 0) {
            break;
        }
        object = referents.objects[random_below(self, referents.count)];
    }
    return object;
}

static void
add_places_in(struct places *self, PyObject *container, int most)
{
    for (int i = 0; i < 2 * PLACES && self->count < most; i++) {
        PyObject *item = random_item(self, container);
        if (item != NULL && is_listed(item)) {
            add_place(self, (const struct links *)stray(self, item, i % 4) - 1);
        }
    }
}

/* Has the links and the class of an object come that is looked at in the next turn. */
static void
fetch(const struct links *links)
{
#if defined(__GNUC__)
    __builtin_prefetch(links);
    __builtin_prefetch(&object_of(links)->ob_type);
#else
    (void)links;
#endif
}

static int
walk_places(struct places *self, const struct at_tracked *work, void *whole)
{
    int active[PLACES + LISTS], left = 0;
    for (int started = 0; left > 0 || started < self->count;) {
        while (started < self->count) {
            struct place *place = &self->place[started];
            place->piece = mem_calloc(1, work->piece_size);
            if (place->piece == NULL) {
                return -1;
            }
            active[left++] = started++;
        }
        for (int i = 0; i < left; i++) {
            struct place *place = &self->place[active[i]];
            PyObject *object = object_of(place->at);
            if (work->visit(whole, place->piece, object) < 0) {
                return -1;
            }
            place->at = next_of(place->at);
            if (lookup(self, place->at) != 0) {
                active[i--] = active[--left];
                continue;
            }
            fetch(place->at);
            if (self->may_split && self->count < PLACES && is_large(object)) {
                add_places_in(self, object, PLACES);
            }
        }
    }
    return 0;
}

static int
join_places(const struct places *self, const struct at_tracked *work, void *whole, int lists)
{
    for (int head = 0; head < lists; head++) {
        for (const struct links *at = next_of(self->heads[head]); at != self->heads[head];) {
            const struct place *place = &self->place[lookup(self, at) - 1];
            if (work->join(whole, place->piece) < 0) {
                return -1;
            }
            at = place->at;
        }
    }
    return 0;
}

/* The generations, the youngest first. */
static const struct generation *
find_generations(void)
{
    PyObject *newest = PyList_New(0);
    if (newest == NULL) {
        PyErr_Clear();
        return NULL;
    }
    const struct generation *generations =
        (const struct generation *)next_of((const struct links *)newest - 1);
    PyObject_GC_UnTrack(newest);
    Py_DECREF(newest);
    return collector_of(generations)->first == &generations->head ? generations : NULL;
}

static int
has_one_interpreter(void)
{
    return PyInterpreterState_Next(PyInterpreterState_Head()) == NULL;
}

static int
walk_lists(const struct at_tracked *work, void *whole, int frozen)
{
    const struct generation *generations = find_generations();
    if (generations == NULL) {
        return -1;
    }
    const struct collector *collector = collector_of(generations);
    struct places places = {
        .heads = {&generations[0].head, &generations[1].head, &generations[2].head,
                  &collector->permanent.head},
    };
    for (int head = 0; head < LISTS; head++) {
        insert(&places, places.heads[head], IS_HEAD);
    }
    for (int head = 0; head < LISTS; head++) {
        if (next_of(places.heads[head]) != places.heads[head]) {
            add_place(&places, next_of(places.heads[head]));
        }
    }
    places.may_split = collector->collecting == 0 && has_one_interpreter();
    PyObject *modules = PySys_GetObject("modules");
    if (places.may_split && modules != NULL && PyDict_CheckExact(modules)
        && PyDict_GET_SIZE(modules) > 0) {
        add_places_in(&places, modules, FIRST_PLACES);
    }
    int failed = walk_places(&places, work, whole) < 0
                 || join_places(&places, work, whole, frozen ? LISTS : LISTS - 1) < 0;
    for (int i = 0; i < places.count; i++) {
        if (places.place[i].piece != NULL) {
            work->release(places.place[i].piece);
            mem_free(places.place[i].piece);
        }
    }
    return failed ? -1 : 0;
}

#endif

int
visit_tracked(const struct at_tracked *work, void *whole, int frozen)
{
#if PY_VERSION_HEX < 0x030C0000
    int enabled = PyGC_Disable();       /* 3.11 collects while it allocates */
#endif
    int status = walk_lists(work, whole, frozen);
#if PY_VERSION_HEX < 0x030C0000
    if (enabled) {
        PyGC_Enable();
    }
#endif
    return status;
}

/* -- as an array ------------------------------------------------------------------------ */

int
object_list_add(struct object_list *self, PyObject *object)
{
    if (self->count == self->capacity
        && mem_grow((void **)&self->items, &self->capacity, self->count + 1, sizeof *self->items)
               < 0) {
        return -1;
    }
    self->items[self->count++] = object;
    return 0;
}

int
object_list_join(struct object_list *self, struct object_list *more)
{
    if (self->items == NULL) {
        *self = *more;
        *more = (struct object_list){0};
        return 0;
    }
    size_t count = self->count + more->count;
    if (count > self->capacity
        && mem_grow((void **)&self->items, &self->capacity, count, sizeof *self->items) < 0) {
        return -1;
    }
    if (more->count > 0) {
        memcpy(self->items + self->count, more->items, more->count * sizeof *more->items);
    }
    self->count = count;
    return 0;
}

void
object_list_release(void *piece)
{
    mem_free(((struct object_list *)piece)->items);
}

static int
add_object(void *whole, void *piece, PyObject *object)
{
    (void)whole;
    return object_list_add(piece, object);
}

static int
join_objects(void *whole, void *piece)
{
    return object_list_join(whole, piece);
}

int
enumerate_tracked(PyObject ***objects, size_t *count, int frozen)
{
    static const struct at_tracked work = {sizeof(struct object_list), add_object, join_objects,
                                           object_list_release};
    struct object_list found = {0};
    if (visit_tracked(&work, &found, frozen) < 0) {
        mem_free(found.items);
        return -1;
    }
    *objects = found.items;
    *count = found.count;
    return 0;
}
