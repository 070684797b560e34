/* Python objects for what a snapshot mentions: file names, frames, tracebacks.
 *
 * Made when first asked for, then kept, so that equal ones are the same object.
 * They are strings, ints and tuples of such, which no cycle can go through.
 *
 * Locking: the GIL.  Failure: NULL and an exception. */
#ifndef MEMSCOPE_OBJECTS_H
#define MEMSCOPE_OBJECTS_H

#include "base/pycompat.h"
#include "trace/chains.h"
#include "trace/summary.h"

struct objects {
    const struct summary *summary;  /* borrowed */
    PyObject **filenames;           /* [file_count] */
    struct chains chains;           /* made by the first traceback */
    uint32_t *chain_of_node;        /* [node_count]; NULL until then */
    PyObject **frames;              /* [chains.frame_count] */
    PyObject **tracebacks;          /* [chains.chain_count] */
};

/* The summary must outlive it. */
struct objects *objects_new(const struct summary *summary);
void objects_free(struct objects *self);

/* New str of a text. */
PyObject *objects_new_text(const struct text *text);

/* New tuple (file name, line). */
PyObject *objects_new_frame(PyObject *filename, uint32_t lineno);

/* Takes a tuple that no cycle can go through off the collector's list, where
 * its next visit would take it off. */
PyObject *objects_untrack(PyObject *tuple);

/* The name of file `file`, an index as in the summary. */
PyObject *objects_borrow_filename(struct objects *self, uint32_t file);

/* The frames of the traceback `node`, newest first: a tuple of (file name,
 * line).  The first call costs O(nodes). */
PyObject *objects_borrow_traceback(struct objects *self, uint32_t node);

#endif
