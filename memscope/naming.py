"""Objects and references in words, without running a line of the program's code.

No repr, ==, hash, len or attribute lookup that a class can change is used: only
what the interpreter's own types do, asked for by type.  Nothing is made by
looking: no ``__dict__``, no frame object.
"""

from __future__ import annotations

import sys
import types
from collections import deque
from typing import TYPE_CHECKING, Any

from memscope import _memscope

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "SIZED",
    "TEXT_MAX",
    "VALUED",
    "describe",
    "edge_text",
    "edge_texts",
    "named_classes",
    "parted_classes",
    "sized",
    "tell",
]

TEXT_MAX = 60
"""Characters of a key worth showing."""

MOST_NAMES = 100
"""Names of one reference that are looked for."""

KEY_DEPTH = 2
"""Tuples within tuples of which a key may consist."""

PLAIN = (str, bytes, int, float, complex, bool, type(None))
VALUED = (*PLAIN, tuple)
"""Classes whose instances, as keys, are told by their value."""
SIZED = (dict, list, tuple, set, frozenset, deque, bytearray)
"""Classes whose instances are told by their length."""

SUSPENDABLE: tuple[tuple[type, str], ...] = (
    (types.GeneratorType, "generator"),
    (types.CoroutineType, "coroutine"),
    (types.AsyncGeneratorType, "async generator"),
)

FUTURE_FIELDS = ("_coro", "_fut_waiter", "_result", "_exception", "_loop")
"""What tasks and futures written in C hold, in their own words."""

namespace_of = type.__dict__["__dict__"].__get__
mro_of = type.__dict__["__mro__"].__get__
globals_of: Any = vars(types.ModuleType)["__dict__"].__get__
exact = str.__str__
"""A str as it is, a copy if its class is one of the program's."""


def edge_texts(source: object, target: object) -> list[str]:
    """The names by which *source* refers to *target*, as people write them.

    ".attribute", "['key']", "[index]", "key" for a key itself, "__dict__", the name of a
    variable.  Empty if none is known.  Cost: one pass over *source*.
    """
    names = [edge_text(kind, name) for kind, name in _memscope.edge_names(source, target)]
    return names or [text for part, text in _parts(source) if part is target][:MOST_NAMES]


def _parts(source: Any) -> Iterator[tuple[object, str]]:
    """What futures and tasks written in C hold, which they tell only when asked."""
    bases = mro_of(type(source))
    owner: dict[str, type] = {}
    for cls in parted_classes():
        if _has(bases, cls):
            owner.update(dict.fromkeys(namespace_of(cls), cls))
    for name in FUTURE_FIELDS:
        if name in owner:
            yield _of(owner[name], name, source), f".{name}"
    callbacks = _of(owner["_callbacks"], "_callbacks", source) if owner else None
    for number, callback in enumerate(callbacks or ()):
        for part in {id(part): part for part in callback}.values():
            yield part, f"callback {number}"


def edge_text(kind: str, name: Any) -> str:
    """What edge_names() of the core tells, as people write it."""
    if kind in ("attribute", "slot", "type"):
        return f".{name}" if type(name) is str else kind
    if kind == "key":
        return f"[{_key_text(name)}]"
    if kind == "key of":
        return f"[<{name}>]"
    if kind in ("index", "key text"):
        return f"[{name}]"
    if kind == "key itself":
        return "key"
    if kind == "item":
        return "element"
    return str(name) if type(name) is str else kind


# -- what a file keeps of it


def named_classes() -> tuple[type, ...]:
    """Classes whose instances, or those of a subclass, describe() tells by more than those."""
    words = (types.ModuleType, type, types.FunctionType, types.MethodType, types.CodeType)
    found = (*words, *(kind for kind, _ in SUSPENDABLE), _asyncio_class("Task"), _thread_class())
    return tuple(cls for cls in found if cls is not None)


def parted_classes() -> tuple[type, ...]:
    """Classes that name what they hold only when asked."""
    found = (_asyncio_class("Future"), _asyncio_class("Task"))
    return tuple(cls for cls in found if cls is not None)


def tell(
    named: list[Any], keys: list[Any], more_keys: list[Any], parted: list[Any]
) -> tuple[list[str], list[str], list[str], list[list[tuple[object, str]]]]:
    """What Graph.to_bytes() asks: descriptions, texts of keys, and names of what some hold."""
    return (
        [describe(obj) for obj in named],
        [_key_text(key) for key in keys],
        [_key_text(key) for key in more_keys],
        [list(_parts(obj)) for obj in parted],
    )


def sized(name: str, length: int) -> str:
    """A container in words: "dict of 12"."""
    return f"{name} of {length:,}"


# -- objects in words


def describe(obj: Any) -> str:
    """What the object is in a few words: "module app", "dict of 12", "Session"."""
    cls = type(obj)
    bases = mro_of(cls)
    if _has(bases, types.ModuleType):
        name = dict.get(globals_of(obj), "__name__")
        return f"module {name}" if type(name) is str else "module"
    if _has(bases, type):
        return f"class {_qualname(obj)}"
    if cls is types.FunctionType:
        return f"function {_qualname(obj, cls)}"
    if cls is types.MethodType:
        function = _of(cls, "__func__", obj)
        if type(function) is types.FunctionType:
            return f"method {_qualname(function, types.FunctionType)}"
        return "method"
    if cls is types.CodeType:
        return f"code of {exact(obj.co_qualname)}"
    for kind, word in SUSPENDABLE:
        if cls is kind:
            return f"{word} {_qualname(obj, kind)}"
    for base in SIZED:
        if cls is base:
            return sized(base.__name__, base.__len__(obj))
    return _named_by_library(obj, bases) or _qualname(cls)


def _named_by_library(obj: Any, bases: tuple[type, ...]) -> str:
    """Tasks and threads have names that say more than their class; "" for all else."""
    task = _asyncio_class("Task")
    if task is not None and _has(bases, task):
        name = _of(task, "get_name", obj)()
        return f"task {name}" if type(name) is str else "task"
    thread = _thread_class()
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


def _asyncio_class(name: str) -> type | None:
    """Task or Future of asyncio in C, if it was imported."""
    return _class("_asyncio", name)


def _thread_class() -> type | None:
    """threading.Thread, if it was imported."""
    return _class("threading", "Thread")


def _class(module_name: str, name: str) -> type | None:
    module = dict.get(sys.modules, module_name)
    cls = dict.get(globals_of(module), name) if type(module) is types.ModuleType else None
    return cls if type(cls) is type else None


def _qualname(obj: object, cls: type = type) -> str:
    return exact(_of(cls, "__qualname__", obj))


def _of(cls: type, name: str, obj: object) -> Any:
    """An attribute that a class of the interpreter defines."""
    return namespace_of(cls)[name].__get__(obj)


def _has(bases: tuple[type, ...], wanted: type) -> bool:
    return any(base is wanted for base in bases)


def _key_text(key: Any, depth: int = KEY_DEPTH) -> str:
    cls = type(key)
    if cls is tuple and depth and len(key) <= 4:
        parts = [_key_text(part, depth - 1) for part in key]
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
    if any(cls is plain for plain in PLAIN):
        if (cls is str or cls is bytes) and len(key) > TEXT_MAX:
            return f"{key[:TEXT_MAX]!r}..."
        if cls is int and key.bit_length() > 200:
            return "int"
        return repr(key)
    return f"<{_qualname(cls)}>"
