/* Differences between CPython versions, one tiny function each; frame layout
 * excepted, which is trace/frames.c's. */
#ifndef MEMSCOPE_PYCOMPAT_H
#define MEMSCOPE_PYCOMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if PY_VERSION_HEX < 0x030B0000
#  error "memscope needs CPython 3.11 or newer"
#endif

/* The thread state this thread is attached to, or NULL; borrowed.  On 3.11 the
 * interpreter keeps one for the whole process, so a thread that does not hold
 * the GIL sees another's there. */
static inline PyThreadState *
pycompat_borrow_attached(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked();
#else
    return _PyThreadState_UncheckedGet();
#endif
}

/* Bytes between the start of an object's memory block and the object: the
 * collector's header and the pointers to dict and weak references that come
 * before it (Objects/typeobject.c, _PyType_PreHeaderSize). */
static inline size_t
pycompat_preheader_size(PyTypeObject *type)
{
    size_t size = 0;
#ifndef Py_GIL_DISABLED
    if (PyType_IS_GC(type)) {
        size += 2 * sizeof(void *);
    }
#endif
    unsigned long flags = type->tp_flags;
#if PY_VERSION_HEX >= 0x030C0000
    if (flags & (Py_TPFLAGS_MANAGED_DICT | Py_TPFLAGS_MANAGED_WEAKREF)) {
#else
    if (flags & Py_TPFLAGS_MANAGED_DICT) {
#endif
        size += 2 * sizeof(PyObject *);
    }
    return size;
}

/* Whether a str has its final form; since 3.12 there is no other (PEP 623). */
static inline int
pycompat_unicode_is_ready(PyObject *unicode)
{
#if PY_VERSION_HEX >= 0x030C0000
    (void)unicode;
    return 1;
#else
    return PyUnicode_IS_READY(unicode);
#endif
}

/* Digits of an int as it is stored, one at least. */
#if PY_VERSION_HEX >= 0x030C0000
#  define PYCOMPAT_DIGITS long_value.ob_digit
#else
#  define PYCOMPAT_DIGITS ob_digit
#endif
static inline size_t
pycompat_int_digits(PyObject *number)
{
#if PY_VERSION_HEX >= 0x030C0000
    size_t digits = ((PyLongObject *)number)->long_value.lv_tag >> 3;
#else
    Py_ssize_t size = Py_SIZE(number);
    size_t digits = (size_t)(size < 0 ? -size : size);
#endif
    return digits > 0 ? digits : 1;
}

/* The dict of a class, or NULL: since 3.12 that of a class of the interpreter's own
 * is not where it was, each subinterpreter having one. */
static inline PyObject *
pycompat_new_type_dict(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyType_GetDict(type);
#else
    return Py_XNewRef(type->tp_dict);
#endif
}

/* A dict, or since 3.15 a frozendict, which is laid out alike. */
static inline int
pycompat_is_dict(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030F0000
    return PyAnyDict_Check(object);
#else
    return PyDict_Check(object);
#endif
}

/* Whether the reference count of an object means nothing. */
static inline int
pycompat_is_immortal(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030C0000
    return _Py_IsImmortal(object);
#else
    (void)object;
    return 0;
#endif
}

/* time.perf_counter(); 0 if there is no such clock. */
static inline double
pycompat_perf_counter(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyTime_t time;
    return PyTime_PerfCounterRaw(&time) < 0 ? 0.0 : PyTime_AsSecondsDouble(time);
#else
    return _PyTime_AsSecondsDouble(_PyTime_GetPerfCounter());
#endif
}

/* Whether the process is on its way out: states of detached threads are freed
 * without notice from then on. */
static inline int
pycompat_is_finalizing(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing();
#else
    return _Py_IsFinalizing();
#endif
}

#endif
