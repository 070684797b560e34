"""Since when objects are there and which keep growing, against dicts kept by hand.

The same on a live heap: tests/isolated/heap_history.py.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memscope
from memscope import _memscope

Graph, History, Join = _memscope.Graph, _memscope.History, _memscope.Join


class Thing:
    """An instance with attributes."""


def one(graph: _memscope.Graph, obj: object) -> int:
    [node] = graph.find([obj])
    assert node >= 0
    return node


def told(history: _memscope.History, obj: object) -> tuple[int, int, int, int]:
    """(birth, rises, references more, bytes more) of an object."""
    return history.node(one(history.graph, obj))


# -- the naive history: a dict from address to what is known of the object there


class Known(NamedTuple):
    kind: tuple[str | None, str]
    birth: int
    rises: int
    first: tuple[int, int]
    last: tuple[int, int]
    most: int
    """References that it had at most."""
    rise: tuple[int, int] = (0, 0)
    """The last moment at which it had more than ever, and by how much."""

    def at(self, moment: int, size: tuple[int, int]) -> Known:
        """What is known of it after one more moment."""
        references, nbytes = size
        step = references - self.most
        if references == self.most == 0:
            step = nbytes - self.last[1]
        return self._replace(
            rises=self.rises + (step > 0),
            rise=(moment, step) if step > 0 else self.rise,
            most=max(self.most, references),
            last=size,
        )


def objects_of(graph: _memscope.Graph) -> Iterator[tuple[int, int, Any, tuple[int, int]]]:
    """(node, address, class, (references, bytes)) of all objects."""
    types = graph.types()
    for node in range(graph.holders, len(graph)):
        address, kind, size, *_ = graph.node(node)
        yield node, address, types[kind][:2], (len(graph.referents(node)), size)


def carry_on(
    known: dict[int, Known], graph: _memscope.Graph, moment: int
) -> tuple[dict[int, Known], dict[int, int]]:
    """What is known at the next moment, and the node of each address."""
    now, nodes = {}, {}
    for node, address, kind, size in objects_of(graph):
        nodes[address] = node
        before = known.get(address)
        if before is None or before.kind != kind:
            now[address] = Known(kind, moment, 0, size, size, size[0])
        else:
            now[address] = before.at(moment, size)
    return now, nodes


def as_told(known: Known) -> tuple[int, int, int, int]:
    return (
        known.birth,
        known.rises,
        known.last[0] - known.first[0],
        known.last[1] - known.first[1],
    )


def check(history: _memscope.History, known: dict[int, Known], nodes: dict[int, int]) -> None:
    for address, of in known.items():
        assert history.node(nodes[address]) == as_told(of), (hex(address), of)
        assert history.rise(nodes[address]) == of.rise
    for least in (0, 1, 2, 99):
        expected = [
            (nodes[address], of.rises, *as_told(of)[2:])
            for address, of in known.items()
            if of.rises >= max(least, 1) and of.last > of.first
        ]
        assert history.growers(least) == sorted(
            expected, key=lambda row: (-row[2], -row[3], row[0])
        )


pair_lists = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20)
series = st.lists(st.tuples(st.integers(0, 10), pair_lists), min_size=1, max_size=6)


@given(series)
def test_as_dicts_on_made_graphs(moments: Sequence[tuple[int, list[tuple[int, int]]]]) -> None:
    """The same, where objects come and go at every moment."""
    history: Any = None
    known: dict[int, Known] = {}
    for moment, (count, pairs) in enumerate(moments):
        graph = Graph.from_pairs(count, [pair for pair in pairs if max(pair) < count])
        history = history.advance(graph) if history is not None else History.begin(graph)
        known, nodes = carry_on(known, graph, moment)
        assert len(nodes) == count
        check(history, known, nodes)


def test_what_it_tells_of_a_list_that_grows() -> None:
    growing: list[object] = []
    once: list[object] = []
    still = [None]
    history = History.begin(Graph.take())
    assert told(history, growing) == (0, 0, 0, 0)
    for moment in range(1, 4):
        growing += [None] * 5
        once += [None] * (moment == 1)
        history = history.advance(Graph.take())
        assert told(history, growing)[:3] == (0, moment, 5 * moment)
        assert told(history, once)[:3] == (0, 1, 1)
        assert told(history, still) == (0, 0, 0, 0)
    node = one(history.graph, growing)
    assert node in [row[0] for row in history.growers(3)]
    assert one(history.graph, once) not in [row[0] for row in history.growers(2)]
    assert node not in [row[0] for row in history.growers(4)]


def test_what_grows_by_bytes_alone() -> None:
    buffer = bytearray(10)
    history = History.begin(Graph.take())
    before = sys.getsizeof(buffer)
    buffer += bytes(100_000)
    history = history.advance(Graph.take())
    assert told(history, buffer) == (0, 1, 0, sys.getsizeof(buffer) - before)


def test_what_shrinks_did_not_rise() -> None:
    shrinking = [None] * 100
    history = History.begin(Graph.take())
    del shrinking[50:]
    history = history.advance(Graph.take())
    birth, rises, references, _ = told(history, shrinking)
    assert (birth, rises, references) == (0, 0, -50)
    shrinking += [None] * 10
    history = history.advance(Graph.take())
    assert told(history, shrinking)[:3] == (0, 0, -40), "it had more before"
    shrinking += [None] * 41
    history = history.advance(Graph.take())
    assert told(history, shrinking)[:3] == (0, 1, 1)
    assert history.rise(one(history.graph, shrinking)) == (3, 1)
    shrinking.pop()
    history = history.advance(Graph.take())
    assert one(history.graph, shrinking) not in [row[0] for row in history.growers(1)]


def test_moments_of_birth() -> None:
    history = History.begin(Graph.take())
    made = []
    for _ in range(3):
        made.append([Thing() for _ in range(50)])
        history = history.advance(Graph.take())
    nodes = [history.graph.find(things) for things in made]
    births = [[history.node(node)[0] for node in some] for some in nodes]
    assert births == [[1] * 50, [2] * 50, [3] * 50]


def test_one_that_died_and_came_again_is_new() -> None:
    graphs = [Graph.from_pairs(count, []) for count in (3, 2, 3)]
    history = History.begin(graphs[0]).advance(graphs[1]).advance(graphs[2])
    assert [history.node(node)[0] for node in range(3)] == [0, 0, 2]


def test_earlier_histories_stay_as_they_are() -> None:
    growing: list[object] = []
    first = History.begin(Graph.take())
    before = told(first, growing)
    growing.append(1)
    second = first.advance(Graph.take())
    assert told(first, growing) == before
    assert (first.moment, second.moment) == (0, 1)
    assert told(second, growing)[2] == 1


# -- an address that several objects had


@pytest.fixture
def traced() -> Iterator[None]:
    memscope.start(1, reuse=True)
    yield
    memscope.stop()


def test_address_reuse_is_told_by_the_epoch(traced: None) -> None:
    old = [Thing() for _ in range(1000)]
    addresses = {id(thing) for thing in old}
    join = Join.take()
    history = History.begin(join.graph)
    epochs = (memscope.advance_epoch(),)
    del old
    new = [Thing() for _ in range(1000)]
    reused = [thing for thing in new if id(thing) in addresses]
    assert len(reused) > 500, "the allocator gave other addresses"
    join = Join.take()
    blind = history.advance(join.graph)
    seeing = history.advance(join.graph, join, epochs)
    nodes = join.graph.find(reused)
    assert {blind.node(node)[0] for node in nodes} == {0}
    assert {seeing.node(node) for node in nodes} == {(1, 0, 0, 0)}


def test_an_epoch_tells_the_moment_of_birth(traced: None) -> None:
    """Whatever the addresses: an object is as old as the epoch it was allocated in."""
    join = Join.take()
    history = History.begin(join.graph)
    epochs: tuple[int, ...] = (memscope.advance_epoch(),)
    kept: list[Any] = []
    for moment in range(1, 5):
        if moment > 1:
            kept[-1][::2] = [None] * 100
        kept.append([Thing() for _ in range(200)])
        join = Join.take()
        history = history.advance(join.graph, join, epochs)
        for birth, things in enumerate(kept, 1):
            living = [thing for thing in things if thing is not None]
            nodes = join.graph.find(living)
            assert {history.node(node)[0] for node in nodes} == {birth}
            assert {bool(join.row(node) >= 0) for node in nodes} == {True}
        epochs = (*epochs, memscope.advance_epoch())


def test_what_lives_on_is_not_made_younger(traced: None) -> None:
    """Growing a list allocates its block anew, but not the list."""
    old: list[object] = [Thing() for _ in range(50)]
    join = Join.take()
    history = History.begin(join.graph)
    epochs: tuple[int, ...] = (memscope.advance_epoch(),)
    for _ in range(3):
        old += [Thing() for _ in range(500)]
        join = Join.take()
        history = history.advance(join.graph, join, epochs)
        epochs = (*epochs, memscope.advance_epoch())
    assert told(history, old)[:2] == (0, 3)
    nodes = join.graph.find(old[:50])
    assert {history.node(node)[0] for node in nodes} == {0}


def test_an_epoch_of_the_future_is_the_last_moment(traced: None) -> None:
    join = Join.take()
    history = History.begin(join.graph)
    thing = Thing()
    join = Join.take()
    history = history.advance(join.graph, join, (0, 0, 0, 0, 0))
    assert told(history, thing)[0] == 1


# -- threads


def test_frames_of_a_thread_that_was_there_are_old() -> None:
    go, come, stop = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        go.wait()
        deeper()

    def deeper() -> None:
        come.set()
        stop.wait()

    worker = threading.Thread(target=work)
    worker.start()
    history = History.begin(Graph.take())
    go.set()
    come.wait()
    young = threading.Thread(target=stop.wait)
    young.start()
    graph = Graph.take()
    history = history.advance(graph)
    stop.set()
    worker.join()
    young.join()
    births: dict[int, set[int]] = {}
    for node in range(graph.holders):
        births.setdefault(graph.holder(node)[2], set()).add(history.node(node)[0])
    idents = [one.ident for one in (worker, young, threading.main_thread())]
    assert [births.get(ident or 0) for ident in idents] == [{0}, {1}, {0}]


# -- what is wrong


def test_bad_arguments() -> None:
    graph = Graph.from_pairs(2, [(0, 1)])
    history = History.begin(graph)
    with pytest.raises(TypeError):
        History()
    for bad in (None, 5, history, Graph):
        with pytest.raises(TypeError):
            History.begin(bad)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            history.advance(bad)  # type: ignore[arg-type]
    for more in ((5,), (None, 5), (None, [1]), (None, ("x",)), (None, (1,), 1)):
        with pytest.raises(TypeError):
            history.advance(graph, *more)
    for numbers in ((-1,), (1 << 70,)):
        with pytest.raises(OverflowError):
            history.advance(graph, None, numbers)
    with pytest.raises(ValueError, match="another graph"):
        history.advance(graph, Join(Graph.from_pairs(2, []), _memscope.Columns.from_traces([], 1)))
    for node in (2, -1, 1 << 40):
        with pytest.raises(IndexError):
            history.node(node)
        with pytest.raises(IndexError):
            history.rise(node)
    with pytest.raises(TypeError):
        history.node("0")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        history.growers(None)  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        history.growers(1 << 70)
    assert history.growers(-5) == []
    for avoid in ([2], [-1], ["x"], 5):
        with pytest.raises((TypeError, IndexError)):
            history.survivors(avoid)  # type: ignore[arg-type]


def test_of_a_join_without_epochs() -> None:
    """The epochs are the caller's; none given, nothing is corrected."""
    graph = Graph.from_pairs(2, [(0, 1)])
    join = Join(graph, _memscope.Columns.from_traces([], 1))
    assert History.begin(graph).advance(graph, join).node(1) == (0, 0, 0, 0)


def test_of_nothing() -> None:
    nothing = Graph.from_pairs(0, [])
    history = History.begin(nothing).advance(nothing)
    assert history.moment == 1
    assert history.growers(0) == []
    assert len(history.survivors()) == 0


def test_more_moments_than_a_number_has() -> None:
    nothing = Graph.from_pairs(0, [])
    history = History.begin(nothing)
    for _ in range(2**16 + 5):
        history = history.advance(nothing)
    assert history.moment == 2**16 - 2
    history = history.advance(Graph.from_pairs(2, [(0, 1)]))
    assert [history.node(node)[0] for node in range(2)] == [history.moment] * 2
    assert history.survivors().piles(9)[0][5] == [0] * (history.moment - 1) + [2]


def test_a_history_is_collected_with_its_graph() -> None:
    gc.collect()
    before = _memscope.get_tracemalloc_memory()
    graph = Graph.take(keep=True)
    history = History.begin(graph)
    history = history.advance(graph)
    holder = [history]
    Thing.kept = holder  # type: ignore[attr-defined]
    del graph, history, holder
    del Thing.kept  # type: ignore[attr-defined]
    gc.collect()
    assert _memscope.get_tracemalloc_memory() <= before
