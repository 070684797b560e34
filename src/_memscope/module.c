/* memscope._memscope: what Python can ask of the C core.  A table of contents;
 * the functions are in bind/. */
#include "bind/bind.h"

PyDoc_STRVAR(module_doc,
"The C core of memscope: records who allocated each block of memory.\n"
"\n"
"Use memscope or memscope.tracemalloc; this module is what they are made of.");

static int
module_exec(PyObject *module)
{
    struct module_state *state = bind_state(module);
    state->columns_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &columns_spec, NULL);
    if (state->columns_type == NULL || PyModule_AddType(module, state->columns_type) < 0) {
        return -1;
    }
    if (PyModule_AddFunctions(module, counting_methods) < 0
        || PyModule_AddFunctions(module, names_methods) < 0
        || PyModule_AddFunctions(module, one_object_methods) < 0
        || PyModule_AddFunctions(module, process_methods) < 0) {
        return -1;
    }
    process_remember_pymalloc(state);
    state->graph_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &graph_spec, NULL);
    if (state->graph_type == NULL || PyModule_AddType(module, state->graph_type) < 0) {
        return -1;
    }
    state->history_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &history_spec, NULL);
    state->survivors_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &survivors_spec, NULL);
    if (state->history_type == NULL || PyModule_AddType(module, state->history_type) < 0
        || state->survivors_type == NULL || PyModule_AddType(module, state->survivors_type) < 0) {
        return -1;
    }
    return tracing_stop_at_exit(module);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(bind_state(module)->columns_type);
    Py_VISIT(bind_state(module)->graph_type);
    Py_VISIT(bind_state(module)->history_type);
    Py_VISIT(bind_state(module)->survivors_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    Py_CLEAR(bind_state(module)->columns_type);
    Py_CLEAR(bind_state(module)->graph_type);
    Py_CLEAR(bind_state(module)->history_type);
    Py_CLEAR(bind_state(module)->survivors_type);
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
