#include "bind/containers.h"

#include "base/object_layout.h"
#include "bind/names.h"

static enum contents
contents_of(PyObject *object)
{
    if (pycompat_is_dict(object)) {
        return DICT;
    }
    if (PyList_Check(object) || PyTuple_Check(object)) {
        return SEQUENCE;
    }
    return PyAnySet_Check(object) ? SET : names_has_contents(object) ? OTHER_CONTENTS : NO_CONTENTS;
}

struct container
container_of(PyObject *object)
{
    bool exact = PyDict_CheckExact(object) || PyList_CheckExact(object)
                 || PyTuple_CheckExact(object) || PyAnySet_CheckExact(object);
    return (struct container){contents_of(object), exact};
}

static bool
is_at(const struct graph *graph, uint32_t node, const void *object)
{
    return graph->address[node] == (uintptr_t)object;
}

/* Whether the first `count` entries of a dict are the edges from `values` and `keys` on. */
static bool
has_entries(const struct graph *graph, PyObject *dict, const uint32_t *values, const uint32_t *keys,
            size_t step, size_t count)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    for (size_t i = 0; i < count; i++) {
        if (!PyDict_Next(dict, &position, &key, &value) || !is_at(graph, values[i * step], value)
            || !is_at(graph, keys[i * step], key)) {
            return false;
        }
    }
    return true;
}

static enum label_form
find_entries(const struct graph *graph, PyObject *dict, const uint32_t *edges, size_t length)
{
    int kind = object_dict_kind(dict);
    bool apart = kind == DICT_KEYS_UNICODE;
    if (kind == DICT_KEYS_SPLIT
        || !has_entries(graph, dict, edges, edges + (apart ? length : 1), apart ? 1 : 2, length)) {
        return LABEL_NOTHING;
    }
    return apart ? LABEL_KEYS_APART : LABEL_KEYS_BESIDE;
}

/* tp_traverse of both begins with the last item. */
static enum label_form
find_items(const struct graph *graph, PyObject *object, const uint32_t *edges, size_t length)
{
    PyObject *const *items = PyList_Check(object) ? ((PyListObject *)object)->ob_item
                                                  : ((PyTupleObject *)object)->ob_item;
    bool forth = length <= (size_t)Py_SIZE(object), back = forth;
    for (size_t i = 0; i < length && (forth || back); i++) {
        forth = forth && is_at(graph, edges[i], items[i]);
        back = back && is_at(graph, edges[i], items[length - 1 - i]);
    }
    return back ? LABEL_ITEMS_BACK : forth ? LABEL_ITEMS : LABEL_NOTHING;
}

enum label_form
container_form(const struct container *self, const struct graph *graph, PyObject *object,
               const uint32_t *edges, uint32_t count, bool unchanged, uint32_t *start)
{
    bool is_dict = self->contents == DICT;
    size_t length = is_dict ? count / 2 : count;
    *start = 0;
    if (self->contents == SET) {
        return self->exact && unchanged ? LABEL_ELEMENTS : LABEL_NOTHING;
    }
    if (!is_dict && self->contents != SEQUENCE) {
        return LABEL_NOTHING;
    }
    if (self->exact && is_dict && count % 2 != 0) {
        return LABEL_NOTHING;
    }
    if (!self->exact) {
        /* What the class of the interpreter visits comes last. */
        length = is_dict ? (size_t)PyDict_GET_SIZE(object) : (size_t)Py_SIZE(object);
        size_t taken = is_dict ? 2 * length : length;
        if (!unchanged || taken > count) {
            return LABEL_NOTHING;
        }
        *start = count - (uint32_t)taken;
    }
    return is_dict ? find_entries(graph, object, edges + *start, length)
                   : find_items(graph, object, edges + *start, length);
}
