/* Python in, Python out.  The only layer that raises. */
#ifndef MEMSCOPE_BIND_H
#define MEMSCOPE_BIND_H

#include "base/pycompat.h"
#include "file/chunks.h"
#include "trace/snapshot.h"

struct module_state {
    PyTypeObject *columns_type;
    PyTypeObject *graph_type;
    PyTypeObject *history_type, *survivors_type;
    PyTypeObject *join_type;
    PyTypeObject *dominators_type;
    PyTypeObject *lengths_type;
    PyTypeObject *passing_type, *wsgi_application_type, *wsgi_start_type, *wsgi_body_type,
        *wsgi_sized_body_type, *wsgi_chunks_type, *asgi_send_type;
    int layout_is_tried, layout_is_right;       /* layout_is_verified */
    PyMemAllocatorEx obj_allocator;             /* process_remember_pymalloc; zero: not seen */
    int obj_allocator_is_malloc;
};

static inline struct module_state *
bind_state(PyObject *module)
{
    return PyModule_GetState(module);
}

/* columns.c: the type, and a new object that takes over `snapshot` (also when
 * it fails; NULL means the core ran out of memory). */
extern PyType_Spec columns_spec;
PyObject *columns_new(struct module_state *state, struct snapshot *snapshot);

/* A new tuple of (file name, line) pairs, newest first, for a traceback, and in
 * *total its number of frames as an int or None (columns.c). */
PyObject *columns_frames(const struct tracebacks *tracebacks, uint32_t traceback, PyObject **total);

/* Functions of the module: tracing.c; counting.c, what the collector tracks,
 * counted and listed; names.c, by what name one object refers to another; one_object.c, its
 * references and size; process.c, the memory of the process. */
extern PyMethodDef tracing_methods[], counting_methods[], names_methods[], one_object_methods[],
    process_methods[];

/* Notes the allocator of the OBJ domain if no hook is above it now.  Raises nothing. */
void process_remember_pymalloc(struct module_state *state);

/* Whether base/object_layout.h is right about this process; tried at the first call, on an
 * instance made for it (one_object.c).  May run the collector.  Raises nothing: 0 then. */
int layout_is_verified(PyObject *module);

/* graph.c: the object graph as a type. */
extern PyType_Spec graph_spec;

/* history.c, survivors.c: which objects stay over a series of graphs, and where. */
extern PyType_Spec history_spec, survivors_spec;

/* lengths.c: how much containers hold. */
extern PyType_Spec lengths_spec;

/* passing.c: requests of a web service that nothing is measured of. */
extern PyType_Spec passing_spec;

/* A frozen copy of all traces, empty if tracing is off; NULL without memory.  Holding the
 * GIL; runs no Python code (tracing.c). */
struct snapshot *tracing_freeze(void);

/* Has the tracer stopped when the main interpreter exits: after that, states of
 * threads vanish, and a hook could be reading their frames.  Nothing in other
 * interpreters, which come and go. */
int tracing_stop_at_exit(PyObject *module);

#ifdef MEMSCOPE_VERSION
#  define BIND_CREATOR "memscope " MEMSCOPE_VERSION
#else
#  define BIND_CREATOR "memscope"
#endif

/* Who writes files. */
static inline struct dump_origin
bind_origin(void)
{
    return (struct dump_origin){BIND_CREATOR, Py_GetVersion(), Py_GetPlatform()};
}

#endif
