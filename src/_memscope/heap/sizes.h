/* Sizes of objects as sys.getsizeof gives them, without running Python code.
 *
 * How large an object is, its class says with __sizeof__.  What classes of the
 * interpreter, and a few that hold much, are known to do there is called or computed
 * here.  Any other __sizeof__ is passed over: one in Python is the program's code, and
 * one in C may fail on an object that was never initialised (_struct.Struct). */
#ifndef MEMSCOPE_SIZES_H
#define MEMSCOPE_SIZES_H

#include "base/pycompat.h"

enum size_rule {
    SIZE_FIXED,         /* tp_basicsize and tp_itemsize */
    SIZE_STR,
    SIZE_INT,
    SIZE_LIST,
    SIZE_METHOD,        /* a C function that only looks */
};

struct sizer {
    enum size_rule rule;
    PyCFunction method;         /* SIZE_METHOD */
    size_t header;              /* bytes before the object */
    int odd_header;             /* not every instance has the collector's (tp_is_gc) */
};

/* How instances of a class are measured; valid while the class lives. */
struct sizer sizer_of(PyTypeObject *type);

/* Bytes.  Raises nothing. */
size_t sizer_measure(const struct sizer *self, PyObject *object);

#endif
