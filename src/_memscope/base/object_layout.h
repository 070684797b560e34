/* How each CPython lays out the attributes of an instance, the keys of a dict and what a class
 * has: the one place that knows. */
#ifndef MEMSCOPE_OBJECT_LAYOUT_H
#define MEMSCOPE_OBJECT_LAYOUT_H

#include "base/pycompat.h"

#if PY_VERSION_HEX >= 0x03100000
#  error "object_layout.h is verified up to CPython 3.15: compare pycore_dict.h and pycore_object.h"
#endif

/* struct _dictkeysobject (Include/internal/pycore_dict.h).  Behind it are the indices,
 * 1 << log2_index_bytes bytes of them, and behind those the entries. */
struct dict_keys {
    Py_ssize_t references;
    uint8_t log2_size, log2_index_bytes;
    uint8_t kind;
    uint32_t version;
    Py_ssize_t usable;
    Py_ssize_t entry_count;
};

struct dict_unicode_entry {
    PyObject *key;              /* NULL: not in use */
    PyObject *value;
};

enum { DICT_KEYS_GENERAL, DICT_KEYS_UNICODE, DICT_KEYS_SPLIT };

/* How a dict has its keys.  tp_traverse visits values alone where they are all str: the
 * dict's own (UNICODE), or those of a class (SPLIT); else each value and then its key. */
static inline int
object_dict_kind(PyObject *dict)
{
    return ((const struct dict_keys *)((PyDictObject *)dict)->ma_keys)->kind;
}

/* Whether tp_traverse of a dict leaves out its keys, and they are its own. */
static inline int
object_dict_hides_keys(PyObject *dict)
{
    return object_dict_kind(dict) == DICT_KEYS_UNICODE;
}

/* Where the attribute values of an instance may be, for a prefetch: not to be followed.
 * Only for classes with Py_TPFLAGS_MANAGED_DICT. */
static inline const void *
object_values_hint(PyObject *object)
{
#if PY_VERSION_HEX < 0x030C0000
    return ((void **)object)[-4];
#else
    return ((void **)object)[-3];
#endif
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

/* The values of attributes that an instance keeps without a dict, or NULL; borrowed.  Only
 * for classes with Py_TPFLAGS_MANAGED_DICT.  Value i belongs to key i of the class; it
 * is NULL where the attribute is not set. */
static inline PyObject *const *
object_inline_values(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030D0000
    struct values {
        uint8_t capacity, size, embedded, valid;
        PyObject *values[1];
    };
    if (!PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_INLINE_VALUES)) {
        return NULL;
    }
    const struct values *values =
        (const struct values *)((const char *)object + Py_TYPE(object)->tp_basicsize);
    return values->valid ? values->values : NULL;
#elif PY_VERSION_HEX >= 0x030C0000
    uintptr_t dict_or_values = ((uintptr_t *)object)[-3];
    return dict_or_values & 1 ? (PyObject *const *)(dict_or_values + 1) : NULL;
#else
    return ((PyObject *const **)object)[-4];
#endif
}

/* The names that instances of a class share, in the order of their values; NULL if it
 * has none.  Borrowed. */
static inline const struct dict_unicode_entry *
object_shared_keys(PyTypeObject *type, Py_ssize_t *count)
{
    const struct dict_keys *keys =
        PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)
            ? (const struct dict_keys *)((PyHeapTypeObject *)type)->ht_cached_keys
            : NULL;
    if (keys == NULL || keys->kind != DICT_KEYS_SPLIT) {
        return NULL;
    }
    *count = keys->entry_count;
    const char *indices = (const char *)(keys + 1);
    return (const struct dict_unicode_entry *)(indices + ((size_t)1 << keys->log2_index_bytes));
}

/* The dict of weak references to the subclasses of a class, or NULL: it has none, or is one of
 * the interpreter's own, which keeps them elsewhere since 3.12.  Borrowed. */
static inline PyObject *
object_subclasses(const PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030C0000
    if (!PyType_HasFeature((PyTypeObject *)type, Py_TPFLAGS_HEAPTYPE)) {
        return NULL;
    }
#endif
    return (PyObject *)type->tp_subclasses;
}

#endif
