/* One caller of PyTraceMalloc_Track per way of linking: build.py compiles this
 * file several times with another MODULE_NAME and other linker flags, because
 * memscope finds such callers through their relocations. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)
#define STRING_(a) #a
#define STRING(a) STRING_(a)

#ifdef THROUGH_POINTER
/* A relocation in the data section instead of the procedure linkage table. */
static int (*volatile track_function)(unsigned int, uintptr_t, size_t) = PyTraceMalloc_Track;
static int (*volatile untrack_function)(unsigned int, uintptr_t) = PyTraceMalloc_Untrack;
#else
#define track_function PyTraceMalloc_Track
#define untrack_function PyTraceMalloc_Untrack
#endif

static PyObject *
testtrack_track(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned int domain;
    unsigned long long address, size;
    if (!PyArg_ParseTuple(args, "IKK:track", &domain, &address, &size)) {
        return NULL;
    }
    return PyLong_FromLong(track_function(domain, (uintptr_t)address, (size_t)size));
}

static PyObject *
testtrack_untrack(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned int domain;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "IK:untrack", &domain, &address)) {
        return NULL;
    }
    return PyLong_FromLong(untrack_function(domain, (uintptr_t)address));
}

static PyMethodDef methods[] = {
    {"track", testtrack_track, METH_VARARGS, "track(domain, address, size, /) -> int"},
    {"untrack", testtrack_untrack, METH_VARARGS, "untrack(domain, address, /) -> int"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = STRING(MODULE_NAME),
    .m_methods = methods,
};

PyMODINIT_FUNC
CONCAT(PyInit_, MODULE_NAME)(void)
{
    return PyModuleDef_Init(&module);
}
