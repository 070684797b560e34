/* The contents of a live container against the edges of its node. */
#ifndef MEMSCOPE_BIND_CONTAINERS_H
#define MEMSCOPE_BIND_CONTAINERS_H

#include "base/pycompat.h"
#include "heap/labels.h"

enum contents { NO_CONTENTS, DICT, SEQUENCE, SET, OTHER_CONTENTS };

/* What instances of a class contain. */
struct container {
    enum contents contents;
    bool exact;                 /* a class of the interpreter: nothing but contents */
};

struct container container_of(PyObject *object);

/* How the edges of a container from *start on are called by their position; LABEL_NOTHING if
 * they are not, or it has changed by more than additions.  `unchanged`: what it refers to are
 * the edges. */
enum label_form container_form(const struct container *self, const struct graph *graph,
                               PyObject *object, const uint32_t *edges, uint32_t count,
                               bool unchanged, uint32_t *start);

#endif
