"""No public function of the C core leaks: blocks, references and own bytes stay flat in a loop.

Every public function, method and property is listed here; a new one without
an entry fails the suite.  Error paths are entries of their own.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from memscope import _memscope

TRACES: list[Any] = [
    (0, 100, (("a.py", 1), ("b.py", 2)), 2),
    (0, 5 << 32, (("a.py", 1),), None),
    (389047, 1, (("\udc80 caf\xe9.py", 0),), 7),
    (0, 3, (("c.py", 1), ("c.py", 1), ("b.py", 2)), 3),
]


def columns() -> Any:
    return _memscope.Columns.from_traces(TRACES, 25)


class Thing:
    """An ordinary instance, with a managed dict on 3.11 and later."""


def raises(call: Callable[[], object], *kinds: type[BaseException]) -> None:
    with pytest.raises(kinds or (TypeError, ValueError)):
        call()


def broken_traces() -> Iterator[Any]:
    yield TRACES[0]
    raise KeyError("a trace that cannot be had")


MATCHES = bytes([1, 0, 1, 1])  # one for each of filenames()
FILTERS = [
    (True, MATCHES, None, True, None),
    (False, MATCHES, 1, False, 0),
    (True, None, None, False, 389047),
]


def session() -> None:
    _memscope.start(5)
    kept = [[i] for i in range(20)]
    _memscope.take_snapshot().traces()
    del kept
    _memscope.stop()


def all_keys(name: str, *arguments: Any) -> None:
    for key in ("lineno", "filename", "traceback", "function"):
        for cumulative, per_occurrence in ((False, False), (True, False), (True, True)):
            if key != "traceback" or not cumulative:
                call = getattr(columns(), name)
                call(*arguments, key, cumulative, per_occurrence=per_occurrence)


def damaged_files() -> None:
    data = columns().to_bytes()
    for broken in (
        b"",
        data[:10],
        data[:-3],
        b"x" * len(data),
        data[:30] + b"\xff" * 8 + data[38:],
    ):
        try:
            _memscope.Columns.from_bytes(broken)
        except (ValueError, EOFError, OSError, MemoryError):
            pass


# Name in the module, or Columns.name: what to repeat.  Several entries for one
# name are told apart by what follows the space.
CALLS: dict[str, Callable[[], object]] = {
    "start": session,
    "start with total_nframe": lambda: (_memscope.start(3, total_nframe=True), _memscope.stop()),
    "start with reuse": lambda: (
        _memscope.start(3, reuse=True),
        [[] for _ in range(99)],
        _memscope.stop(),
    ),
    "start out of range": lambda: raises(lambda: _memscope.start(0)),
    "start of the wrong type": lambda: raises(lambda: _memscope.start("x")),  # type: ignore[arg-type]
    "stop": lambda: (_memscope.start(), _memscope.stop()),
    "stop when off": _memscope.stop,
    "is_tracing": _memscope.is_tracing,
    "clear_traces": lambda: (_memscope.start(), [[] for _ in range(9)], _memscope.clear_traces()),
    "get_traceback_limit": _memscope.get_traceback_limit,
    "get_traced_blocks": _memscope.get_traced_blocks,
    "get_traced_memory": _memscope.get_traced_memory,
    "reset_peak": _memscope.reset_peak,
    "get_tracemalloc_memory": _memscope.get_tracemalloc_memory,
    "get_object_traceback": lambda: (
        _memscope.start(4),
        _memscope.get_object_traceback(Thing()),
        _memscope.get_object_traceback([1]),
        _memscope.get_object_traceback(Thing),
        _memscope.stop(),
    ),
    "get_object_traceback when off": lambda: _memscope.get_object_traceback([]),
    "get_epoch": _memscope.get_epoch,
    "pause": lambda: (_memscope.pause(True), _memscope.pause(False)),
    "advance_epoch": lambda: (_memscope.start(), _memscope.advance_epoch(), _memscope.stop()),
    "status": lambda: (_memscope.status(), _memscope.start(), _memscope.status(), _memscope.stop()),
    "take_snapshot": lambda: (_memscope.start(9), _memscope.take_snapshot(), _memscope.stop()),
    "take_snapshot when off": _memscope.take_snapshot,
    "memory_of_epochs": lambda: (
        _memscope.start(),
        _memscope.memory_of_epochs((1, 2, 3)),
        _memscope.stop(),
    ),
    "memory_of_epochs of nonsense": lambda: raises(
        lambda: _memscope.memory_of_epochs((1, "x"))  # type: ignore[arg-type]
    ),
    "advance_epoch when off": lambda: raises(_memscope.advance_epoch, RuntimeError),
    "Columns": lambda: raises(_memscope.Columns),
    "Columns.from_traces": columns,
    "Columns.from_traces of nothing": lambda: _memscope.Columns.from_traces([], 1),
    "Columns.from_traces of nonsense": lambda: [
        raises(lambda bad=bad: _memscope.Columns.from_traces(bad, 1))  # type: ignore[misc]
        for bad in ([1], [(0,)], [(0, 1, "x")], [(0, 1, (("f", "l"),))], [(0, 1, ((1, 1),))], 5)
    ],
    "Columns.from_traces that raises": lambda: raises(
        lambda: _memscope.Columns.from_traces(broken_traces(), 1), KeyError
    ),
    "Columns.from_bytes": lambda: _memscope.Columns.from_bytes(columns().to_bytes()),
    "Columns.from_bytes of damaged files": damaged_files,
    "Columns.to_bytes": lambda: columns().to_bytes(),
    "Columns.traceback_limit": lambda: columns().traceback_limit,
    "Columns.total_size": lambda: columns().total_size,
    "Columns.lost": lambda: columns().lost,
    "Columns.epoch": lambda: columns().epoch,
    "Columns.nbytes": lambda: columns().nbytes,
    "Columns.trace": lambda: [columns().trace(i) for i in range(len(TRACES))],
    "Columns.trace out of range": lambda: raises(lambda: columns().trace(99), IndexError),
    "Columns.address": lambda: columns().address(0),
    "Columns.address out of range": lambda: raises(lambda: columns().address(99), IndexError),
    "Columns.row_epoch": lambda: columns().row_epoch(0),
    "Columns.traces": lambda: columns().traces(),
    "Columns.types": lambda: columns().types(),
    "Columns.filenames": lambda: columns().filenames(),
    "Columns.group": lambda: all_keys("group"),
    "Columns.group by label": lambda: columns().group("label", labels=[0, 1, 0, 1]),
    "Columns.group by nonsense": lambda: raises(lambda: columns().group("colour")),
    "Columns.group of tracebacks, cumulative": lambda: raises(
        lambda: columns().group("traceback", True)
    ),
    "Columns.group with too many labels": lambda: raises(
        lambda: columns().group("label", labels=[0] * 9)
    ),
    "Columns.compare by label": lambda: columns().compare(
        columns(), "label", labels=[0, 1, 0, 1], old_labels=[1, 1, 1, 0]
    ),
    "Columns.compare": lambda: all_keys("compare", columns()),
    "Columns.compare with nonsense": lambda: raises(lambda: columns().compare(5, "lineno")),
    "Columns.filter": lambda: [
        columns().filter([one], min_size=2, max_size=500).traces() for one in FILTERS
    ],
    "Columns.filter with nonsense": lambda: [
        raises(lambda bad=bad: columns().filter(bad))  # type: ignore[misc]
        for bad in ([(1, 2)], 5, [(True, b"1", None, False, None)])
    ],
}


def raise_key_error(obj: object) -> bool:
    raise KeyError(obj)


HELD = [[Thing() for _ in range(9)], {"key": Thing()}, "text" * 9]


def take(**options: Any) -> Any:
    return _memscope.Graph.take(**options)


@functools.cache
def graph(keep: bool = False) -> Any:
    """One graph for all queries: taking it is most of their time in a process of this size."""
    return take(keep=keep)


def with_node(call: Callable[[Any, int], object], **options: Any) -> object:
    """Calls with a graph and the node of HELD."""
    taken = graph(**options)
    return call(taken, taken.find([HELD])[0])


def after_death() -> None:
    things = [Thing() for _ in range(9)]
    taken = take()
    nodes = taken.find(things)
    things.clear()
    taken.objects(nodes, None)


def grown() -> None:
    grows: list[int] = []
    older = take()
    grows.extend(range(999))
    newer = take()
    assert newer.grown(older, 10)[0] > 0


NO_NUMBERS: list[Any] = [5, ["x"], [1 << 30], [-1], [1 << 70]]
NOT_A_NODE = (TypeError, ValueError, IndexError, OverflowError)


def no_numbers(name: str) -> None:
    taken = graph()
    for bad in NO_NUMBERS:
        raises(lambda bad=bad: getattr(taken, name)(bad), *NOT_A_NODE)  # type: ignore[misc]


SAVING = {
    "named": (type, Thing),
    "sized": (list, dict),
    "valued": (str, int, tuple, bytes),
    "parted": (Thing,),
}


def tell(*objects: list[Any]) -> Any:
    names, keys, more, parts = objects
    return (
        [type(obj).__name__ for obj in names],
        ["key"] * len(keys),
        ["key"] * len(more),
        [[(HELD, "told")]] * len(parts),
    )


@functools.cache
def file() -> bytes:
    taken = take()
    sites = bytes(4 * len(taken)), [("a.py", 1, "f")]
    data: bytes = taken.to_bytes(tell, **SAVING, sites=sites)
    return data


@functools.cache
def loaded() -> Any:
    return _memscope.Graph.from_bytes(file())


def to_bytes_of_nonsense() -> None:
    bad: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((5,), {}),
        ((), {"named": 5}),
        ((), {"sites": 5}),
        ((), {"sites": (b"", [])}),
        ((), {"sites": (bytes(4 * len(graph())), [5])}),
        ((lambda *_: None,), SAVING),
        ((lambda *lists: ([5], *lists),), SAVING),
        ((lambda *lists: (*tell(*lists)[:3], [5] * len(lists[3])),), SAVING),
        ((lambda *lists: (*tell(*lists)[:3], [[5]] * len(lists[3])),), SAVING),
    ]
    for arguments, options in bad:
        raises(
            lambda arguments=arguments, options=options: graph().to_bytes(*arguments, **options)  # type: ignore[misc]
        )


def damaged_heaps() -> None:
    data = file()
    for broken in (b"", data[:10], data[:-3], data[:99] + b"\xff" * 8 + data[107:]):
        raises(lambda broken=broken: _memscope.Graph.from_bytes(broken))  # type: ignore[misc]
    raises(lambda: _memscope.Graph.from_bytes("text"))  # type: ignore[arg-type]


GRAPH_CALLS: dict[str, Callable[[], object]] = {
    "Graph": lambda: raises(_memscope.Graph),
    "Graph.take": take,
    "Graph.take and keep": lambda: take(keep=True),
    "Graph.take named and hidden": lambda: take(
        hide=HELD, threads={1: "one"}, hide_frames=__file__
    ),
    "Graph.take of nonsense": lambda: [
        raises(lambda bad=bad: take(**bad))  # type: ignore[misc]
        for bad in ({"hide": 5}, {"threads": 5}, {"hide_frames": 5}, {"other": 5})
    ],
    "Graph.take in a cycle": lambda: vars(Thing()).update(graph=take(keep=True)),
    "Graph.from_pairs": lambda: _memscope.Graph.from_pairs(9, [(0, 1), (1, 8)], [0]),
    "Graph.from_pairs of nonsense": lambda: [
        raises(lambda bad=bad: _memscope.Graph.from_pairs(*bad), TypeError, LookupError, ValueError)  # type: ignore[misc]
        for bad in ((2, [(0, 2)]), (2, [5]), (2, [(1,)]), (2, 5), (2, [], [7]), (2, [], 5))
    ],
    "Graph.holders": lambda: graph().holders,
    "Graph.tracked": lambda: graph().tracked,
    "Graph.edges": lambda: graph().edges,
    "Graph.nbytes": lambda: graph().nbytes,
    "Graph.lost": lambda: graph().lost,
    "Graph.kept": lambda: graph(keep=True).kept,
    "Graph.stored": lambda: loaded().stored,
    "Graph.to_bytes": lambda: graph().to_bytes(),
    "Graph.to_bytes and tell": lambda: graph().to_bytes(tell, **SAVING),
    "Graph.to_bytes and keep": lambda: graph(keep=True).to_bytes(tell, **SAVING),
    "Graph.to_bytes again": lambda: loaded().to_bytes(),
    "Graph.to_bytes that raises": lambda: raises(
        lambda: graph().to_bytes(lambda *_: raise_key_error(5), **SAVING), KeyError
    ),
    "Graph.to_bytes of nonsense": to_bytes_of_nonsense,
    "Graph.from_bytes": lambda: _memscope.Graph.from_bytes(file()),
    "Graph.from_bytes of nonsense": damaged_heaps,
    "Graph.edge_names": lambda: [
        loaded().edge_names(node, target)
        for node in range(0, len(loaded()), 99)
        for target in loaded().referents(node)[:5]
    ],
    "Graph.edge_names of nonsense": lambda: raises(lambda: loaded().edge_names(0, -1), IndexError),
    "Graph.description": lambda: [
        loaded().description(node) for node in range(0, len(loaded()), 9)
    ],
    "Graph.description of nonsense": lambda: raises(
        lambda: loaded().description(1 << 40), IndexError
    ),
    "Graph.sites": lambda: loaded().sites(),
    "Graph.sites of none": lambda: graph().sites(),
    "Graph.types": lambda: graph().types(),
    "Graph.node": lambda: with_node(lambda taken, node: taken.node(node)),
    "Graph.node out of range": lambda: raises(lambda: graph().node(1 << 40), IndexError),
    "Graph.holder": lambda: graph().holder(0),
    "Graph.holder of an object": lambda: raises(
        lambda: with_node(lambda taken, node: taken.holder(node))
    ),
    "Graph.local_names": lambda: graph().local_names(1),
    "Graph.local_names of an object": lambda: raises(
        lambda: with_node(lambda taken, node: taken.local_names(node))
    ),
    "Graph.referents": lambda: with_node(lambda taken, node: taken.referents(node)),
    "Graph.referents out of range": lambda: raises(lambda: graph().referents(-1), IndexError),
    "Graph.referrers": lambda: with_node(lambda taken, node: taken.referrers(node)),
    "Graph.referrers out of range": lambda: raises(lambda: graph().referrers(-1), IndexError),
    "Graph.select": lambda: graph().select([0, 1], min_size=80),
    "Graph.select with nonsense": lambda: no_numbers("select"),
    "Graph.find": lambda: graph().find([HELD, Thing(), 5]),
    "Graph.find and keep": lambda: graph(keep=True).find([HELD, Thing(), 5]),
    "Graph.find of nonsense": lambda: raises(lambda: graph().find(5)),
    "Graph.objects": lambda: with_node(lambda taken, node: taken.objects([0, node])),
    "Graph.objects and keep": lambda: with_node(
        lambda taken, node: taken.objects([0, node]), keep=True
    ),
    "Graph.objects that are gone": after_death,
    "Graph.objects with nonsense": lambda: no_numbers("objects"),
    "Graph.chain": lambda: graph(keep=True).chain(HELD[1], None),
    "Graph.chain asked": lambda: graph(keep=True).chain(
        HELD, lambda obj: isinstance(obj, Thing), ignore=[1], backward=False
    ),
    "Graph.chain that raises": lambda: raises(
        lambda: graph(keep=True).chain(HELD, raise_key_error), KeyError
    ),
    "Graph.chain without keep": lambda: raises(
        lambda: graph().chain(HELD, None), TypeError, ValueError
    ),
    "Graph.paths_to_root": lambda: with_node(lambda taken, node: taken.paths_to_root([node], 9)),
    "Graph.paths_to_root with nonsense": lambda: no_numbers("paths_to_root"),
    "Graph.merged_paths": lambda: with_node(
        lambda taken, node: taken.merged_paths([node], 9, avoid=[0])
    ),
    "Graph.merged_paths with nonsense": lambda: no_numbers("merged_paths"),
    "Graph.reachable": lambda: with_node(lambda taken, node: taken.reachable([node])),
    "Graph.reachable with nonsense": lambda: no_numbers("reachable"),
    "Graph.grown": grown,
    "Graph.grown from nonsense": lambda: raises(lambda: graph().grown(5, 5)),
}


@functools.cache
def join() -> Any:
    """Of a graph and a table that is empty, and so may be kept over all tests."""
    return _memscope.Join(graph(), columns())


def take_join() -> None:
    _memscope.start(3)
    things = [Thing() for _ in range(9)]
    taken = _memscope.Join.take()
    nodes = taken.graph.find(things)
    assert None not in taken.sites(nodes)
    for node in nodes:
        taken.traceback(node), taken.epoch(node), taken.row(node), taken.traceback_id(node)
    _memscope.stop()


def tell_types() -> None:
    taken = _memscope.Join(graph(), columns())
    assert taken.columns.types() is None
    taken.tell_types()
    assert taken.columns.filter(FILTERS[:1]).types()


def no_node(name: str) -> None:
    raises(lambda: getattr(join(), name)(1 << 31), IndexError)


JOIN_CALLS: dict[str, Callable[[], object]] = {
    "Join": lambda: _memscope.Join(graph(), columns()),
    "Join of nonsense": lambda: raises(lambda: _memscope.Join(columns(), graph())),
    "Join and keep": lambda: _memscope.Join(graph(keep=True), columns()),
    "Join.take": take_join,
    "Join.take when off": lambda: _memscope.Join.take(keep=True),
    "Join.take of nonsense": lambda: raises(lambda: _memscope.Join.take(hide=5)),  # type: ignore[arg-type]
    "Join.graph": lambda: join().graph,
    "Join.columns": lambda: join().columns,
    "Join.rows": lambda: join().rows[0],
    "Join.nbytes": lambda: join().nbytes,
    "Join.row": lambda: no_node("row"),
    "Join.traceback_id": lambda: no_node("traceback_id"),
    "Join.traceback": lambda: no_node("traceback"),
    "Join.epoch": lambda: no_node("epoch"),
    "Join.tell_types": tell_types,
    "Join.tell_types twice": lambda: (join().tell_types(), join().columns.types()),
    "Join.sites": lambda: (join().sites([0, 1]), raises(lambda: join().sites(5))),
    "Join.site_column": lambda: join().site_column(),
    "Join.places": lambda: (join().places(0), no_node("places")),
    "Join.places_of_row": lambda: join().places_of_row(1),
    "Join.places_of_row that is none": lambda: [
        raises(lambda bad=bad: join().places_of_row(bad), IndexError, TypeError)  # type: ignore[misc]
        for bad in (99, -1, 1 << 70, "x")
    ],
    "Join.strays": lambda: join().strays(),
}


@functools.cache
def series() -> list[Any]:
    """Graphs of a heap that grows, made up."""
    pairs = [(0, node) for node in range(1, 40)]
    return [_memscope.Graph.from_pairs(count, pairs[: count - 1], [0]) for count in (10, 20, 40)]


@functools.cache
def history() -> Any:
    first, *others = series()
    made = _memscope.History.begin(first)
    for one in others:
        made = made.advance(one)
    return made


@functools.cache
def survivors() -> Any:
    return history().survivors()


def live_history() -> None:
    """Of live graphs, with what each is asked."""
    begun = _memscope.History.begin(graph())
    found = begun.advance(take()).survivors()
    for pile, *_ in enumerate(found.piles(9)):
        found.groups(pile), found.members(pile)


NO_PILES: list[Any] = [9, -1, "x", 1 << 70]
NOT_A_PILE = (TypeError, IndexError, OverflowError, ValueError)

HISTORY_CALLS: dict[str, Callable[[], object]] = {
    "History": lambda: raises(_memscope.History),
    "History.begin": lambda: _memscope.History.begin(series()[0]),
    "History.begin of nonsense": lambda: raises(lambda: _memscope.History.begin(5)),  # type: ignore[arg-type]
    "History.moment": lambda: history().moment,
    "History.graph": lambda: history().graph,
    "History.advance": lambda: history().advance(series()[0]),
    "History.advance with epochs": lambda: history().advance(graph(), join(), (1, 2, 1 << 40)),
    "History.advance with nonsense": lambda: [
        raises(lambda bad=bad: history().advance(*bad), OverflowError, TypeError, ValueError)  # type: ignore[misc]
        for bad in (
            (5,),
            (graph(), 5),
            (graph(), join(), 5),
            (graph(), None, (-1,)),
            (graph(), None, ("x",)),
        )
    ],
    "History.node": lambda: [history().node(node) for node in range(40)],
    "History.node out of range": lambda: raises(lambda: history().node(1 << 40), IndexError),
    "History.rise": lambda: [history().rise(node) for node in range(40)],
    "History.rise out of range": lambda: raises(lambda: history().rise(1 << 40), IndexError),
    "History.growers": lambda: history().growers(1),
    "History.growers of nonsense": lambda: raises(lambda: history().growers("x")),
    "History.survivors": lambda: history().survivors([1, 2]),
    "History.survivors of a live heap": live_history,
    "History.survivors with nonsense": lambda: [
        raises(lambda bad=bad: history().survivors(bad), *NOT_A_NODE)  # type: ignore[misc]
        for bad in NO_NUMBERS
    ],
    "Survivors": lambda: raises(_memscope.Survivors),
    "Survivors.piles": lambda: survivors().piles(9),
    "Survivors.piles of nonsense": lambda: [
        raises(lambda bad=bad: survivors().piles(bad), *NOT_A_PILE)  # type: ignore[misc]
        for bad in NO_PILES[1:]
    ],
    "Survivors.groups": lambda: survivors().groups(0),
    "Survivors.groups of nonsense": lambda: [
        raises(lambda bad=bad: survivors().groups(bad), *NOT_A_PILE)  # type: ignore[misc]
        for bad in NO_PILES
    ],
    "Survivors.groups of another join": lambda: raises(lambda: survivors().groups(0, join())),
    "Survivors.members": lambda: survivors().members(0, True, 5),
    "Survivors.members of nonsense": lambda: [
        raises(lambda bad=bad: survivors().members(bad), *NOT_A_PILE)  # type: ignore[misc]
        for bad in NO_PILES
    ],
    "Survivors.way": lambda: survivors().way(39),
    "Survivors.way of no node": lambda: raises(lambda: survivors().way(1 << 31), IndexError),
}


@functools.cache
def tree() -> Any:
    return graph().dominators()


DOMINATORS_CALLS: dict[str, Callable[[], object]] = {
    "Graph.dominators": lambda: graph().dominators(),
    "Dominators": lambda: raises(_memscope.Dominators),
    "Dominators.graph": lambda: tree().graph,
    "Dominators.nbytes": lambda: tree().nbytes,
    "Dominators.idom": lambda: (tree().idom(9), raises(lambda: tree().idom(-3), IndexError)),
    "Dominators.retained": lambda: tree().retained(-1),
    "Dominators.retained_count": lambda: tree().retained_count(-2),
    "Dominators.dominates": lambda: tree().dominates(-1, 9),
    "Dominators.children": lambda: tree().children(-1),
    "Dominators.children_by_type": lambda: (
        tree().children_by_type(-1),
        raises(lambda: tree().children_by_type("x")),
    ),
    "Dominators.top": lambda: tree().top(5),
    "Dominators.retained_of": lambda: (
        tree().retained_of([1, 2]),
        raises(lambda: tree().retained_of(["x"])),
    ),
    "Dominators.by_type": lambda: tree().by_type(range(len(tree().graph.types()))),
    "Dominators.by_type with nonsense": lambda: [
        raises(lambda bad=bad: tree().by_type(bad), TypeError, ValueError, IndexError)  # type: ignore[misc]
        for bad in ([], 5, [1 << 30] * len(tree().graph.types()))
    ],
    "Dominators.by_site": lambda: [
        tree().by_site(join(), key) for key in ("lineno", "filename", "function")
    ],
    "Dominators.by_site with nonsense": lambda: [
        raises(lambda bad=bad: tree().by_site(*bad))  # type: ignore[misc]
        for bad in ((), (join(), "colour"), (graph(),))
    ],
    "Dominators.by_holder": lambda: tree().by_holder(),
}
COUNTING_CALLS: dict[str, Callable[[], object]] = {
    "edge_names": lambda: _memscope.edge_names(HELD, HELD[0]),
    "referents": lambda: _memscope.referents(HELD),
    "size_of": lambda: _memscope.size_of(HELD),
    "layout_verified": _memscope.layout_verified,
    "pymalloc_memory": _memscope.pymalloc_memory,
    "pymalloc_memory while tracing": lambda: (
        _memscope.start(),
        _memscope.pymalloc_memory(),
        _memscope.stop(),
    ),
    "libc_memory": _memscope.libc_memory,
    "gc_types": lambda: _memscope.gc_types(sizes=True),
    "gc_types of a list": lambda: _memscope.gc_types(HELD),
    "gc_types of nonsense": lambda: raises(lambda: _memscope.gc_types(5)),  # type: ignore[arg-type]
    "gc_objects": lambda: _memscope.gc_objects([Thing, dict]),
    "gc_objects of a list": lambda: _memscope.gc_objects([Thing], HELD),
    "gc_objects of nonsense": lambda: raises(lambda: _memscope.gc_objects(5)),  # type: ignore[arg-type]
    "gc_at": lambda: _memscope.gc_at([id(HELD), 1]),
    "gc_at of nonsense": lambda: raises(lambda: _memscope.gc_at(["x"])),  # type: ignore[list-item]
    "gc_unreferenced": _memscope.gc_unreferenced,
    "gc_unreferenced of a list": lambda: _memscope.gc_unreferenced(HELD),
    "gc_unreferenced of nonsense": lambda: raises(lambda: _memscope.gc_unreferenced(5)),  # type: ignore[arg-type]
    "gc_ids": _memscope.gc_ids,
    "ids_added": lambda: _memscope.ids_added(b"12345678" * 3, b"12345678"),
    "ids_added of nonsense": lambda: raises(lambda: _memscope.ids_added(b"123", b"")),
    "Lengths": _memscope.Lengths,
    "Lengths of nonsense": lambda: raises(lambda: _memscope.Lengths(1)),  # type: ignore[call-arg]
    "Lengths.note": lambda: _memscope.Lengths().note(),
    "Lengths.note of what is traced": lambda: (
        _memscope.start(),
        [noted() for _ in range(3)],
        _memscope.stop(),
    ),
    "Lengths.leave_out": lambda: (_memscope.start(), noted().leave_out([[], {}]), _memscope.stop()),
    "Lengths.leave_out of nonsense": lambda: raises(lambda: noted().leave_out(())),
    "Lengths.longest_rise": lambda: (_memscope.start(), noted().longest_rise(1), _memscope.stop()),
    "Lengths.note_hot": lambda: (_memscope.start(), noted().note_hot(), _memscope.stop()),
    "Lengths.renew": lambda: (_memscope.start(), noted(hot=True).renew(1), _memscope.stop()),
    "Lengths.renew of nonsense": lambda: raises(lambda: noted().renew("x")),
    "Lengths.longest_rise of nonsense": lambda: raises(lambda: noted().longest_rise("x")),
}


def noted(*, hot: bool = False) -> Any:
    lengths = _memscope.Lengths()
    for _ in range(3):
        lengths.note()
    if hot:
        lengths.note_hot()
    return lengths


def passing() -> Any:
    made = _memscope.Passing(1000, lambda found: None)
    made.count()
    return made


def counted(status: object = 200) -> Any:
    made = passing()
    for number in range(40):  # more kinds than there is room for
        made.begin("/")
        made.end(0.0, "GET", "/", f"/{number}", raises, status)
    return made


class Chunks:
    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def __iter__(self) -> Iterator[bytes]:
        yield b"a"
        if self.fails:
            raise KeyError("no more")

    def close(self) -> None:
        if self.fails:
            raise KeyError("close")


class SizedChunks(Chunks):
    def __len__(self) -> int:
        return 1


class Asked:
    rule = "/"


def wsgi(body: Any, **others: Any) -> Any:
    """What a server gets, for what an application returns."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", headers=[])
        start_response(status="500 Oops", headers=[])
        if body is None:
            raise KeyError("none")
        return body

    application = passing().wsgi(app, raises, ("asked", "rule"))
    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET", "asked": Asked(), **others}
    return application(environ, lambda *args, **kwargs: None)


def served(body: Any) -> None:
    result = wsgi(body)
    list(result)
    result.close()


def sent() -> None:
    send = passing().asgi(lambda message: None)
    send({"type": "http.response.start", "status": 200})
    send({"type": "http.response.body"})
    send({"type": []})
    assert (send.status, send.answered > 0) == (200, True)


PASSING_CALLS: dict[str, Callable[[], object]] = {
    "Passing": passing,
    "Passing of nonsense": lambda: [
        raises(lambda: _memscope.Passing(0, print)),
        raises(lambda: _memscope.Passing("x", print)),  # type: ignore[arg-type]
    ],
    "Passing.begun": lambda: passing().begun,
    "Passing.every": lambda: passing().every,
    "Passing.in_flight": lambda: passing().in_flight,
    "Passing.since": lambda: passing().since,
    "Passing.is_open": lambda: passing().is_open,
    "Passing.is_quick": lambda: passing().is_quick,
    "Passing.is_eager": lambda: setattr(counted(), "is_eager", True),
    "Passing.paths": lambda: [
        setattr(passing(), "paths", {"/": "/"}),
        raises(lambda: setattr(passing(), "paths", 5)),
    ],
    "Passing.excluding": lambda: [
        setattr(passing(), "excluding", (raises,)),
        raises(lambda: setattr(passing(), "excluding", 5)),
    ],
    "Passing.begin": lambda: [passing().begin(path) for path in ("/", b"/", 5)],
    "Passing.begin of what is excluded": lambda: [
        (setattr(made, "excluding", (lambda path: 1 / int(path),)), made.begin(path))
        for made in (passing(),)
        for path in ("0", "1")
    ],
    "Passing.enter": lambda: passing().enter(),
    "Passing.end": counted,
    "Passing.end of nonsense": lambda: [
        counted("20x OK"),
        raises(lambda: passing().end(1)),
        raises(lambda: passing().end("x", 1, 2, 3, 4, 5)),
    ],
    "Passing.drop": lambda: passing().drop(),
    "Passing.flush": lambda: counted().flush(),
    "Passing.close": lambda: passing().close(),
    "Passing.open": lambda: passing().open(),
    "Passing.count": lambda: passing().count(),
    "Passing.forked": lambda: passing().forked(),
    "Passing.asgi": sent,
    "Passing.wsgi": lambda: wsgi([b"a"]),
    "Passing.wsgi of nonsense": lambda: [
        raises(lambda: passing().wsgi(5)),
        raises(lambda: passing().wsgi(5, 5, 5)),
        passing().wsgi(print, lambda *args: None)(5, 5),
    ],
    "AsgiSend": lambda: raises(_memscope.AsgiSend),
    "WsgiApplication": lambda: raises(_memscope.WsgiApplication),
    "WsgiBody": lambda: served(Chunks()),
    "WsgiBody that fails": lambda: raises(lambda: served(Chunks(fails=True)), KeyError),
    "WsgiBody that is not closed": lambda: list(wsgi(Chunks())),
    "WsgiBody that cannot be closed": lambda: raises(wsgi(Chunks(fails=True)).close, KeyError),
    "WsgiBody of no body": lambda: raises(lambda: list(wsgi(5))),
    "WsgiBody of a file": lambda: wsgi(Chunks(), **{"wsgi.file_wrapper": Chunks}),
    "WsgiSizedBody": lambda: [served(SizedChunks()), len(wsgi(SizedChunks()))],
    "WsgiStart": lambda: raises(lambda: wsgi(None), KeyError),
    "WsgiChunks": lambda: raises(_memscope.WsgiChunks),
}

CALLS |= PASSING_CALLS
CALLS |= GRAPH_CALLS | JOIN_CALLS | DOMINATORS_CALLS | HISTORY_CALLS | COUNTING_CALLS

# Called differently on purpose, or no function of their own.
NOT_CALLED = {"RawFrame", "RawTrace", "GroupKey"}


def public_names() -> set[str]:
    names = {name for name in dir(_memscope) if not name.startswith("_")}
    for kind in (
        *(_memscope.Columns, _memscope.Graph, _memscope.Join),
        *(_memscope.History, _memscope.Survivors, _memscope.Dominators),
        *(_memscope.Lengths, _memscope.Passing),
    ):
        names |= {f"{kind.__name__}.{name}" for name in dir(kind) if not name.startswith("_")}
    return names - NOT_CALLED


def test_every_public_function_has_a_leak_test() -> None:
    covered = {name.split(" ")[0] for name in CALLS}
    assert public_names() - covered == set(), "add them to CALLS"
    assert covered - public_names() == set(), "gone from the C core: remove them from CALLS"


@pytest.fixture(scope="module", autouse=True)
def nothing_old_to_collect() -> Iterator[None]:
    """start() collects: with what other tests left behind that would take most of the time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    # One of the graphs keeps every object there was: for the tests after these, garbage.
    for cached in (graph, file, loaded, join, series, history, survivors, tree):
        cached.cache_clear()
    gc.collect()


def counters() -> tuple[int, int, int]:
    gc.collect()
    references = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else 0
    own = _memscope.get_tracemalloc_memory()
    return sys.getallocatedblocks(), references, own


@pytest.mark.parametrize("name", CALLS)
def test_no_leak(name: str) -> None:
    _memscope.stop()
    call = CALLS[name]
    slow = ("Graph", "Join", "History", "Survivors", "Dominators", "gc_unreferenced")
    rounds = 4 if name.startswith(slow) else 20  # a graph takes time
    for _ in range(2):
        call()
    growth: list[tuple[int, ...]] = []
    before = counters()
    for _ in range(3):
        for _ in range(rounds):
            call()
        after = counters()
        growth.append(tuple(new - old for new, old in zip(after, before)))
        before = after
    _memscope.stop()
    # A leak shows in every batch; a cache that fills up, or a block or two of
    # the interpreter's own, does not.
    for position, unit in enumerate(("blocks", "references", "bytes of our own")):
        least = min(step[position] for step in growth)
        assert least < rounds // 2, f"{least} {unit} per {rounds} calls: {growth}"


def test_types_are_not_leaked() -> None:
    """Instances give back the reference they hold on their heap type."""
    graph_of_two = functools.partial(_memscope.Graph.from_pairs, 2, [])
    for kind, make in ((_memscope.Columns, columns), (_memscope.Graph, graph_of_two)):
        before = sys.getrefcount(kind)
        for _ in range(50):
            make()
        assert abs(sys.getrefcount(kind) - before) < 10
