#include "bind/graph.h"

#include "heap/growth.h"

const char graph_grown_doc[] =
    "grown($self, older, limit, /)\n"
    "--\n"
    "\n"
    "(number of objects that grew since the graph *older*, the *limit* of them that grew\n"
    "most), largest first: (node, node in *older*, references more, bytes more).\n"
    "\n"
    "Raises MemoryError.  Cost: a pass over both graphs.";

PyObject *
graph_grown(PyObject *object, PyObject *args)
{
    Graph *self = (Graph *)object;
    PyObject *older;
    Py_ssize_t limit;
    if (!PyArg_ParseTuple(args, "O!n:grown", Py_TYPE(object), &older, &limit)) {
        return NULL;
    }
    if (limit < 0) {
        PyErr_SetString(PyExc_ValueError, "limit must be at least 0");
        return NULL;
    }
    struct growths found;
    int status = growth_find(self->graph, ((Graph *)older)->graph, (size_t)limit, &found);
    PyObject *list = status == 0 ? PyList_New((Py_ssize_t)found.count) : PyErr_NoMemory();
    for (size_t i = 0; list != NULL && i < found.count; i++) {
        const struct growth *one = &found.items[i];
        PyObject *row = Py_BuildValue("IILL", one->node, one->old_node, (long long)one->edges,
                                      (long long)one->bytes);
        if (row == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    PyObject *result = list != NULL ? Py_BuildValue("nN", (Py_ssize_t)found.total, list) : NULL;
    growth_release(&found);
    return result;
}
