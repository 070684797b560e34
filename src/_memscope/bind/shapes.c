#include "bind/shapes.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define FEW 64                  /* edges that are looked through one by one */
#define KIND_BITS 56            /* of a name's key in `names`: above an address */

void
shapes_release(struct shapes *self)
{
    hashmap_clear(&self->names);
    hashmap_clear(&self->shapes);
    mem_free(self->keys);
    mem_free(self->references);
}

/* -- texts --------------------------------------------------------------------------------- */

graph_text
shapes_text(struct writer *texts, PyObject *unicode)
{
    if (unicode == NULL || !PyUnicode_Check(unicode) || !pycompat_unicode_is_ready(unicode)) {
        return 0;
    }
    return graph_write_text(texts, PyUnicode_DATA(unicode), (size_t)PyUnicode_GET_LENGTH(unicode),
                            PyUnicode_KIND(unicode));
}

static PyObject *
new_key_text(PyObject *key, Py_ssize_t longest)
{
    PyTypeObject *type = Py_TYPE(key);
    if (type != &PyUnicode_Type) {
        return type->tp_repr(key);
    }
    if (PyUnicode_GET_LENGTH(key) <= longest) {
        return PyUnicode_Type.tp_repr(key);
    }
    PyObject *start = PyUnicode_Substring(key, 0, longest);
    PyObject *shown = start != NULL ? PyUnicode_Type.tp_repr(start) : NULL;
    PyObject *dots = shown != NULL ? PyUnicode_FromString("...") : NULL;
    PyObject *text = dots != NULL ? PyUnicode_Concat(shown, dots) : NULL;
    Py_XDECREF(start);
    Py_XDECREF(shown);
    Py_XDECREF(dots);
    return text;
}

/* tp_repr of these classes is called as it is: PyObject_Repr() would let signal handlers
 * run, and with them the program. */
int
shapes_key_text(PyObject *key, Py_ssize_t longest, struct writer *texts, graph_text *text)
{
    const PyTypeObject *type = Py_TYPE(key);
    int overflow = 0;
    if (type == &PyLong_Type) {
        PyLong_AsLongLongAndOverflow(key, &overflow);
    }
    else if (type != &PyUnicode_Type && type != &PyBool_Type && type != &PyFloat_Type
             && key != Py_None) {
        return 0;
    }
    if (overflow != 0) {
        return 0;
    }
    PyObject *shown = new_key_text(key, longest);
    if (shown == NULL) {
        PyErr_Clear();
        return -1;
    }
    *text = shapes_text(texts, shown);
    Py_DECREF(shown);
    return texts->failed ? -1 : 1;
}

/* -- names --------------------------------------------------------------------------------- */

static graph_text
add_ascii(struct shapes *self, const char *text)
{
    return graph_write_text(&self->labels->texts, text, strlen(text), 1);
}

static graph_text
kind_text(struct shapes *self, enum name_kind kind)
{
    if (self->kinds[kind] == 0) {
        self->kinds[kind] = add_ascii(self, kind == NAME_KEY ? "key text" : names_kind(kind));
    }
    return self->kinds[kind];
}

/* The number that a name of these texts gets. */
static uint32_t
add_name(struct shapes *self, graph_text kind, graph_text text)
{
    self->failed |= labels_add_name(self->labels, (struct label_name){kind, text}) < 0;
    return self->labels->name_count - 1;
}

static uint32_t
add_key_name(struct shapes *self, PyObject *key)
{
    graph_text text = LABELS_NO_TEXT;
    int told = shapes_key_text(key, self->longest, &self->labels->texts, &text);
    uint32_t name = add_name(self, kind_text(self, NAME_KEY), text);
    if (told == 0) {
        if (self->key_count == self->key_capacity
            && mem_grow((void **)&self->keys, &self->key_capacity, self->key_count + 1,
                        sizeof *self->keys)
                   < 0) {
            self->failed = true;
            return name;
        }
        self->keys[self->key_count++] = (struct key_name){key, name};
    }
    self->failed |= told < 0;
    return name;
}

static uint32_t
new_name(struct shapes *self, const struct name *name)
{
    char digits[24];
    if (name->kind == NAME_KEY) {
        return add_key_name(self, name->object);
    }
    graph_text text = LABELS_NO_TEXT;
    if (name->object != NULL) {
        text = shapes_text(&self->labels->texts, name->object);
    }
    else if (name->text != NULL) {
        text = add_ascii(self, name->text);
    }
    else if (name->kind == NAME_INDEX) {
        snprintf(digits, sizeof digits, "%zd", name->index);
        text = add_ascii(self, digits);
    }
    return add_name(self, kind_text(self, name->kind), text);
}

static uint32_t
intern_name(struct shapes *self, const struct name *name)
{
    uint64_t what = name->object != NULL ? (uintptr_t)name->object
                    : name->text != NULL ? (uintptr_t)name->text
                                         : (uint64_t)name->index;
    uint64_t key = what ^ (uint64_t)(name->kind + 1) << KIND_BITS;
    const uint64_t *known = hashmap_get(&self->names, key);
    if (known != NULL) {
        return (uint32_t)*known;
    }
    uint32_t number = new_name(self, name);
    self->failed |= hashmap_put(&self->names, key, number) < 0;
    return number;
}

/* -- references ------------------------------------------------------------------------------ */

static void
add_reference(struct shapes *self, struct label_reference reference)
{
    if (self->next.count >= GRAPH_NONE - 1
        || (self->next.count >= self->reference_capacity
            && mem_grow((void **)&self->references, &self->reference_capacity,
                        (size_t)self->next.count + 1, sizeof reference)
                   < 0)) {
        self->failed = true;
        return;
    }
    self->references[self->next.count++] = reference;
}

/* The first edge to each target that has no name yet, or if all have one, the last. */
static void
add_to_few(struct shapes *self, const struct graph *graph, const uint32_t *edges, uint32_t count,
           const struct name *names, size_t name_count)
{
    uint64_t taken = 0;
    uintptr_t address[FEW];
    for (uint32_t edge = 0; edge < count; edge++) {
        address[edge] = graph->address[edges[edge]];
    }
    for (size_t i = 0; i < name_count; i++) {
        uint32_t found = GRAPH_NONE;
        for (uint32_t edge = 0; edge < count; edge++) {
            if (address[edge] == (uintptr_t)names[i].target) {
                found = edge;
                if ((taken & UINT64_C(1) << edge) == 0) {
                    break;
                }
            }
        }
        if (found != GRAPH_NONE) {
            taken |= UINT64_C(1) << found;
            add_reference(self, (struct label_reference){found, intern_name(self, &names[i])});
        }
    }
}

/* The same with a map from each target to the chain of its edges. */
static void
add_to_many(struct shapes *self, const struct graph *graph, const uint32_t *edges, uint32_t count,
            const struct name *names, size_t name_count)
{
    struct hashmap first = {0};
    uint32_t *following = mem_malloc(count, sizeof *following);
    self->failed |= following == NULL;
    for (uint32_t edge = count; edge-- > 0 && !self->failed;) {
        uintptr_t address = graph->address[edges[edge]];
        const uint64_t *known = hashmap_get(&first, address);
        following[edge] = known != NULL ? (uint32_t)*known : GRAPH_NONE;
        self->failed |= hashmap_put(&first, address, edge) < 0;
    }
    for (size_t i = 0; i < name_count && !self->failed; i++) {
        uint64_t *edge = hashmap_get(&first, (uintptr_t)names[i].target);
        if (edge != NULL) {
            uint32_t found = (uint32_t)*edge;
            *edge = following[found] != GRAPH_NONE ? following[found] : found;
            add_reference(self, (struct label_reference){found, intern_name(self, &names[i])});
        }
    }
    hashmap_clear(&first);
    mem_free(following);
}

void
shapes_add(struct shapes *self, const struct graph *graph, const uint32_t *edges, uint32_t count,
           const struct name *names, size_t name_count)
{
    if (count <= FEW) {
        add_to_few(self, graph, edges, count, names, name_count);
    }
    else {
        add_to_many(self, graph, edges, count, names, name_count);
    }
}

void
shapes_add_contents(struct shapes *self, enum label_form form, uint32_t start)
{
    self->next.form = form;
    self->next.start = start;
    self->next.before = self->next.count;
}

void
shapes_add_told(struct shapes *self, uint32_t edge, PyObject *text)
{
    graph_text told = shapes_text(&self->labels->texts, text);
    if (self->told_kind == 0) {
        self->told_kind = add_ascii(self, "told");
    }
    add_reference(self, (struct label_reference){edge, add_name(self, self->told_kind, told)});
}

/* -- shapes ------------------------------------------------------------------------------------ */

void
shapes_begin(struct shapes *self)
{
    self->next = (struct label_shape){0};
}

void
shapes_begin_from(struct shapes *self, uint32_t shape)
{
    struct label_shape from = self->labels->shapes[shape];
    shapes_begin(self);
    for (uint32_t i = 0; i < from.count; i++) {
        add_reference(self, self->labels->references[from.first + i]);
    }
    from.count = self->next.count;
    self->next = from;
}

static bool
is_next(const struct shapes *self, uint32_t number)
{
    const struct label_shape *known = &self->labels->shapes[number], *next = &self->next;
    return known->form == next->form && known->start == next->start && known->count == next->count
           && known->before == next->before
           && (next->count == 0
               || memcmp(self->labels->references + known->first, self->references,
                         next->count * sizeof *self->references)
                      == 0);
}

static uint64_t
hash_next(const struct shapes *self)
{
    const struct label_shape *next = &self->next;
    uint64_t hash = hashmap_mix((uint64_t)next->form << 32 | next->start);
    hash = hashmap_mix(hash ^ next->before);
    for (uint32_t i = 0; i < next->count; i++) {
        struct label_reference reference = self->references[i];
        hash = hashmap_mix(hash ^ ((uint64_t)reference.edge << 32 | reference.name));
    }
    return hash;
}

static uint32_t
add_shape(struct shapes *self)
{
    self->next.first = self->labels->reference_count;
    for (uint32_t i = 0; i < self->next.count && !self->failed; i++) {
        self->failed |= labels_add_reference(self->labels, self->references[i]) < 0;
    }
    self->failed |= labels_add_shape(self->labels, self->next) < 0;
    return self->labels->shape_count - 1;
}

uint32_t
shapes_end(struct shapes *self, uint32_t likely)
{
    if (self->failed || is_next(self, likely)) {
        return self->failed ? 0 : likely;
    }
    if (self->next.form == LABEL_NOTHING && self->next.count == 0) {
        return 0;
    }
    uint64_t hash = hash_next(self);
    for (;; hash++) {
        hash += hash == HASHMAP_NO_KEY;
        const uint64_t *known = hashmap_get(&self->shapes, hash);
        if (known == NULL) {
            break;
        }
        if (is_next(self, (uint32_t)*known)) {
            return (uint32_t)*known;
        }
    }
    uint32_t number = add_shape(self);
    self->failed |= hashmap_put(&self->shapes, hash, number) < 0;
    return self->failed ? 0 : number;
}
