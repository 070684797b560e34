/* What kind of object lies in each row's block: known of a table that was taken together
 * with a graph, and of what is filtered out of it. */
#include "bind/columns.h"

#include "base/mem.h"

int
columns_set_types(Columns *self, uint32_t *type, PyObject *names)
{
    if (self->type != NULL || type == NULL || names == NULL) {
        mem_free(type);
        Py_XDECREF(names);
        return self->type != NULL ? 0 : -1;
    }
    self->type = type;
    self->type_names = names;
    return 0;
}

/* A filtered table has some of the rows, in their order. */
int
columns_copy_types(Columns *self, const Columns *from)
{
    if (from->type == NULL) {
        return 0;
    }
    const struct snapshot *all = from->snapshot, *some = self->snapshot;
    uint32_t *type = mem_malloc(some->count + 1, sizeof *type);
    size_t row = 0;
    for (size_t i = 0; type != NULL && i < some->count; i++, row++) {
        while (all->address[row] != some->address[i] || all->domain[row] != some->domain[i]
               || all->traceback[row] != some->traceback[i]) {
            row++;
        }
        type[i] = from->type[row];
    }
    if (type == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return columns_set_types(self, type, Py_NewRef(from->type_names));
}

const char columns_types_doc[] =
    "types($self, /)\n"
    "--\n"
    "\n"
    "Rows by the class of the object that lies in the block: (module or None, qualified\n"
    "name, bytes, blocks); without a name, blocks in which no object begins.  None if that is\n"
    "not known: the table was not taken together with a graph.";

struct type_total {
    uint64_t bytes, count;
};

static PyObject *
new_types(const Columns *self, const struct type_total *totals)
{
    Py_ssize_t count = PyTuple_GET_SIZE(self->type_names);
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list != NULL && i <= count; i++) {
        if (totals[i].count == 0) {
            continue;
        }
        PyObject *name = i < count ? PyTuple_GET_ITEM(self->type_names, i) : NULL;
        PyObject *row =
            Py_BuildValue("OOKK", name != NULL ? PyTuple_GET_ITEM(name, 0) : Py_None,
                          name != NULL ? PyTuple_GET_ITEM(name, 1) : Py_None,
                          (unsigned long long)totals[i].bytes, (unsigned long long)totals[i].count);
        if (row == NULL || PyList_Append(list, row) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    return list;
}

PyObject *
columns_types(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Columns *self = (Columns *)object;
    if (self->type == NULL) {
        Py_RETURN_NONE;
    }
    size_t count = (size_t)PyTuple_GET_SIZE(self->type_names);
    struct type_total *totals = mem_calloc(count + 1, sizeof *totals);
    if (totals == NULL) {
        return PyErr_NoMemory();
    }
    for (size_t row = 0; row < self->snapshot->count; row++) {
        struct type_total *total = &totals[self->type[row] < count ? self->type[row] : count];
        total->bytes += snapshot_size(self->snapshot, row);
        total->count++;
    }
    PyObject *list = new_types(self, totals);
    mem_free(totals);
    return list;
}
