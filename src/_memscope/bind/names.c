/* By which names one live object refers to another.
 *
 * What is found is referenced first and made into tuples at the end, since making them may
 * start a collection, and with it the program's code. */
#include "bind/names.h"

#include <string.h>

#include "base/frame_layout.h"
#include "base/mem.h"
#include "base/object_layout.h"
#include "bind/bind.h"
#include "heap/stacks.h"
#include "heap/visit.h"

#if PY_VERSION_HEX < 0x030C0000
#  include <structmember.h>
#endif

const char *
names_kind(enum name_kind kind)
{
    static const char *const kinds[] = {
        "attribute", "slot",  "dict",       "type", "cell", "callback", "local",
        "key",       "index", "key itself", "item", "weak", "awaiting", "function",
    };
    return kinds[kind];
}

void
names_release(struct names *self)
{
    mem_free(self->items);
    self->items = NULL;
    self->count = self->capacity = 0;
}

/* Whether a reference to `target` is asked for.  NULL is none. */
static bool
is_asked(const struct names *self, const void *target)
{
    return self->only != NULL ? target == (const void *)self->only : target != NULL;
}

void
names_add(struct names *self, struct name name)
{
    if (!names_is_open(self) || !is_asked(self, name.target)) {
        return;
    }
    if (self->count == self->capacity
        && mem_grow((void **)&self->items, &self->capacity, self->count + 1, sizeof name) < 0) {
        self->failed = true;
        return;
    }
    self->items[self->count++] = name;
}

/* A reference with a name of its own. */
static void
add_text(struct names *self, const void *target, enum name_kind kind, const char *text)
{
    names_add(self, (struct name){.kind = kind, .target = target, .text = text});
}

#define ATTRIBUTE(value, text) add_text(self, (value), NAME_ATTRIBUTE, (text))

/* -- instances ------------------------------------------------------------------------ */

static void
name_inline_values(struct names *self, PyObject *source)
{
    Py_ssize_t count = 0;
    PyObject *const *values = object_inline_values(source);
    const struct dict_unicode_entry *keys = object_shared_keys(Py_TYPE(source), &count);
    for (Py_ssize_t i = 0; values != NULL && keys != NULL && i < count; i++) {
        if (keys[i].key != NULL) {
            names_add(self, (struct name){NAME_ATTRIBUTE, values[i], .object = keys[i].key});
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

void
names_of_instance(struct names *self, PyObject *source)
{
    /* Of a class that is not on the heap no instance visits it. */
    if (PyType_HasFeature(Py_TYPE(source), Py_TPFLAGS_HEAPTYPE)) {
        add_text(self, Py_TYPE(source), NAME_TYPE, "__class__");
    }
    if (self->layout_is_verified && PyType_HasFeature(Py_TYPE(source), Py_TPFLAGS_MANAGED_DICT)) {
        name_inline_values(self, source);
    }
    if (!PyType_Check(source) && Py_TYPE(source)->tp_dictoffset != 0) {
        add_text(self, borrow_dict(self, source), NAME_DICT, "__dict__");
    }
}

/* Whether the reference to `target` has been named so already. */
static bool
has_text(const struct names *self, const void *target, PyObject *text)
{
    for (size_t i = 0; i < self->count; i++) {
        const struct name *name = &self->items[i];
        if (name->target == target && name->text != NULL
            && PyUnicode_CompareWithASCIIString(text, name->text) == 0) {
            return true;
        }
    }
    return false;
}

static int
add_members(struct members *self, PyTypeObject *type, PyObject *dict)
{
    enum { OBJECT = 6, OBJECT_EX = 16 };        /* structmember.h, descrobject.h */
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(dict, &position, &key, &value)) {
        if (!Py_IS_TYPE(value, &PyMemberDescr_Type) || !PyUnicode_CheckExact(key)
            || !PyType_IsSubtype(type, PyDescr_TYPE(value))) {
            continue;
        }
        const PyMemberDef *member = ((PyMemberDescrObject *)value)->d_member;
        if (member->type != OBJECT && member->type != OBJECT_EX) {
            continue;
        }
        if (self->count == self->capacity
            && mem_grow((void **)&self->items, &self->capacity, self->count + 1,
                        sizeof *self->items)
                   < 0) {
            return -1;
        }
        self->items[self->count++] = (struct member){member->offset, key};
    }
    return 0;
}

int
names_find_members(PyTypeObject *type, struct members *out)
{
    PyObject *mro = type->tp_mro;
    int status = 0;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro) && status == 0; i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i);
        PyObject *dict = PyType_Check(base) ? pycompat_new_type_dict((PyTypeObject *)base) : NULL;
        status = dict != NULL ? add_members(out, type, dict) : 0;
        Py_XDECREF(dict);
    }
    return status;
}

/* Of some fields it depends on the version whether they are declared: those are named
 * already. */
static void
name_members(struct names *self, PyObject *source, const struct members *members)
{
    for (size_t i = 0; i < members->count; i++) {
        const struct member *member = &members->items[i];
        const void *target = *(PyObject **)((char *)source + member->offset);
        if (is_asked(self, target) && !has_text(self, target, member->name)) {
            names_add(self, (struct name){NAME_SLOT, target, .object = member->name});
        }
    }
}

/* -- what runs ---------------------------------------------------------------------------- */

static int
name_local(PyObject *object, PyObject *name, void *arg)
{
    names_add(arg, (struct name){NAME_LOCAL, object, .object = name});
    return 0;
}

/* An attribute that the source's own class computes, without making anything. */
static void
add_getter(struct names *self, PyObject *source, const char *attribute, enum name_kind kind,
           const char *text)
{
    /* The interpreter's cache of attributes keeps names by their address. */
    PyObject *name = PyUnicode_InternFromString(attribute);
    PyObject *value = name != NULL ? PyObject_GetAttr(source, name) : NULL;
    Py_XDECREF(name);
    if (value == NULL) {
        PyErr_Clear();
    }
    else if (value != Py_None) {
        add_text(self, value, kind, text);
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
        add_text(self, (void *)((uintptr_t)frame->function & ~EXECUTABLE_TAGS), NAME_FUNCTION,
                 NULL);
    }
    add_getter(self, source, kinds[i].awaited, NAME_AWAITING, NULL);
    add_getter(self, source, kinds[i].code, NAME_ATTRIBUTE, kinds[i].code);
    add_getter(self, source, "__name__", NAME_ATTRIBUTE, "__name__");
    add_getter(self, source, "__qualname__", NAME_ATTRIBUTE, "__qualname__");
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
    ATTRIBUTE(object_subclasses(source), "__subclasses__");
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

void
names_of_rest(struct names *self, PyObject *source, const struct members *members)
{
    if (PyGen_CheckExact(source) || PyCoro_CheckExact(source) || PyAsyncGen_CheckExact(source)) {
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
        add_text(self, PyCell_GET(source), NAME_CELL, "cell_contents");
    }
    else if (PyCode_Check(source)) {
        name_code(self, (PyCodeObject *)source);
    }
    else if (PyType_Check(source)) {
        name_type(self, (PyTypeObject *)source);
    }
    else if (PyWeakref_Check(source)) {
        PyObject *referent = ((PyWeakReference *)source)->wr_object;
        add_text(self, referent != Py_None ? referent : NULL, NAME_WEAK, NULL);
        add_text(self, ((PyWeakReference *)source)->wr_callback, NAME_CALLBACK, "__callback__");
    }
    else if (PyTraceBack_Check(source)) {
        ATTRIBUTE(((PyTracebackObject *)source)->tb_next, "tb_next");
        ATTRIBUTE(((PyTracebackObject *)source)->tb_frame, "tb_frame");
    }
    else if (PyExceptionInstance_Check(source)) {
        name_exception(self, (PyBaseExceptionObject *)source);
    }
    name_members(self, source, members);
}

/* -- functions ------------------------------------------------------------------------------ */

static PyObject *
new_name(const struct name *name)
{
    PyObject *value = name->object != NULL       ? Py_NewRef(name->object)
                      : name->text != NULL       ? PyUnicode_InternFromString(name->text)
                      : name->kind == NAME_INDEX ? PyLong_FromSsize_t(name->index)
                                                 : Py_NewRef(Py_None);
    return Py_BuildValue("sN", names_kind(name->kind), value);
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
"    index                                int: of a list, tuple or deque\n"
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
    struct names names = {
        .only = target,
        .most = NAMES_MOST,
        .layout_is_verified = layout_is_verified(module),
    };
    names_of_instance(&names, source);
    names_of_contents(&names, source);
    struct members members = {0};
    names.failed |= names_find_members(Py_TYPE(source), &members) < 0;
    names_of_rest(&names, source, &members);
    mem_free(members.items);
    for (size_t i = 0; i < names.count; i++) {
        Py_XINCREF(names.items[i].object);
    }
    PyObject *list = names.failed ? PyErr_NoMemory() : PyList_New((Py_ssize_t)names.count);
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
    names_release(&names);
    return list;
}

PyMethodDef names_methods[] = {
    {"edge_names", edge_names, METH_VARARGS, edge_names_doc},
    {NULL, NULL, 0, NULL},
};
