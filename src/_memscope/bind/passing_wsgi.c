/* What stands between a WSGI application and its server while a request passes by: the
 * start_response() that the application gets, and the iterable that the server gets.
 *
 * They are two objects, because a generator of the application holds start_response(): who held
 * both would be part of a cycle, and what a server drops without closing it would stay.
 *
 * What the application says is handed on as it is, arguments and exceptions too. */
#include "bind/passing.h"

#include <structmember.h>

#include "bind/bind.h"

typedef struct {
    PyObject_HEAD
    Passing *passing;           /* owned */
    PyObject *app, *otherwise;  /* owned; who answers a request that passes by, and any other */
    PyObject *rule_at; /* owned; None, or a key of the environ and an attribute of what is
                                   there */
    vectorcallfunc call;
} Application;

typedef struct {
    PyObject_HEAD
    Passing *passing; /* owned */
    PyObject *environ; /* owned; NULL: the request is over */
    PyObject *start_response; /* owned; NULL when the server has closed the body */
    PyObject *path, *rule_at; /* owned */
    PyObject *status, *rule; /* owned; NULL: not known */
    double began;
    vectorcallfunc call;
} Start;

typedef struct {
    PyObject_HEAD
    Start *start; /* owned; NULL: closed */
    PyObject *result; /* owned; what the application returned, NULL: closed */
} Body;

typedef struct {
    PyObject_HEAD
    Start *start; /* owned; NULL: of a body that was closed */
    PyObject *iterator; /* owned */
} Chunks;

int
wsgi_make_names(PyObject **names)
{
    static const char *const texts[WSGI_NAMES] = {
        [PATH] = "PATH_INFO",       [REQUEST_METHOD] = "REQUEST_METHOD",
        [ROUTE] = "memscope.route", [VIEW] = "memscope.view",
        [CLOSE] = "close",          [FILE_WRAPPER] = "wsgi.file_wrapper",
    };
    for (int i = 0; i < WSGI_NAMES; i++) {
        names[i] = PyUnicode_InternFromString(texts[i]);
        if (names[i] == NULL) {
            return -1;
        }
    }
    return 0;
}

/* An item of the environ, owned, or NULL; no error. */
static PyObject *
item_of(const Passing *passing, PyObject *environ, enum wsgi_name name)
{
    PyObject *item = NULL;
    if (PyDict_Check(environ)) {
        item = Py_XNewRef(PyDict_GetItemWithError(environ, passing->names[name]));
        PyErr_Clear();
    }
    return item;
}

/* The request is over; the first time counts.  Keeps an exception that is set. */
static void
over(Start *self, int failed)
{
    PyObject *environ = self->environ;
    if (environ == NULL) {
        return;
    }
    self->environ = NULL;
    PyObject *raised[3];
    PyErr_Fetch(&raised[0], &raised[1], &raised[2]);
    PyObject *method = item_of(self->passing, environ, REQUEST_METHOD), *route, *view;
    if (self->rule != NULL) {
        route = Py_NewRef(self->rule);
        view = NULL;
    }
    else {
        route = item_of(self->passing, environ, ROUTE);
        view = item_of(self->passing, environ, VIEW);
    }
    struct passed request = {
        .method = method,
        .path = self->path,
        .route = route,
        .view = view,
        .status = failed ? NULL : self->status,
        .began = self->began,
    };
    passing_end(self->passing, &request);
    Py_XDECREF(method);
    Py_XDECREF(route);
    Py_XDECREF(view);
    Py_DECREF(environ);
    PyErr_Restore(raised[0], raised[1], raised[2]);
}

/* What the framework says of the route.  It is known when a response begins, and gone when it
 * ends: a framework drops its request before. */
static PyObject *
rule_of(PyObject *environ, PyObject *rule_at)
{
    PyObject *rule = NULL;
    if (rule_at != Py_None && PyDict_Check(environ)) {
        PyObject *request =
            Py_XNewRef(PyDict_GetItemWithError(environ, PyTuple_GET_ITEM(rule_at, 0)));
        if (request != NULL) {
            rule = PyObject_GetAttr(request, PyTuple_GET_ITEM(rule_at, 1));
            Py_DECREF(request);
        }
        PyErr_Clear(); /* nothing of ours is the application's misfortune */
    }
    return rule;
}

static PyObject *
start_call(PyObject *object, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Start *self = (Start *)object;
    PyObject *status = PyVectorcall_NARGS(nargsf) > 0 ? args[0] : NULL;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), "status") == 0) {
            status = args[PyVectorcall_NARGS(nargsf) + i];
        }
    }
    Py_XSETREF(self->status, Py_XNewRef(status));
    if (self->environ != NULL) {
        Py_XSETREF(self->rule, rule_of(self->environ, self->rule_at));
    }
    if (self->start_response == NULL) {
        return PyErr_Format(PyExc_RuntimeError, "start_response() after the response was closed");
    }
    PyObject *start_response = Py_NewRef(self->start_response);
    PyObject *result = PyObject_Vectorcall(start_response, args, nargsf, names);
    Py_DECREF(start_response);
    return result;
}

static int
start_traverse(PyObject *object, visitproc visit, void *arg)
{
    Start *self = (Start *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->passing);
    Py_VISIT(self->environ);
    Py_VISIT(self->start_response);
    Py_VISIT(self->path);
    Py_VISIT(self->rule_at);
    Py_VISIT(self->status);
    Py_VISIT(self->rule);
    return 0;
}

/* Not what counts: the end of a request may still come. */
static int
start_clear(PyObject *object)
{
    Start *self = (Start *)object;
    Py_CLEAR(self->start_response);
    Py_CLEAR(self->rule);
    Py_CLEAR(self->status);
    return 0;
}

static void
start_dealloc(PyObject *object)
{
    Start *self = (Start *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->environ != NULL) { /* of a server that never closes what it was given */
        passing_drop(self->passing);
    }
    start_clear(object);
    Py_CLEAR(self->environ);
    Py_CLEAR(self->path);
    Py_CLEAR(self->rule_at);
    Py_CLEAR(self->passing);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

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
    over(start, returned == NULL);
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
    PyObject *wrapper = item_of(start->passing, start->environ, FILE_WRAPPER);
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

/* What the server gets.  Takes over both. */
static PyObject *
hand_on(struct module_state *state, Start *start, PyObject *result)
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
        over(start, 0);
        Py_DECREF(start);
        return result;
    }
    body->start = start;
    body->result = result;
    PyObject_GC_Track(body);
    return (PyObject *)body;
}

/* Has the application answer a request that passes by. */
static PyObject *
pass_by(Application *self, double began, PyObject *path, PyObject *environ,
        PyObject *start_response)
{
    struct module_state *state = PyType_GetModuleState(Py_TYPE(self));
    Start *start = PyObject_GC_New(Start, state->wsgi_start_type);
    if (start == NULL) { /* not counted then */
        passing_drop(self->passing);
        PyErr_Clear();
        return PyObject_CallFunctionObjArgs(self->app, environ, start_response, NULL);
    }
    start->passing = (Passing *)Py_NewRef(self->passing);
    start->path = Py_NewRef(path);
    start->environ = Py_NewRef(environ);
    start->start_response = Py_NewRef(start_response);
    start->rule_at = Py_NewRef(self->rule_at);
    start->status = start->rule = NULL;
    start->began = began;
    start->call = start_call;
    PyObject_GC_Track(start);

    PyObject *args[] = {NULL, environ, (PyObject *)start};
    PyObject *result =
        PyObject_Vectorcall(self->app, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (result == NULL) {
        over(start, 1);
        Py_DECREF(start);
        return NULL;
    }
    return hand_on(state, start, result);
}

static PyObject *
application_call(PyObject *object, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Application *self = (Application *)object;
    if (PyVectorcall_NARGS(nargsf) == 2 && names == NULL && self->passing->is_quick) {
        PyObject *path = item_of(self->passing, args[0], PATH);
        double began;
        if (path != NULL && PyUnicode_CheckExact(path) && PyUnicode_IS_ASCII(path)
            && passing_begin(self->passing, path, &began)) {
            PyObject *result = pass_by(self, began, path, args[0], args[1]);
            Py_DECREF(path);
            return result;
        }
        Py_XDECREF(path);
    }
    return PyObject_Vectorcall(self->otherwise, args, nargsf, names);
}

/* What is in a cycle with it can be cleared: it never changes. */
static int
application_traverse(PyObject *object, visitproc visit, void *arg)
{
    Application *self = (Application *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->passing);
    Py_VISIT(self->app);
    Py_VISIT(self->otherwise);
    Py_VISIT(self->rule_at);
    return 0;
}

static void
application_dealloc(PyObject *object)
{
    Application *self = (Application *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_DECREF(self->passing);
    Py_DECREF(self->app);
    Py_DECREF(self->otherwise);
    Py_DECREF(self->rule_at);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

const char passing_wsgi_doc[] =
    "wsgi($self, app, otherwise, rule_at=None, /)\n"
    "--\n"
    "\n"
    "A WSGI application: *app* answers the requests that pass by, *otherwise* all others.\n"
    "\n"
    "*rule_at*: a key of the environ, and an attribute of what is there when the response begins,\n"
    "which is the route; None: route and view are in the environ at the end, as memscope.route "
    "and\n"
    "memscope.view.  Raises TypeError.";

PyObject *
passing_wsgi(PyObject *passing, PyObject *args)
{
    PyObject *app, *otherwise, *rule_at = Py_None;
    if (!PyArg_ParseTuple(args, "OO|O:wsgi", &app, &otherwise, &rule_at)) {
        return NULL;
    }
    if (rule_at != Py_None && (!PyTuple_CheckExact(rule_at) || PyTuple_GET_SIZE(rule_at) != 2)) {
        PyErr_SetString(PyExc_TypeError, "rule_at must be a pair, or None");
        return NULL;
    }
    struct module_state *state = PyType_GetModuleState(Py_TYPE(passing));
    Application *self = PyObject_GC_New(Application, state->wsgi_application_type);
    if (self != NULL) {
        self->passing = (Passing *)Py_NewRef(passing);
        self->app = Py_NewRef(app);
        self->otherwise = Py_NewRef(otherwise);
        self->rule_at = Py_NewRef(rule_at);
        self->call = application_call;
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

static PyMemberDef application_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Application, call), READONLY, NULL},
    {0},
};

PyDoc_STRVAR(application_doc,
"A WSGI application that lets requests pass by.");

static PyType_Slot application_slots[] = {
    {Py_tp_doc, (void *)application_doc}, {Py_tp_call, PyVectorcall_Call},
    {Py_tp_dealloc, application_dealloc}, {Py_tp_traverse, application_traverse},
    {Py_tp_members, application_members}, {0, NULL},
};

static PyMemberDef start_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Start, call), READONLY, NULL},
    {0},
};

static PyMethodDef body_methods[] = {
    {"close", body_close, METH_NOARGS, body_close_doc},
    {0},
};

PyDoc_STRVAR(start_doc,
"The start_response() that an application gets while its request passes by.");

static PyType_Slot start_slots[] = {
    {Py_tp_doc, (void *)start_doc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_dealloc, start_dealloc},
    {Py_tp_traverse, start_traverse},
    {Py_tp_clear, start_clear},
    {Py_tp_members, start_members},
    {0, NULL},
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

PyType_Spec wsgi_application_spec = {
    .name = "memscope._memscope.WsgiApplication",
    .basicsize = sizeof(Application),
    .flags = FLAGS | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = application_slots,
};

PyType_Spec wsgi_start_spec = {
    .name = "memscope._memscope.WsgiStart",
    .basicsize = sizeof(Start),
    .flags = FLAGS | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = start_slots,
};

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
