#include "heap/visit.h"

#include "base/object_layout.h"

static int
visit_code(const PyCodeObject *code, visitproc visit, void *arg)
{
    Py_VISIT(code->co_consts);
    Py_VISIT(code->co_names);
    Py_VISIT(code->co_localsplusnames);
    Py_VISIT(code->co_localspluskinds);
    Py_VISIT(code->co_filename);
    Py_VISIT(code->co_name);
    Py_VISIT(code->co_qualname);
    Py_VISIT(code->co_linetable);
    Py_VISIT(code->co_exceptiontable);
    return 0;
}

/* type_traverse must not be called for these.  The dict is borrowed: it lives as
 * long as the class. */
static int
visit_static_type(PyTypeObject *type, visitproc visit, void *arg)
{
    PyObject *dict = pycompat_new_type_dict(type);
    if (dict != NULL) {
        Py_DECREF(dict);
        Py_VISIT(dict);
    }
    Py_VISIT(type->tp_base);
    Py_VISIT(type->tp_bases);
    Py_VISIT(type->tp_mro);
    Py_VISIT(object_subclasses(type));
    return 0;
}

static int
visit_keys(PyObject *dict, visitproc visit, void *arg)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(dict, &position, &key, &value)) {
        Py_VISIT(key);
    }
    return 0;
}

struct visitor {
    visitproc visit;
    void *arg;
};

static int
visit_living(PyObject *object, void *arg)
{
    const struct visitor *self = arg;
    return Py_REFCNT(object) > 0 ? self->visit(object, self->arg) : 0;
}

/* A module may report objects that it keeps for reuse: _asyncio does of its free list.
 * They are dead, and who takes and drops a reference to one frees it once more. */
static int
visit_module(PyObject *module, visitproc visit, void *arg)
{
    struct visitor visitor = {visit, arg};
    return PyModule_Type.tp_traverse(module, visit_living, &visitor);
}

#if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000

struct comparison {
    visitproc visit;
    void *arg;
    PyObject *dict;
    int seen;
};

static int
compare_visit(PyObject *object, void *arg)
{
    struct comparison *self = arg;
    self->seen |= object == self->dict;
    return self->visit(object, self->arg);
}

static int
visit_instance(PyObject *object, PyObject *dict, visitproc visit, void *arg)
{
    struct comparison comparison = {visit, arg, dict, 0};
    int status = Py_TYPE(object)->tp_traverse(object, compare_visit, &comparison);
    return status != 0 || comparison.seen ? status : visit(dict, arg);
}

#endif

int
object_visit(PyObject *object, visitproc visit, void *arg)
{
    PyTypeObject *type = Py_TYPE(object);
    if (!PyType_IS_GC(type)) {
        return PyCode_Check(object) ? visit_code((PyCodeObject *)object, visit, arg) : 0;
    }
    if (type->tp_is_gc != NULL && !PyObject_IS_GC(object)) {
        return PyType_Check(object) ? visit_static_type((PyTypeObject *)object, visit, arg) : 0;
    }
    if (type == &PyModule_Type) {
        return visit_module(object, visit, arg);
    }
#if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000
    PyObject *dict =
        PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT) ? object_managed_dict(object) : NULL;
    if (dict != NULL) {
        return visit_instance(object, dict, visit, arg);
    }
#endif
    int status = type->tp_traverse(object, visit, arg);
    if (status == 0 && pycompat_is_dict(object) && object_dict_hides_keys(object)) {
        status = visit_keys(object, visit, arg);
    }
    if (status == 0 && PyType_Check(object)) {
        Py_VISIT(object_subclasses((PyTypeObject *)object));
    }
    return status;
}
