"""What came after the beginning, in piles, against a walk along each object's own way.

Which of several shortest ways an object is charged to is the core's choice; all the rest
follows from the ways, and is worked out here from them.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memscope
from memscope import _memscope

Graph, History, Join = _memscope.Graph, _memscope.History, _memscope.Join
NAMED, BY_CLASS, IN_C, IMMORTAL, GARBAGE = range(5)
FAR = 10**9

Pairs = list[tuple[int, int]]
MOST = 12
numbers = st.integers(0, MOST - 1)
pair_lists = st.lists(st.tuples(numbers, numbers), max_size=30)
moments = st.lists(st.integers(1, MOST), min_size=2, max_size=5)


def made(counts: Sequence[int], pairs: Pairs, roots: Sequence[int]) -> _memscope.History:
    """The history of a heap that has so many objects at each moment, and these references."""
    history: Any = None
    for count in counts:
        graph = Graph.from_pairs(
            count,
            [pair for pair in pairs if max(pair) < count],
            [root for root in roots if root < count],
        )
        history = history.advance(graph) if history is not None else History.begin(graph)
    return history


def distances(history: _memscope.History, roots: Sequence[int]) -> dict[int, int]:
    """Steps from the nearest root."""
    found = dict.fromkeys(roots, 0)
    queue = deque(found)
    while queue:
        node = queue.popleft()
        for target in history.graph.referents(node):
            if target not in found:
                found[target] = found[node] + 1
                queue.append(target)
    return found


class Naive:
    """The piles as they follow from the ways."""

    def __init__(self, history: _memscope.History, avoid: Sequence[int] = ()) -> None:
        self.history, self.graph = history, history.graph
        self.found = history.survivors(list(avoid))
        count = len(self.graph)
        self.birth = [history.node(node)[0] for node in range(count)]
        self.way = [self.found.way(node) for node in range(count)]
        self.parent = [way[-2] if len(way) > 1 else None for way in self.way]
        children: dict[int, set[int]] = {}
        for node, parent in enumerate(self.parent):
            if parent is not None and self.birth[node] > self.birth[parent]:
                children.setdefault(parent, set()).add(self.birth[node])
        self.in_a_pile = [
            node >= self.graph.holders and self.birth[node] > 0 and node not in avoid
            for node in range(count)
        ]
        self.holds = [
            self.birth[node] == 0 or len(children.get(node, ())) >= 2 or not self.in_a_pile[node]
            for node in range(count)
        ]

    def holder(self, node: int) -> int:
        """The last on the way that holds; -1 if there is none."""
        return next((one for one in reversed(self.way[node][:-1]) if self.holds[one]), -1)

    def size(self, node: int) -> int:
        return self.graph.node(node)[2]

    def check(self) -> None:
        seen: Counter[int] = Counter()
        rows = self.found.piles(FAR)
        assert len(rows) == len(self.found)
        sizes = [row[4] for row in rows]
        assert sizes == sorted(sizes, reverse=True)
        for number, (holder, root, count, entries, size, born) in enumerate(rows):
            members = self.found.members(number, False, FAR)
            seen.update(members)
            assert len(members) == count > 0
            assert {self.holder(node) for node in members} == {holder}
            assert sum(map(self.size, members)) == size
            births = Counter(self.birth[node] for node in members)
            assert born == [births[moment] for moment in range(1, self.history.moment + 1)]
            above = holder if holder >= 0 else None
            direct = [node for node in members if self.parent[node] == above]
            assert self.found.members(number, True, FAR) == direct
            assert len(direct) == entries > 0
            if holder >= 0:
                assert root != GARBAGE
            assert self.found.members(number, False, 1) == members[:1]
            self.check_groups(number, members, set(direct))
        assert set(seen) == {node for node, new in enumerate(self.in_a_pile) if new}
        assert set(seen.values()) <= {1}
        holders = [row[0] for row in rows if row[0] >= 0]
        assert len(set(holders)) == len(holders)

    def check_groups(self, number: int, members: Sequence[int], direct: set[int]) -> None:
        below = self.below()
        expected: dict[tuple[int, bool], list[int]] = {}
        for node in members:
            kind = self.graph.node(node)[1]
            expected.setdefault((kind, node in direct), []).append(node)
        groups = self.found.groups(number)
        assert {(kind, entry) for kind, _, entry, *_ in groups} == set(expected)
        for kind, traceback, entry, count, size, behind, example, born in groups:
            nodes = expected[kind, entry]
            assert traceback == 0
            assert count == len(nodes) == sum(born)
            assert size == sum(map(self.size, nodes))
            assert behind == sum(below[node] for node in nodes)
            assert example in nodes
            assert self.birth[example] == max(self.birth[node] for node in nodes)

    def below(self) -> dict[int, int]:
        """Bytes of each new object and of all new ones behind it, with new ones between."""
        if not hasattr(self, "_below"):
            self._below = dict.fromkeys(range(len(self.graph)), 0)
            for node, new in enumerate(self.in_a_pile):
                if new:
                    for one in reversed(self.way[node]):
                        if not self.in_a_pile[one]:
                            break
                        self._below[one] += self.size(node)
        return self._below

    def check_ways(self, roots: Sequence[int]) -> None:
        """Each starts at a root and is a shortest one; of garbage, it is the object alone."""
        far = distances(self.history, roots)
        for node, way in enumerate(self.way):
            assert way[-1] == node
            assert all(b in self.graph.referents(a) for a, b in pairwise(way))
            if node in far:
                assert way[0] in roots
                assert len(way) == far[node] + 1
            else:
                assert way == [node]


@given(moments, pair_lists, st.lists(numbers, max_size=3))
def test_piles_of_made_heaps(counts: Sequence[int], pairs: Pairs, roots: Sequence[int]) -> None:
    history = made(counts, pairs, roots)
    naive = Naive(history)
    naive.check()
    present = [root for root in set(roots) if root < len(history.graph)]
    naive.check_ways(present)
    far = distances(history, present)
    garbage = {node for node in range(len(history.graph)) if node not in far}
    for number, (holder, root, *_) in enumerate(naive.found.piles(FAR)):
        members = set(naive.found.members(number, False, FAR))
        assert root == (GARBAGE if members & garbage else IN_C)
        if holder < 0 and root == IN_C:
            assert members & set(present)
        if root == GARBAGE:
            assert (holder, members) == (-1, {one for one in garbage if naive.birth[one] > 0})


@given(moments, pair_lists, st.lists(numbers, max_size=3), st.lists(numbers, max_size=4))
def test_what_is_avoided_is_in_no_pile(
    counts: Sequence[int], pairs: Pairs, roots: Sequence[int], avoid: Sequence[int]
) -> None:
    history = made(counts, pairs, roots)
    avoid = [node for node in avoid if node < len(history.graph)]
    naive = Naive(history, avoid)
    naive.check()
    # Nothing goes through what is avoided that need not.
    around = Graph.from_pairs(
        len(history.graph),
        [
            (node, target)
            for node in range(len(history.graph))
            for target in history.graph.referents(node)
            if node not in avoid
        ],
    )
    sources = [root for root in roots if root < len(around) and root not in avoid]
    far = distances(History.begin(around), sources)
    for node in range(len(around)):
        if node in far and node not in avoid:
            assert len(naive.way[node]) == far[node] + 1
            assert not set(naive.way[node]) & set(avoid)


def test_a_chain_is_one_pile_with_one_entry() -> None:
    history = made([2, 6], [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)], [0])
    found = history.survivors()
    assert found.piles(9) == [(1, IN_C, 4, 1, 4, [4])]
    assert found.members(0) == [2, 3, 4, 5]
    assert found.members(0, True) == [2]
    assert found.way(5) == [0, 1, 2, 3, 4, 5]
    assert [row[3:] for row in found.groups(0)] == [(1, 1, 4, 2, [1]), (3, 3, 6, 5, [3])]


def test_a_new_cache_is_a_holder_once_two_moments_added_to_it() -> None:
    pairs = [(0, 1), (1, 2), (1, 3), (1, 4)]
    # Node 1 is made at moment 1, and gets one child at each moment from then on.
    assert made([1, 3, 4], pairs, [0]).survivors().piles(9) == [(0, IN_C, 3, 1, 3, [2, 1])]
    assert made([1, 3, 4, 5], pairs, [0]).survivors().piles(9) == [
        (1, IN_C, 3, 3, 3, [1, 1, 1]),
        (0, IN_C, 1, 1, 1, [1, 0, 0]),
    ]


def test_garbage_is_a_pile() -> None:
    history = made([2, 5], [(0, 1), (3, 4), (4, 3)], [0])
    assert history.survivors().piles(9) == [(-1, GARBAGE, 3, 3, 3, [3])]


def test_what_only_c_has_is_a_pile_without_holder() -> None:
    history = made([1, 4], [(2, 3)], [0, 1, 2])
    assert history.survivors().piles(9) == [(-1, IN_C, 3, 2, 3, [3])]


def test_nothing_is_new() -> None:
    graph = Graph.from_pairs(3, [(0, 1), (1, 2)], [0])
    found = History.begin(graph).survivors()
    assert (len(found), found.piles(9)) == (0, [])
    assert found.way(2) == [0, 1, 2]


def test_the_sum_of_all_piles_is_all_that_is_new() -> None:
    counts = [10, 200, 600]
    pairs = [((7 * node) % max(node, 1), node) for node in range(1, 600)]
    pairs += [(node, (3 * node) % 600) for node in range(0, 600, 5)]
    history = made(counts, pairs, [0, 3])
    rows = history.survivors().piles(FAR)
    assert sum(row[2] for row in rows) == 590
    assert [sum(row[5][moment] for row in rows) for moment in range(2)] == [190, 400]


def test_a_long_list_takes_no_stack() -> None:
    count = 1_000_000
    first = Graph.from_pairs(1, [], [0])
    chain = Graph.from_pairs(count, [(node, node + 1) for node in range(count - 1)], [0])
    found = History.begin(first).advance(chain).survivors()
    assert found.piles(9) == [(0, IN_C, count - 1, 1, count - 1, [count - 1])]
    assert len(found.way(count - 1)) == count
    entry, rest = sorted(found.groups(0), key=lambda row: not row[2])
    assert entry[5] == count - 1
    assert rest[5] == (count - 1) * (count - 2) // 2


# -- live heaps


class Session:
    """What piles up."""

    def __init__(self) -> None:
        self.user = {"name": "x" * 50}


class Cache:
    """An object that has a container."""

    def __init__(self) -> None:
        self.entries: list[object] = []


cache = Cache()


def pile_of(history: _memscope.History, found: Any, obj: object) -> tuple[int, Any]:
    """The number and the row of the pile that the object is in."""
    [node] = history.graph.find([obj])
    for number, row in enumerate(found.piles(FAR)):
        if node in found.members(number, False, FAR):
            return number, row
    raise AssertionError("in no pile")


def test_a_leak_on_the_live_heap() -> None:
    gc.collect()
    history = History.begin(Graph.take())
    for _ in range(3):
        cache.entries += [Session() for _ in range(100)]
        history = history.advance(Graph.take())
    found = history.survivors()
    number, (holder, root, _, entries, _, born) = pile_of(history, found, cache.entries[50])
    assert [holder] == history.graph.find([cache.entries])
    assert (root, entries) == (NAMED, 300)
    assert min(born) >= 200
    way = found.way(history.graph.find([cache.entries[50].user])[0])  # type: ignore[attr-defined]
    assert way[0] < history.graph.holders or history.graph.node(way[0])[3] & 4
    assert holder in way
    types = history.graph.types()
    by_class = {types[row[0]][1]: row for row in found.groups(number) if row[2]}
    assert by_class["Session"][3] == 300
    assert by_class["Session"][7] == [100, 100, 100]
    assert by_class["Session"][5] > by_class["Session"][4]
    cache.entries.clear()


def test_garbage_on_the_live_heap() -> None:
    gc.collect()
    gc.disable()
    try:
        history = History.begin(Graph.take())
        cycle: Any = [Session()]
        cycle.append(cycle)
        address = id(cycle)
        del cycle
        graph = Graph.take()
        history = history.advance(graph)
    finally:
        gc.enable()
    found = history.survivors()
    [number] = [number for number, row in enumerate(found.piles(FAR)) if row[1] == GARBAGE]
    addresses = [graph.node(node)[0] for node in found.members(number, False, FAR)]
    assert address in addresses
    assert found.piles(FAR)[number][0] == -1


def test_what_a_new_thread_has() -> None:
    """It is charged to the thread's frames, if nothing else has it; a global comes first."""
    ready, stop = threading.Event(), threading.Event()
    seen: list[Any] = []

    def work() -> None:
        local = [Session() for _ in range(20)]
        shared = Session()
        cache.entries.append(shared)
        seen.extend(map(id, (local[0], shared)))
        ready.set()
        stop.wait()
        assert local

    history = History.begin(Graph.take())
    worker = threading.Thread(target=work)
    worker.start()
    ready.wait()
    graph = Graph.take()
    history = history.advance(graph)
    stop.set()
    worker.join()
    found = history.survivors()
    nodes = {graph.node(node)[0]: node for node in range(graph.holders, len(graph))}
    mine, shared = (found.way(nodes[address]) for address in seen)
    assert graph.holder(mine[0])[0] == "thread"
    assert graph.holder(mine[0])[2] == worker.ident
    assert graph.holder(mine[1])[0] == "frame"
    assert shared[0] >= graph.holders or graph.holder(shared[0])[2] != worker.ident
    assert graph.find([cache.entries])[0] in shared
    cache.entries.clear()


def test_groups_are_told_apart_by_traceback() -> None:
    memscope.start(2)
    try:
        join = Join.take()
        history = History.begin(join.graph)
        epochs = (memscope.advance_epoch(),)
        cache.entries += [Session() for _ in range(50)]
        cache.entries += [Session() for _ in range(70)]
        join = Join.take()
        history = history.advance(join.graph, join, epochs)
        found = history.survivors()
        number, _ = pile_of(history, found, cache.entries[0])
        types = history.graph.types()
        rows = [row for row in found.groups(number, join) if types[row[0]][1] == "Session"]
        assert sorted(row[3] for row in rows) == [50, 70]
        assert len({row[1] for row in rows}) == 2
        assert {join.traceback_id(row[6]) for row in rows} == {row[1] for row in rows}
        with pytest.raises(ValueError, match="same graph"):
            found.groups(number, Join.take())
    finally:
        memscope.stop()
        cache.entries.clear()


# -- objects that only C code has


@pytest.fixture
def traced() -> Iterator[None]:
    gc.collect()
    memscope.start(1)
    yield
    memscope.stop()


def lost_reference(obj: object) -> None:
    """As an extension does that forgets a Py_DECREF."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(obj))


def find_back(obj: object) -> None:
    import ctypes

    ctypes.pythonapi.Py_DecRef(ctypes.py_object(obj))


def strays_of(join: _memscope.Join, line: int) -> list[tuple[str, int]]:
    """(class, bytes) of the strays that this line of this file made."""
    types = join.graph.types()
    return [
        (types[kind][1], size)
        for kind, row, size, _ in join.strays()
        if join.places_of_row(row)[0][:2] == (__file__, line)
    ]


def test_a_lost_reference_is_a_stray(traced: None) -> None:
    lost_reference(b"")  # ctypes is imported
    made, line = bytes(5000), 0
    line = test_a_lost_reference_is_a_stray.__code__.co_firstlineno + 2
    assert strays_of(Join.take(), line) == []  # a variable has it
    lost_reference(made)
    address = id(made)
    del made
    join = Join.take()
    assert strays_of(join, line) == [("bytes", 5000 + sys.getsizeof(b""))]
    import ctypes

    again: Any = ctypes.cast(address, ctypes.py_object).value
    assert strays_of(Join.take(), line) == []
    find_back(again)
    del again
    assert strays_of(Join.take(), line) == []


def test_strays_have_the_epoch_of_their_allocation(traced: None) -> None:
    lost_reference(b"")
    epoch = memscope.advance_epoch()
    count = 999  # or the text is a constant of the function
    made = "text" * count
    lost_reference(made)
    address = id(made)
    del made
    join = Join.take()
    rows = [row for row in join.strays() if row[2] > 3996 and row[3] == epoch]
    assert [join.graph.types()[row[0]][1] for row in rows] == ["str"]
    assert join.columns.address(rows[0][1]) == address
    import ctypes

    find_back(ctypes.cast(address, ctypes.py_object).value)


def test_strays_are_known_at_the_moment_only(traced: None) -> None:
    join = Join(Graph.take(), _memscope.take_snapshot())
    assert join.strays() == []


# -- what is wrong


def test_bad_arguments() -> None:
    found = made([1, 4], [(0, 1)], [0]).survivors()
    with pytest.raises(TypeError):
        _memscope.Survivors()
    with pytest.raises(ValueError):
        found.piles(-1)
    assert found.piles(0) == []
    for number in (-1, len(found), 1 << 40):
        with pytest.raises(IndexError):
            found.groups(number)
        with pytest.raises(IndexError):
            found.members(number)
    for bad in ("x", None, 1.5):
        for method in (found.piles, found.groups, found.members, found.way):
            with pytest.raises(TypeError):
                method(bad)  # type: ignore[operator]
    for node in (4, -1, 1 << 40):
        with pytest.raises(IndexError):
            found.way(node)
    with pytest.raises(ValueError):
        found.groups(0, 5)  # type: ignore[arg-type]
    assert found.members(0, False, 0) == found.members(0, False, -1) == []
