#include "bind/passing.h"

#include <string.h>
#include <structmember.h>

#include "bind/bind.h"

/* One more is in flight, unless none may pass by. */
static int
enter(Passing *self, double *began)
{
    if (!self->is_open) {
        return 0;
    }
    *began = pycompat_perf_counter();
    if (self->in_flight == 0) {
        self->since = *began;
    }
    self->in_flight++;
    self->begun++;
    return 1;
}

int
passing_clear_error(void)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

/* Whether requests of a path are watched at all; -1: see passing_begin(). */
static int
is_watched(Passing *self, PyObject *path)
{
    PyObject *known = PyDict_GetItemWithError(self->paths, path);
    if (known != NULL) {
        return PyUnicode_CheckExact(known) && PyUnicode_GET_LENGTH(known) > 0;
    }
    /* One of many with a number in it, perhaps. */
    PyObject *excluding = Py_NewRef(self->excluding);
    int watched = PyErr_Occurred() == NULL;
    for (Py_ssize_t i = 0; watched && i < PyTuple_GET_SIZE(excluding); i++) {
        PyObject *match = PyObject_CallOneArg(PyTuple_GET_ITEM(excluding, i), path);
        watched = match == Py_None;
        Py_XDECREF(match);
    }
    Py_DECREF(excluding);
    return passing_clear_error() < 0 ? -1 : watched;
}

int
passing_begin(Passing *self, PyObject *path, double *began)
{
    if (!self->is_quick || !self->is_open || self->begun % self->every == 0
        || !PyUnicode_CheckExact(path)) {
        return 0;
    }
    int watched = is_watched(self, path);
    return watched <= 0 ? watched : enter(self, began);
}

void
passing_drop(Passing *self)
{
    if (self->in_flight > 0) {      /* else it began before a fork */
        self->in_flight--;
    }
}

static void
release(struct kind *kind)
{
    Py_CLEAR(kind->method);
    Py_CLEAR(kind->path);
    Py_CLEAR(kind->route);
    Py_CLEAR(kind->view);
}

static PyObject *
or_none(PyObject *object)
{
    return object == NULL ? Py_None : object;
}

static PyObject *
tuple_of(const struct kind *kind)
{
    PyObject *code = kind->code > 0 ? PyLong_FromLong(kind->code) : Py_NewRef(Py_None);
    return Py_BuildValue("(OOOONIddd)", or_none(kind->method), or_none(kind->path),
                         or_none(kind->route), or_none(kind->view), code, kind->requests,
                         kind->seconds, kind->longest, kind->over);
}

/* Hands on what is noted.  Without memory for that it is lost, as it must not be the program's
 * misfortune. */
static void
flush(Passing *self)
{
    if (self->count == 0) {
        return;
    }
    /* To let go of an object may run anything, which may come back here: all are out first. */
    struct kind kinds[MOST_KINDS];
    int count = self->count;
    memcpy(kinds, self->kinds, (size_t)count * sizeof *kinds);
    memset(self->kinds, 0, (size_t)count * sizeof *kinds);
    self->count = 0;

    PyObject *raised[3];
    PyErr_Fetch(&raised[0], &raised[1], &raised[2]);
    PyObject *list = PyList_New(count);
    for (int i = 0; i < count; i++) {
        PyObject *one = list == NULL ? NULL : tuple_of(&kinds[i]);
        if (one == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, i, one);
        }
    }
    PyObject *result = list == NULL ? NULL : PyObject_CallOneArg(self->on_passed, list);
    if (result == NULL) {
        PyErr_WriteUnraisable(self->on_passed);
    }
    Py_XDECREF(result);
    Py_XDECREF(list);
    for (int i = 0; i < count; i++) {
        release(&kinds[i]);
    }
    PyErr_Restore(raised[0], raised[1], raised[2]);
}

/* Of a number, or a text that begins with one of three digits; 0: of nothing else. */
static int
code_of(PyObject *status)
{
    int code = 0;
    if (status == NULL) {
        return 0;
    }
    if (PyLong_Check(status)) {
        int overflow;
        long value = PyLong_AsLongAndOverflow(status, &overflow);
        return overflow != 0 || value < 0 || value > 999 ? 0 : (int)value;
    }
    if (!PyUnicode_Check(status) || PyUnicode_GET_LENGTH(status) < 3) {
        return 0;
    }
    for (int i = 0; i < 3; i++) {
        Py_UCS4 digit = PyUnicode_READ_CHAR(status, i);
        if (digit < '0' || digit > '9') {
            return 0;
        }
        code = 10 * code + (int)(digit - '0');
    }
    return code;
}

/* One object, or texts that are equal: to compare others might run anything. */
static int
is_same(PyObject *one, PyObject *other)
{
    if (one == other) {
        return 1;
    }
    if (one == NULL || other == NULL || !PyUnicode_CheckExact(one) || !PyUnicode_CheckExact(other)
        || PyUnicode_GET_LENGTH(one) != PyUnicode_GET_LENGTH(other)
        || PyUnicode_KIND(one) != PyUnicode_KIND(other)) {
        return 0;
    }
    return memcmp(PyUnicode_DATA(one), PyUnicode_DATA(other),
                  (size_t)PyUnicode_GET_LENGTH(one) * (size_t)PyUnicode_KIND(one))
           == 0;
}

/* What answers, without what it is bound to: that may be of this one request. */
static PyObject *
function_of(PyObject *view)
{
    return view != NULL && PyMethod_Check(view) ? PyMethod_GET_FUNCTION(view) : view;
}

/* Where a request is counted; a new one if need be, NULL if there is no room for it. */
static struct kind *
kind_of(Passing *self, const struct passed *request)
{
    int code = code_of(request->status);
    PyObject *route = request->route == Py_None ? NULL : request->route;
    PyObject *path = route == NULL ? request->path : NULL;
    PyObject *view = function_of(request->view);
    struct kind *kind = self->kinds;
    for (int i = 0; i < self->count; i++, kind++) {
        if (kind->code == code && kind->view == view && is_same(kind->route, route)
            && is_same(kind->path, path) && is_same(kind->method, request->method)) {
            return kind;
        }
    }
    if (self->count == MOST_KINDS) {
        return NULL;
    }
    self->count++;
    *kind = (struct kind){
        .method = Py_XNewRef(request->method),
        .path = Py_XNewRef(path),
        .route = Py_XNewRef(route),
        .view = Py_XNewRef(view),
        .code = code,
    };
    return kind;
}

void
passing_end(Passing *self, const struct passed *request)
{
    passing_drop(self);
    struct kind *kind = kind_of(self, request);
    while (kind == NULL) {
        flush(self);            /* what runs there may have filled it again */
        kind = kind_of(self, request);
    }
    kind->over = pycompat_perf_counter();
    double seconds = (request->answered > 0 ? request->answered : kind->over) - request->began;
    kind->requests++;
    kind->seconds += seconds;
    if (seconds > kind->longest) {
        kind->longest = seconds;
    }
    if (self->is_eager) {
        flush(self);
    }
}

PyDoc_STRVAR(begin_doc,
"begin($self, path, /)\n"
"--\n"
"\n"
"A request of *path* begins, and passes by: when that was, of time.perf_counter().  Who gets\n"
"it calls end() or drop(), and one of them once.  None: it does not pass by, because its turn\n"
"has come to be measured, or nothing passes by now, or *path* is excluded.");

/* What Python gets for passing_begin() and enter(). */
static PyObject *
time_or_none(Passing *self, int passes, double began)
{
    if (passes <= 0) {
        return passes < 0 ? NULL : Py_NewRef(Py_None);
    }
    PyObject *time = PyFloat_FromDouble(began);
    if (time == NULL) {
        passing_drop(self);
    }
    return time;
}

static PyObject *
begin(PyObject *object, PyObject *path)
{
    double began = 0.0;
    int passes = passing_begin((Passing *)object, path, &began);
    return time_or_none((Passing *)object, passes, began);
}

PyDoc_STRVAR(enter_doc,
"enter($self, /)\n"
"--\n"
"\n"
"As begin(), of a request of which is known that it shall pass by if any may.");

static PyObject *
enter_method(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    double began = 0.0;
    int passes = enter((Passing *)object, &began);
    return time_or_none((Passing *)object, passes, began);
}

PyDoc_STRVAR(end_doc,
"end($self, began, method, path, route, view, status, answered=0.0, /)\n"
"--\n"
"\n"
"A request is over, which begin() gave *began* for.  It took until *answered*, or until now if\n"
"that is 0.\n"
"\n"
"Raises TypeError; not what on_passed() raises.");

static PyObject *
end(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    if (count < 6 || count > 7) {
        return PyErr_Format(PyExc_TypeError, "end() takes 6 or 7 arguments, not %zd", count);
    }
    struct passed request = {
        .method = args[1],
        .path = args[2],
        .route = args[3],
        .view = args[4],
        .status = args[5],
        .began = PyFloat_AsDouble(args[0]),
        .answered = count > 6 ? PyFloat_AsDouble(args[6]) : 0.0,
    };
    if (PyErr_Occurred()) {
        return NULL;
    }
    passing_end((Passing *)object, &request);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(drop_doc,
"drop($self, /)\n"
"--\n"
"\n"
"A request is gone, and nobody knows how it ended.  Runs no Python code.");

static PyObject *
drop(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    passing_drop((Passing *)object);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(flush_doc,
"flush($self, /)\n"
"--\n"
"\n"
"Call on_passed() with what is over, if anything is.");

static PyObject *
flush_method(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    flush((Passing *)object);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(close_doc,
"close($self, /)\n"
"--\n"
"\n"
"From now on nothing passes by.  How many do and are in flight.");

static PyObject *
close_method(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Passing *self = (Passing *)object;
    self->is_open = 0;
    return PyLong_FromSsize_t(self->in_flight);
}

PyDoc_STRVAR(open_doc,
"open($self, /)\n"
"--\n"
"\n"
"Let requests pass by again.");

static PyObject *
open_method(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    ((Passing *)object)->is_open = 1;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(count_doc,
"count($self, /)\n"
"--\n"
"\n"
"A request begins that does not pass by: begun is one more.");

static PyObject *
count_one(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    ((Passing *)object)->begun++;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(forked_doc,
"forked($self, /)\n"
"--\n"
"\n"
"This is another process: what is in flight in the parent is not in flight here.");

static PyObject *
forked(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    ((Passing *)object)->in_flight = 0;
    Py_RETURN_NONE;
}

static PyObject *
get_paths(PyObject *object, void *Py_UNUSED(unused))
{
    return Py_NewRef(((Passing *)object)->paths);
}

static int
set_paths(PyObject *object, PyObject *value, void *Py_UNUSED(unused))
{
    if (value == NULL || !PyDict_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError, "paths must be a dict");
        return -1;
    }
    Py_SETREF(((Passing *)object)->paths, Py_NewRef(value));
    return 0;
}

static PyObject *
get_excluding(PyObject *object, void *Py_UNUSED(unused))
{
    return Py_NewRef(((Passing *)object)->excluding);
}

static int
set_excluding(PyObject *object, PyObject *value, void *Py_UNUSED(unused))
{
    if (value == NULL || !PyTuple_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError, "excluding must be a tuple");
        return -1;
    }
    Py_SETREF(((Passing *)object)->excluding, Py_NewRef(value));
    return 0;
}

static int
make_names(PyObject **names)
{
    static const char *const texts[NAMES] = {
        [PATH] = "PATH_INFO",
        [REQUEST_METHOD] = "REQUEST_METHOD",
        [ROUTE] = "memscope.route",
        [VIEW] = "memscope.view",
        [FILE_WRAPPER] = "wsgi.file_wrapper",
        [TYPE] = "type",
        [STATUS] = "status",
        [MORE_BODY] = "more_body",
        [CLOSE] = "close",
    };
    for (int i = 0; i < NAMES; i++) {
        names[i] = PyUnicode_InternFromString(texts[i]);
        if (names[i] == NULL) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
new_passing(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"every", "on_passed", NULL};
    long long every;
    PyObject *on_passed;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "LO:Passing", names, &every, &on_passed)) {
        return NULL;
    }
    if (every < 1) {
        return PyErr_Format(PyExc_ValueError, "every must be at least 1, not %lld", every);
    }
    Passing *self = (Passing *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->every = (unsigned long long)every;
        self->on_passed = Py_NewRef(on_passed);
        self->is_open = self->is_quick = 1;
        self->paths = PyDict_New();
        self->excluding = PyTuple_New(0);
        if (self->paths == NULL || self->excluding == NULL || make_names(self->names) < 0) {
            Py_CLEAR(self);
        }
    }
    return (PyObject *)self;
}

static int
traverse(PyObject *object, visitproc visit, void *arg)
{
    Passing *self = (Passing *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->paths);
    Py_VISIT(self->excluding);
    Py_VISIT(self->on_passed);
    for (int i = 0; i < self->count; i++) {
        Py_VISIT(self->kinds[i].method);
        Py_VISIT(self->kinds[i].path);
        Py_VISIT(self->kinds[i].route);
        Py_VISIT(self->kinds[i].view);
    }
    return 0;
}

/* The paths stay until the end: something in the same garbage may use them. */
static int
clear(PyObject *object)
{
    Passing *self = (Passing *)object;
    int count = self->count;
    self->count = 0;
    self->is_open = 0;
    for (int i = 0; i < count; i++) {
        release(&self->kinds[i]);
    }
    Py_XSETREF(self->on_passed, Py_NewRef(Py_None));
    return 0;
}

static void
dealloc(PyObject *object)
{
    Passing *self = (Passing *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    for (int i = 0; i < self->count; i++) {
        release(&self->kinds[i]);
    }
    for (int i = 0; i < NAMES; i++) {
        Py_CLEAR(self->names[i]);
    }
    Py_CLEAR(self->paths);
    Py_CLEAR(self->excluding);
    Py_CLEAR(self->on_passed);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"begun", T_ULONGLONG, offsetof(Passing, begun), READONLY, "Requests that began, all of them."},
    {"every", T_ULONGLONG, offsetof(Passing, every), READONLY,
     "Of how many requests one is none that passes by begin()."},
    {"in_flight", T_PYSSIZET, offsetof(Passing, in_flight), READONLY,
     "Requests that pass by and are not over."},
    {"since", T_DOUBLE, offsetof(Passing, since), READONLY,
     "When the first of those in flight began."},
    {"is_open", T_BOOL, offsetof(Passing, is_open), READONLY, "Whether anything passes by now."},
    {"is_quick", T_BOOL, offsetof(Passing, is_quick), 0, "Whether begin() lets anything pass by."},
    {"is_eager", T_BOOL, offsetof(Passing, is_eager), 0,
     "Whether on_passed() is called at the end of each request."},
    {0},
};

static PyGetSetDef getset[] = {
    {"paths", get_paths, set_paths,
     "Paths that are known: a dict with a str for each, \"\" for one that is excluded.", NULL},
    {"excluding", get_excluding, set_excluding,
     "Functions that return None for a path that is not excluded, if it is not known: a tuple.",
     NULL},
    {0},
};

static PyMethodDef methods[] = {
    {"begin", begin, METH_O, begin_doc},
    {"enter", enter_method, METH_NOARGS, enter_doc},
    {"end", (PyCFunction)(void (*)(void))end, METH_FASTCALL, end_doc},
    {"drop", drop, METH_NOARGS, drop_doc},
    {"flush", flush_method, METH_NOARGS, flush_doc},
    {"close", close_method, METH_NOARGS, close_doc},
    {"open", open_method, METH_NOARGS, open_doc},
    {"count", count_one, METH_NOARGS, count_doc},
    {"forked", forked, METH_NOARGS, forked_doc},
    {"asgi", passing_asgi, METH_O, passing_asgi_doc},
    {"wsgi", passing_wsgi, METH_VARARGS, passing_wsgi_doc},
    {0},
};

PyDoc_STRVAR(passing_doc,
"Passing(every, on_passed)\n"
"--\n"
"\n"
"Requests of a web service that nothing is measured of.  *on_passed* is called with a list of\n"
"those that are over, as (method, path, route, view, code of the status, requests, seconds of\n"
"all, those of the longest, end of the last).  That is when flush() is called, or of more than\n"
"32 kinds one comes.  The path is None where there is a route.\n"
"\n"
"Raises ValueError if *every* is less than 1.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)passing_doc}, {Py_tp_new, new_passing}, {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},       {Py_tp_clear, clear},     {Py_tp_methods, methods},
    {Py_tp_members, members},         {Py_tp_getset, getset},   {0, NULL},
};

PyType_Spec passing_spec = {
    .name = "memscope._memscope.Passing",
    .basicsize = sizeof(Passing),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
