"""What grows and is no leak: caches of the interpreter and of tools, and what has a bound.

A cache is known by where it is.  A bound is found where it is kept: with the cache itself,
in an attribute of the object that has it, or in the function that adds to it and that also
removes.
"""

from __future__ import annotations

import functools
import re
import sys
import types
from collections import deque
from typing import TYPE_CHECKING, Any

from memscope import _memscope, naming

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "ADDERS",
    "bound_of",
    "finalizes_receivers",
    "handled_lines",
    "label_of",
    "last_name",
    "methods_of_class",
    "of_runner",
    "of_tool",
    "runs_tests",
    "value_of_fixture",
]

LABELS = (
    ("linecache tokenize traceback", "source lines kept for tracebacks"),
    ("re fnmatch glob _strptime sre_compile sre_parse", "compiled patterns"),
    ("importlib _frozen_importlib _frozen_importlib_external zipimport pkgutil encodings codecs",
     "modules being imported"),
    ("typing abc _abc _py_abc enum dataclasses inspect collections.abc",
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
    (re.compile(r"-> \.?_abc_(impl|data|cache|negative_cache)\b"), "caches of the class machinery"),
    # Each thread that asks for one gets its own, and opens it again for each request.
    (
        re.compile(r"module django\.[\w.]+ -> connections -> \._connections -> "),
        "connections of Django to databases, one for each thread",
    ),
)
"""Other places, by name."""

OF_RUNNERS = re.compile(
    r"(_pytest|pluggy|xdist|execnet|hypothesis|coverage|anyio|pytest_\w+"
    r"|unittest\.(case|suite|result|runner))\."
)
"""Classes of test runners: what their objects hold, they hold of the tests that ran."""

RUNNER_FILES = re.compile(r"[/\\](_pytest|pluggy)[/\\]")
"""What the variables of their running functions hold, is theirs."""

OF_TOOLS = re.compile(r"(werkzeug\.debug|debug_toolbar|silk)\.")
"""Classes of debugging tools.  Werkzeug's debugger keeps the frames of every exception that it
showed."""

CONTAINERS = frozenset("dict list set deque collections.deque collections.OrderedDict".split())

SIGNALS_OF_DJANGO = "django/dispatch/dispatcher.py"

LIMIT_NAME = re.compile(
    r"_*((max(imum)?_?(size|len|length|entries|items|count|keys|elements|records|objects|num)?)"
    r"|((size|entry|item|count|cache|pool)_?)?(limit|capacity|bound|maximum|max)"
    r"|(cache|pool|buffer|history|window)_?size|keep(_last)?|backlog|retention)",
    re.IGNORECASE,
)
"""Names under which programs keep how many entries they allow."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


REMOVERS = _words("pop popitem popleft clear discard remove evict expire purge prune truncate")
"""Methods that make a container shorter."""

ADDERS = _words("append appendleft add insert extend setdefault update put put_nowait push")
"""Methods that make it longer."""

NEAR = 6
"""Instructions between a container's name and what is done with it."""


def label_of(place: str, module: str = "") -> str:
    """What it is that grows at *place*, a path in words, if that is known to be no leak.

    *module*: the root, if it is a module that is not the program's own.
    """
    for names, label in LABELS:
        if any(module == name or module.startswith(f"{name}.") for name in names.split()):
            return label
    return next((label for pattern, label in PLACES if pattern.search(place)), "")


def of_runner(classes: Sequence[str]) -> bool:
    """Whether one of these classes is a test runner's."""
    return any(OF_RUNNERS.match(name) for name in classes)


def of_tool(classes: Sequence[str]) -> bool:
    """Whether what these classes lead to, the nearest last, is a debugging tool's own.

    What is behind it is not: the debugger has the application that it wraps.
    """
    for name in reversed(classes):
        if OF_TOOLS.match(name):
            return True
        if name.removeprefix("builtins.") not in CONTAINERS:
            return False
    return False


def runs_tests(filename: str) -> bool:
    """Whether a running function of that file is a test runner's."""
    return RUNNER_FILES.search(filename) is not None


def value_of_fixture(definition: Any) -> tuple[Any, str]:
    """What a fixture of pytest's returned, and the fixture in words; "" for anything else."""
    kind = getattr(sys.modules.get("_pytest.fixtures"), "FixtureDef", None)
    if kind is None or not issubclass(type(definition), kind) or not definition.cached_result:
        return None, ""
    return definition.cached_result[0], f"fixture {definition.argname} ({definition.scope})"


def finalizes_receivers(info: Any) -> bool:
    """Whether it is the entry of a weakref.finalize that a signal of Django made.

    A signal makes one with each connect(), also of a receiver that it has already: the test
    client connects its own with each request.  What is really connected is in its receivers.
    """
    entry = getattr(getattr(sys.modules.get("weakref"), "finalize", None), "_Info", None)
    if entry is None or type(info) is not entry or type(info.func) is not types.MethodType:
        return False
    function = info.func.__func__
    if type(function) is not types.FunctionType:
        return False
    return function.__code__.co_filename.replace("\\", "/").endswith(SIGNALS_OF_DJANGO)


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
    name = last_name(edge)
    owners = (holder, *reversed(before[-2:]))
    functions = [*adders, *(method for owner in owners for method in methods_of_class(type(owner)))]
    for owner in owners:
        for limit, value in _numbers(owner):
            if size <= value and _is_limit(limit, edge):
                needed = {limit, name} if owner is not holder else {limit}
                if any(needed <= set(_code_of(one).co_names) for one in functions):
                    return f"{limit}={value}"
    for function in functions:
        if bound := _bound_in(function, name, size):
            return bound
    return ""


def methods_of_class(cls: type) -> list[types.FunctionType]:
    """The functions that a class and its bases define."""
    return [
        member
        for base in naming.mro_of(cls)
        for member in list(naming.namespace_of(base).values())
        if type(member) is types.FunctionType
    ]


def last_name(edge: str) -> str:
    """The name in a step: "_sessions" of "._sessions" and of "['_sessions']"."""
    found = re.findall(r"\w+", edge)
    return found[-1] if found else ""


def _code_of(function: Any) -> types.CodeType:
    code: types.CodeType = function if type(function) is types.CodeType else function.__code__
    return code


def handled_lines(function: Any, name: str, methods: frozenset[str], opcode: str) -> list[int]:
    """The lines of a function that call one of *methods* on what *name* is, or that have an
    instruction *opcode* soon after it; through a local variable too."""
    import dis

    names, recent, lines = {name}, list[str](), list[int]()
    line = _code_of(function).co_firstlineno
    for found in dis.get_instructions(_code_of(function)):
        starts = found.starts_line
        if type(starts) is int:
            line = starts
        elif starts and sys.version_info >= (3, 13):
            line = found.line_number or line
        near = recent[-NEAR:]
        if found.opname.startswith("STORE_FAST") and near[-1:] and near[-1] in names:
            names.add(found.argval)
        elif (found.opname == opcode and names.intersection(near)) or (
            found.argval in methods and names.intersection(near[-2:])
        ):
            lines.append(line)
        recent.append(found.argval if isinstance(found.argval, str) else "")
    return lines


def _bound_in(function: Any, name: str, size: int) -> str:
    """The limit that a function compares the length with before it removes entries."""
    code = _code_of(function)
    if "len" not in code.co_names or name not in code.co_names:
        return ""
    if not handled_lines(function, name, REMOVERS, "DELETE_SUBSCR"):
        return ""
    for constant in code.co_consts:
        if type(constant) is int and size <= constant and constant > 1:
            return f"{code.co_name}() removes entries beyond {constant}"
    namespace = function.__globals__ if type(function) is types.FunctionType else {}
    for other in code.co_names:
        value = dict.get(namespace, other)
        if type(value) is int and size <= value and value > 1:
            return f"{code.co_name}() removes entries beyond {other}={value}"
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
