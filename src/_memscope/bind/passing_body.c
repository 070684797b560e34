/* The iterable that the server gets from a WSGI application while its request passes by.
 *
 * It is apart from the request, because a generator of the application holds start_response():
 * who held both would be part of a cycle, and what a server drops without closing it would stay. */
#include "bind/passing_body.h"

typedef struct {
    PyObject_HEAD
    Start *start;               /* owned; NULL: closed */
    PyObject *result;           /* owned; what the application returned, NULL: closed */
} Body;

typedef struct {
    PyObject_HEAD
    Start *start;               /* owned; NULL: of a body that was closed */
    PyObject *iterator;         /* owned */
} Chunks;

/* One each time, as of the application's own: that of some can be had twice. */
static PyObject *
body_iter(PyObject *object)
{
    Body *self = (Body *)object;
    PyObject *result = self->result != NULL ? Py_NewRef(self->result) : PyTuple_New(0);
    PyObject *iterator = result == NULL ? NULL : PyObject_GetIter(result);
    Py_XDECREF(result);
    if (iterator == NULL) {
        if (self->start != NULL) {
            Py_CLEAR(self->start->status);
        }
        return NULL;
    }
    struct module_state *state = PyType_GetModuleState(Py_TYPE(object));
    Chunks *chunks = PyObject_GC_New(Chunks, state->wsgi_chunks_type);
    if (chunks == NULL) {
        PyErr_Clear();
        return iterator;
    }
    chunks->start = (Start *)Py_XNewRef((PyObject *)self->start);
    chunks->iterator = iterator;
    PyObject_GC_Track(chunks);
    return (PyObject *)chunks;
}

static PyObject *
chunks_next(PyObject *object)
{
    Chunks *self = (Chunks *)object;
    PyObject *chunk = Py_TYPE(self->iterator)->tp_iternext(self->iterator);
    if (chunk == NULL && self->start != NULL && PyErr_Occurred()
        && !PyErr_ExceptionMatches(PyExc_StopIteration)) {
        Py_CLEAR(self->start->status);
    }
    return chunk;
}

static int
chunks_traverse(PyObject *object, visitproc visit, void *arg)
{
    Chunks *self = (Chunks *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->start);
    Py_VISIT(self->iterator);
    return 0;
}

static void
chunks_dealloc(PyObject *object)
{
    Chunks *self = (Chunks *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_XDECREF(self->start);
    Py_DECREF(self->iterator);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

/* What the close() of what the application returned returns; a new reference, NULL if it raises. */
static PyObject *
close_result(const Passing *passing, PyObject *result)
{
    PyObject *method = PyObject_GetAttr(result, passing->names[CLOSE]);
    if (method == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return NULL;
        }
        PyErr_Clear();
        return Py_NewRef(Py_None);
    }
    PyObject *returned = method == Py_None ? Py_NewRef(Py_None) : PyObject_CallNoArgs(method);
    Py_DECREF(method);
    return returned;
}

PyDoc_STRVAR(body_close_doc,
"close($self, /)\n"
"--\n"
"\n"
"Close what the application returned, if that can be closed: the request is over.");

static PyObject *
body_close(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Body *self = (Body *)object;
    Start *start = self->start;
    PyObject *result = self->result;
    if (start == NULL) {
        Py_RETURN_NONE;
    }
    self->start = NULL;
    self->result = NULL;
    PyObject *returned = close_result(start->passing, result);
    PyObject *raised[3];
    PyErr_Fetch(&raised[0], &raised[1], &raised[2]);
    Py_DECREF(result);
    Py_CLEAR(start->start_response);
    PyErr_Restore(raised[0], raised[1], raised[2]);
    wsgi_over(start, returned == NULL);
    Py_DECREF(start);
    if (returned == NULL) {
        return NULL;
    }
    Py_DECREF(returned);
    Py_RETURN_NONE;
}

static Py_ssize_t
body_length(PyObject *object)
{
    PyObject *result = ((Body *)object)->result;
    return result == NULL ? 0 : PyObject_Size(result);
}

static int
body_traverse(PyObject *object, visitproc visit, void *arg)
{
    Body *self = (Body *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->start);
    Py_VISIT(self->result);
    return 0;
}

static int
body_clear(PyObject *object)
{
    Body *self = (Body *)object;
    Py_CLEAR(self->start);
    Py_CLEAR(self->result);
    return 0;
}

static void
body_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    body_clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

/* Whether the server sends it by itself, which it sees by the class. */
static int
is_file(const Start *start, PyObject *result)
{
    PyObject *wrapper = wsgi_item_of(start->passing, start->environ, FILE_WRAPPER);
    int is_one = wrapper != NULL && PyType_Check(wrapper)
                 && PyType_IsSubtype(Py_TYPE(result), (PyTypeObject *)wrapper);
    Py_XDECREF(wrapper);
    return is_one;
}

static int
has_length(PyObject *object)
{
    const PyTypeObject *type = Py_TYPE(object);
    return (type->tp_as_sequence != NULL && type->tp_as_sequence->sq_length != NULL)
           || (type->tp_as_mapping != NULL && type->tp_as_mapping->mp_length != NULL);
}

PyObject *
wsgi_hand_on(struct module_state *state, Start *start, PyObject *result)
{
    Body *body = NULL;
    if (!PyList_CheckExact(result) && !PyTuple_CheckExact(result) && !is_file(start, result)) {
        /* Servers make a Content-Length of the only chunk of what has a length. */
        PyTypeObject *type =
            has_length(result) ? state->wsgi_sized_body_type : state->wsgi_body_type;
        body = PyObject_GC_New(Body, type);
        PyErr_Clear();
    }
    if (body == NULL) {
        /* The whole body is there, or the server's; or there is no memory to follow it. */
        wsgi_over(start, 0);
        Py_DECREF(start);
        return result;
    }
    body->start = start;
    body->result = result;
    PyObject_GC_Track(body);
    return (PyObject *)body;
}

static PyMethodDef body_methods[] = {
    {"close", body_close, METH_NOARGS, body_close_doc},
    {0},
};

PyDoc_STRVAR(chunks_doc,
"The chunks of a body.");

/* No tp_clear: it never changes, and who is in a cycle with it can be cleared. */
static PyType_Slot chunks_slots[] = {
    {Py_tp_doc, (void *)chunks_doc},   {Py_tp_dealloc, chunks_dealloc},
    {Py_tp_traverse, chunks_traverse}, {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, chunks_next},     {0, NULL},
};

PyDoc_STRVAR(body_doc,
"Stands for what an application returned while its request passes by.");

static PyType_Slot body_slots[] = {
    {Py_tp_doc, (void *)body_doc},
    {Py_tp_dealloc, body_dealloc},
    {Py_tp_traverse, body_traverse},
    {Py_tp_clear, body_clear},
    {Py_tp_iter, body_iter},
    {Py_tp_methods, body_methods},
    {0, NULL},
};

static PyType_Slot sized_body_slots[] = {
    {Py_tp_doc, (void *)body_doc},   {Py_tp_dealloc, body_dealloc},
    {Py_tp_traverse, body_traverse}, {Py_tp_clear, body_clear},
    {Py_tp_iter, body_iter},         {Py_tp_methods, body_methods},
    {Py_sq_length, body_length},     {0, NULL},
};

#define FLAGS                                                                    \
    (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION \
     | Py_TPFLAGS_IMMUTABLETYPE)

PyType_Spec wsgi_body_spec = {
    .name = "memscope._memscope.WsgiBody",
    .basicsize = sizeof(Body),
    .flags = FLAGS,
    .slots = body_slots,
};

PyType_Spec wsgi_chunks_spec = {
    .name = "memscope._memscope.WsgiChunks",
    .basicsize = sizeof(Chunks),
    .flags = FLAGS,
    .slots = chunks_slots,
};

PyType_Spec wsgi_sized_body_spec = {
    .name = "memscope._memscope.WsgiSizedBody",
    .basicsize = sizeof(Body),
    .flags = FLAGS,
    .slots = sized_body_slots,
};
