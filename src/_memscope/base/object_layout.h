/* How each CPython lays out the attributes of an instance and the keys of a dict:
 * the one place that knows. */
#ifndef MEMSCOPE_OBJECT_LAYOUT_H
#define MEMSCOPE_OBJECT_LAYOUT_H

#include "base/pycompat.h"

#if PY_VERSION_HEX >= 0x03100000
#  error "object_layout.h is verified up to CPython 3.15: compare pycore_dict.h and pycore_object.h"
#endif

/* The beginning of struct _dictkeysobject (Include/internal/pycore_dict.h). */
struct dict_keys {
    Py_ssize_t references;
    uint8_t log2_size, log2_index_bytes;
    uint8_t kind;
};

enum { DICT_KEYS_GENERAL, DICT_KEYS_UNICODE, DICT_KEYS_SPLIT };

/* Whether tp_traverse of a dict leaves out its keys: they are all str, and the
 * dict's own, not those of a class. */
static inline int
object_dict_hides_keys(PyObject *dict)
{
    const struct dict_keys *keys = (const struct dict_keys *)((PyDictObject *)dict)->ma_keys;
    return keys->kind == DICT_KEYS_UNICODE;
}

/* The dict that an instance was once asked for, or NULL; borrowed.  Only for classes
 * with Py_TPFLAGS_MANAGED_DICT.  Before 3.13, the place may have the values instead. */
static inline PyObject *
object_managed_dict(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000
    uintptr_t dict_or_values = ((uintptr_t *)object)[-3];
    return dict_or_values & 1 ? NULL : (PyObject *)dict_or_values;
#else
    return ((PyObject **)object)[-3];
#endif
}

#endif
