/* One request of a WSGI application that passes by, and what its server gets for a body. */
#ifndef MEMSCOPE_BIND_PASSING_BODY_H
#define MEMSCOPE_BIND_PASSING_BODY_H

#include "bind/bind.h"
#include "bind/passing.h"

/* The request; as an object it is the start_response() that the application gets. */
typedef struct {
    PyObject_HEAD
    Passing *passing;           /* owned */
    PyObject *environ;          /* owned; NULL: the request is over */
    PyObject *start_response;   /* owned; NULL when the server has closed the body */
    PyObject *path, *rule_at;   /* owned */
    PyObject *status, *rule;    /* owned; NULL: not known */
    double began;
    vectorcallfunc call;
} Start;

/* An item of an environ, owned, or NULL; no error. */
PyObject *wsgi_item_of(const Passing *passing, PyObject *environ, enum name name);

/* The request is over; the first time counts.  Keeps an exception that is set. */
void wsgi_over(Start *self, int failed);

/* What the server gets for what the application returned.  Takes over both; never NULL. */
PyObject *wsgi_hand_on(struct module_state *state, Start *start, PyObject *result);

#endif
