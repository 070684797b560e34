/* Running frames of all threads: who is running what, and which objects their
 * variables hold, of which the collector knows nothing. */
#ifndef MEMSCOPE_STACKS_H
#define MEMSCOPE_STACKS_H

#include "base/frame_layout.h"
#include "heap/graph.h"

/* The frame of each holder; NULL for a thread.  Borrowed: valid while the GIL is
 * held and no Python code runs. */
struct stacks {
    const struct frame **frames;
    size_t count, capacity;
};

/* Fills `holders` of the graph with the threads of this interpreter that run Python
 * code, each followed by its frames, newest first.  Frames of the calling thread,
 * from the newest on, are left out while their file name begins with `hide`, an
 * exact str, or NULL.
 *
 * The GIL must be held: then no thread state goes away (Python/pystate.c unlinks
 * them under it) and no frame moves.  Makes no frame object and no reference.
 * 0, or -1 without memory; release in both cases. */
int stacks_find(struct stacks *self, struct graph *graph, PyObject *hide);
void stacks_release(struct stacks *self);

/* Calls `visit` for each object that a frame holds, with its name in the texts of
 * the graph, until one returns non-zero; returns that, or -1 without memory. */
int stacks_visit(const struct frame *frame, struct graph *graph,
                 int (*visit)(PyObject *object, graph_text name, void *arg), void *arg);

/* Calls `visit` for each variable of a frame that is set, with its name, a borrowed str,
 * until one returns non-zero; returns that. */
int stacks_visit_slots(const struct frame *frame,
                       int (*visit)(PyObject *object, PyObject *name, void *arg), void *arg);

/* Adds a str to the texts of the graph; 0, the empty text, if it is none. */
graph_text stacks_add_text(struct graph *graph, PyObject *unicode);

#endif
