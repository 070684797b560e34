/* By which names one live object refers to another.
 *
 * Looks at memory alone: no attribute is fetched but of the interpreter's own classes,
 * nothing is compared but addresses, and what an object has made lazily (a dict, a
 * frame) stays unmade.  What is found is referenced first and made into tuples at the
 * end, since making them may start a collection, and with it the program's code. */
#include <string.h>

#include "base/frame_layout.h"
#include "base/object_layout.h"
#include "bind/bind.h"
#include "heap/stacks.h"
#include "heap/visit.h"

#if PY_VERSION_HEX < 0x030C0000
#  include <structmember.h>
#endif

#define MOST_NAMES 100      /* of one reference */

struct name {
    const char *kind;
    PyObject *object;           /* owned; or NULL, and then `text` or `index` */
    const char *text;
    Py_ssize_t index;
};

struct names {
    const PyObject *target;
    int layout_is_verified;
    struct name items[MOST_NAMES];
    size_t count;
};

static void
add(struct names *self, struct name name)
{
    if (self->count < MOST_NAMES) {
        Py_XINCREF(name.object);
        self->items[self->count++] = name;
    }
}

/* A reference with a name of its own, if it is one to the target. */
static void
check(struct names *self, const void *value, const char *kind, const char *text)
{
    if (value == (const void *)self->target) {
        add(self, (struct name){.kind = kind, .text = text});
    }
}

#define ATTRIBUTE(value, text) check(self, (value), "attribute", (text))

/* -- instances ------------------------------------------------------------------------ */

static void
name_inline_values(struct names *self, PyObject *source)
{
    Py_ssize_t count = 0;
    PyObject *const *values = object_inline_values(source);
    const struct dict_unicode_entry *keys = object_shared_keys(Py_TYPE(source), &count);
    for (Py_ssize_t i = 0; values != NULL && keys != NULL && i < count; i++) {
        if (values[i] == self->target && keys[i].key != NULL) {
            add(self, (struct name){.kind = "attribute", .object = keys[i].key});
        }
    }
}

/* The dict of an instance whose class keeps a pointer to it, without making one. */
static PyObject *
borrow_dict(const struct names *self, PyObject *source)
{
    PyTypeObject *type = Py_TYPE(source);
    if (PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT)) {
        return self->layout_is_verified ? object_managed_dict(source) : NULL;
    }
    Py_ssize_t offset = type->tp_dictoffset;
    if (offset < 0) {
        Py_ssize_t items = Py_SIZE(source);
        size_t size = (size_t)type->tp_basicsize
                      + (size_t)(items < 0 ? -items : items) * (size_t)type->tp_itemsize;
        size = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
        offset += (Py_ssize_t)size;
    }
    return offset > 0 ? *(PyObject **)((char *)source + offset) : NULL;
}

static void
name_instance(struct names *self, PyObject *source)
{
    check(self, Py_TYPE(source), "type", "__class__");
    if (self->layout_is_verified && PyType_HasFeature(Py_TYPE(source), Py_TPFLAGS_MANAGED_DICT)) {
        name_inline_values(self, source);
    }
    if (!PyType_Check(source) && Py_TYPE(source)->tp_dictoffset != 0) {
        check(self, borrow_dict(self, source), "dict", "__dict__");
    }
}

/* Whether a reference has been named so already. */
static int
has_text(const struct names *self, PyObject *text)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->items[i].text != NULL && PyUnicode_CheckExact(text)
            && PyUnicode_CompareWithASCIIString(text, self->items[i].text) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Slots, and fields of classes in C that are declared as members.  Of some of those it
 * depends on the version whether they are: they are named above already. */
static void
name_members(struct names *self, PyObject *source)
{
    enum { OBJECT = 6, OBJECT_EX = 16 };        /* structmember.h, descrobject.h */
    PyObject *mro = Py_TYPE(source)->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i);
        PyObject *dict = PyType_Check(base) ? pycompat_new_type_dict((PyTypeObject *)base) : NULL;
        PyObject *key, *value;
        Py_ssize_t position = 0;
        while (dict != NULL && PyDict_Next(dict, &position, &key, &value)) {
            if (!Py_IS_TYPE(value, &PyMemberDescr_Type) || !PyUnicode_CheckExact(key)
                || !PyType_IsSubtype(Py_TYPE(source), PyDescr_TYPE(value))) {
                continue;
            }
            const PyMemberDef *member = ((PyMemberDescrObject *)value)->d_member;
            if ((member->type == OBJECT || member->type == OBJECT_EX)
                && *(PyObject **)((char *)source + member->offset) == self->target
                && !has_text(self, key)) {
                add(self, (struct name){.kind = "slot", .object = key});
            }
        }
        Py_XDECREF(dict);
    }
}

/* -- containers ----------------------------------------------------------------------- */

static void
name_dict(struct names *self, PyObject *source)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (self->count < MOST_NAMES && PyDict_Next(source, &position, &key, &value)) {
        if (value == self->target) {
            add(self, (struct name){.kind = "key", .object = key});
        }
        check(self, key, "key itself", NULL);
    }
}

static void
name_items(struct names *self, PyObject *const *items, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count && self->count < MOST_NAMES; i++) {
        if (items[i] == self->target) {
            add(self, (struct name){.kind = "index", .index = i});
        }
    }
}

static int
is_target(PyObject *object, void *arg)
{
    return object == ((struct names *)arg)->target;
}

/* -- what runs ---------------------------------------------------------------------------- */

static int
name_local(PyObject *object, PyObject *name, void *arg)
{
    struct names *self = arg;
    if (object == self->target) {
        add(self, (struct name){.kind = "local", .object = name});
    }
    return 0;
}

/* An attribute that the source's own class computes, without making anything. */
static void
check_getter(struct names *self, PyObject *source, const char *attribute, const char *kind,
             const char *text)
{
    PyObject *value = PyObject_GetAttrString(source, attribute);
    if (value == NULL) {
        PyErr_Clear();
    }
    else if (value != Py_None) {
        check(self, value, kind, text);
    }
    Py_XDECREF(value);
}

/* Only for the interpreter's own classes, which have no subclasses: their getters are not
 * the program's.  The one for the frame would make a frame object. */
static void
name_generator(struct names *self, PyObject *source)
{
    static const struct {
        const char *code, *frame, *awaited;
    } kinds[] = {
        {"gi_code", "gi_frame", "gi_yieldfrom"},
        {"cr_code", "cr_frame", "cr_await"},
        {"ag_code", "ag_frame", "ag_await"},
    };
    size_t i = PyGen_CheckExact(source) ? 0 : PyCoro_CheckExact(source) ? 1 : 2;
    const struct frame *frame = frame_of_generator(source);
    if (frame != NULL) {
        stacks_visit_slots(frame, name_local, self);
        ATTRIBUTE(frame->frame_object, kinds[i].frame);
        check(self, (void *)((uintptr_t)frame->function & ~EXECUTABLE_TAGS), "function", NULL);
    }
    check_getter(self, source, kinds[i].awaited, "awaiting", NULL);
    check_getter(self, source, kinds[i].code, "attribute", kinds[i].code);
    check_getter(self, source, "__name__", "attribute", "__name__");
    check_getter(self, source, "__qualname__", "attribute", "__qualname__");
}

static void
name_frame(struct names *self, PyObject *source)
{
    const struct frame *frame = frame_of_object(source);
    ATTRIBUTE(((PyFrameObject **)source)[sizeof(PyObject) / sizeof(void *)], "f_back");
    if (frame == NULL) {
        return;
    }
    ATTRIBUTE((void *)(frame->executable & ~EXECUTABLE_TAGS), "f_code");
    ATTRIBUTE(frame->locals, "f_locals");
    ATTRIBUTE(frame->globals, "f_globals");
    ATTRIBUTE(frame->builtins, "f_builtins");
    stacks_visit_slots(frame, name_local, self);
}

static void
name_function(struct names *self, const PyFunctionObject *source)
{
    ATTRIBUTE(source->func_code, "__code__");
    ATTRIBUTE(source->func_globals, "__globals__");
    ATTRIBUTE(source->func_builtins, "__builtins__");
    ATTRIBUTE(source->func_closure, "__closure__");
    ATTRIBUTE(source->func_defaults, "__defaults__");
    ATTRIBUTE(source->func_kwdefaults, "__kwdefaults__");
    ATTRIBUTE(source->func_annotations, "__annotations__");
    ATTRIBUTE(source->func_name, "__name__");
    ATTRIBUTE(source->func_qualname, "__qualname__");
    ATTRIBUTE(source->func_module, "__module__");
    ATTRIBUTE(source->func_doc, "__doc__");
#if PY_VERSION_HEX >= 0x030C0000
    ATTRIBUTE(source->func_typeparams, "__type_params__");
#endif
#if PY_VERSION_HEX >= 0x030E0000
    ATTRIBUTE(source->func_annotate, "__annotate__");
#endif
}

static void
name_code(struct names *self, const PyCodeObject *source)
{
    ATTRIBUTE(source->co_consts, "co_consts");
    ATTRIBUTE(source->co_names, "co_names");
    ATTRIBUTE(source->co_localsplusnames, "co_localsplusnames");
    ATTRIBUTE(source->co_filename, "co_filename");
    ATTRIBUTE(source->co_name, "co_name");
    ATTRIBUTE(source->co_qualname, "co_qualname");
    ATTRIBUTE(source->co_linetable, "co_linetable");
    ATTRIBUTE(source->co_exceptiontable, "co_exceptiontable");
}

/* -- classes and the rest --------------------------------------------------------------- */

static void
name_type(struct names *self, PyTypeObject *source)
{
    PyObject *dict = pycompat_new_type_dict(source);
    ATTRIBUTE(dict, "__dict__");
    Py_XDECREF(dict);
    ATTRIBUTE(source->tp_base, "__base__");
    ATTRIBUTE(source->tp_bases, "__bases__");
    ATTRIBUTE(source->tp_mro, "__mro__");
    if (PyType_HasFeature(source, Py_TPFLAGS_HEAPTYPE)) {
        const PyHeapTypeObject *heap = (const PyHeapTypeObject *)source;
        ATTRIBUTE(heap->ht_slots, "__slots__");
        ATTRIBUTE(heap->ht_module, "__module__");
        ATTRIBUTE(heap->ht_name, "__name__");
        ATTRIBUTE(heap->ht_qualname, "__qualname__");
    }
}

static void
name_exception(struct names *self, const PyBaseExceptionObject *source)
{
    ATTRIBUTE(source->args, "args");
    ATTRIBUTE(source->notes, "__notes__");
    ATTRIBUTE(source->traceback, "__traceback__");
    ATTRIBUTE(source->context, "__context__");
    ATTRIBUTE(source->cause, "__cause__");
}

static void
find_names(struct names *self, PyObject *source)
{
    name_instance(self, source);
    if (pycompat_is_dict(source)) {
        name_dict(self, source);
    }
    else if (PyList_Check(source)) {
        name_items(self, ((PyListObject *)source)->ob_item, PyList_GET_SIZE(source));
    }
    else if (PyTuple_Check(source)) {
        name_items(self, ((PyTupleObject *)source)->ob_item, PyTuple_GET_SIZE(source));
    }
    else if (PyGen_CheckExact(source) || PyCoro_CheckExact(source)
             || PyAsyncGen_CheckExact(source)) {
        name_generator(self, source);
    }
    else if (PyFrame_Check(source)) {
        name_frame(self, source);
    }
    else if (PyFunction_Check(source)) {
        name_function(self, (PyFunctionObject *)source);
    }
    else if (PyMethod_Check(source)) {
        ATTRIBUTE(PyMethod_GET_SELF(source), "__self__");
        ATTRIBUTE(PyMethod_GET_FUNCTION(source), "__func__");
    }
    else if (PyCFunction_Check(source)) {
        ATTRIBUTE(((PyCFunctionObject *)source)->m_self, "__self__");
        ATTRIBUTE(((PyCFunctionObject *)source)->m_module, "__module__");
    }
    else if (PyCell_Check(source)) {
        check(self, PyCell_GET(source), "cell", "cell_contents");
    }
    else if (PyCode_Check(source)) {
        name_code(self, (PyCodeObject *)source);
    }
    else if (PyType_Check(source)) {
        name_type(self, (PyTypeObject *)source);
    }
    else if (PyWeakref_Check(source)) {
        PyObject *referent = ((PyWeakReference *)source)->wr_object;
        check(self, referent != Py_None ? referent : NULL, "weak", NULL);
        check(self, ((PyWeakReference *)source)->wr_callback, "callback", "__callback__");
    }
    else if (PyTraceBack_Check(source)) {
        ATTRIBUTE(((PyTracebackObject *)source)->tb_next, "tb_next");
        ATTRIBUTE(((PyTracebackObject *)source)->tb_frame, "tb_frame");
    }
    else if (PyExceptionInstance_Check(source)) {
        name_exception(self, (PyBaseExceptionObject *)source);
    }
    else if (PyAnySet_Check(source) && object_visit(source, is_target, self)) {
        add(self, (struct name){.kind = "item"});
    }
    name_members(self, source);
}

/* -- functions ------------------------------------------------------------------------------ */

static PyObject *
new_name(const struct name *name)
{
    PyObject *value = name->object != NULL               ? Py_NewRef(name->object)
                      : name->text != NULL               ? PyUnicode_InternFromString(name->text)
                      : strcmp(name->kind, "index") == 0 ? PyLong_FromSsize_t(name->index)
                                                         : Py_NewRef(Py_None);
    return Py_BuildValue("sN", name->kind, value);
}

PyDoc_STRVAR(edge_names_doc,
"edge_names($module, source, target, /)\n"
"--\n"
"\n"
"Every name by which *source* refers to *target*, as (kind, name):\n"
"\n"
"    attribute, slot, dict, type, cell, callback    str\n"
"    local                                str: a variable of a generator or a frame\n"
"    key                                  the key of a dict whose value it is\n"
"    index                                int: of a list or tuple\n"
"    key itself, item, weak               None\n"
"    awaiting, function                   None: of a generator\n"
"\n"
"Empty if none is known.  Runs no Python code and makes nothing in *source*.  Raises\n"
"MemoryError.  Cost: one pass over *source*.");

static PyObject *
edge_names(PyObject *module, PyObject *args)
{
    PyObject *source, *target;
    if (!PyArg_ParseTuple(args, "OO:edge_names", &source, &target)) {
        return NULL;
    }
    struct names names;
    names.target = target;
    names.layout_is_verified = layout_is_verified(module);
    names.count = 0;
    find_names(&names, source);
    PyObject *list = PyList_New((Py_ssize_t)names.count);
    for (size_t i = 0; i < names.count; i++) {
        PyObject *pair = list != NULL ? new_name(&names.items[i]) : NULL;
        if (pair == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
        }
        Py_XDECREF(names.items[i].object);
    }
    return list;
}

PyMethodDef names_methods[] = {
    {"edge_names", edge_names, METH_VARARGS, edge_names_doc},
    {NULL, NULL, 0, NULL},
};
