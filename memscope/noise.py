"""What grows and is no leak: caches of the interpreter and of tools, and what has a bound.

A cache is known by where it is.  A bound is found where it is kept: with the cache itself,
in an attribute of the object that has it, or in the function that adds to it and that also
removes.
"""

from __future__ import annotations

import functools
import re
import types
from collections import deque
from typing import TYPE_CHECKING, Any

from memscope import _memscope, naming

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["bound_of", "label_of", "removes_again"]

LABELS = (
    ("linecache tokenize traceback", "source lines kept for tracebacks"),
    ("re fnmatch glob _strptime sre_compile sre_parse", "compiled patterns"),
    ("importlib _frozen_importlib _frozen_importlib_external zipimport pkgutil encodings codecs",
     "modules being imported"),
    ("typing abc _abc _py_abc functools enum dataclasses inspect collections.abc",
     "caches of the class machinery"),
    ("struct _struct locale gettext mimetypes zoneinfo decimal email html string",
     "a cache of the standard library"),
    ("pdb bdb cProfile profile trace coverage pydevd _pydevd_bundle", "a debugger or profiler"),
    ("_pytest pluggy pytest hypothesis unittest", "the test runner"),
    ("debug_toolbar silk IPython ipykernel jedi werkzeug.debug", "a debugging tool"),
    ("memscope", "memscope itself"),
)  # fmt: skip
"""Modules and packages, none of them the program's own -> what it is that they keep."""

PLACES = (
    (re.compile(r"module sys -> (path_importer_cache|_(?!_dict__)\w+)"), "modules being imported"),
    (re.compile(r"-> _abc_(impl|data|cache|negative_cache)\b"), "caches of the class machinery"),
)
"""Other places, by name."""

LIMIT_NAME = re.compile(
    r"_*((max(imum)?_?(size|len|length|entries|items|count|keys|elements|records|objects|num)?)"
    r"|((size|entry|item|count|cache|pool)_?)?(limit|capacity|bound|maximum|max)"
    r"|(cache|pool|buffer|history|window)_?size|keep(_last)?|backlog|retention)",
    re.IGNORECASE,
)
"""Names under which programs keep how many entries they allow."""

REMOVERS = frozenset(
    "pop popitem popleft clear discard remove evict expire purge prune truncate".split()
)


def label_of(place: str, module: str = "") -> str:
    """What it is that grows at *place*, a path in words, if that is known to be no leak.

    *module*: the root, if it is a module that is not the program's own.
    """
    for names, label in LABELS:
        if any(module == name or module.startswith(f"{name}.") for name in names.split()):
            return label
    return next((label for pattern, label in PLACES if pattern.search(place)), "")


def bound_of(
    holder: Any, before: Sequence[Any], edge: str, size: int, adders: Sequence[Any]
) -> str:
    """What keeps *holder* from growing for ever, in words; "" if nothing does.

    *before*: the objects on the way to it, the nearest last, which refers to it by the name
    *edge*.  *size*: entries it has now.
    *adders*: functions, or their code, that add to it.  A limit counts only while it is not
    yet exceeded.  Runs none of their code.
    """
    cls = type(holder)
    if cls is deque:
        maxlen = deque.__dict__["maxlen"].__get__(holder)
        return f"maxlen={maxlen}" if maxlen is not None else ""
    for owner in (holder, *reversed(before)):
        if type(owner) is functools._lru_cache_wrapper:
            # cache_info() is in C, and asked for by class.
            info = functools._lru_cache_wrapper.cache_info(owner)
            maxsize = info[2]
            return f"lru_cache(maxsize={maxsize})" if maxsize is not None else ""
    for owner in (holder, *reversed(before[-2:])):
        for name, value in _numbers(owner):
            if _is_limit(name, edge) and size <= value:
                return f"{name}={value}"
    for function in adders:
        code = function.__code__ if type(function) is types.FunctionType else function
        if type(code) is types.CodeType and (bound := _bound_in(code, function, size)):
            return bound
    return ""


def removes_again(code: types.CodeType) -> bool:
    """Whether a function removes entries from something."""
    if REMOVERS.intersection(code.co_names):
        return True
    import dis

    return any(found.opname == "DELETE_SUBSCR" for found in dis.get_instructions(code))


def _bound_in(code: types.CodeType, function: Any, size: int) -> str:
    """The limit that a function which adds and removes compares with."""
    if not removes_again(code) or "len" not in code.co_names:
        return ""
    for constant in code.co_consts:
        if type(constant) is int and size <= constant and constant > 1:
            return f"{code.co_name}() removes entries beyond {constant}"
    namespace = function.__globals__ if type(function) is types.FunctionType else {}
    for name in code.co_names:
        value = dict.get(namespace, name)
        if type(value) is int and size <= value and value > 1:
            return f"{code.co_name}() removes entries beyond {name}={value}"
    return ""


def _is_limit(name: str, edge: str) -> bool:
    """Whether an attribute of that name limits what its object refers to as *edge*."""
    name = re.sub(r"^_[A-Z]\w*?__", "", name)  # of a private attribute, without its class
    if LIMIT_NAME.fullmatch(name):
        return True
    what = re.sub(r"\W|_", "", edge).rstrip("s").lower()
    return bool(what) and re.fullmatch(rf"_*max_?{what}s?", name.lower()) is not None


def _numbers(obj: Any) -> Iterator[tuple[str, int]]:
    """Attributes of an instance, and of its class, that are whole numbers above 1."""
    if isinstance_exactly(obj, types.ModuleType, type, dict, list, types.FunctionType):
        return
    spaces = [naming.namespace_of(cls) for cls in naming.mro_of(type(obj))]
    for value in _memscope.referents(obj):
        if type(value) is int and value > 1:
            for name in naming.edge_texts(obj, value):
                yield name.lstrip("."), value
        elif type(value) is dict and "__dict__" in "".join(naming.edge_texts(obj, value)):
            spaces.append(types.MappingProxyType(value))
    for space in spaces:
        for key, value in list(space.items()):
            if type(key) is str and type(value) is int and value > 1:
                yield key, value


def isinstance_exactly(obj: Any, *classes: type) -> bool:
    """Whether its class is one of *classes*, without asking the object."""
    return any(type(obj) is cls for cls in classes)
