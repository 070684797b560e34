#include "bind/columns.h"

#include "base/mem.h"
#include "trace/filter.h"

/* An int that a filter compares with, or None; what is out of range equals
 * nothing. */
static int
parse_number(PyObject *object, uint64_t *number)
{
    if (object == Py_None) {
        *number = FILTER_ANY;
        return 0;
    }
    PyObject *index = PyNumber_Index(object);
    if (index == NULL) {
        return -1;
    }
    *number = PyLong_AsUnsignedLongLong(index);
    Py_DECREF(index);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear();
        *number = FILTER_NONE;
    }
    *number = *number > UINT32_MAX ? FILTER_NONE : *number;
    return 0;
}

/* The specification `spec` must be held while the filter is used. */
static int
parse_filter(PyObject *spec, uint32_t files, struct filter *filter)
{
    if (!PyTuple_Check(spec) || PyTuple_GET_SIZE(spec) != 5) {
        PyErr_Format(PyExc_TypeError,
                     "a filter must be a tuple (inclusive, matches, lineno, "
                     "all_frames, domain), not %.100s",
                     Py_TYPE(spec)->tp_name);
        return -1;
    }
    PyObject *matches = PyTuple_GET_ITEM(spec, 1);
    if (matches != Py_None) {
        if (!PyBytes_Check(matches)) {
            PyErr_Format(PyExc_TypeError, "a filter's matches must be bytes or None, not %.100s",
                         Py_TYPE(matches)->tp_name);
            return -1;
        }
        if (PyBytes_GET_SIZE(matches) != (Py_ssize_t)files) {
            PyErr_Format(PyExc_ValueError,
                         "a filter's matches must be as many as filenames(): "
                         "%u, not %zd",
                         files, PyBytes_GET_SIZE(matches));
            return -1;
        }
        filter->files = (const uint8_t *)PyBytes_AS_STRING(matches);
    }
    int inclusive = PyObject_IsTrue(PyTuple_GET_ITEM(spec, 0));
    int all_frames = PyObject_IsTrue(PyTuple_GET_ITEM(spec, 3));
    filter->inclusive = inclusive > 0;
    filter->all_frames = all_frames > 0;
    if (inclusive < 0 || all_frames < 0
        || parse_number(PyTuple_GET_ITEM(spec, 2), &filter->lineno) < 0
        || parse_number(PyTuple_GET_ITEM(spec, 4), &filter->domain) < 0) {
        return -1;
    }
    return 0;
}

/* An int from 0, if given at all. */
static int
parse_limit(PyObject *object, const char *what, uint64_t *limit)
{
    if (object == NULL || object == Py_None) {
        return 0;
    }
    PyObject *index = PyNumber_Index(object);
    if (index == NULL) {
        return -1;
    }
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(index, &overflow);
    Py_DECREF(index);
    if (value == -1 && overflow == 0 && PyErr_Occurred()) {
        return -1;
    }
    if (overflow < 0 || (overflow == 0 && value < 0)) {
        PyErr_Format(PyExc_ValueError, "%s must not be negative", what);
        return -1;
    }
    *limit = overflow > 0 ? INT64_MAX : (uint64_t)value;
    return 0;
}

const char columns_filter_doc[] =
    PyDoc_STR("filter($self, filters, *, min_size=0, max_size=None, min_epoch=0,\n"
              "       max_epoch=None)\n"
              "--\n"
              "\n"
              "The rows that filters keep, as a new table, in order.\n"
              "\n"
              "A filter is a tuple (inclusive, matches, lineno, all_frames, domain): matches\n"
              "is bytes, one for each file of filenames(), not 0 where the name matches; None\n"
              "for matches, lineno or domain is any.  A row is kept if some inclusive filter\n"
              "hits its newest frame (any frame with all_frames), or there is none, and no\n"
              "exclusive filter does; and if its size in bytes and the number of its epoch\n"
              "are within the limits, which are inclusive.\n"
              "\n"
              "Raises TypeError and ValueError.  Cost: one look at each traceback for each\n"
              "filter, one pass over the rows.");

PyObject *
columns_filter(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"filters", "min_size", "max_size", "min_epoch", "max_epoch", NULL};
    Columns *self = (Columns *)object;
    PyObject *filters, *min_size = NULL, *max_size = NULL, *min_epoch = NULL, *max_epoch = NULL;
    struct filter_range range = {0, UINT64_MAX, 0, UINT64_MAX};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOOO:filter", names, &filters, &min_size,
                                     &max_size, &min_epoch, &max_epoch)
        || parse_limit(min_size, "min_size", &range.min_size) < 0
        || parse_limit(max_size, "max_size", &range.max_size) < 0
        || parse_limit(min_epoch, "min_epoch", &range.min_epoch) < 0
        || parse_limit(max_epoch, "max_epoch", &range.max_epoch) < 0) {
        return NULL;
    }
    struct summary *summary = columns_borrow_summary(self);
    PyObject *specs = summary != NULL ? PySequence_Tuple(filters) : NULL;
    if (specs == NULL) {
        return NULL;
    }
    size_t count = (size_t)PyTuple_GET_SIZE(specs);
    PyObject *result = NULL;
    struct filter *parsed = mem_calloc(count, sizeof(*parsed));
    if (parsed == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        if (parse_filter(PyTuple_GET_ITEM(specs, i), summary->file_count, &parsed[i]) < 0) {
            goto done;
        }
    }
    struct snapshot *kept;
    Py_BEGIN_ALLOW_THREADS
        kept = filter_apply(self->snapshot, summary, parsed, count, &range);
    Py_END_ALLOW_THREADS
    result = columns_wrap(Py_TYPE(self), kept);
    if (result != NULL && columns_copy_types((Columns *)result, self) < 0) {
        Py_CLEAR(result);
    }
done:
    mem_free(parsed);
    Py_DECREF(specs);
    return result;
}
