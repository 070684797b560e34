/* Requests of a web service that nothing is measured of: they pass by.
 *
 * Most are such, and what a middleware does for one comes on top of whatever the framework does,
 * in code and data that the request before has driven out of the caches.  There each function
 * of Python costs about a microsecond, and each block of memory a part of one, as it is traced.
 * So what is needed at every request is here: one more in flight, one less, and one more of its
 * kind.  The kinds are handed to Python when somebody looks, or there are too many.
 *
 * passing.c has the counter, passing_wsgi.c, passing_body.c and passing_asgi.c what stands between
 * an application and its server.  Nothing in here knows of a recorder: Python opens and closes. */
#ifndef MEMSCOPE_BIND_PASSING_H
#define MEMSCOPE_BIND_PASSING_H

#include "base/pycompat.h"

/* Texts that are looked up: keys of a WSGI environ and of an ASGI message, an attribute. */
enum name {
    PATH,
    REQUEST_METHOD,
    ROUTE,
    VIEW,
    FILE_WRAPPER,
    TYPE,
    STATUS,
    MORE_BODY,
    CLOSE,
    NAMES
};

/* What is known of a request that is over.  Borrowed; NULL: not known. */
struct passed {
    PyObject *method, *path, *route, *view, *status;
    double began, answered;     /* of time.perf_counter(); answered: 0 if that is not known */
};

/* Requests that differ in their times only; the path counts where there is no route. */
struct kind {
    PyObject *method, *path, *route, *view;     /* owned or NULL */
    int code;                                   /* of the status; 0: none */
    unsigned requests;
    double seconds, longest, over;
};

enum { MOST_KINDS = 32 };

/* All of it changes under the GIL only, and between two places where it may be let go of nothing
 * is half done: so what Python sees, and closes, is one state. */
typedef struct {
    PyObject_HEAD
    PyObject *paths;     /* owned; dict of paths that are known: a text, "" if excluded */
    PyObject
        *excluding; /* owned; tuple of functions of a path, None from all: it is not excluded */
    PyObject *on_passed; /* owned; called with a list of the kinds */
    PyObject *names[NAMES];     /* owned */
    unsigned long long begun;   /* all requests, those that do not pass by among them */
    unsigned long long every;   /* of how many one is none that passes by; at least 1 */
    Py_ssize_t in_flight;
    double since;               /* when the first of those in flight began */
    char is_open, is_quick;
    char is_eager;              /* hand on each request at once */
    int count;
    struct kind kinds[MOST_KINDS];
} Passing;

/* 1 if a request of this path passes by; it is in flight then, and *began is set.  0 if not.  -1
 * with an exception that is none of ours to catch, such as KeyboardInterrupt.  May run Python
 * code if a function of `excluding` does. */
int passing_begin(Passing *self, PyObject *path, double *began);

/* One of those is over.  Keeps an exception that is set, and raises nothing; may run Python code,
 * which is on_passed(). */
void passing_end(Passing *self, const struct passed *request);

/* One is gone, and nobody knows how it ended.  May be called in a collection. */
void passing_drop(Passing *self);

/* 0 after what must not be the program's misfortune is cleared, if it is set; -1 with an exception
 * that is none of ours to catch. */
int passing_clear_error(void);

/* passing_wsgi.c, passing_asgi.c: the methods wsgi() and asgi(). */
PyObject *passing_wsgi(PyObject *passing, PyObject *args);
PyObject *passing_asgi(PyObject *passing, PyObject *send);
extern const char passing_wsgi_doc[], passing_asgi_doc[];
extern PyType_Spec wsgi_application_spec, wsgi_start_spec, wsgi_body_spec, wsgi_sized_body_spec,
    wsgi_chunks_spec, asgi_send_spec;

#endif
