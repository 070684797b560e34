/* A WSGI application that lets requests pass by, and the start_response() that the application
 * behind it gets meanwhile.  What that says is handed on as it is, arguments and exceptions too. */
#include "bind/passing_body.h"

#include <structmember.h>

typedef struct {
    PyObject_HEAD
    Passing *passing;           /* owned */
    PyObject *app, *otherwise;  /* owned; who answers a request that passes by, and any other */
    PyObject *rule_at;          /* owned; None or a pair, see passing_wsgi_doc */
    vectorcallfunc call;
} Application;

PyObject *
wsgi_item_of(const Passing *passing, PyObject *environ, enum name name)
{
    PyObject *item = NULL;
    if (PyDict_Check(environ)) {
        item = Py_XNewRef(PyDict_GetItemWithError(environ, passing->names[name]));
        PyErr_Clear();
    }
    return item;
}

void
wsgi_over(Start *self, int failed)
{
    PyObject *environ = self->environ;
    if (environ == NULL) {
        return;
    }
    self->environ = NULL;
    PyObject *raised[3];
    PyErr_Fetch(&raised[0], &raised[1], &raised[2]);
    PyObject *method = wsgi_item_of(self->passing, environ, REQUEST_METHOD), *route, *view;
    if (self->rule != NULL) {
        route = Py_NewRef(self->rule);
        view = NULL;
    }
    else {
        route = wsgi_item_of(self->passing, environ, ROUTE);
        view = wsgi_item_of(self->passing, environ, VIEW);
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

/* Reads what the framework says of the route.  It is known when a response begins, and gone when
 * that ends: a framework drops its request before.  -1 with an exception that is not ours. */
static int
read_rule(Start *self)
{
    PyObject *environ = self->environ, *rule_at = self->rule_at, *rule = NULL;
    if (environ != NULL && rule_at != Py_None && PyDict_Check(environ)) {
        PyObject *request =
            Py_XNewRef(PyDict_GetItemWithError(environ, PyTuple_GET_ITEM(rule_at, 0)));
        if (request != NULL) {
            rule = PyObject_GetAttr(request, PyTuple_GET_ITEM(rule_at, 1));
            Py_DECREF(request);
        }
        Py_XSETREF(self->rule, rule);
    }
    return passing_clear_error();
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
    if (read_rule(self) < 0) {
        return NULL;
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
        wsgi_over(start, 1);
        Py_DECREF(start);
        return NULL;
    }
    return wsgi_hand_on(state, start, result);
}

/* The path that a request asks for, owned: WSGI has bytes as texts of Latin-1.  NULL, and no
 * error: there is none that passes by. */
static PyObject *
path_of(const Passing *passing, PyObject *environ)
{
    PyObject *path = wsgi_item_of(passing, environ, PATH);
    if (path == NULL || (PyUnicode_CheckExact(path) && PyUnicode_IS_ASCII(path))) {
        return path;
    }
    PyObject *bytes = PyUnicode_CheckExact(path) ? PyUnicode_AsLatin1String(path) : NULL;
    Py_DECREF(path);
    path = bytes == NULL
               ? NULL
               : PyUnicode_DecodeUTF8(PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes), "replace");
    Py_XDECREF(bytes);
    PyErr_Clear();
    return path;
}

static PyObject *
application_call(PyObject *object, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Application *self = (Application *)object;
    if (PyVectorcall_NARGS(nargsf) == 2 && names == NULL && self->passing->is_quick) {
        PyObject *path = path_of(self->passing, args[0]);
        double began;
        int passes = path == NULL ? 0 : passing_begin(self->passing, path, &began);
        PyObject *result = passes > 0 ? pass_by(self, began, path, args[0], args[1]) : NULL;
        Py_XDECREF(path);
        if (passes != 0) {
            return result;
        }
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
    "*rule_at*: a key of the environ, and an attribute of what is there when the response\n"
    "begins, which is the route; None: route and view are in the environ at the end, as\n"
    "memscope.route and memscope.view.  Raises TypeError.";

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
