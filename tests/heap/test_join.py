"""The join of graph and traces: each object has the trace of the block that it lies in."""

from __future__ import annotations

import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import memscope
from memscope import _memscope
from memscope.heap import take_heap_snapshot

NONE = 2**32 - 1
HERE = __file__


class Plain:
    """Has a dict in front of it, or inside."""

    def __init__(self) -> None:
        self.attribute = 1


class Slotted:
    __slots__ = ("__weakref__", "one")


class Sized(tuple[int, ...]):
    """Of variable size, with a dict."""


class WithFinalizer(dict[Any, Any]):
    def __del__(self) -> None:
        pass


def line() -> int:
    """The line that the caller is at."""
    return sys._getframe(1).f_lineno


@pytest.fixture
def traced() -> Iterator[None]:
    memscope.start(3)
    yield
    memscope.stop()


def rows_of(join: _memscope.Join, columns: _memscope.Columns) -> list[int]:
    """The same answer by looking at every block for every object: none of it is clever."""
    blocks = []
    for row in range(len(columns)):
        domain, size, *_ = columns.trace(row)
        if domain == 0:
            blocks.append((columns.address(row), size, row))
    blocks.sort()
    graph, at = join.graph, 0
    open_blocks: list[tuple[int, int, int]] = []
    order = sorted(range(graph.holders, len(graph)), key=lambda node: graph.node(node)[0])
    found = dict.fromkeys(range(graph.holders), NONE)
    for node in order:
        address = graph.node(node)[0]
        while at < len(blocks) and blocks[at][0] <= address:
            open_blocks.append(blocks[at])
            at += 1
        open_blocks = [block for block in open_blocks if block[0] + block[1] > address]
        found[node] = max(open_blocks)[2] if open_blocks else NONE
    return [found[node] for node in range(len(graph))]


def test_as_the_naive_join(traced: None) -> None:
    kept = [[Plain(), Slotted(), Sized([number]), {number: str(number)}] for number in range(3000)]
    join = _memscope.Join.take()
    assert list(join.rows) == rows_of(join, join.columns)
    assert sum(row != NONE for row in join.rows) > 9000
    assert len(kept) == 3000


MAKERS: list[Callable[[], Any]] = [
    Plain,
    Slotted,
    lambda: Sized([10**6, 10**7]),
    WithFinalizer,
    lambda: [None] * 77,
    lambda: {"key": 123456.5},
    lambda: OrderedDict(a=1),
    lambda: deque([1]),
    lambda: {123456.5},
    lambda: (object(), 12345.5),
    lambda: 12345.5 * sys.maxsize,
    lambda: "text" * sys.maxunicode.bit_length(),
    lambda: bytes(1000),
    lambda: bytearray(100_000),
    lambda: 10**400 + sys.maxsize,
    lambda: types.SimpleNamespace(a=1),
    lambda: type("Made", (), {}),
    lambda: types.ModuleType("made"),
    lambda: compile("x = 1", "made.py", "exec"),
    lambda: lambda: None,
    lambda: [].append,
    lambda: memoryview(bytearray(10)),
]


@pytest.mark.parametrize("number", range(len(MAKERS)))
def test_every_kind_of_object_has_the_line_that_made_it(traced: None, number: int) -> None:
    make = MAKERS[number]
    # Of many, for a few may come from a free list, which no allocator sees.
    here, made = line(), [make() for _ in range(300)]
    join = _memscope.Join.take()
    nodes = join.graph.find(made)
    maker = make.__code__.co_firstlineno if isinstance(make, types.FunctionType) else here
    sites = join.sites(nodes)
    assert sites.count((HERE, maker)) >= 100, set(sites)
    for node in nodes[:20]:
        seen = _memscope.get_object_traceback(join.graph.objects([node])[0])
        assert join.traceback(node) == seen


def test_what_each_method_tells(traced: None) -> None:
    first = [Plain() for _ in range(50)]
    memscope.advance_epoch()
    second = [Plain() for _ in range(50)]
    join = _memscope.Join.take()
    graph, columns = join.graph, join.columns
    old, new = (graph.find(some) for some in (first, second))
    assert {join.epoch(node) for node in old} == {0}
    assert {join.epoch(node) for node in new} == {1}
    for node in old + new:
        row = join.row(node)
        assert row == join.rows[node]
        assert columns.address(row) <= graph.node(node)[0]
        assert graph.node(node)[0] < columns.address(row) + columns.trace(row)[1]
        assert join.traceback(node) is not None
        assert join.sites([node]) == [columns.trace(row)[2][0]]
    ids = {join.traceback_id(node) for node in old}
    assert len(ids) == 1
    assert 0 not in ids
    assert ids.isdisjoint(join.traceback_id(node) for node in new)
    assert join.nbytes == 4 * len(graph)


def test_what_is_not_traced() -> None:
    before = [Plain() for _ in range(50)]
    memscope.start()
    join = _memscope.Join.take()
    memscope.stop()
    for node in [0, *join.graph.find(before)]:
        assert join.row(node) == -1
        assert join.traceback_id(node) == 0
        assert join.traceback(node) is None
        assert join.epoch(node) == -1
        assert join.sites([node]) == [None]


def test_of_nothing_when_tracing_is_off() -> None:
    join = _memscope.Join.take()
    assert len(join.columns) == 0
    assert set(join.rows) == {NONE}


@pytest.mark.parametrize("keep", [False, True])
def test_of_a_graph_and_a_table_taken_apart(traced: None, keep: bool) -> None:
    kept = [Plain() for _ in range(100)]
    graph = _memscope.Graph.take(keep=keep)
    columns = _memscope.take_snapshot()
    apart = _memscope.Join(graph, columns)
    assert apart.graph is graph
    assert apart.columns is columns
    for node in graph.find(kept):
        assert apart.row(node) >= 0
    assert list(apart.rows) == rows_of(apart, columns)


def test_blocks_that_extensions_report_are_no_objects() -> None:
    graph = _memscope.Graph.from_pairs(3, [])
    columns = _memscope.Columns.from_traces([(7, 100, ((HERE, 1),), None)], 1)
    assert set(_memscope.Join(graph, columns).rows) == {NONE}


def test_the_rows_as_a_buffer(traced: None) -> None:
    join = _memscope.Join.take()
    rows = join.rows
    assert (rows.format, rows.itemsize, rows.shape, rows.readonly) == (
        "I",
        4,
        (len(join.graph),),
        True,
    )
    copy = bytes(rows)
    del join
    assert bytes(rows) == copy


def test_bad_arguments() -> None:
    graph = _memscope.Graph.from_pairs(1, [])
    columns = _memscope.Columns.from_traces([], 1)
    join = _memscope.Join(graph, columns)
    for arguments in ((), (graph,), (columns, graph), (graph, columns, 1)):
        with pytest.raises(TypeError):
            _memscope.Join(*arguments)
    for method in (join.row, join.traceback_id, join.traceback, join.epoch):
        with pytest.raises(IndexError):
            method(1)
        with pytest.raises(TypeError):
            method("x")  # type: ignore[arg-type]
    with pytest.raises(IndexError):
        join.sites([1])


# -- heap snapshots


def test_a_snapshot_tells_where_objects_were_allocated(traced: None) -> None:
    here, made = line(), Plain()
    snapshot = take_heap_snapshot()
    assert snapshot.has_traces
    assert snapshot.site(made) == memscope.Frame((HERE, here))
    traceback = snapshot.traceback(made)
    assert traceback is not None
    assert traceback[-1] == memscope.Frame((HERE, here))
    assert len(traceback) == 3
    assert f"{here}" in str(snapshot.paths_to_root(made)[0].text())


def test_of_objects_that_are_gone_and_after_tracing(traced: None) -> None:
    here, made = line(), [Plain() for _ in range(20)]
    snapshot = take_heap_snapshot()
    rows = list(snapshot.find(type=Plain))
    del made[:]
    memscope.stop()
    memscope.start()
    sites = [snapshot.site(row) for row in rows]
    assert sites.count(memscope.Frame((HERE, here))) == 20
    assert f":{here}" in snapshot.paths_to_root(rows[0])[0].text()


def test_traces_are_an_option() -> None:
    made = Plain()
    with pytest.raises(RuntimeError, match="must be tracing"):
        take_heap_snapshot(traces=True)
    snapshot = take_heap_snapshot()
    assert not snapshot.has_traces
    assert snapshot.site(made) is None
    assert snapshot.traceback(made) is None
    memscope.start()
    without, with_traces = take_heap_snapshot(traces=False), take_heap_snapshot(traces=True)
    memscope.stop()
    assert not without.has_traces
    assert with_traces.has_traces
    assert with_traces.nbytes > without.nbytes


def test_rows_of_another_snapshot() -> None:
    first = take_heap_snapshot()
    row = first.find(type=dict)[0]
    assert first.referents(row).nodes
    for wrong in (row._replace(address=row.address + 16), row._replace(node=1 << 31)):
        with pytest.raises(ValueError, match="not of this snapshot"):
            first.site(wrong)
        with pytest.raises(ValueError, match="not of this snapshot"):
            first.paths_to_root(wrong)
