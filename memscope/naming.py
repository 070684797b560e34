"""Objects and references in words, without running a line of the program's code.

No repr, ==, hash, len or attribute lookup that a class can change is used: only
what the interpreter's own types do, asked for by type.  Nothing is made by
looking: no ``__dict__``, no frame object.
"""

from __future__ import annotations

import types
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["describe", "edge_texts"]

MOST_NAMES = 100
"""Names of one reference that are looked for."""

TEXT_MAX = 60
"""Characters of a key worth showing."""

PLAIN = (str, bytes, int, float, complex, bool, type(None))
SIZED = (dict, list, tuple, set, frozenset, deque, bytearray)

namespace_of = type.__dict__["__dict__"].__get__
mro_of = type.__dict__["__mro__"].__get__
globals_of: Any = vars(types.ModuleType)["__dict__"].__get__
qualname_of = type.__dict__["__qualname__"].__get__


def edge_texts(source: object, target: object) -> list[str]:
    """The names by which *source* refers to *target*, as people write them.

    ".attribute", "['key']", "[index]", "key" for a key itself, "__dict__".  Empty if none
    is known.  Cost: one pass over *source*.
    """
    try:
        return list(islice(_names(source, target), MOST_NAMES))
    except RuntimeError:  # another thread changed it meanwhile
        return []


def _names(source: Any, target: object) -> Iterator[str]:
    bases = mro_of(type(source))
    if _has(bases, dict):
        for key, value in dict.items(source):
            if value is target:
                yield f"[{_key_text(key)}]"
            if key is target:
                yield "key"
    for base in (list, tuple, deque):
        if _has(bases, base):
            for index, item in enumerate(base.__iter__(source)):
                if item is target:
                    yield f"[{index}]"
    if _has(bases, set) or _has(bases, frozenset):
        yield "element"
    if _has(bases, types.ModuleType):
        if globals_of(source) is target:
            yield "__dict__"
    elif _has(bases, type) and type(target) is dict:
        yield "__dict__"
    if type(source) is types.CellType:
        yield "cell_contents"
    if type(source) is target:
        yield ".__class__"
    yield from _attributes(source, bases, target)


def _attributes(source: Any, bases: tuple[type, ...], target: object) -> Iterator[str]:
    """Slots, and what the instance itself has, as far as methods of its class name it."""
    of_classes: set[str] = set()
    candidates: dict[str, None] = {}
    for base in bases:
        for name, value in dict.items(dict(namespace_of(base))):
            if type(name) is not str:
                continue
            of_classes.add(name)
            kind = type(value)
            if kind is types.MemberDescriptorType:
                try:
                    held = value.__get__(source)
                except (AttributeError, TypeError):
                    continue
                if held is target:
                    yield f".{name}"
            elif kind is types.FunctionType:
                code = types.FunctionType.__dict__["__code__"].__get__(value)
                candidates.update(dict.fromkeys(code.co_names))
    if _has(bases, type):
        return
    for name in candidates:
        if name in of_classes:
            continue
        try:
            held = object.__getattribute__(source, name)
        except AttributeError:
            continue
        if held is target:
            yield f".{name}"


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
        return f"function {types.FunctionType.__dict__['__qualname__'].__get__(obj)}"
    if cls is types.CodeType:
        return f"code of {obj.co_qualname}"
    for base in SIZED:
        if cls is base:
            return f"{base.__name__} of {base.__len__(obj):,}"
    return str(qualname_of(cls))


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
