"""The native heap API: which objects there are, and who holds them.

    import memscope
    snapshot = memscope.take_heap_snapshot()
    print(snapshot)                                 # by type
    print(snapshot.paths_to_root(obj))              # who holds it

A snapshot is a graph of every object of the interpreter at one moment, with the
running frames of all threads, whose variables the collector knows nothing of.  It holds
no object alive, unless asked to, and looking changes nothing: no code of the
program runs, no ``__dict__`` is made.
"""

from __future__ import annotations

import gc
import sys
from _thread import allocate_lock, get_ident
from fnmatch import fnmatchcase
from typing import IO, TYPE_CHECKING, Any

from memscope import files, naming
from memscope._memscope import Graph, Join, is_tracing
from memscope.heap_nodes import (
    OWN_FOLDER,
    NodeNames,
    class_name,
    full_name,
    is_class,
    shown,
    thread_names,
)
from memscope.heap_paths import Path, Paths, Step, make_path
from memscope.heap_retained import (
    ROOT,
    DominatorRow,
    DominatorTree,
    RetainedPart,
    RetainedRow,
    RetainedRows,
    by_holder,
    by_place,
    by_type,
    merged_rows,
    places_of_types,
    tree_rows,
    tree_title,
)
from memscope.heap_rows import (
    ContainerGrowth,
    HeapDiff,
    ObjectRow,
    ObjectRows,
    TypeDiff,
    TypeRow,
    TypeRows,
)
from memscope.report import size_text
from memscope.snapshot import NOT_TRACING
from memscope.traces import Frame, Traceback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import FrameType

    from memscope._memscope import Dominators
    from memscope.files import PathLike
    from memscope.pictures import Picture


Function = tuple[int, str, str]
"""(identifier of the thread, function, file)."""

__all__ = [
    "ContainerGrowth",
    "DominatorRow",
    "DominatorTree",
    "HeapDiff",
    "HeapSnapshot",
    "ObjectRow",
    "ObjectRows",
    "Path",
    "Paths",
    "RetainedPart",
    "RetainedRow",
    "RetainedRows",
    "TypeDiff",
    "TypeRow",
    "TypeRows",
    "take_heap_snapshot",
]

MOST_CONTAINERS = 20
"""Containers that grew that a comparison names: each is a search for a path."""

MOST_DRAWN = 150
"""Objects in a picture, so that it can be read and laid out."""

MOST_ASKERS = 50
"""Functions on the stack of who asks for paths, newest first."""

NO_TRACES = (
    "where objects were allocated is not known: call memscope.start() before the program"
    " allocates them, and take the heap snapshot while memory is traced"
)

NOT_THERE = (
    "the object is not in the snapshot: it is newer, or nothing refers to it that the"
    " collector knows"
)
NOT_HERE = (
    "the snapshot is from a file, and its objects are not in this process: give rows that"
    " find(), referrers() or referents() returned"
)
OTHER_SNAPSHOT = "the row is not of this snapshot"
UNREACHED = "garbage that was not collected yet, or just let go"


def take_heap_snapshot(
    *, keep_objects: bool = False, collect: bool = False, traces: bool | None = None
) -> HeapSnapshot:
    """Every object of this interpreter, and what refers to what, at this moment.

    With *keep_objects*, the snapshot holds every object until it goes itself: names stay
    known, nothing dies meanwhile.  With *collect*, garbage is collected before.  While
    memory is traced, the snapshot also has the traces of that moment, and so knows where
    its objects were allocated; not if *traces* is false.

    Raises MemoryError, and RuntimeError if *traces* is true and memory is not traced.
    Cost: about a full collection, during which other threads wait; at most 48 bytes for
    each object.  With traces, an eighth of a collection more, and 4 bytes for each object
    and 18 for each traced block.
    """
    if traces and not is_tracing():
        raise RuntimeError(NOT_TRACING)
    if collect:
        gc.collect()
    names = thread_names()
    joins = is_tracing() if traces is None else traces
    maker = Join if joins else Graph
    return HeapSnapshot(
        maker.take(keep=keep_objects, hide=[names], threads=names, hide_frames=OWN_FOLDER)
    )


class HeapSnapshot:
    """Every object of one moment, and what refers to what.  It never changes.

    ``len(snapshot)`` is the number of objects.  Names of objects, and of the references
    between them, are read when they are shown, from objects that still live; of others
    the class is known.  One that was loaded has the names that were known when it was saved,
    and is asked about rows instead of objects.
    """

    __slots__ = ("_graph", "_join", "_lock", "_tree")

    def __init__(self, taken: Graph | Join) -> None:
        self._lock = allocate_lock()
        self._tree: Dominators | None = None
        self._join = taken if isinstance(taken, Join) else None
        self._graph = taken.graph if isinstance(taken, Join) else taken

    def __len__(self) -> int:
        return len(self._graph) - self._graph.holders

    def __bool__(self) -> bool:
        return True

    @property
    def total_size(self) -> int:
        """Bytes of all objects, each as sys.getsizeof counts it but without asking it."""
        return sum(size for *_, size in self._graph.types())

    @property
    def references(self) -> int:
        """References between the objects."""
        return self._graph.edges

    @property
    def nbytes(self) -> int:
        """Bytes that the snapshot itself takes, traces and dominators included."""
        join, tree = self._join, self._tree
        traces = join.nbytes + join.columns.nbytes if join else 0
        return self._graph.nbytes + traces + (tree.nbytes if tree else 0)

    @property
    def keeps_objects(self) -> bool:
        """Whether it holds the objects."""
        return self._graph.kept

    @property
    def has_traces(self) -> bool:
        """Whether it knows where objects were allocated."""
        return self._join is not None or self._graph.sites() is not None

    # -- where objects were allocated

    def site(self, obj: object) -> Frame | None:
        """The line that allocated *obj*, an object or a row; None if that was not traced.

        What memscope itself allocated counts as not traced: such a block is one that it let
        go of, and that the program got from a free list, where tracing does not see it.
        Raises ValueError if the object is not in the snapshot.
        """
        node, _ = self._node(obj)
        found = self._names([node]).site_frame(node)
        return None if found is None else Frame(found)

    def traceback(self, obj: object) -> Traceback | None:
        """The frames that led to the allocation of *obj*; see :meth:`site`.

        None of a snapshot that was loaded: a file has the newest frame only.
        """
        node, _ = self._node(obj)
        found = self._join.traceback(node) if self._join else None
        if found is None or found[0][0][0].startswith(OWN_FOLDER):
            return None
        return Traceback(*found)

    # -- files

    def save(self, filename: PathLike) -> None:
        """Write the snapshot to *filename* (docs/heap-format.md).

        With it go the names of objects that still live, and by which names they refer to
        each other: attributes, variables, functions, classes, and the keys of dicts, up to
        60 characters of each.  No other content of the program's objects does.

        The file appears whole or not at all, and only its owner may read it.  Raises
        OSError and MemoryError.  Cost: about
        a full collection, during which other threads wait; some 13 bytes for each object.
        """
        data = self._graph.to_bytes(
            naming.tell,
            named=naming.named_classes(),
            sized=naming.SIZED,
            valued=naming.VALUED,
            parted=naming.parted_classes(),
            longest=naming.TEXT_MAX,
            sites=None if self._join is None else self._join.site_column(),
        )
        files.write_whole(filename, data, private=True)

    @staticmethod
    def load(filename: PathLike) -> HeapSnapshot:
        """The snapshot in *filename*, written by :meth:`save`, here or on another machine.

        The file need not be trusted.  Raises OSError, and ValueError if it is damaged or is
        something else.
        """
        data = files.read(filename)
        with files.describing(filename):
            return HeapSnapshot(Graph.from_bytes(data))

    # -- by type

    def types(self, *, module: str | None = None, limit: int | None = None) -> TypeRows:
        """Number and bytes of the objects of each class, most bytes first.

        *module*: only classes of this module or package; may hold the wildcards of
        fnmatch.  *limit*: only so many of them.  Cost: one row per class.
        """
        totals = _by_name(self._graph.types(), module)
        rows = [TypeRow(name, count, size) for name, (count, size) in totals.items()]
        rows.sort(key=lambda row: (-row.bytes, row.type_name))
        return TypeRows(
            rows[:limit], sum(row.count for row in rows), sum(row.bytes for row in rows)
        )

    def compare_to(self, older: HeapSnapshot, *, module: str | None = None) -> HeapDiff:
        """What changed since *older*: classes, and which containers grew, by how much.

        A container is taken for the same if it has its address and class in both.
        *module* as in types, for the classes.  Cost: a pass over both snapshots in C.
        """
        new = _by_name(self._graph.types(), module)
        old = _by_name(older._graph.types(), module)
        rows = []
        for name in {**new, **old}:
            (count, size), (old_count, old_size) = new.get(name, NONE), old.get(name, NONE)
            if count != old_count or size != old_size:
                rows.append(TypeDiff(name, count, count - old_count, size, size - old_size))
        rows.sort(key=lambda row: (-row.bytes_diff, -row.count_diff, row.type_name))
        total, found = self._graph.grown(older._graph, MOST_CONTAINERS)
        names = self._names([node for node, *_ in found])
        containers = []
        for node, _, references, size in found:
            address, _, bytes_now, _, _ = self._graph.node(node)
            references_now = len(self._graph.referents(node))
            containers.append(
                ContainerGrowth(
                    self._place(node) or names.describe(node),
                    names.type_name(node),
                    address,
                    references_now,
                    references,
                    bytes_now,
                    size,
                    node,
                )
            )
        count, size = (sum(column) for column in zip(*new.values(), NONE, strict=True))
        old_count, old_size = (sum(column) for column in zip(*old.values(), NONE, strict=True))
        return HeapDiff(
            rows,
            containers,
            total,
            total_count=count,
            count_diff=count - old_count,
            total_bytes=size,
            bytes_diff=size - old_size,
        )

    def find(
        self,
        *,
        type: type | str | None = None,  # noqa: A002 -- what everybody would call it
        module: str | None = None,
        min_size: int = 0,
    ) -> ObjectRows:
        """Objects for which all that is given holds, largest first.

        *type* is a class (not its subclasses) or the name of one, with or without its
        module; *module* as in types; *min_size* in bytes.  Cost: one pass in C, and
        a fraction of a microsecond for each object found.
        """
        wanted = _type_test(type)
        numbers = [
            index
            for index, (of, qualname, name, count, _) in enumerate(self._graph.types())
            if count and _is_in(of, module) and wanted(of, qualname, name)
        ]
        everything = type is None and module is None
        nodes = self._graph.select(numbers, min_size) if numbers or everything else []
        size = {node: self._graph.node(node)[2] for node in nodes}
        nodes.sort(key=lambda node: (-size[node], node))
        title = f"Objects found: {len(nodes):,}, {size_text(sum(size.values()))}"
        return ObjectRows(title, nodes, lambda some: self._rows(some, None, outward=False))

    # -- who alone keeps what

    def retained_size(self, *objects: object) -> int:
        """Bytes that would be freed with an object: its own, and all that only it leads to.

        Each argument is an object or a row, or rows that :meth:`find` returned; of several,
        what one of them retains, each byte once.

        The first question about dominators computes them, for all objects: half a
        collection or less, and 24 bytes for each object.  All others are look-ups.  Raises
        ValueError for an object that is not in the snapshot.
        """
        nodes, _ = self._nodes(objects)
        return self._dominators().retained_of(nodes)[1]

    def dominator(self, obj: object) -> ObjectRow | None:
        """The nearest object that is on every way by which *obj* is held: without it, *obj* goes.

        It may be a thread or a frame; ``names`` are those by which it refers to *obj*, if
        it does so directly.  None: nothing alone holds it, or it is garbage.
        """
        node, _ = self._node(obj)
        above = self._dominators().idom(node)
        return self._rows([above], node, outward=False)[0] if above >= 0 else None

    def dominated(self, obj: object, *, limit: int = 20) -> DominatorTree:
        """What *obj* alone keeps alive, as a tree of the *limit* rows that retain most."""
        node, known = self._node(obj)
        tree = self._dominators()
        what = shown(self._names([node], known).describe(node))
        rows = tree_rows(tree, node, limit, self._names)
        return DominatorTree(rows, tree_title(what, tree, node), self.total_size)

    def dominator_tree(self, *, limit: int = 20) -> DominatorTree:
        """What keeps most alive: the *limit* rows of the dominator tree that retain most.

        Above all are modules' namespaces, threads, and what several of them, or C code,
        hold.  Each row is followed by what it alone keeps.  Garbage is left out.
        """
        tree = self._dominators()
        rows = tree_rows(tree, ROOT, limit, self._names)
        return DominatorTree(rows, tree_title("Dominator tree", tree, ROOT), self.total_size)

    def retained(self, by: str = "type", *, limit: int | None = None) -> RetainedRows:
        """Groups of objects and what each retains, most first.

        *by* is "type", "module" (that defines the class), "site" (the line that allocated
        the object) or "holder": what each module's namespace and each thread alone keeps,
        and what is left for other reasons.  What members of a group hold within each
        other counts once; what only several together keep alive does not.

        Raises ValueError for another *by*, and for "site" if the snapshot was taken while
        memory was not traced.
        """
        tree = self._dominators()
        if by == "type":
            rows = by_type(tree, full_name)
        elif by == "module":
            rows = by_type(tree, lambda module, _: module or "builtins")
        elif by == "holder":
            rows = by_holder(tree, self._names)
        elif by == "site":
            rows = by_place(tree, self._traces(), "lineno")
        else:
            raise ValueError(f'by must be "type", "module", "holder" or "site", not {by!r}')
        return self._groups(rows, by, limit, with_parts=False)

    def statistics(self, key_type: str = "type", *, limit: int | None = None) -> RetainedRows:
        """Objects by *key_type*, what they retain, and of what each group is made.

        *key_type* is "type", with the lines that allocated them if memory was traced;
        or "lineno", "filename" or "function", with the types that each place allocated.

        Raises ValueError for another key, and if places are not known since memory was not
        traced.
        """
        tree = self._dominators()
        if key_type == "type":
            rows = places_of_types(tree, self._join, merged_rows(by_type(tree, full_name)))
        elif key_type in ("lineno", "filename", "function"):
            rows = by_place(tree, self._traces(), key_type)
        else:
            raise ValueError(f"unknown key_type: {key_type!r}")
        return self._groups(rows, key_type, limit, with_parts=True)

    # -- who refers to whom

    def referents(self, obj: object) -> ObjectRows:
        """What *obj* refers to, and by which names.  *obj* may be a row.

        Raises ValueError if it is not in the snapshot.
        """
        node, known = self._node(obj)
        nodes = list(dict.fromkeys(self._graph.referents(node)))
        title = f"{self._names([node], known).describe(node)} refers to {len(nodes):,} objects"
        return ObjectRows(title, nodes, lambda some: self._rows(some, node, outward=True))

    def referrers(self, obj: object) -> ObjectRows:
        """What refers to *obj*, and by which names; threads' variables included.

        *obj* may be a row.  Raises ValueError if it is not in the snapshot.
        """
        node, known = self._node(obj)
        nodes = list(dict.fromkeys(self._graph.referrers(node)))
        what = self._names([node], known).describe(node)
        title = f"{what} is referred to by {len(nodes):,} objects"
        return ObjectRows(title, nodes, lambda some: self._rows(some, node, outward=False))

    def objects(self, rows: ObjectRows | Iterable[ObjectRow | ContainerGrowth]) -> list[Any]:
        """The objects of rows; None for what is gone, or from a file, a thread or a frame."""
        nodes = rows.nodes if isinstance(rows, ObjectRows) else [row.node for row in rows]
        return self._graph.objects(nodes, None)

    def paths_to_root(self, *objects: object, limit: int = 1) -> Paths:
        """Who holds them: paths from a root to the object, shortest first.

        Each argument is an object, a row, or rows that :meth:`find` returned; of several
        objects, those that are held alike are one path.  *limit*: paths at most.

        The variable that a function calls this with holds the object too: a variable of
        the functions that are asking is left out where there is another path.

        Raises ValueError for an object that is not in the snapshot.
        """
        nodes, known = self._nodes(objects)
        return self._paths(nodes, limit, self._askers(), known)

    # -- showing

    def show_backrefs(self, *objects: object, **options: Any) -> Picture | None:
        """Draw what holds the objects, as far as *max_depth* references; see show_refs.

        The shortest path from a root is drawn whole.
        """
        return self._show(objects, backward=True, **options)

    def show_refs(self, *objects: object, **options: Any) -> Picture | None:
        """Draw what the objects refer to.

        Options: *filename*, a picture if it ends in .svg, .png or .pdf, or .dot, .json,
        .txt, .mmd; without it, a notebook shows the picture that is returned, and
        elsewhere text is printed to *file* (None: sys.stdout).  *max_depth*:
        references far (3).  *too_many*: neighbours of one object that are drawn one by
        one (10); of several of one class one is, and the others are counted.

        Raises ValueError for an object that is not in the snapshot.
        """
        return self._show(objects, backward=False, **options)

    def show(self, limit: int | None = 10, file: IO[str] | None = None) -> None:
        """Print the *limit* classes with the most bytes (None: all) to *file*, or sys.stdout."""
        self.types().show(limit, file)

    def __str__(self) -> str:
        return str(self.types())

    def _repr_html_(self) -> str:
        return self.types()._repr_html_()

    def __repr__(self) -> str:
        return f"<HeapSnapshot of {len(self)} objects, {size_text(self.total_size)}>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json: the totals, and every class."""
        return {
            "objects": len(self),
            "references": self.references,
            "total_size": self.total_size,
            "nbytes": self.nbytes,
            "types": self.types().to_dict()["types"],
        }

    # -- inside

    def _dominators(self) -> Dominators:
        """Computed once."""
        with self._lock:
            if self._tree is None:
                self._tree = self._graph.dominators()
            return self._tree

    def _traces(self) -> Join:
        if self._join is None:
            raise ValueError(NO_TRACES)
        return self._join

    def _groups(
        self, rows: Iterable[RetainedRow], by: str, limit: int | None, *, with_parts: bool
    ) -> RetainedRows:
        merged = merged_rows(rows if with_parts else (row._replace(parts=()) for row in rows))
        return RetainedRows(merged[:limit], by, len(self), self.total_size)

    def _names(self, nodes: Iterable[int], known: Mapping[int, object] | None = None) -> NodeNames:
        return NodeNames(self._graph, nodes, known, self._join)

    def _node(self, obj: object) -> tuple[int, dict[int, object]]:
        """The node of an object or a row; and the object, by node."""
        nodes, known = self._nodes([obj])
        if len(nodes) != 1:
            raise ValueError(f"one object is asked about, not {len(nodes):,} rows")
        return nodes[0], known

    def _node_of_row(self, row: ObjectRow | ContainerGrowth | Step) -> int:
        graph = self._graph
        if not 0 <= row.node < len(graph) or graph.node(row.node)[0] != row.address:
            raise ValueError(OTHER_SNAPSHOT)
        return row.node

    def _nodes(self, objects: Iterable[object]) -> tuple[list[int], dict[int, object]]:
        """Different nodes of objects and of rows; and the objects, by node."""
        nodes: dict[int, None] = {}
        given: list[object] = []
        for obj in objects:
            if type(obj) is ObjectRows:
                nodes.update(dict.fromkeys(obj.nodes))
            elif type(obj) is ObjectRow or type(obj) is ContainerGrowth or type(obj) is Step:
                nodes[self._node_of_row(obj)] = None
            else:
                given.append(obj)
        known = dict(zip(self._graph.find(given), given, strict=True))
        if -1 in known:
            raise ValueError(NOT_HERE if self._graph.stored else NOT_THERE)
        return [*nodes, *(node for node in known if node not in nodes)], known

    def _askers(self) -> frozenset[Function]:
        """The functions that are asking: the caller of the method, and its callers.

        In a file are those that asked for the snapshot, and they hold as others do.
        """
        return frozenset() if self._graph.stored else _askers()

    def _show(
        self,
        objects: Iterable[object],
        *,
        backward: bool,
        filename: str | None = None,
        max_depth: int = 3,
        too_many: int = 10,
        file: IO[str] | None = None,
    ) -> Picture | None:
        from memscope.heap_drawing import Surroundings
        from memscope.heap_pictures import picture
        from memscope.pictures import in_notebook

        start, known = self._nodes(objects)
        askers = self._askers()
        around = Surroundings(
            self._graph,
            start,
            backward=backward,
            depth=max_depth,
            width=too_many,
            most=MOST_DRAWN,
            asking=frozenset().union(*(self._asking(node, askers) for node in start[:too_many])),
            paths=[way for node in start[:too_many] for way in self._ways(node, 1, askers)]
            if backward
            else [],
        )
        names = self._names(around.nodes, known)
        if filename is None and not in_notebook():
            print(around.tree(names), file=file)
            return None
        drawn = picture(self._graph, around, names, backward=backward)
        if filename is None:
            return drawn
        saved = drawn.save(filename)
        print(saved.message or f"Picture written to {saved}", file=file)
        return None

    def _rows(self, nodes: Sequence[int], other: int | None, *, outward: bool) -> list[ObjectRow]:
        """Rows of *nodes*, which *other* refers to (outward), or which refer to it."""
        names = self._names([*nodes, *([] if other is None else [other])])
        rows = []
        for node in nodes:
            edges: list[str] = []
            if other is not None:
                edges = names.edges(other, node) if outward else names.edges(node, other)
            address, _, size, _, _ = self._graph.node(node)
            rows.append(
                ObjectRow(
                    tuple(edges), names.describe(node), names.type_name(node), size, address, node
                )
            )
        return rows

    def _place(self, node: int) -> str:
        """Where the object is, by name from a root on; "" if nothing known leads to it."""
        return next((path.place for path in self._paths([node], 1)), "")

    def _ways(self, node: int, limit: int, askers: frozenset[Function]) -> list[list[int]]:
        """Nodes of the *limit* shortest paths, without variables of *askers* if possible."""
        graph = self._graph
        asking = self._asking(node, askers)
        ways = graph.paths_to_root([node], limit)
        if any(len(way) > 1 and way[-2] in asking for way in ways):
            ways = graph.paths_to_root([node], limit + len(asking))
        others = [way for way in ways if len(way) < 2 or way[-2] not in asking]
        return (others or ways)[:limit]

    def _asking(self, node: int, askers: frozenset[Function]) -> frozenset[int]:
        """The frames of *askers* that have the object in a variable."""
        return frozenset(
            holder
            for holder in (self._graph.referrers(node) if askers else ())
            if holder < self._graph.holders and self._function(holder) in askers
        )

    def _function(self, holder: int) -> Function:
        _, _, ident, name, filename, _ = self._graph.holder(holder)
        return ident, name, filename

    def _paths(
        self,
        nodes: Sequence[int],
        limit: int,
        askers: frozenset[Function] = frozenset(),
        known: Mapping[int, object] | None = None,
    ) -> Paths:
        if len(nodes) != 1:
            return self._merged_paths(nodes, limit)
        ways = self._ways(nodes[0], limit, askers)
        names = self._names({node for way in ways for node in way}, known)
        note = "" if ways else f"No root leads to it: {UNREACHED}."
        return Paths([make_path(self._graph, names, way) for way in ways], note)

    def _merged_paths(self, nodes: Sequence[int], limit: int) -> Paths:
        groups, total, garbage = self._graph.merged_paths(nodes, limit)
        names = self._names({node for group in groups for node in group[3]})
        paths = [
            make_path(self._graph, names, way, widths=widths, count=count)
            for count, _, _, way, widths in groups
        ]
        notes = []
        if others := len(nodes) - garbage - sum(path.count for path in paths):
            more = total - len(paths)
            are = "objects are" if others > 1 else "object is"
            notes.append(f"{others:,} {are} held in {more:,} other way{'s' * (more > 1)}.")
        if garbage:
            notes.append(f"No root leads to {garbage:,} objects: {UNREACHED}.")
        return Paths(paths, " ".join(notes))


NONE = (0, 0)


def _by_name(
    types: Sequence[tuple[str | None, str, str, int, int]], module: str | None
) -> dict[str, tuple[int, int]]:
    """Name -> (objects, bytes) of the classes that have objects; classes of one name added up."""
    totals: dict[str, tuple[int, int]] = {}
    for of, qualname, _, count, size in types:
        if count and _is_in(of, module):
            name = full_name(of, qualname)
            before = totals.get(name, NONE)
            totals[name] = (before[0] + count, before[1] + size)
    return totals


def _is_in(module: str | None, pattern: str | None) -> bool:
    if pattern is None:
        return True
    name = module or "builtins"
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _type_test(wanted: Any) -> Callable[[str | None, str, str], bool]:
    """A test of (module, qualified name, name) of a class."""
    if wanted is None:
        return lambda module, qualname, name: True
    if is_class(wanted):
        module, qualname = class_name(wanted)
        return lambda of, name, _: (of, name) == (module, qualname)
    if type(wanted) is not str:
        raise TypeError("type must be a class or the name of one")
    return lambda of, qualname, name: wanted in (name, qualname, f"{of or 'builtins'}.{qualname}")


def _askers() -> frozenset[Function]:
    ident, askers = get_ident(), set[Function]()
    frame: FrameType | None = sys._getframe(3)
    while frame is not None and len(askers) < MOST_ASKERS:
        askers.add((ident, frame.f_code.co_qualname, frame.f_code.co_filename))
        frame = frame.f_back
    return frozenset(askers)
