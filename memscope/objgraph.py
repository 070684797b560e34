"""objgraph's names and behaviour, from one walk of the heap instead of one for each object.

    import memscope.objgraph as objgraph
    objgraph.show_growth()
    objgraph.show_backrefs(obj, filename="holders.png")

Every public function of objgraph 3.7 is here with its arguments, order, output and
results.  What is different, and why:

* Searches and pictures walk the heap once, however many objects they pass.
* Instances' attributes have their names on the edges.  objgraph lost them with Python
  3.11, and asking for ``__dict__`` in order to find them made a dict for each instance;
  here nothing is made.
* After the arguments of objgraph come keyword arguments of our own: *collect*, *sizes*,
  *untracked* and *modules*.  Left alone, they change nothing.

Like objgraph, this module shows the ``repr()`` of objects, which runs their code.
``memscope.heap`` never does.

"Tracked" are the objects that the cyclic garbage collector knows: containers and
instances, not int, str or bytes.  On Python 3.14 and newer, objects under
``gc.freeze()`` are counted too.
"""

from __future__ import annotations

import gc
import itertools
import operator
import os
import re
import subprocess
import sys
import tempfile
import types
from collections import defaultdict, deque
from io import StringIO
from typing import IO, TYPE_CHECKING, Any

from memscope import _memscope
from memscope.pictures import in_notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

    Predicate = Callable[[Any], Any]
    EdgeFunction = Callable[[Any], Iterable[Any]]

__all__ = [
    "at",
    "at_addrs",
    "by_type",
    "count",
    "find_backref_chain",
    "find_ref_chain",
    "get_leaking_objects",
    "get_new_ids",
    "growth",
    "is_proper_module",
    "most_common_types",
    "show_backrefs",
    "show_chain",
    "show_growth",
    "show_most_common_types",
    "show_refs",
    "typestats",
]


def _shows_pictures() -> bool:
    """Whether this is a notebook (not IPython in a terminal) that has the graphviz package."""
    from importlib.util import find_spec

    return in_notebook() and find_spec("graphviz") is not None


IS_INTERACTIVE = _shows_pictures()


# -- names of classes


def _get_obj_type(obj: object) -> type:
    return type(obj)


def _type_name(kind: type, shortnames: bool) -> str:
    name = kind.__name__
    module = None if shortnames else getattr(kind, "__module__", None)
    return f"{module}.{name}" if module else name


def _classes() -> list[type]:
    """Every class there is, once; each knows those made from it."""
    queue: list[type] = [object]
    seen = {id(object)}
    inner: type
    for kind in queue:  # grows meanwhile
        for inner in type.__subclasses__(kind):
            if id(inner) not in seen:
                seen.add(id(inner))
                queue.append(inner)
    return queue


def _short_typename(obj: object) -> str:
    return _type_name(_get_obj_type(obj), True)


def _long_typename(obj: object) -> str:
    return _type_name(_get_obj_type(obj), False)


def _isinstance(obj: object, classes: type | tuple[type, ...]) -> bool:
    """By the real class: a mock may claim another in ``__class__``."""
    return issubclass(type(obj), classes)


def _in_modules(kind: type, modules: str | Collection[str] | None) -> bool:
    if modules is None:
        return True
    module = getattr(kind, "__module__", None)
    wanted = (modules,) if isinstance(modules, str) else modules
    return isinstance(module, str) and any(
        module == name or module.startswith(f"{name}.") for name in wanted
    )


# -- counting


def _as_list(objects: Iterable[Any] | None) -> list[Any] | tuple[Any, ...] | None:
    if objects is None or isinstance(objects, (list, tuple)):
        return objects
    return list(objects)


def count(typename: str, objects: Iterable[Any] | None = None) -> int:
    """The number of objects whose class has the given name.

    A name with a dot is compared with module and name.  *objects* are those to look
    among; None: all tracked ones.  Cost: one pass in C.
    """
    short = "." not in typename
    rows = _memscope.gc_types(_as_list(objects))
    return sum(number for kind, number, _ in rows if _type_name(kind, short) == typename)


def _measure(
    objects: Iterable[Any] | None,
    shortnames: bool,
    filter: Predicate | None,  # noqa: A002
    *,
    sizes: bool = False,
    untracked: bool = False,
    modules: str | Collection[str] | None = None,
) -> dict[str, tuple[int, int]]:
    """Number and bytes by class name, in the order in which the classes are met."""
    given = _as_list(objects)
    totals: dict[str, tuple[int, int]] = {}
    if untracked and given is None and filter is None:
        graph = _memscope.Graph.take(hide_frames=__file__)
        for module, _, name, number, size in graph.types():
            inside = modules is None or _in_modules(
                type(name, (), {"__module__": module or ""}), modules
            )
            if number and inside:
                key = name if shortnames or not module else f"{module}.{name}"
                old = totals.get(key, (0, 0))
                totals[key] = old[0] + number, old[1] + size
        return totals
    if filter is not None:
        given = [obj for obj in (gc.get_objects() if given is None else given) if filter(obj)]
    try:
        for kind, number, size in _memscope.gc_types(given, sizes=sizes):
            if _in_modules(kind, modules):
                key = _type_name(kind, shortnames)
                old = totals.get(key, (0, 0))
                totals[key] = old[0] + number, old[1] + size
        return totals
    finally:
        del given  # or the traceback of an error would hold every object


def typestats(
    objects: Iterable[Any] | None = None,
    shortnames: bool = True,
    filter: Predicate | None = None,  # noqa: A002
    *,
    untracked: bool = False,
    modules: str | Collection[str] | None = None,
) -> dict[str, int]:
    """The number of objects by the name of their class.

    *shortnames*: names without their modules, so classes of one name count together.
    *filter* is called with each object and says whether it counts.  *untracked* counts
    what the collector does not know too.  *modules* counts only classes of these
    modules and packages.

    Cost: one pass in C; a call for each object with *filter*, a walk of the heap with
    *untracked*.
    """
    found = _measure(objects, shortnames, filter, untracked=untracked, modules=modules)
    return {name: number for name, (number, _) in found.items()}


def most_common_types(
    limit: int | None = 10,
    objects: Iterable[Any] | None = None,
    shortnames: bool = True,
    filter: Predicate | None = None,  # noqa: A002
    *,
    sizes: bool = False,
    untracked: bool = False,
    modules: str | Collection[str] | None = None,
) -> list[Any]:
    """(name, count) of the classes with the most objects, most first.

    With *sizes*, (name, count, bytes).  *limit* None or 0: all.  The other arguments are
    those of typestats().
    """
    found = _measure(objects, shortnames, filter, sizes=sizes, untracked=untracked, modules=modules)
    rows = sorted(found.items(), key=lambda row: row[1][0], reverse=True)
    if limit:
        rows = rows[:limit]
    if sizes:
        return [(name, number, size) for name, (number, size) in rows]
    return [(name, number) for name, (number, _) in rows]


def show_most_common_types(
    limit: int | None = 10,
    objects: Iterable[Any] | None = None,
    shortnames: bool = True,
    file: IO[str] | None = None,
    filter: Predicate | None = None,  # noqa: A002
    *,
    sizes: bool = False,
    untracked: bool = False,
    modules: str | Collection[str] | None = None,
) -> None:
    """Print the rows of most_common_types() to *file*; None: sys.stdout.

    Raises ValueError if there is no row, as objgraph does.
    """
    out = sys.stdout if file is None else file
    rows = most_common_types(
        limit,
        objects,
        shortnames,
        filter,
        sizes=sizes,
        untracked=untracked,
        modules=modules,
    )
    width = max(len(row[0]) for row in rows)
    for name, *numbers in rows:
        out.write(f"{name:<{width}} {' '.join(map(str, numbers))}\n")


# -- growth

_BYTES = "bytes"  # peak_stats also has (name, _BYTES) keys once sizes were asked for


def growth(
    limit: int | None = 10,
    peak_stats: dict[Any, int] = {},  # noqa: B006  # shared by all calls, which is the point
    shortnames: bool = True,
    filter: Predicate | None = None,  # noqa: A002
    *,
    collect: bool = True,
    sizes: bool = False,
    untracked: bool = False,
    modules: str | Collection[str] | None = None,
) -> list[Any]:
    """(name, count, increase) of the classes with more objects than ever before.

    *peak_stats* keeps the highest counts seen and is brought up to date; the default
    is one dict for all callers.  With *sizes*, (name, count, increase, bytes, increase in
    bytes).  *collect* False leaves out the ``gc.collect()`` at the beginning, which costs
    more than all the rest and may hide the leak.  The other arguments are those of
    most_common_types().
    """
    if collect:
        gc.collect()
    found = _measure(None, shortnames, filter, sizes=sizes, untracked=untracked, modules=modules)
    rows = []
    for name, (number, size) in found.items():
        increase = number - peak_stats.get(name, 0)
        if increase > 0:
            peak_stats[name] = number
        size_increase = size - peak_stats.get((name, _BYTES), 0)
        if sizes and size_increase > 0:
            peak_stats[name, _BYTES] = size
        if increase > 0 or (sizes and size_increase > 0):
            rows.append((name, number, increase, size, size_increase))
    rows.sort(key=operator.itemgetter(2), reverse=True)
    if limit:
        rows = rows[:limit]
    return rows if sizes else [row[:3] for row in rows]


def show_growth(
    limit: int | None = 10,
    peak_stats: dict[Any, int] | None = None,
    shortnames: bool = True,
    file: IO[str] | None = None,
    filter: Predicate | None = None,  # noqa: A002
    *,
    collect: bool = True,
    sizes: bool = False,
    untracked: bool = False,
    modules: str | Collection[str] | None = None,
) -> None:
    """Print the rows of growth() to *file* (None: sys.stdout); nothing if nothing grew.

    *peak_stats* None: the dict that all callers share.
    """
    options: dict[str, Any] = {
        "collect": collect,
        "sizes": sizes,
        "untracked": untracked,
        "modules": modules,
    }
    if peak_stats is None:
        rows = growth(limit, shortnames=shortnames, filter=filter, **options)
    else:
        rows = growth(limit, peak_stats, shortnames, filter, **options)
    if not rows:
        return
    out = sys.stdout if file is None else file
    width = max(len(row[0]) for row in rows)
    for name, number, increase, *more in rows:
        line = f"{name:<{width}}{number:>9} {increase:>+9}"
        out.write(line + (f" {more[0]:>12} {more[1]:>+12}" if more else "") + "\n")


_SORT_COLUMNS = {"old": 1, "current": 2, "new": 3, "deltas": 4}


def _sorted_ids(shortnames: bool) -> dict[str, bytes]:
    """Addresses of tracked objects by class name: ascending 64-bit numbers, as bytes."""
    found: dict[str, bytes] = {}
    for kind, addresses in _memscope.gc_ids():
        name = _type_name(kind, shortnames)
        if name in found:
            both = memoryview(found[name] + addresses).cast("Q")
            addresses = memoryview(bytearray(0)).tobytes() if not both else _pack(sorted(both))
        found[name] = addresses
    return found


def _pack(numbers: Sequence[int]) -> bytes:
    from array import array

    return array("Q", numbers).tobytes()


def get_new_ids(
    skip_update: bool = False,
    limit: int | None = 10,
    sortby: str = "deltas",
    shortnames: bool | None = None,
    file: IO[str] | None = None,
    _state: dict[str, Any] = {},  # noqa: B006  # shared by all calls, which is the point
    *,
    collect: bool = True,
) -> defaultdict[str, set[int]]:
    """Addresses of the objects that are new since the last call, by class name.

    Also prints, for each class, how many objects there were and are, to *file* (None:
    sys.stdout): *limit* rows (None: all, 0: none), ordered by *sortby*: "old", "current",
    "new" or "deltas".  *skip_update* returns the last result without looking again.
    *shortnames* None: as in the last call.  *collect* False leaves out the
    ``gc.collect()`` at the beginning.

    An address may be given to a new object, which then does not count as new.
    Cost: one pass and a sort; 8 bytes are kept for each object, until the next call.
    """
    if not _state:
        _state.update(current={}, new=defaultdict(set), shortnames=True)
    new: defaultdict[str, set[int]] = _state["new"]
    if skip_update:
        return new
    if shortnames is None:
        shortnames = _state["shortnames"]
    _state["shortnames"] = shortnames
    if collect:
        gc.collect()
    old: dict[str, bytes] = _state["current"]
    current = _sorted_ids(shortnames)
    for ids in new.values():
        ids.clear()
    rows = []
    for name in {**old, **current}:
        before, now = old.get(name, b""), current.get(name, b"")
        if not before and not now:
            continue
        added = _memscope.ids_added(now, before)
        new[name].update(added)
        numbers = len(before) // 8, len(now) // 8
        rows.append((name, *numbers, len(added), numbers[1] - numbers[0]))
    for name in [name for name in new if name not in current and name not in old]:
        del new[name]
    _state["current"] = current
    rows.sort(key=operator.itemgetter(_SORT_COLUMNS[sortby], 0), reverse=True)
    if limit is not None:
        rows = rows[:limit]
    if rows:
        out = sys.stdout if file is None else file
        width = max(len(row[0]) for row in rows)
        rule = "=" * (width + 13 * 4)
        heads = ("Old_ids", "Current_ids", "New_ids", "Count_Deltas")
        print(rule, file=out)
        print(f"{'Type':<{width}}" + "".join(f"{head:>13}" for head in heads), file=out)
        print(rule, file=out)
        for name, *row in rows:
            print(f"{name:<{width}}{row[0]:>13}{row[1]:>13}{row[2]:>+13}{row[3]:>+13}", file=out)
        print(rule, file=out)
    return new


# -- lists of objects


def get_leaking_objects(objects: list[Any] | None = None, *, collect: bool = True) -> list[Any]:
    """The objects that no tracked object refers to.

    Those may be held by C code, or be miscounted by it.  *objects* are those to look
    among; None: all tracked ones.  *collect* False leaves out the ``gc.collect()`` at
    the beginning.  Cost: one pass over all references.
    """
    if collect:
        gc.collect()
    return _memscope.gc_unreferenced(_as_list(objects))


def by_type(typename: str, objects: Iterable[Any] | None = None) -> list[Any]:
    """The objects whose class has the given name.

    A name with a dot is compared with module and name.  *objects* are those to look
    among; None: all tracked ones.  Cost: a look at every class, and one pass in C.
    """
    given = _as_list(objects)
    try:
        short = "." not in typename
        if given is None:
            classes = _classes()
        else:
            classes = [kind for kind, _, _ in _memscope.gc_types(given)]
        kinds = [kind for kind in classes if _type_name(kind, short) == typename]
        return _memscope.gc_objects(kinds, given) if kinds else []
    finally:
        del given  # or the traceback of an error would hold every object


def at(addr: int) -> Any:
    """The tracked object at an address, or None: the reverse of id()."""
    found = _memscope.gc_at((addr,))
    return found[0] if found else None


def at_addrs(address_set: Collection[int]) -> list[Any]:
    """The tracked objects at the given addresses, in no particular order."""
    return _memscope.gc_at(tuple(address_set))


# -- chains


def is_proper_module(obj: object) -> bool:
    """Whether *obj* is a module that is in sys.modules under its own name."""
    return _isinstance(obj, types.ModuleType) and obj is sys.modules.get(
        getattr(obj, "__name__", None)  # type: ignore[arg-type]
    )


def find_ref_chain(
    obj: Any,
    predicate: Predicate,
    max_depth: int = 20,
    extra_ignore: Iterable[int] = (),
    *,
    collect: bool = True,
) -> list[Any]:
    """A shortest chain of references from *obj* to an object that *predicate* accepts.

    *obj* comes first; alone, if there is no chain of at most *max_depth* references.
    Objects whose id is in *extra_ignore* are passed over.  *collect* False leaves out
    the ``gc.collect()`` at the beginning.  Cost: one walk of the heap, and a call for
    each object on the way.
    """
    chain = _find_chain(obj, predicate, gc.get_referents, max_depth, extra_ignore, collect=collect)
    return chain[::-1]


def find_backref_chain(
    obj: Any,
    predicate: Predicate,
    max_depth: int = 20,
    extra_ignore: Iterable[int] = (),
    *,
    collect: bool = True,
) -> list[Any]:
    """A shortest chain of references from an object that *predicate* accepts to *obj*.

    *obj* comes last; the rest is as in find_ref_chain().
    """
    return _find_chain(obj, predicate, gc.get_referrers, max_depth, extra_ignore, collect=collect)


def _find_chain(
    obj: Any,
    predicate: Predicate,
    edge_func: EdgeFunction,
    max_depth: int = 20,
    extra_ignore: Iterable[int] = (),
    *,
    collect: bool = True,
) -> list[Any]:
    """From what was found to *obj*."""
    if collect:
        gc.collect()
    ignore = set(extra_ignore)
    if edge_func is gc.get_referrers or edge_func is gc.get_referents:
        backward = edge_func is gc.get_referrers
        graph = _memscope.Graph.take(keep=True, hide=(ignore, extra_ignore))
        chain = graph.chain(
            obj,
            None if predicate is is_proper_module else predicate,
            max_depth,
            ignore,
            backward,
        )
        if chain is None:
            return [obj]
        return chain if backward else chain[::-1]
    parents: dict[int, Any] = {id(obj): None}
    level = [obj]
    for depth in itertools.count():
        following = []
        for target in level:
            if predicate(target):
                chain = [target]
                while parents[id(target)] is not None:
                    target = parents[id(target)]
                    chain.append(target)
                return chain
            for source in edge_func(target) if depth < max_depth else ():
                if id(source) not in ignore and id(source) not in parents:
                    parents[id(source)] = target
                    following.append(source)
        if not following:
            return [obj]
        level = following
    raise AssertionError("unreachable")


# -- pictures


def show_backrefs(
    objs: Any,
    max_depth: int = 3,
    extra_ignore: Iterable[int] = (),
    filter: Predicate | None = None,  # noqa: A002
    too_many: int = 10,
    highlight: Predicate | None = None,
    filename: str | None = None,
    extra_info: Callable[[Any], Any] | None = None,
    refcounts: bool = False,
    shortnames: bool = True,
    output: IO[str] | None = None,
    extra_node_attrs: Callable[[Any], Mapping[str, Any]] | None = None,
    *,
    collect: bool = True,
) -> Any:
    """Draw what refers to *objs* (an object, or a list or tuple of them), and to that.

    *max_depth*: references between an object and the last ones drawn.  *filter* says
    which to draw, *highlight* which to colour; *extra_ignore* has ids of those to leave
    out.  Of more than *too_many* at one object, the rest is counted.  *extra_info* gives
    a line of text for an object, *extra_node_attrs* Graphviz attributes; *refcounts*
    shows reference counts (objgraph's own may be one more or less: it counts references
    of its own as it goes).

    *filename* chooses the format by its ending: ".dot" needs nothing, any other needs
    Graphviz.  *output* is a file to write DOT to instead.  Without either, the picture
    is shown in a notebook, with xdot, or made a PNG in a temporary folder.  *collect*
    False leaves out the ``gc.collect()`` at the beginning.

    Raises ValueError if both *filename* and *output* are given.  Returns a
    graphviz.Source in a notebook, else None.
    """
    return _show_graph(
        objs,
        gc.get_referrers,
        False,
        max_depth=max_depth,
        extra_ignore=extra_ignore,
        filter=filter,
        too_many=too_many,
        highlight=highlight,
        filename=filename,
        extra_info=extra_info,
        refcounts=refcounts,
        shortnames=shortnames,
        output=output,
        cull_func=is_proper_module,  # beyond a module there is only sys.modules
        extra_node_attrs=extra_node_attrs,
        collect=collect,
    )


def show_refs(
    objs: Any,
    max_depth: int = 3,
    extra_ignore: Iterable[int] = (),
    filter: Predicate | None = None,  # noqa: A002
    too_many: int = 10,
    highlight: Predicate | None = None,
    filename: str | None = None,
    extra_info: Callable[[Any], Any] | None = None,
    refcounts: bool = False,
    shortnames: bool = True,
    output: IO[str] | None = None,
    extra_node_attrs: Callable[[Any], Mapping[str, Any]] | None = None,
    *,
    collect: bool = True,
) -> Any:
    """Draw what *objs* refer to, and what that refers to; else as show_backrefs()."""
    return _show_graph(
        objs,
        _referents,
        True,
        max_depth=max_depth,
        extra_ignore=extra_ignore,
        filter=filter,
        too_many=too_many,
        highlight=highlight,
        filename=filename,
        extra_info=extra_info,
        refcounts=refcounts,
        shortnames=shortnames,
        output=output,
        extra_node_attrs=extra_node_attrs,
        collect=collect,
    )


def show_chain(*chains: Sequence[Any], **kw: Any) -> Any:
    """Draw chains as find_backref_chain() (or, with ``backrefs=False``, find_ref_chain()) gives.

    Takes the keyword arguments of show_backrefs() but *max_depth* and *filter*, and
    returns what it returns.
    """
    backrefs = kw.pop("backrefs", True)
    chains = tuple(chain for chain in chains if chain)
    ids = {id(obj) for chain in chains for obj in chain}
    max_depth = max(map(len, chains)) - 1

    def in_chains(obj: Any) -> bool:
        return id(obj) in ids

    if backrefs:
        ends = [chain[-1] for chain in chains]
        return show_backrefs(ends, max_depth=max_depth, filter=in_chains, **kw)
    starts = [chain[0] for chain in chains]
    return show_refs(starts, max_depth=max_depth, filter=in_chains, **kw)


def _referents(obj: Any) -> list[Any]:
    """gc.get_referents(), but for what a module keeps for reuse.

    Those are dead, and a reference to one, taken and dropped, would free it again: on
    3.12, gc.get_referents(_asyncio) makes the next collection never end.
    """
    if type(obj) is types.ModuleType:
        return _memscope.referents(obj)
    return gc.get_referents(obj)


class _Referrers:
    """gc.get_referrers(), answered from one walk of the heap.

    A class and not a closure: the graph holds all objects there are when it is taken,
    and a variable that a closure shares is one of them, in which the graph would
    then hold itself.
    """

    __slots__ = ("_graph",)

    def __init__(self, graph: _memscope.Graph) -> None:
        self._graph = graph

    def __call__(self, obj: Any) -> list[Any]:
        graph = self._graph
        [node] = graph.find([obj])
        found = dict.fromkeys(graph.referrers(node)) if node >= 0 else ()
        end = graph.holders + graph.tracked
        return graph.objects([one for one in found if graph.holders <= one < end])


def _show_graph(
    objs: Any,
    edge_func: EdgeFunction,
    swap_source_target: bool,
    max_depth: int = 3,
    extra_ignore: Iterable[int] = (),
    filter: Predicate | None = None,  # noqa: A002
    too_many: int = 10,
    highlight: Predicate | None = None,
    filename: str | None = None,
    extra_info: Callable[[Any], Any] | None = None,
    refcounts: bool = False,
    shortnames: bool = True,
    output: IO[str] | None = None,
    cull_func: Predicate | None = None,
    extra_node_attrs: Callable[[Any], Mapping[str, Any]] | None = None,
    *,
    collect: bool = True,
) -> Any:
    if filename and output:
        raise ValueError("Cannot specify both output and filename.")
    if not _isinstance(objs, (list, tuple)):
        objs = [objs]
    if collect:
        gc.collect()
    ignore = {*extra_ignore, id(objs), id(extra_ignore)}
    kept = edge_func is gc.get_referrers
    if kept:
        hide = (objs, extra_ignore, ignore)
        edge_func = _Referrers(_memscope.Graph.take(keep=True, hide=hide))
    in_notebook = IS_INTERACTIVE and not filename and not output
    dot_filename = filename if filename and filename.endswith(".dot") else None
    if output:
        out: IO[str] = output
    elif in_notebook:
        out = StringIO()
    elif dot_filename:
        out = open(dot_filename, "w", encoding="utf-8")  # noqa: SIM115
    else:
        descriptor, dot_filename = tempfile.mkstemp(prefix="objgraph-", suffix=".dot", text=True)
        out = os.fdopen(descriptor, "w", encoding="utf-8")
    try:
        nodes = _write_graph(
            out,
            objs,
            edge_func,
            swap_source_target,
            max_depth,
            ignore,
            filter,
            too_many,
            highlight,
            extra_info,
            refcounts,
            shortnames,
            cull_func,
            extra_node_attrs,
            4 + kept,
        )
        if in_notebook:
            return _graphviz().Source(out.getvalue())  # type: ignore[attr-defined]
    finally:
        if not output:
            out.close()
    if not output:
        assert dot_filename is not None
        print(f"Graph written to {dot_filename} ({nodes} nodes)")
        _present_graph(dot_filename, filename)
    return None


def _graphviz() -> Any:
    if "graphviz" not in globals():
        import importlib

        globals()["graphviz"] = importlib.import_module("graphviz")
    return globals()["graphviz"]


def _write_graph(
    out: IO[str],
    objs: Sequence[Any],
    edges: EdgeFunction,
    forward: bool,
    max_depth: int,
    ignore: Container[int],
    filter: Predicate | None,  # noqa: A002
    too_many: int,
    highlight: Predicate | None,
    extra_info: Callable[[Any], Any] | None,
    refcounts: bool,
    shortnames: bool,
    cull_func: Predicate | None,
    extra_node_attrs: Callable[[Any], Mapping[str, Any]] | None,
    own_references: int,
) -> int:
    """Writes the DOT text; the number of nodes drawn.

    What it calls for a label gets the object straight from its variable *target*, as in
    objgraph: which of the calls on the way count as references depends on the version.
    """
    out.write("digraph ObjectGraph {\n  node[shape=box, style=filled, fillcolor=white];\n")
    depths = {}
    for obj in objs:
        out.write(f"  {_obj_node_id(obj)}[fontcolor=red];\n")
        depths[id(obj)] = 0
        del obj  # it would count as a reference
    queue = deque(objs)
    nodes = 0
    while queue:
        target = queue.popleft()
        nodes += 1
        depth, node = depths[id(target)], _obj_node_id(target)
        text = _obj_label(target, extra_info, refcounts, shortnames, own_references)
        attributes = _obj_attrs(target, extra_node_attrs)
        out.write(f'  {node}[label="{text}"{attributes}];\n')
        hue, saturation, value = _gradient((0, 0, 1), (0, 0, 0.3), depth, max_depth)
        if _isinstance(target, types.ModuleType):
            hue, saturation = 0.3, 1
        if highlight and highlight(target):
            hue, saturation, value = 0.6, 0.6, 0.5 + value * 0.5
        out.write(f'  {node}[fillcolor="{hue:g},{saturation:g},{value:g}"];\n')
        if value < 0.5:
            out.write(f"  {node}[fontcolor=white];\n")
        if _has_del(target):
            out.write(
                f"  {node}->{node}_has_a_del[color=red,style=dotted,len=0.25,weight=10];\n"
                f'  {node}_has_a_del[label="__del__",shape=doublecircle,'
                'height=0.25,color=red,fillcolor="0,.5,1",fontsize=6];\n'
            )
        if depth >= max_depth or (cull_func is not None and cull_func(target)):
            continue
        drawn = skipped = 0
        for other in edges(target):
            if id(other) in ignore or (filter and not filter(other)):
                continue
            if drawn >= too_many:
                skipped += 1
                continue
            ends = (target, other) if forward else (other, target)
            arrow = " -> ".join(map(_obj_node_id, ends))
            out.write(f"  {arrow}{_edge_label(*ends, shortnames)};\n")
            if id(other) not in depths:
                depths[id(other)] = depth + 1
                queue.append(other)
            drawn += 1
            del other  # not `ends`: objgraph counts the last reference drawn once more
        if skipped:
            colour = _gradient((0, 1, 1), (0, 1, 0.3), depth + 1, max_depth)
            more = f"too_many_{node}"
            arrow = f"{node}->{more}" if forward else f"{more}->{node}"
            what = "references" if forward else "backreferences"
            fill = ",".join(f"{part:g}" for part in colour)
            out.write(
                f"  {arrow}[color=red,style=dotted,len=0.25,weight=10];\n"
                f'  {more}[label="{skipped} more {what}",shape=box,height=0.25,'
                f'color=red,fillcolor="{fill}",fontsize=6];\n'
                f"  {more}[fontcolor=white];\n"
            )
    out.write("}\n")
    return nodes


def _present_graph(dot_filename: str, filename: str | None = None) -> None:
    """Makes *filename* from the DOT file, or shows it if there is none."""
    if filename == dot_filename:
        return
    if not filename and _program_in_path("xdot"):
        print("Spawning graph viewer (xdot)")
        subprocess.Popen(["xdot", dot_filename], close_fds=True)
    elif _program_in_path("dot"):
        if not filename:
            print("Graph viewer (xdot) not found, generating a png instead")
            filename = dot_filename[:-4] + ".png"
        kind = os.path.splitext(filename)[1][1:]
        command = ["dot", "-T" + kind, "-o" + filename, dot_filename]
        dot = subprocess.Popen(command, close_fds=False)
        dot.wait()
        if dot.returncode != 0:
            words = " ".join(command)
            print(f'dot failed (exit code {dot.returncode}) while executing "{words}"')
        else:
            print(f"Image generated as {filename}")
    elif filename:
        print("Image renderer (dot) not found, not doing anything else")
    else:
        print("Graph viewer (xdot) and image renderer (dot) not found, not doing anything else")


def _program_in_path(program: str) -> bool:
    from shutil import which

    return which(program) is not None


# -- texts in pictures


def _has_del(obj: object) -> bool:
    """Whether the class of *obj* has a finaliser; asks no metaclass."""
    namespace = type.__dict__["__dict__"].__get__
    return any("__del__" in namespace(base) for base in type.__dict__["__mro__"].__get__(type(obj)))


def _obj_node_id(obj: object) -> str:
    return f"o{id(obj)}".replace("-", "_")


def _obj_attrs(obj: Any, extra_node_attrs: Callable[[Any], Mapping[str, Any]] | None) -> str:
    if extra_node_attrs is None:
        return ""
    attributes = sorted(extra_node_attrs(obj).items())
    return ", " + ", ".join(
        f'{name}="{_quote(value)}"' for name, value in attributes if value is not None
    )


def _obj_label(
    obj: Any,
    extra_info: Callable[[Any], Any] | None = None,
    refcounts: bool = False,
    shortnames: bool = True,
    own_references: int = 4,
) -> str:
    """Class, short repr and extra information; *own_references* are those of this module."""
    lines = [_type_name(_get_obj_type(obj), shortnames)]
    if refcounts:
        lines[0] += f" [{sys.getrefcount(obj) - own_references}]"
    lines.append(_safe_repr(obj))
    if extra_info:
        lines.append(str(extra_info(obj)))
    return _quote("\n".join(lines))


def _quote(text: str) -> str:
    """*text* inside double quotes of DOT."""
    return (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\0", "\\\\0")
    )


def _safe_repr(obj: Any) -> str:
    try:
        return _short_repr(obj)
    except Exception:
        return "(unrepresentable)"


def _name_or_repr(value: Any) -> str:
    name: Any = getattr(value, "__name__", None)
    text: str = name if _isinstance(name, str) else repr(value)[:40]
    return text


_NAMED = (type, types.ModuleType, types.BuiltinMethodType, types.BuiltinFunctionType)


def _short_repr(obj: Any) -> str:
    if _isinstance(obj, _NAMED):
        return _name_or_repr(obj)
    if _isinstance(obj, types.MethodType):
        return _name_or_repr(obj.__func__) + (" (bound)" if obj.__self__ else "")
    if _isinstance(obj, types.FunctionType) and obj.__name__ == "<lambda>":
        code = obj.__code__
        return f"lambda: {os.path.basename(code.co_filename)}:{code.co_firstlineno}"
    if _isinstance(obj, types.FrameType):
        return f"{obj.f_code.co_filename}:{obj.f_lineno}"
    if _isinstance(obj, (tuple, list, dict, set)):
        return f"{len(obj)} items"
    return repr(obj)[:40]


def _gradient(
    start_color: tuple[float, float, float],
    end_color: tuple[float, float, float],
    depth: int,
    max_depth: int,
) -> tuple[float, float, float]:
    """The colour at *depth* on the way from one colour to the other."""
    if max_depth == 0:
        return start_color
    part = depth / max_depth
    first, second, third = (
        start * (1 - part) + end * part for start, end in zip(start_color, end_color, strict=True)
    )
    return first, second, third


_IS_IDENTIFIER = re.compile("[a-zA-Z_][a-zA-Z_0-9]*$").match


def _edge_label(source: Any, target: Any, shortnames: bool = True) -> str:
    if _isinstance(source, types.FrameType):
        for name in ("f_locals", "f_globals"):
            if target is getattr(source, name):
                return f' [label="{name}",weight=10]'
    names = _memscope.edge_names(source, target)
    for kind, name in names:
        if kind in ("attribute", "slot", "dict"):
            weight = 10 if name.startswith("__") else 2
            return f' [label="{_quote(name)}",weight={weight}]'
        if kind == "key":
            if type(name) is str and _IS_IDENTIFIER(name):
                return f' [label="{name}",weight=2]'
            text = f"{_type_name(type(name), shortnames)}\n{_safe_repr(name)}"
            return f' [label="{_quote(text)}"]'
    return ""
