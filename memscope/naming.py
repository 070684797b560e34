"""Objects and references in words, without running a line of the program's code.

No repr, ==, hash, len or attribute lookup that a class can change is used: only
what the interpreter's own types do, asked for by type.  Nothing is made by
looking: no ``__dict__``, no frame object.
"""

from __future__ import annotations

import sys
import types
from collections import deque
from typing import Any

from memscope import _memscope

__all__ = ["describe", "edge_texts"]

TEXT_MAX = 60
"""Characters of a key worth showing."""

PLAIN = (str, bytes, int, float, complex, bool, type(None))
SIZED = (dict, list, tuple, set, frozenset, deque, bytearray)

SUSPENDABLE: tuple[tuple[type, str], ...] = (
    (types.GeneratorType, "generator"),
    (types.CoroutineType, "coroutine"),
    (types.AsyncGeneratorType, "async generator"),
)

namespace_of = type.__dict__["__dict__"].__get__
mro_of = type.__dict__["__mro__"].__get__
globals_of: Any = vars(types.ModuleType)["__dict__"].__get__
qualname_of = type.__dict__["__qualname__"].__get__


def edge_texts(source: object, target: object) -> list[str]:
    """The names by which *source* refers to *target*, as people write them.

    ".attribute", "['key']", "[index]", "key" for a key itself, "__dict__", "local name".
    Empty if none is known.  Cost: one pass over *source*.
    """
    return [_text(kind, name) for kind, name in _memscope.edge_names(source, target)]


def _text(kind: str, name: Any) -> str:
    if kind in ("attribute", "slot", "type"):
        return f".{name}" if type(name) is str else kind
    if kind == "key":
        return f"[{_key_text(name)}]"
    if kind == "index":
        return f"[{name}]"
    if kind == "key itself":
        return "key"
    if kind == "item":
        return "element"
    return str(name) if type(name) is str else kind


def describe(obj: Any) -> str:
    """What the object is in a few words: "module app", "dict of 12", "Session"."""
    cls = type(obj)
    bases = mro_of(cls)
    if _has(bases, types.ModuleType):
        name = dict.get(globals_of(obj), "__name__")
        return f"module {name}" if type(name) is str else "module"
    if _has(bases, type):
        return f"class {qualname_of(obj)}"
    if cls is types.FunctionType:
        return f"function {_of(cls, '__qualname__', obj)}"
    if cls is types.MethodType:
        function = _of(cls, "__func__", obj)
        if type(function) is types.FunctionType:
            return f"method {_of(types.FunctionType, '__qualname__', function)}"
        return "method"
    if cls is types.CodeType:
        return f"code of {obj.co_qualname}"
    for kind, word in SUSPENDABLE:
        if cls is kind:
            return f"{word} {_of(kind, '__qualname__', obj)}"
    for base in SIZED:
        if cls is base:
            return f"{base.__name__} of {base.__len__(obj):,}"
    return _named_by_library(obj, bases) or str(qualname_of(cls))


def _named_by_library(obj: Any, bases: tuple[type, ...]) -> str:
    """Tasks and threads have names that say more than their class; "" for all else."""
    asyncio = sys.modules.get("_asyncio")
    task = globals_of(asyncio).get("Task") if type(asyncio) is types.ModuleType else None
    if task is not None and _has(bases, task):
        return f"task {task.get_name(obj)}"
    threading = sys.modules.get("threading")
    thread = globals_of(threading).get("Thread") if type(threading) is types.ModuleType else None
    if (
        thread is not None
        and _has(bases, thread)
        and not any("_name" in namespace_of(base) for base in bases)
        and not any("__getattr__" in namespace_of(base) for base in bases)
    ):
        try:
            name = object.__getattribute__(obj, "_name")
        except AttributeError:
            return ""
        return f"thread {name}" if type(name) is str else ""
    return ""


def _of(cls: type, name: str, obj: object) -> Any:
    """An attribute that a class of the interpreter defines."""
    return namespace_of(cls)[name].__get__(obj)


def _has(bases: tuple[type, ...], wanted: type) -> bool:
    return any(base is wanted for base in bases)


def _key_text(key: Any) -> str:
    cls = type(key)
    if cls is tuple and tuple.__len__(key) <= 4:
        return f"({', '.join(map(_key_text, tuple.__iter__(key)))})"
    if any(cls is plain for plain in PLAIN):
        if (cls is str or cls is bytes) and len(key) > TEXT_MAX:
            return f"{key[:TEXT_MAX]!r}..."
        if cls is int and key.bit_length() > 200:
            return "int"
        return repr(key)
    return f"<{qualname_of(cls)}>"
