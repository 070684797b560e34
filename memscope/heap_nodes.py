"""The nodes of a graph in words: what they are, and by which name one refers to another.

A graph knows addresses, classes and sizes.  The rest is read from the objects, if they
still live: those that a question needs are fetched at once, named, and let go.  Of an
object that is gone, the graph's own columns tell the class.  A graph from a file has no
objects, and brings the same words along.
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


def gone(module: str | None, qualname: str) -> str:
    """An object of which nothing but the class is known any more."""
    return f"{full_name(module, qualname)} (gone)"


def class_name(cls: type) -> tuple[str | None, str]:
    """(module or None, qualified name) of a class, whatever its metaclass says."""
    try:
        module = type.__dict__["__module__"].__get__(cls)
    except AttributeError:
        module = None
    # A name may be of a subclass of str, whose code is not to run.
    name = naming.exact(type.__dict__["__qualname__"].__get__(cls))
    return module if type(module) is str else None, name


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


class LiveWords:
    """What is known of nodes: from the objects, as far as they live."""

    def __init__(
        self,
        graph: Graph,
        nodes: Iterable[int],
        known: Mapping[int, object],
        join: Join | None,
    ) -> None:
        self._join = join
        wanted = list({node for node in nodes if node >= graph.holders})
        self._objects = dict(zip(wanted, graph.objects(wanted, GONE), strict=True))
        self._objects.update(known)

    def object(self, node: int) -> object:
        return self._objects.get(node, GONE)

    def describe(self, node: int, module: str | None, qualname: str) -> str:
        obj = self.object(node)
        return gone(module, qualname) if obj is GONE else naming.describe(obj)

    def edges(self, source: int, target: int) -> list[str]:
        holder, held = self.object(source), self.object(target)
        return [] if holder is GONE or held is GONE else naming.edge_texts(holder, held)

    def site(self, node: int) -> RawFrame | None:
        if self._join is not None:
            return self._join.sites([node])[0]
        obj = self.object(node)
        found = None if obj is GONE else _memscope.get_object_traceback(obj)
        return None if found is None else found[0][0]


class StoredWords:
    """The same from a file, in which there are no objects."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        column, self._table = graph.sites() or (b"", [])
        self._sites = memoryview(column).cast("I")

    def object(self, node: int) -> object:
        return GONE

    def describe(self, node: int, module: str | None, qualname: str) -> str:
        told = self._graph.description(node)
        if told is False:
            return gone(module, qualname)
        if isinstance(told, str):
            return told
        return qualname if told is None else naming.sized(qualname, told)

    def edges(self, source: int, target: int) -> list[str]:
        return [naming.edge_text(*name) for name in self._graph.edge_names(source, target)]

    def site(self, node: int) -> RawFrame | None:
        number = self._sites[node] if self._table else 0
        return self._table[number - 1][:2] if number else None


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
        self._types = graph.types()
        self._sources = Sources()
        self._words = (
            StoredWords(graph) if graph.stored else LiveWords(graph, nodes, known or {}, join)
        )

    def object(self, node: int) -> object:
        """The object itself, or GONE."""
        return self._words.object(node)

    def type_name(self, node: int) -> str:
        if node < self._graph.holders:
            return self._graph.holder(node)[0]
        return full_name(*self._class(node))

    def _class(self, node: int) -> tuple[str | None, str]:
        return self._types[self._graph.node(node)[1]][:2]

    def describe(self, node: int) -> str:
        """What the node is, in a few words: "module app", "function handle", "dict of 12"."""
        graph = self._graph
        if node < graph.holders:
            kind, _, ident, name, filename, lineno = graph.holder(node)
            if kind == "thread":
                return f"thread {name or ident}"
            return f"{name}() at {self._sources.shown(filename)}:{lineno}"
        return self._words.describe(node, *self._class(node))

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
        return self._words.edges(source, target)

    def site(self, node: int) -> str:
        """Where the object was allocated, "app.py:85"; "" if that was not traced.

        Nor if it was in memscope: then the block is one that memscope let go of, and the
        program got it from a free list, where tracing does not see it.
        """
        found = self.site_frame(node)
        return f"{self._sources.shown(found[0])}:{found[1]}" if found is not None else ""

    def site_frame(self, node: int) -> RawFrame | None:
        """(file name, line) of the same."""
        found = self._words.site(node)
        return None if found is None or found[0].startswith(OWN_FOLDER) else found


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
