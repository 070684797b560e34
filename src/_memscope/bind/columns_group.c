#include "bind/columns.h"

#include <string.h>

#include "base/mem.h"
#include "bind/raw_traces.h"
#include "trace/groups.h"

/* One of the tables to be grouped. */
struct side {
    Columns *columns;           /* borrowed */
    struct objects *objects;    /* borrowed */
    uint32_t *labels;           /* owned */
};

static int
parse_key(const char *name, struct groups_options *options)
{
    static const struct {
        const char *name;
        enum groups_key key;
    } keys[] = {
        {"lineno", GROUPS_LINENO},       {"filename", GROUPS_FILENAME},
        {"traceback", GROUPS_TRACEBACK}, {"function", GROUPS_FUNCTION},
        {"label", GROUPS_LABEL},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(keys); i++) {
        if (strcmp(name, keys[i].name) == 0) {
            options->key = keys[i].key;
            if (options->cumulative && options->key == GROUPS_TRACEBACK) {
                PyErr_SetString(PyExc_ValueError,
                                "cumulative mode cannot by used with key type 'traceback'");
                return -1;
            }
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "unknown key_type: '%s'", name);
    return -1;
}

/* A number for each file. */
static uint32_t *
parse_labels(PyObject *labels, uint32_t files)
{
    if (labels == Py_None) {
        PyErr_SetString(PyExc_ValueError, "key 'label' needs labels");
        return NULL;
    }
    PyObject *items = PySequence_Tuple(labels);
    if (items == NULL) {
        return NULL;
    }
    uint32_t *numbers = NULL;
    if (PyTuple_GET_SIZE(items) != (Py_ssize_t)files) {
        PyErr_Format(PyExc_ValueError, "labels must be as many as filenames(): %u, not %zd", files,
                     PyTuple_GET_SIZE(items));
        goto error;
    }
    numbers = mem_malloc(files, sizeof(*numbers));
    if (numbers == NULL) {
        PyErr_NoMemory();
        goto error;
    }
    for (uint32_t i = 0; i < files; i++) {
        uint64_t number;
        if (raw_traces_number(PyTuple_GET_ITEM(items, i), "a label", UINT32_MAX, &number) < 0) {
            goto error;
        }
        numbers[i] = (uint32_t)number;
    }
    Py_DECREF(items);
    return numbers;

error:
    mem_free(numbers);
    Py_DECREF(items);
    return NULL;
}

static int
open_side(struct side *side, Columns *columns, enum groups_key key, PyObject *labels)
{
    side->columns = columns;
    side->objects = columns_borrow_objects(columns);
    if (side->objects == NULL) {
        return -1;
    }
    if (key == GROUPS_LABEL) {
        side->labels = parse_labels(labels, columns->summary->file_count);
        return side->labels == NULL ? -1 : 0;
    }
    return 0;
}

/* New ((file name, line),). */
static PyObject *
new_one_frame(const struct side *side, uint32_t file, uint32_t lineno)
{
    PyObject *filename = objects_borrow_filename(side->objects, file);
    PyObject *frame = filename != NULL ? objects_new_frame(filename, lineno) : NULL;
    PyObject *frames = frame != NULL ? PyTuple_New(1) : NULL;
    if (frames == NULL) {
        Py_XDECREF(frame);
        return NULL;
    }
    PyTuple_SET_ITEM(frames, 0, frame);
    return objects_untrack(frames);
}

/* New (frames, total number of frames or None). */
static PyObject *
new_traceback(const struct side *side, uint32_t node)
{
    const struct summary_frame *frame = &side->columns->summary->frames[node];
    PyObject *frames = objects_borrow_traceback(side->objects, node);
    if (frames == NULL) {
        return NULL;
    }
    if (frame->file == SUMMARY_TOTAL) {
        return Py_BuildValue("OI", frames, (unsigned int)frame->lineno);
    }
    return Py_BuildValue("OO", frames, Py_None);
}

/* New (file name, function name). */
static PyObject *
new_function(const struct side *side, uint32_t node, uint32_t file)
{
    const struct tracebacks *tree = side->columns->snapshot->tracebacks;
    uint32_t function = tracebacks_node(tree, node)->function;
    uint32_t text = tracebacks_function(tree, function)->name;
    PyObject *filename = objects_borrow_filename(side->objects, file);
    PyObject *name = filename != NULL ? objects_new_text(tracebacks_text(tree, text)) : NULL;
    return name != NULL ? Py_BuildValue("ON", filename, name) : NULL;
}

static PyObject *
new_key(const struct side *side, enum groups_key key, uint32_t node)
{
    if (key == GROUPS_TRACEBACK) {
        return new_traceback(side, node);
    }
    const struct summary_frame *frame = &side->columns->summary->frames[node];
    switch (key) {
    case GROUPS_LINENO:
        return new_one_frame(side, frame->file, frame->lineno);
    case GROUPS_FILENAME:
        return new_one_frame(side, frame->file, 0);
    case GROUPS_FUNCTION:
        return new_function(side, node, frame->file);
    default:
        return PyLong_FromUnsignedLong(side->labels[frame->file]);
    }
}

/* New tuple of the group's key and figures. */
static PyObject *
new_row(const struct side sides[2], enum groups_key key, const struct group *group)
{
    PyObject *name = new_key(&sides[group->is_old], key, group->node);
    bool is_difference = sides[1].columns != NULL;
    PyObject *row = name != NULL ? PyTuple_New(is_difference ? 5 : 3) : NULL;
    if (row == NULL) {
        Py_XDECREF(name);
        return NULL;
    }
    Py_ssize_t next = 0;
    PyTuple_SET_ITEM(row, next++, name);
    PyTuple_SET_ITEM(row, next++, PyLong_FromUnsignedLongLong(group->size));
    if (is_difference) {
        int64_t more = (int64_t)group->size - (int64_t)group->old_size;
        PyTuple_SET_ITEM(row, next++, PyLong_FromLongLong(more));
    }
    PyTuple_SET_ITEM(row, next++, PyLong_FromUnsignedLongLong(group->count));
    if (is_difference) {
        int64_t more = (int64_t)group->count - (int64_t)group->old_count;
        PyTuple_SET_ITEM(row, next++, PyLong_FromLongLong(more));
    }
    while (next-- > 0) {
        if (PyTuple_GET_ITEM(row, next) == NULL) {
            Py_DECREF(row);
            return NULL;
        }
    }
    return row;
}

static PyObject *
new_rows(const struct side sides[2], enum groups_key key, const struct group *groups, size_t count)
{
    PyObject *rows = PyList_New((Py_ssize_t)count);
    if (rows == NULL) {
        return NULL;
    }
    int collecting = PyGC_Disable();    /* nothing here can be garbage */
    for (size_t i = 0; i < count; i++) {
        PyObject *row = new_row(sides, key, &groups[i]);
        if (row == NULL) {
            Py_CLEAR(rows);
            break;
        }
        PyList_SET_ITEM(rows, (Py_ssize_t)i, row);
    }
    if (collecting) {
        PyGC_Enable();
    }
    return rows;
}

static PyObject *
build(const struct side sides[2], struct groups_options options)
{
    const struct groups_side new = {sides[0].columns->summary, sides[0].labels};
    struct groups_side old = {NULL, NULL};
    bool is_difference = sides[1].columns != NULL;
    if (is_difference) {
        old = (struct groups_side){sides[1].columns->summary, sides[1].labels};
    }
    struct group *groups;
    size_t count;
    int result;
    Py_BEGIN_ALLOW_THREADS
        result = groups_build(options, &new, is_difference ? &old : NULL, &groups, &count);
    Py_END_ALLOW_THREADS
    if (result < 0) {
        return PyErr_NoMemory();
    }
    PyObject *rows = new_rows(sides, options.key, groups, count);
    mem_free(groups);
    return rows;
}

const char columns_group_doc[] =
    PyDoc_STR("group($self, key, cumulative=False, *, per_occurrence=False, labels=None)\n"
              "--\n"
              "\n"
              "Rows summed by where they come from: a list of (place, size, count) in\n"
              "tracemalloc's order, descending by size, count and place.\n"
              "\n"
              "key              place\n"
              "'lineno'         ((file name, line),)\n"
              "'filename'       ((file name, 0),)\n"
              "'traceback'      (frames newest first, total number of frames or None)\n"
              "'function'       (file name, qualified name)\n"
              "'label'          labels[i], an int from 0, for file filenames()[i]\n"
              "\n"
              "A row counts for its newest frame; with cumulative for every frame of its\n"
              "traceback, once for each place, or with per_occurrence as often as the place\n"
              "occurs.  Tracebacks that differ only in the total number of frames are one;\n"
              "the number is that of any of them.\n"
              "\n"
              "Raises ValueError for an unknown key, for 'traceback' with cumulative, and for\n"
              "labels that are not as many as file names.  Cost: by the number of tracebacks;\n"
              "sums stop at 2**63 - 1.");

PyObject *
columns_group(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"key", "cumulative", "per_occurrence", "labels", NULL};
    const char *key;
    int cumulative = 0, per_occurrence = 0;
    PyObject *labels = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|p$pO:group", names, &key, &cumulative,
                                     &per_occurrence, &labels)) {
        return NULL;
    }
    struct groups_options options = {.cumulative = cumulative, .per_occurrence = per_occurrence};
    struct side sides[2] = {0};
    PyObject *rows = NULL;
    if (parse_key(key, &options) == 0
        && open_side(&sides[0], (Columns *)self, options.key, labels) == 0) {
        rows = build(sides, options);
    }
    mem_free(sides[0].labels);
    return rows;
}

const char columns_compare_doc[] =
    PyDoc_STR("compare($self, old, key, cumulative=False, *, per_occurrence=False,\n"
              "        labels=None, old_labels=None)\n"
              "--\n"
              "\n"
              "What changed since another table: a list of (place, size, size difference,\n"
              "count, count difference) in tracemalloc's order, descending by the amount of\n"
              "the size difference, size, the amount of the count difference, count, place.\n"
              "\n"
              "As group(); old_labels are the labels for old.filenames().  Places are equal\n"
              "by content, so the tables may come from different runs or files.");

PyObject *
columns_compare(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"old",    "key",        "cumulative", "per_occurrence",
                            "labels", "old_labels", NULL};
    PyObject *old, *labels = Py_None, *old_labels = Py_None;
    const char *key;
    int cumulative = 0, per_occurrence = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!s|p$pOO:compare", names, Py_TYPE(self), &old,
                                     &key, &cumulative, &per_occurrence, &labels, &old_labels)) {
        return NULL;
    }
    struct groups_options options = {.cumulative = cumulative, .per_occurrence = per_occurrence};
    struct side sides[2] = {0};
    PyObject *rows = NULL;
    if (parse_key(key, &options) == 0
        && open_side(&sides[0], (Columns *)self, options.key, labels) == 0
        && open_side(&sides[1], (Columns *)old, options.key, old_labels) == 0) {
        rows = build(sides, options);
    }
    mem_free(sides[0].labels);
    mem_free(sides[1].labels);
    return rows;
}
