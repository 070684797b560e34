"""Retained sizes: what would be freed with an object, and with all objects of a group.

An object retains what every way from a root to it, or through it, must pass: itself, and
all that only it leads to.  What two objects share belongs to neither, but to what holds
both.  Groups count what is held twice within them once; what only several members
together keep alive is not in their sum, which is therefore a lower bound.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from memscope import heap_report
from memscope.heap_nodes import MODULE, OWN_FOLDER, SURPLUS, full_name, shown
from memscope.heap_rows import Shown
from memscope.report import size_text
from memscope.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from memscope._memscope import Dominators, Graph, Join
    from memscope.heap_nodes import NodeNames
    from memscope.table import Table

    Names = Callable[[Iterable[int]], NodeNames]

__all__ = ["DominatorRow", "DominatorTree", "RetainedPart", "RetainedRow", "RetainedRows"]

ROOT, GARBAGE = -1, -2
"""Nodes of the tree that are no objects, as in bind/graph_dominators.c."""

NOT_TRACED = "not traced"
OF_MEMSCOPE = "memory that memscope had let go of"

HOLDERS = {
    "shared": "held by several of them",
    "C": "held by C code or the interpreter too",
    "immortal": "immortal objects",
    "garbage": "garbage that was not collected yet",
}

ALONE = 0.1
"""Share of all objects of its class under one holder above which an object has its own row."""


class RetainedPart(NamedTuple):
    """Objects of one class within a group, or from one place."""

    name: str
    count: int  # type: ignore[assignment]
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        return self._asdict()


class RetainedRow(NamedTuple):
    """A group of objects: how many, their own bytes, and what they retain together."""

    name: str
    count: int  # type: ignore[assignment]
    bytes: int
    retained_bytes: int
    parts: tuple[RetainedPart, ...] = ()
    """Of a place its classes, of a class its places, if known; most bytes first."""
    filename: str = ""
    """Of a place; "" of other groups."""
    lineno: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {**self._asdict(), "parts": [part.to_dict() for part in self.parts]}


class RetainedRows(Shown, list[RetainedRow]):
    """Groups of objects, those that retain most first.

    ``by`` is what they are grouped by.  Groups overlap: an object is retained by itself and
    by what holds it.  Only of holders the rows add up to ``total_bytes``.
    """

    def __init__(
        self, rows: Iterable[RetainedRow], by: str, total_count: int, total_bytes: int
    ) -> None:
        super().__init__(rows)
        self.by = by
        self.total_count = total_count
        self.total_bytes = total_bytes

    def _table(self, limit: int | None) -> Table:
        return heap_report.retained_table(self, limit)

    def __repr__(self) -> str:
        return f"<RetainedRows by {self.by}: {len(self)}>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json: the totals, and every row under "groups"."""
        return {
            "by": self.by,
            "total_count": self.total_count,
            "total_bytes": self.total_bytes,
            "groups": [row.to_dict() for row in self],
        }


class DominatorRow(NamedTuple):
    """An object and what it alone keeps; or several of one class that one object keeps."""

    depth: int
    """0 for what the tree begins with."""
    edge: str
    """By which name the one above refers to it; "" if that is not direct, or not known."""
    description: str
    type_name: str
    count: int  # type: ignore[assignment]
    """Objects that the row stands for."""
    bytes: int
    """Their own."""
    retained_bytes: int
    retained_count: int
    """Objects that it keeps, itself included; of several only themselves."""
    site: str
    """Where it was allocated, if that was traced: "app.py:85"."""
    address: int
    """0 for a thread, a frame and several objects."""
    node: int
    """-1 for several objects."""

    def to_dict(self) -> dict[str, Any]:
        return self._asdict()


class DominatorTree(Shown, list[DominatorRow]):
    """The rows of a dominator tree that retain most, each after what keeps it."""

    def __init__(self, rows: Iterable[DominatorRow], title: str, total_bytes: int) -> None:
        super().__init__(rows)
        self.title = title
        self.total_bytes = total_bytes
        """What the root of the whole tree retains: all bytes."""

    def _table(self, limit: int | None) -> Table:
        return heap_report.dominators_table(self, limit)

    def __repr__(self) -> str:
        return f"<DominatorTree: {self.title}>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json: the title, the total, and every row under "rows"."""
        return {
            "title": self.title,
            "total_bytes": self.total_bytes,
            "rows": [row.to_dict() for row in self],
        }


# -- groups


def by_type(tree: Dominators, name: Callable[[str | None, str], str]) -> list[RetainedRow]:
    """Objects by what *name* makes of (module, qualified name) of their class."""
    names = [name(module, qualname) for module, qualname, *_ in tree.graph.types()]
    number = {name: index for index, name in enumerate(dict.fromkeys(names))}
    groups = tree.by_type([number[name] for name in names])
    group_name = list(number)
    return [
        RetainedRow(group_name[group], count, size, retained)
        for group, count, size, retained in groups
    ]


def by_holder(tree: Dominators, names_of: Names) -> list[RetainedRow]:
    """What the modules' namespaces and the threads alone keep, and the rest by why it lives."""
    found = tree.by_holder()
    names = names_of(node for _, node, *_ in found if node >= 0)
    return [
        RetainedRow(HOLDERS.get(kind) or shown(names.describe(node)), count, size, retained)
        for kind, node, count, size, retained in found
    ]


def by_place(tree: Dominators, join: Join, key: Any) -> list[RetainedRow]:
    """Objects by the line, file or function that allocated them, with their classes."""
    places, kinds = tree.by_site(join, key)
    types = [full_name(module, qualname) for module, qualname, *_ in tree.graph.types()]
    parts = defaultdict[int, list[RetainedPart]](list)
    for place, kind, count, size in kinds:
        parts[place].append(RetainedPart(types[kind], count, size))
    name = _place_namer(key)
    return [
        RetainedRow(
            name(filename, lineno, function),
            count,
            size,
            retained,
            tuple(_merged(parts[place])),
            filename or "",
            lineno,
        )
        for place, (filename, lineno, function, count, size, retained) in enumerate(places)
        if count
    ]


def places_of_types(
    tree: Dominators, join: Join | None, rows: Iterable[RetainedRow]
) -> list[RetainedRow]:
    """*rows* by type, with the lines that allocated them."""
    if join is None:
        return list(rows)
    places, kinds = tree.by_site(join)
    types = [full_name(module, qualname) for module, qualname, *_ in tree.graph.types()]
    name = _place_namer("lineno")
    place_names = [name(*place[:3]) for place in places]
    parts = defaultdict[str, list[RetainedPart]](list)
    for place, kind, count, size in kinds:
        parts[types[kind]].append(RetainedPart(place_names[place], count, size))
    return [row._replace(parts=tuple(_merged(parts[row.name]))) for row in rows]


def _place_namer(key: str) -> Callable[[str | None, int, str], str]:
    sources = Sources()

    def name(filename: str | None, lineno: int, function: str) -> str:
        if filename is None:
            return NOT_TRACED
        if filename.startswith(OWN_FOLDER):
            return OF_MEMSCOPE
        place = sources.shown(filename)
        if key == "function":
            return f"{function} ({place})"
        return f"{place}:{lineno}" if key == "lineno" else place

    return name


def _merged(parts: Iterable[RetainedPart]) -> list[RetainedPart]:
    """One for each name, most bytes first."""
    counts, sizes = Counter[str](), Counter[str]()
    for part in parts:
        counts[part.name] += part.count
        sizes[part.name] += part.bytes
    made = [RetainedPart(name, counts[name], sizes[name]) for name in counts]
    return sorted(made, key=lambda part: (-part.bytes, part.name))


def merged_rows(rows: Iterable[RetainedRow]) -> list[RetainedRow]:
    """Rows that are called alike become one; most retained bytes first."""
    merged: dict[str, RetainedRow] = {}
    for row in rows:
        if (other := merged.get(row.name)) is not None:
            row = RetainedRow(
                row.name,
                row.count + other.count,
                row.bytes + other.bytes,
                row.retained_bytes + other.retained_bytes,
                tuple(_merged(other.parts + row.parts)),
            )
        merged[row.name] = row
    return sorted(merged.values(), key=lambda row: (-row.retained_bytes, -row.bytes, row.name))


# -- the tree


class _Entry(NamedTuple):
    """What may become a row: a node, or all children of a node that are of one class."""

    node: int
    kind: int
    """Number of the class, of several; -1."""
    count: int  # type: ignore[assignment]
    bytes: int
    retained: int
    depth: int
    above: int


def tree_rows(tree: Dominators, start: int, limit: int, names_of: Names) -> list[DominatorRow]:
    """The *limit* rows under *start* that retain most: a part of the tree from its top on.

    An object comes after what keeps it.  Many objects of one class with one dominator,
    none of which stands out, are one row.
    """
    order = 0
    heap: list[tuple[int, int, _Entry]] = []
    below: defaultdict[int, list[_Entry]] = defaultdict(list)

    def offer(node: int, depth: int) -> None:
        nonlocal order
        for entry in _children(tree, node, limit, depth):
            heapq.heappush(heap, (-entry.retained, order, entry))
            order += 1

    offer(start, 0)
    taken = 0
    while heap and taken < limit:
        entry = heapq.heappop(heap)[2]
        below[entry.above].append(entry)
        taken += 1
        if entry.kind < 0:
            offer(entry.node, entry.depth + 1)
    ordered: list[_Entry] = []
    todo = below[start][::-1]
    while todo:
        entry = todo.pop()
        ordered.append(entry)
        if entry.kind < 0:
            todo += below[entry.node][::-1]
    return _named(tree, ordered, names_of)


def _children(tree: Dominators, node: int, limit: int, depth: int) -> list[_Entry]:
    graph = tree.graph
    entries, many = [], []
    for kind, count, size, retained, most in tree.children_by_type(node):
        if count > 1 and most < ALONE * retained:
            many.append(kind)
            entries.append(_Entry(-1, kind, count, size, retained, depth, node))
    alone = tree.children(node, limit, many)
    return entries + [
        _Entry(one, -1, 1, graph.node(one)[2], tree.retained(one), depth, node) for one in alone
    ]


def _named(tree: Dominators, entries: Sequence[_Entry], names_of: Names) -> list[DominatorRow]:
    graph, types = tree.graph, tree.graph.types()
    modules = {
        entry.node: _module_of(graph, types, entry.node)
        for entry in entries
        if entry.above == ROOT and entry.node >= graph.holders
    }
    nodes = {node for entry in entries for node in (entry.node, entry.above) if node >= 0}
    names = names_of(nodes | {module for module in modules.values() if module >= 0})
    rows = []
    for entry in entries:
        if entry.kind >= 0:
            module, qualname, *_ = types[entry.kind]
            kind = full_name(module, qualname)
            rows.append(
                DominatorRow(
                    entry.depth,
                    "",
                    f"{entry.count:,} x {shown(kind)}",
                    kind,
                    entry.count,
                    entry.bytes,
                    entry.retained,
                    entry.count,
                    "",
                    0,
                    -1,
                )
            )
            continue
        node = entry.node
        address, _, _, flags, _ = graph.node(node)
        edges = names.edges(entry.above, node) if entry.above >= 0 else []
        description = shown(names.describe(node))
        if (holder := modules.get(node, -1)) >= 0 and holder != node:
            description = f"{description}, namespace of {shown(names.describe(holder))}"
        elif entry.above == ROOT and flags & SURPLUS and not flags & MODULE:
            description += ", held by C code or the interpreter too"
        rows.append(
            DominatorRow(
                entry.depth,
                shown(edges[0]) if edges else "",
                description,
                names.type_name(node),
                1,
                entry.bytes,
                entry.retained,
                tree.retained_count(node),
                names.site(node),
                address,
                node,
            )
        )
    return rows


def _module_of(graph: Graph, types: Sequence[tuple[Any, ...]], node: int) -> int:
    """The only module that refers to a dict directly: whose namespace it is; or -1."""
    if types[graph.node(node)[1]][:2] != ("builtins", "dict"):
        return -1
    modules = {one for one in graph.referrers(node) if graph.node(one)[3] & MODULE}
    return modules.pop() if len(modules) == 1 else -1


def tree_title(what: str, tree: Dominators, node: int) -> str:
    """The headline of what is under *node*."""
    count = tree.retained_count(node)
    return f"{what}: {size_text(tree.retained(node))} retained, {count:,} objects"
