/* How much each container holds, noted, to be compared later.
 *
 * A program that puts what it has already into a list allocates nothing until the list
 * is resized: only its length tells.  So containers are remembered by their addresses, and
 * their lengths read again.
 *
 * They are found by a pass over all that the collector tracks (heap/lengths.h), which takes as
 * long as many a test.  It need not be made again while the tracer can tell what has changed:
 *
 *     freed      Each container is watched (trace/traces.h), as code objects are.  An address
 *                is read only while its block is, so what is read is memory that is in use.
 *                The tracer marks where a watched block ended: others need no look at their traces.
 *     new        Blocks of the epochs since, in which a container lies: where its class must
 *                stand is the address of a class of containers.  Those are known from the
 *                pass, and new ones found in the same way, by their metaclasses.
 *
 * A pass over the containers still takes a cache miss for each.  By far most are as they were when
 * they were last read, so the pass after some work can be the one before the next, too: between
 * the two, only those are read that changed in one of the last hundred passes, the hot ones.  If
 * another has changed then, it is not known when, and renew() says so.  One that changed and has
 * as many entries again looks as if it had not.
 *
 * Those that are of no interest can be left out, or what is read would become more and more: they
 * are not watched any longer, and so not read.
 *
 * One that lies in a free list counts as alive: its block is, and nothing changes its length.
 * So does, until the next pass, what only looks like one.  Either costs a look, no more.  A
 * pass does not find those in free lists: they should be empty then.
 *
 * What is noted is data, so that it keeps nothing alive and is no growth itself. */
#include <string.h>

#include "base/mem.h"
#include "bind/bind.h"
#include "heap/lengths.h"
#include "trace/tracer.h"

typedef struct {
    PyObject_HEAD
    struct lengths lengths;
    uint32_t *hot;              /* where in the list those are that changed lately */
    size_t hot_count, hot_capacity;
    struct hashmap classes;
    uint64_t sight;             /* traces.sight while the list is whole; 0: it is not */
    uint64_t since;             /* epoch in which it was last made whole; since all were found
                                   it has been seen of each block whether it ended */
    uint64_t read;              /* epoch that began when all were last read */
    unsigned notes;             /* since all were found */
    bool of_hot;                /* the last note read those alone */
} Lengths;

enum {
    /* Notes from one pass to the next at most: what the tracer cannot tell of is found then
     * (instances of a class whose metaclass is new too, or that is static and had none). */
    MOST_NOTES = 1024,
    /* Epochs: traces.h merges those more than 128 old, and the merged have the older number. */
    MOST_EPOCHS = 100,
    /* Items of which the memory is asked for before they are read. */
    AHEAD = 16,
};

/* In `heat` of one: how many passes ago it was found changed, counted from HOT down, and */
enum {
    HOT = 100,
    NOTED = 1 << 7,             /* it was read by the last note, which did not read all */
};

/* Where traces.gone has a word of this block: read for each container in each pass. */
static uint16_t
mark_of(uintptr_t block)
{
    _Static_assert(TRACES_GONE <= UINT16_MAX + 1, "a mark has 16 bits");
    return (uint16_t)traces_gone_at(block);
}

static void
lengths_forget(Lengths *self)
{
    lengths_release(&self->lengths);
    hashmap_clear(&self->classes);
    self->hot_count = 0;
    self->sight = 0;
}

/* -- found by a pass ----------------------------------------------------------------------
 *
 * From here on "held" says that gate and lock are, and that the tracer is on. */

static int
watch_class(PyTypeObject *type, struct length_class class)
{
    return class.is_heap_type
               ? traces_watch(&tracer.traces, (uintptr_t)type - class.block, sizeof(PyTypeObject))
               : 0;
}

/* Held.  From now on it can be told whether what is in the list is alive. */
static int
watch_all(Lengths *self)
{
    struct traces *traces = &tracer.traces;
    for (size_t i = 0; i < self->lengths.count; i++) {
        struct length *one = &self->lengths.items[i];
        one->mark = mark_of(length_block(one));
        if (traces_watch(traces, length_block(one), one->size) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < self->classes.capacity; i++) {
        PyTypeObject *type = (PyTypeObject *)(uintptr_t)self->classes.entries[i].key;
        struct length_class class;
        if (self->classes.entries[i].key != HASHMAP_NO_KEY
            && length_classes_get(&self->classes, type, &class) && watch_class(type, class) < 0) {
            return -1;
        }
    }
    self->sight = ++traces->sight;
    memset(traces->gone, 0, sizeof(traces->gone));
    /* Of older blocks some may have ended unseen: the trace of one says nothing. */
    self->since = self->read = traces_advance_epoch(traces);
    self->notes = 0;
    self->of_hot = false;
    return 0;
}

/* 0, or -1 without memory and an empty list. */
static int
find_all(Lengths *self)
{
    lengths_forget(self);
    int failed = lengths_find(&self->lengths, &self->classes) < 0;
    if (!failed) {
        int biased = tracer_lock();
        failed = tracer_is_on() && watch_all(self) < 0;
        tracer_unlock(biased);
    }
    if (failed) {
        lengths_forget(self);
        return -1;
    }
    for (size_t i = 0; i < self->lengths.count; i++) {
        self->lengths.items[i].entries = length_entries(&self->lengths.items[i]);
    }
    return 0;
}

/* -- kept up to date ---------------------------------------------------------------------- */

/* Held. */
static int
is_whole(const Lengths *self)
{
    const struct traces *traces = &tracer.traces;
    uint64_t oldest = self->read < self->since ? self->read : self->since;
    return self->sight != 0 && self->sight == traces->sight && traces->now - oldest <= MOST_EPOCHS
           && self->notes < MOST_NOTES;
}

/* Held.  Whether the container lives, and is not left out.  Its trace is looked at only where
 * there is a hint that it may not; then the block may be that of another by now, which is in the
 * list too. */
static inline bool
is_there(const Lengths *self, const struct length *one)
{
    const struct traces *traces = &tracer.traces;
    if (!traces->gone[one->mark]) {
        return true;
    }
    uint64_t word = shadow_get(&traces->gil.shadow, length_block(one));
    uint64_t seen = one->heat & NOTED ? self->since : self->read;
    return (word & SHADOW_WATCHED)
           && (shadow_word_traceback(word) == 0 || traces->epochs[shadow_word_epoch(word)] < seen);
}

/* Held.  Whether it was allocated before that epoch, for all that is known: another may lie in
 * its block now, which was in a free list meanwhile. */
static bool
is_older(const struct length *one, uint64_t before)
{
    const struct traces *traces = &tracer.traces;
    uint64_t word = shadow_get(&traces->gil.shadow, length_block(one));
    return shadow_word_traceback(word) == 0 || traces->epochs[shadow_word_epoch(word)] < before;
}

struct reading {
    uint64_t before;            /* what was allocated in this epoch or later does not count */
    bool of_hot;                /* since the last note only those say by how much they rose */
    bool is_unsure;             /* another has changed, before that note or after */
    int32_t longest;            /* rise of one, so far */
};

/* Held.  -1 without memory; what it has to say then is that the list is not whole. */
static int
add_hot(Lengths *self, size_t i)
{
    if (self->hot_count == self->hot_capacity
        && mem_grow((void **)&self->hot, &self->hot_capacity, self->hot_count + 1,
                    sizeof *self->hot)
               < 0) {
        return -1;
    }
    self->hot[self->hot_count++] = (uint32_t)i;
    return 0;
}

static void
read_length(struct length *one, struct reading *reading)
{
    int32_t rise = length_rise(one);
    if (rise == 0) {
        one->heat = (uint8_t)(one->heat & ~NOTED);
        one->heat -= one->heat > 0;
        return;
    }
    if (reading->of_hot && !(one->heat & NOTED)) {
        reading->is_unsure = reading->is_unsure || is_older(one, reading->before);
    }
    else if (rise > reading->longest && is_older(one, reading->before)) {
        reading->longest = rise;
    }
    one->entries = length_entries(one);
    one->heat = HOT;
}

static inline void
read_one(Lengths *self, size_t i, struct reading *reading)
{
    struct length *one = &self->lengths.items[i];
    /* Most are as they were, and need not be written. */
    if (one->heat != 0 || length_rise(one) != 0) {
        read_length(one, reading);
        if (one->heat != 0 && add_hot(self, i) < 0) {
            self->sight = 0;
        }
    }
}

/* Held.  Reads them from `i` on, of `end` at most, up to the first that is dead: where it is. */
static inline size_t
read_until_dead(Lengths *self, size_t i, size_t end, size_t ahead, struct reading *reading)
{
    const struct length *items = self->lengths.items;
    for (; i < end; i++) {
        PREFETCH(items[i + ahead].counter);
        if (!is_there(self, &items[i])) {
            break;
        }
        read_one(self, i, reading);
    }
    return i;
}

/* Held.  Drops the dead, reads the lengths of the others and compares them with what was noted. */
static void
read_all(Lengths *self, struct reading *reading)
{
    struct length *items = self->lengths.items;
    size_t count = self->lengths.count, fetched = count > AHEAD ? count - AHEAD : 0;
    self->hot_count = 0;
    /* The old ones come first, and hardly one of them dies. */
    size_t kept = read_until_dead(self, 0, fetched, AHEAD, reading);
    kept = read_until_dead(self, kept, kept < fetched ? kept : count, 0, reading);
    for (size_t i = kept; i < count; i++) {
        if (is_there(self, &items[i])) {
            items[kept] = items[i];
            read_one(self, kept++, reading);
        }
    }
    self->lengths.count = kept;
    memset(tracer.traces.gone, 0, sizeof(tracer.traces.gone));
    self->read = traces_advance_epoch(&tracer.traces);
}

/* Held.  Reads those alone that change more often than others. */
static void
read_hot(Lengths *self)
{
    for (size_t i = 0; i < self->hot_count; i++) {
        struct length *one = &self->lengths.items[self->hot[i]];
        if (!is_there(self, one)) {
            one->heat &= (uint8_t)~NOTED;
            continue;
        }
        if (length_rise(one) != 0) {
            one->entries = length_entries(one);
            one->heat = HOT;
        }
        one->heat |= NOTED;
    }
}

/* What an object may have before it in its block. */
#ifdef Py_GIL_DISABLED
enum { LEAST_BEFORE = 0 };
#else
enum { LEAST_BEFORE = 2 * sizeof(void *) };
#endif
enum { MOST_BEFORE = LEAST_BEFORE + 2 * sizeof(void *) };

/* A class in a new block, of which `room` bytes are its own: 1 if more is known by it now. */
static int
add_class(Lengths *self, PyTypeObject *type, size_t room)
{
    if (room < sizeof(PyTypeObject) || !(type->tp_flags & Py_TPFLAGS_READY)) {
        return 0;
    }
    struct length_class class = length_class_of(type);
    if (class.kind == LENGTH_OF_OTHER || !class.is_heap_type) {
        return 0;
    }
    return watch_class(type, class) < 0 || length_classes_put(&self->classes, type, class) < 0 ? -1
                                                                                               : 1;
}

/* Whether the collector has it in a list: before it are the addresses of its neighbours, where a
 * shorter header would be followed by a reference count. */
static int
is_listed(PyObject *object)
{
#ifdef Py_GIL_DISABLED
    return PyObject_GC_IsTracked(object);
#else
    return ((const uintptr_t *)object)[-2] > UINT16_MAX;
#endif
}

static int
add_container(Lengths *self, PyObject *object, struct length_class class, size_t room)
{
    /* One that is in no list of the collector's may be a dict, or wait in a free list to be made
     * anew, or not be ready; where it would be of a subclass, it is none. */
    if (room < length_least_size(class.kind)
        || (class.before > LEAST_BEFORE && !is_listed(object))) {
        return 0;
    }
    if (traces_watch(&tracer.traces, (uintptr_t)object - class.before, room) < 0
        || add_hot(self, self->lengths.count) < 0
        || lengths_add(&self->lengths, object, class.kind, class.before) < 0) {
        return -1;
    }
    struct length *last = &self->lengths.items[self->lengths.count - 1];
    last->mark = mark_of(length_block(last));
    last->entries = length_entries(last);
    last->heat = NOTED | HOT; /* its place may soon be taken by another, by way of a free list */
    return 0;
}

/* Held.  What is in a new block: -1 without memory, 1 if a class that was not known. */
static int
add_block(Lengths *self, uintptr_t block, size_t size)
{
    for (size_t before = LEAST_BEFORE; before <= MOST_BEFORE; before += 2 * sizeof(void *)) {
        if (size < before + sizeof(PyVarObject)) {
            return 0;
        }
        PyObject *object = (PyObject *)(block + before);
        PyTypeObject *type = object->ob_type;
        struct length_class class;
        if (!length_classes_get(&self->classes, type, &class) || class.before != before
            || (class.is_heap_type
                && !traces_is_watched(&tracer.traces, (uintptr_t)type - class.block))) {
            continue;
        }
        return class.kind == LENGTH_METACLASS
                   ? add_class(self, (PyTypeObject *)object, size - before)
                   : add_container(self, object, class, size - before);
    }
    return 0;
}

/* Held.  The blocks of objects since the list was whole: as add_block for all. */
static int
add_blocks(Lengths *self)
{
    const struct traces *traces = &tracer.traces;
    unsigned first = traces->epoch;
    while (first > 0 && traces->epochs[first - 1] >= self->since) {
        first--;
    }
    struct shadow_walk walk = {.since = first};
    const struct shadow_page *page;
    int found = 0;
    while ((page = shadow_next(&traces->gil.shadow, &walk)) != NULL) {
        size_t i = 0;
        while ((i = shadow_word_from(page, i)) < shadow_slots(page)) {
            uint64_t word = page->slots[i++];
            if (shadow_word_epoch(word) < first || shadow_word_traceback(word) == 0
                || (word & SHADOW_WATCHED) || shadow_word_domain(word) != SNAPSHOT_OBJ
                || shadow_word_size(word) == SHADOW_LARGE) {
                continue;
            }
            int added = add_block(self, shadow_address(&walk, word), shadow_word_size(word));
            if (added < 0) {
                return -1;
            }
            found |= added;
        }
    }
    return found;
}

/* 0 if the list is whole again, 1 if a pass is needed for that, -1 without memory. */
static int
keep_up(Lengths *self, bool hot)
{
    int result = 1, biased = tracer_lock();
    if (tracer_is_on() && is_whole(self)) {
        if (hot) {
            read_hot(self);
        }
        else {
            read_all(self, &(struct reading){0});
        }
        self->of_hot = hot;
        /* Of a class that was not known there may be instances already. */
        do {
            result = add_blocks(self);
        } while (result == 1);
        /* Not what is left out now, at the next note. */
        self->since = traces_advance_epoch(&tracer.traces);
        self->notes++;
    }
    tracer_unlock(biased);
    return result;
}

/* Held.  The longest rise of one from `i` to `end` that is older, if it is longer than that. */
static inline int32_t
longest_rise_of(const Lengths *self, size_t i, size_t end, size_t ahead, uint64_t before,
                int32_t longest)
{
    const struct length *items = self->lengths.items;
    for (; i < end; i++) {
        PREFETCH(items[i + ahead].counter);
        if (is_there(self, &items[i]) && length_rise(&items[i]) > longest
            && is_older(&items[i], before)) {
            longest = length_rise(&items[i]);
        }
    }
    return longest;
}

/* By how many entries that one grew that grew most; -1: it cannot be told. */
static int32_t
find_longest_rise(Lengths *self, uint64_t before, bool note)
{
    size_t count = self->lengths.count, fetched = count > AHEAD ? count - AHEAD : 0;
    int32_t longest = -1;
    int biased = tracer_lock();
    if (!tracer_is_on() || self->sight == 0 || self->sight != tracer.traces.sight
        || (self->of_hot && !note)) {
        /* Some may have died unseen, or were not noted. */
    }
    else if (note) {
        struct reading reading = {.before = before, .of_hot = self->of_hot};
        read_all(self, &reading);
        self->of_hot = false;
        longest = reading.is_unsure ? -1 : reading.longest;
    }
    else {
        longest = longest_rise_of(self, 0, fetched, AHEAD, before, 0);
        longest = longest_rise_of(self, fetched, count, 0, before, longest);
    }
    tracer_unlock(biased);
    return longest;
}

/* -- in Python ---------------------------------------------------------------------------- */

PyDoc_STRVAR(note_doc,
"note($self, /)\n"
"--\n"
"\n"
"Note how many entries each list, dict, set and deque has, and those of their subclasses: of\n"
"what the collector tracks, frozen too; and until CPython 3.13 of the dicts it does not track\n"
"that are values of other dicts, or were made since the last note.  The interpreter's free lists\n"
"should be empty: an object that comes from there later may not be known.\n"
"\n"
"True if all were found anew, those too that were left out; else False.  Begins a new epoch.\n"
"\n"
"Raises MemoryError, and then nothing is noted.  Cost: the first time, and when the tracer may\n"
"have missed something, a pass over what the collector tracks, after which 16 bytes are kept\n"
"for each container, and 8 to 16 in the tracer; else a pass over the containers and the pages of\n"
"what is traced.");

static PyObject *
note_some(Lengths *self, bool hot)
{
    if (tracer_check() < 0) {
        return PyErr_NoMemory();
    }
    bool found_anew = keep_up(self, hot) != 0;
    if (found_anew && find_all(self) < 0) {
        return PyErr_NoMemory();
    }
    return PyBool_FromLong(found_anew);
}

static PyObject *
note(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return note_some((Lengths *)self, false);
}

PyDoc_STRVAR(note_hot_doc,
"note_hot($self, /)\n"
"--\n"
"\n"
"As note(), but reads only what is new, and those that one of the last hundred readings of all,\n"
"by note() or renew(), found changed.  If another has changed when renew() is called, before this\n"
"or after, it says that it cannot tell.\n"
"\n"
"Cost: of note() without the pass over the containers.");

static PyObject *
note_hot(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return note_some((Lengths *)self, true);
}

PyDoc_STRVAR(leave_out_doc,
"leave_out($self, containers, /)\n"
"--\n"
"\n"
"Do not read these any more, a list of objects, until note() finds all anew.  Others than the\n"
"containers that it has noted are ignored.  If memory is not traced, nothing happens.\n"
"\n"
"Raises TypeError for what is no list.  Cost: of the list's length.");

static PyObject *
leave_out(PyObject *object, PyObject *containers)
{
    Lengths *self = (Lengths *)object;
    if (!PyList_Check(containers)) {
        return PyErr_Format(PyExc_TypeError, "leave_out() takes a list of containers, not %s",
                            Py_TYPE(containers)->tp_name);
    }
    int biased = tracer_lock();
    for (Py_ssize_t i = 0; tracer_is_on() && i < PyList_GET_SIZE(containers); i++) {
        PyObject *container = PyList_GET_ITEM(containers, i);
        struct length_class class;
        if (length_classes_get(&self->classes, Py_TYPE(container), &class)
            && class.kind != LENGTH_METACLASS) {
            traces_unwatch(&tracer.traces, (uintptr_t)container - class.before);
        }
    }
    tracer_unlock(biased);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(longest_rise_doc,
"longest_rise($self, before, /)\n"
"--\n"
"\n"
"By how many entries that container grew that grew most since note(); 0: none grew.  Those\n"
"that were allocated in the epoch *before* or later are left out: they may lie where others\n"
"lay.\n"
"\n"
"None if it cannot be told: memory was not traced all the time, or another one noted since.\n"
"Raises OverflowError and TypeError for what is no epoch, MemoryError.  Cost: a pass over the\n"
"containers.");

static PyObject *
rise_since(Lengths *self, PyObject *before, bool note)
{
    unsigned long long epoch = PyLong_AsUnsignedLongLong(before);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (tracer_check() < 0) {
        return PyErr_NoMemory();
    }
    int32_t rise = find_longest_rise(self, epoch, note);
    if (rise < 0) {
        Py_RETURN_NONE;
    }
    return PyLong_FromLong(rise);
}

static PyObject *
longest_rise(PyObject *self, PyObject *before)
{
    return rise_since((Lengths *)self, before, false);
}

PyDoc_STRVAR(renew_doc,
"renew($self, before, /)\n"
"--\n"
"\n"
"As longest_rise(), and notes all that were noted, in the same pass; what is new is not found.\n"
"None too if one has changed that note_hot() did not read.");

static PyObject *
renew(PyObject *self, PyObject *before)
{
    return rise_since((Lengths *)self, before, true);
}

static PyObject *
lengths_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Lengths", names)) {
        return NULL;
    }
    return type->tp_alloc(type, 0);
}

static void
lengths_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    lengths_forget((Lengths *)object);
    mem_free(((Lengths *)object)->hot);
    type->tp_free(object);
    Py_DECREF(type);
}

static Py_ssize_t
lengths_length(PyObject *object)
{
    return (Py_ssize_t)((Lengths *)object)->lengths.count;
}

static PyMethodDef methods[] = {
    {"note", note, METH_NOARGS, note_doc},
    {"note_hot", note_hot, METH_NOARGS, note_hot_doc},
    {"leave_out", leave_out, METH_O, leave_out_doc},
    {"longest_rise", longest_rise, METH_O, longest_rise_doc},
    {"renew", renew, METH_O, renew_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(lengths_doc,
"Lengths()\n"
"--\n"
"\n"
"How much each container holds.  Its own length is the number of containers that it knows of.\n"
"One of these at a time is kept up to date at little cost: that which noted last.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)lengths_doc}, {Py_tp_new, lengths_new},
    {Py_tp_dealloc, lengths_dealloc}, {Py_tp_methods, methods},
    {Py_sq_length, lengths_length},   {0, NULL},
};

PyType_Spec lengths_spec = {
    .name = "memscope._memscope.Lengths",
    .basicsize = sizeof(Lengths),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
