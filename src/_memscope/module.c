/* memscope._memscope: what Python can ask of the C core.  A table of contents;
 * the functions are in bind/. */
#include "bind/bind.h"
#include "bind/graph_dominators.h"
#include "bind/graph_join.h"
#include "bind/passing.h"

PyDoc_STRVAR(module_doc,
"The C core of memscope: records who allocated each block of memory.\n"
"\n"
"Use memscope or memscope.tracemalloc; this module is what they are made of.");

/* The types of the module: where the state has each, and what it is made from. */
static const struct {
    size_t offset;
    PyType_Spec *spec;
} type_specs[] = {
    {offsetof(struct module_state, columns_type), &columns_spec},
    {offsetof(struct module_state, graph_type), &graph_spec},
    {offsetof(struct module_state, join_type), &graph_join_spec},
    {offsetof(struct module_state, history_type), &history_spec},
    {offsetof(struct module_state, survivors_type), &survivors_spec},
    {offsetof(struct module_state, dominators_type), &graph_dominators_spec},
    {offsetof(struct module_state, lengths_type), &lengths_spec},
    {offsetof(struct module_state, passing_type), &passing_spec},
    {offsetof(struct module_state, wsgi_application_type), &wsgi_application_spec},
    {offsetof(struct module_state, wsgi_start_type), &wsgi_start_spec},
    {offsetof(struct module_state, wsgi_body_type), &wsgi_body_spec},
    {offsetof(struct module_state, wsgi_sized_body_type), &wsgi_sized_body_spec},
    {offsetof(struct module_state, wsgi_chunks_type), &wsgi_chunks_spec},
    {offsetof(struct module_state, asgi_send_type), &asgi_send_spec},
};

#define TYPE_COUNT (sizeof type_specs / sizeof type_specs[0])

static PyTypeObject **
type_of_state(PyObject *module, size_t i)
{
    return (PyTypeObject **)((char *)bind_state(module) + type_specs[i].offset);
}

static int
module_exec(PyObject *module)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        PyTypeObject **type = type_of_state(module, i);
        *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, type_specs[i].spec, NULL);
        if (*type == NULL || PyModule_AddType(module, *type) < 0) {
            return -1;
        }
    }
    if (PyModule_AddFunctions(module, counting_methods) < 0
        || PyModule_AddFunctions(module, names_methods) < 0
        || PyModule_AddFunctions(module, one_object_methods) < 0
        || PyModule_AddFunctions(module, process_methods) < 0) {
        return -1;
    }
    process_remember_pymalloc(bind_state(module));
    return tracing_stop_at_exit(module);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        Py_VISIT(*type_of_state(module, i));
    }
    return 0;
}

static int
module_clear(PyObject *module)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        Py_CLEAR(*type_of_state(module, i));
    }
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,         .m_name = "memscope._memscope",
    .m_doc = module_doc,           .m_size = sizeof(struct module_state),
    .m_methods = tracing_methods,  .m_slots = module_slots,
    .m_traverse = module_traverse, .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__memscope(void)
{
    return PyModuleDef_Init(&module_def);
}
