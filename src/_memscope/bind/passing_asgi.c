/* The send() that an ASGI application gets while its request passes by: it notes the status and
 * when the last byte was given to the server, and hands on each message as it is. */
#include "bind/passing.h"

#include <structmember.h>

#include "bind/bind.h"

typedef struct {
    PyObject_HEAD
    Passing *passing;           /* owned */
    PyObject *send;             /* owned */
    PyObject *status;           /* owned; None: not known */
    double answered;
    vectorcallfunc call;
} Send;

static int
is_text(PyObject *object, const char *text)
{
    return PyUnicode_CompareWithASCIIString(object, text) == 0;
}

/* Of a message of the protocol; what is none is the server's business. */
static void
note(Send *self, PyObject *message)
{
    PyObject *type = PyDict_GetItemWithError(message, self->passing->names[TYPE]);
    if (type == NULL || !PyUnicode_CheckExact(type)) {
        return;
    }
    if (is_text(type, "http.response.start")) {
        PyObject *status = PyDict_GetItemWithError(message, self->passing->names[STATUS]);
        Py_XSETREF(self->status, Py_NewRef(status == NULL ? Py_None : status));
    }
    else if (is_text(type, "http.response.body") || is_text(type, "http.response.pathsend")
             || is_text(type, "http.response.zerocopysend")) {
        PyObject *more = PyDict_GetItemWithError(message, self->passing->names[MORE_BODY]);
        if (more == NULL || more == Py_False || more == Py_None) {
            self->answered = pycompat_perf_counter();
        }
    }
}

static PyObject *
send_call(PyObject *object, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Send *self = (Send *)object;
    if (PyVectorcall_NARGS(nargsf) == 1 && PyDict_CheckExact(args[0])) {
        note(self, args[0]);
        if (passing_clear_error() < 0) {
            return NULL;
        }
    }
    return PyObject_Vectorcall(self->send, args, nargsf, names);
}

static int
send_traverse(PyObject *object, visitproc visit, void *arg)
{
    Send *self = (Send *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->passing);
    Py_VISIT(self->send);
    Py_VISIT(self->status);
    return 0;
}

static void
send_dealloc(PyObject *object)
{
    Send *self = (Send *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_DECREF(self->passing);
    Py_DECREF(self->send);
    Py_DECREF(self->status);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

const char passing_asgi_doc[] = "asgi($self, send, /)\n"
                                "--\n"
                                "\n"
                                "The send() for the application of a request that passes by.";

PyObject *
passing_asgi(PyObject *object, PyObject *send)
{
    struct module_state *state = PyType_GetModuleState(Py_TYPE(object));
    Send *self = PyObject_GC_New(Send, state->asgi_send_type);
    if (self != NULL) {
        self->passing = (Passing *)Py_NewRef(object);
        self->send = Py_NewRef(send);
        self->status = Py_NewRef(Py_None);
        self->answered = 0.0;
        self->call = send_call;
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

static PyMemberDef send_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Send, call), READONLY, NULL},
    {"status", T_OBJECT, offsetof(Send, status), READONLY,
     "Of the response; None before it begins."},
    {"answered", T_DOUBLE, offsetof(Send, answered), READONLY,
     "When its last byte was given to the server, of time.perf_counter(); 0 before."},
    {0},
};

PyDoc_STRVAR(send_doc,
"The send() that an application gets while its request passes by.");

static PyType_Slot send_slots[] = {
    {Py_tp_doc, (void *)send_doc},   {Py_tp_call, PyVectorcall_Call}, {Py_tp_dealloc, send_dealloc},
    {Py_tp_traverse, send_traverse}, {Py_tp_members, send_members},   {0, NULL},
};

PyType_Spec asgi_send_spec = {
    .name = "memscope._memscope.AsgiSend",
    .basicsize = sizeof(Send),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = send_slots,
};
