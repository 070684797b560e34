#include "trace/reftracer.h"

#include "trace/fast.h"
#include "trace/tracer.h"

#if PY_VERSION_HEX >= 0x030D0000

static int
on_reference(PyObject *object, PyRefTracerEvent event, void *data)
{
    (void)data;
    /* 3.15 also tells that the tracer was removed, and then there is no object. */
    if (event == PyRefTracer_CREATE && object != NULL && tracer_is_on()) {
        uintptr_t block = (uintptr_t)object - pycompat_preheader_size(Py_TYPE(object));
        if (block == tracer.traces.gil.newest && !gate_is_shared(&tracer.traces.gate)) {
            tracer.traces.gil.newest = 0;   /* announced once; the next time it is reuse */
        }
        else if (!LIKELY(tracer_reuse_fast(block))) {
            tracer_reuse(block);
        }
    }
    return 0;
}

void
reftracer_install(void)
{
    void *data;
    if (PyRefTracer_GetTracer(&data) == NULL) {
        PyRefTracer_SetTracer(on_reference, NULL);
    }
}

void
reftracer_remove(void)
{
    if (reftracer_state() == REFTRACER_ON) {
        PyRefTracer_SetTracer(NULL, NULL);
    }
}

enum reftracer_state
reftracer_state(void)
{
    void *data;
    PyRefTracer current = PyRefTracer_GetTracer(&data);
    return current == NULL           ? REFTRACER_OFF
           : current == on_reference ? REFTRACER_ON
                                     : REFTRACER_TAKEN;
}

#else

void
reftracer_install(void)
{
}
void
reftracer_remove(void)
{
}

enum reftracer_state
reftracer_state(void)
{
    return REFTRACER_UNAVAILABLE;
}

#endif
