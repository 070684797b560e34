"""The nodes of a graph in words: what they are, and by which name one refers to another.

A graph knows addresses, classes and sizes.  The rest is read from the objects, if they
still live: those that a question needs are fetched at once, named, and let go.  Of an
object that is gone, the graph's own columns tell the class.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from memscope import _memscope, naming
from memscope.report import size_text
from memscope.sources import Sources
from memscope.table import clip, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from memscope._memscope import Graph, Join, RawFrame

__all__ = [
    "GONE",
    "MODULE",
    "MOST_NAMES",
    "OWN_FOLDER",
    "SURPLUS",
    "TYPE",
    "NodeNames",
    "class_name",
    "full_name",
    "global_name",
    "is_class",
    "shown",
    "thread_names",
]

MODULE, TYPE, SURPLUS = 4, 8, 32
"""Flags of a node, as in heap/graph.h."""

OWN_FOLDER = os.path.dirname(__file__) + os.sep

GONE = object()
"""Stands for an object that is no more."""

DICT_KEY = re.compile(r"\['([^\W\d]\w*)'\]")

TEXT_MAX = 100
"""Characters of a name or a description worth showing."""

MOST_NAMES = 3
"""Names of one reference that are told, of an object that refers to another many times."""


def full_name(module: str | None, qualname: str) -> str:
    """module.qualname; builtins, and what has no module, by the qualified name alone."""
    return qualname if module in (None, "", "builtins") else f"{module}.{qualname}"


def class_name(cls: type) -> tuple[str | None, str]:
    """(module or None, qualified name) of a class, whatever its metaclass says."""
    try:
        module = type.__dict__["__module__"].__get__(cls)
    except AttributeError:
        module = None
    return module if type(module) is str else None, type.__dict__["__qualname__"].__get__(cls)


def is_class(obj: object) -> bool:
    """Whether it is one, not whether it says so."""
    return any(base is type for base in type.__dict__["__mro__"].__get__(type(obj)))


def global_name(edge: str) -> str:
    """The name of a variable whose namespace is a dict: "cache" of "['cache']"."""
    found = DICT_KEY.fullmatch(edge)
    return found[1] if found else edge


def shown(text: str) -> str:
    """A name from the program, on one line and short enough to read."""
    return clip(printable(text), TEXT_MAX)


class NodeNames:
    """Names for some nodes of a graph.  Holds their objects, so keep it for a question only."""

    def __init__(
        self,
        graph: Graph,
        nodes: Iterable[int],
        known: Mapping[int, object] | None = None,
        join: Join | None = None,
    ) -> None:
        """*known*: objects that the caller has, by node; *join*: where they were allocated."""
        self._graph = graph
        self._join = join
        self._types = graph.types()
        self._sources = Sources()
        wanted = list({node for node in nodes if node >= graph.holders})
        self._objects = dict(zip(wanted, graph.objects(wanted, GONE), strict=True))
        self._objects.update(known or {})

    def object(self, node: int) -> object:
        """The object itself, or GONE."""
        return self._objects.get(node, GONE)

    def type_name(self, node: int) -> str:
        if node < self._graph.holders:
            return self._graph.holder(node)[0]
        module, qualname, *_ = self._types[self._graph.node(node)[1]]
        return full_name(module, qualname)

    def describe(self, node: int) -> str:
        """What the node is, in a few words: "module app", "function handle", "dict of 12"."""
        graph = self._graph
        if node < graph.holders:
            kind, _, ident, name, filename, lineno = graph.holder(node)
            if kind == "thread":
                return f"thread {name or ident}"
            return f"{name}() at {self._sources.shown(filename)}:{lineno}"
        obj = self.object(node)
        if obj is GONE:
            return f"{self.type_name(node)} (gone)"
        return naming.describe(obj)

    def headline(self, node: int) -> str:
        """Class, what it is, bytes, and where it was allocated if that was traced."""
        description = self.describe(node)
        if node < self._graph.holders:
            return description
        name = self.type_name(node)
        words = [name]
        if description != name.rpartition(".")[2]:
            words = [description] if description.startswith(f"{name} ") else [name, description]
        words.append(size_text(self._graph.node(node)[2]))
        if site := self.site(node):
            words.append(f"allocated at {site}")
        return "  ".join(words)

    def edges(self, source: int, target: int) -> list[str]:
        """The names by which *source* refers to *target*; [] if none is known."""
        graph = self._graph
        if source < graph.holders:
            pairs = zip(graph.local_names(source), graph.referents(source), strict=True)
            return [name for name, node in pairs if node == target and name]
        holder, held = self.object(source), self.object(target)
        if holder is GONE or held is GONE:
            return []
        return naming.edge_texts(holder, held)

    def site(self, node: int) -> str:
        """Where the object was allocated, "app.py:85"; "" if that was not traced.

        Nor if it was in memscope: then the block is one that memscope let go of, and the
        program got it from a free list, where tracing does not see it.
        """
        frame = self._newest_frame(node)
        if frame is None or frame[0].startswith(OWN_FOLDER):
            return ""
        filename, lineno = frame
        return f"{self._sources.shown(filename)}:{lineno}"

    def _newest_frame(self, node: int) -> RawFrame | None:
        if self._join is not None:
            return self._join.sites([node])[0]
        obj = self.object(node)
        found = None if obj is GONE else _memscope.get_object_traceback(obj)
        return found[0][0] if found else None


def thread_names() -> dict[int, str]:
    """Identifier -> name of the threads that the threading module knows, if it was imported.

    Read where the module keeps them: its functions make an entry for a thread
    they do not know, and a thread's name may be a property of the program's.
    """
    threading = dict.get(sys.modules, "threading")
    if type(threading) is not type(sys):
        return {}
    active = dict.get(object.__getattribute__(threading, "__dict__"), "_active")
    if type(active) is not dict:
        return {}
    names = {}
    for ident, thread in dict.copy(active).items():
        if type(ident) is not int or _is_computed(type(thread), "_name"):
            continue
        try:
            name = object.__getattribute__(thread, "_name")
        except AttributeError:
            continue
        if type(name) is str:
            names[ident] = name
    return names


def _is_computed(cls: type, name: str) -> bool:
    """Whether the class, rather than the object, decides what the attribute is."""
    namespace = type.__dict__["__dict__"].__get__
    return any(name in namespace(base) for base in type.__dict__["__mro__"].__get__(cls))
