/* The History and Survivors types: which objects stay, moment after moment, and where. */
#ifndef MEMSCOPE_BIND_HISTORY_H
#define MEMSCOPE_BIND_HISTORY_H

#include "bind/graph.h"
#include "heap/history.h"
#include "heap/survivors.h"

typedef struct {
    PyObject_HEAD
    Graph *graph;               /* owned: the one it is the history of */
    struct history history;     /* owned */
} History;

/* The numbers of a tuple; NULL with an exception.  Freed with mem_free. */
uint64_t *history_parse_epochs(PyObject *sequence, size_t *count);

/* survivors.c: a new Survivors of a history. */
PyObject *survivors_new(PyTypeObject *type, History *history, PyObject *avoid);

#endif
