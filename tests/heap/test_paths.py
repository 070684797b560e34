"""Chains, paths from roots and what is reachable, against searches written naively."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memscope import _memscope

Graph = _memscope.Graph
MODULE, SURPLUS = 4, 32

Pairs = list[tuple[int, int]]
MOST = 8
node_lists = st.lists(st.integers(0, MOST - 1), max_size=3)
pair_lists = st.lists(st.tuples(st.integers(0, MOST - 1), st.integers(0, MOST - 1)), max_size=24)


def make(pairs: Pairs, roots: Sequence[int]) -> _memscope.Graph:
    return Graph.from_pairs(MOST, pairs, roots)


# -- the oracles -------------------------------------------------------------------------------


def all_paths(
    pairs: Pairs, roots: Sequence[int], targets: Sequence[int], avoid: Sequence[int] = ()
) -> list[list[int]]:
    """Every simple path with one root and one target, shortest first."""
    found: list[list[int]] = []
    edges = set(pairs)

    def extend(path: list[int]) -> None:
        if path[-1] in targets:
            found.append(path)
            return
        for node in range(MOST):
            if (path[-1], node) in edges and node not in {*path, *roots, *avoid}:
                extend([*path, node])

    for root in sorted(set(roots) - set(avoid)):
        extend([root])
    return sorted(found, key=len)


def closure(pairs: Pairs, start: Sequence[int], avoid: Sequence[int] = ()) -> set[int]:
    reached = set(start) - set(avoid)
    while more := {b for a, b in pairs if a in reached} - reached - set(avoid):
        reached |= more
    return reached


def nearest(
    graph: _memscope.Graph,
    start: int,
    accepts: Callable[[int], bool],
    neighbours: Callable[[int], list[int]],
    max_depth: int,
) -> list[int] | None:
    """objgraph's search: a queue, and the predicate on what is taken from it."""
    parent: dict[int, int | None] = {start: None}
    queue = deque([(start, 0)])
    while queue:
        node, depth = queue.popleft()
        if accepts(node):
            chain = [node]
            while (before := parent[chain[-1]]) is not None:
                chain.append(before)
            return chain
        if depth < max_depth:
            for other in neighbours(node):
                if other not in parent:
                    parent[other] = node
                    queue.append((other, depth + 1))
    return None


# -- paths_to_root -----------------------------------------------------------------------------


@given(pair_lists, node_lists, node_lists, node_lists)
def test_one_path_is_a_shortest(
    pairs: Pairs, roots: list[int], targets: list[int], avoid: list[int]
) -> None:
    expected = all_paths(pairs, roots, targets, avoid)
    found = make(pairs, roots).paths_to_root(targets, avoid=avoid)
    assert len(found) == min(1, len(expected))
    for path in found:
        assert path in expected
        assert len(path) == len(expected[0])


@given(pair_lists, node_lists, node_lists, node_lists)
def test_all_paths_are_found_once(
    pairs: Pairs, roots: list[int], targets: list[int], avoid: list[int]
) -> None:
    expected = all_paths(pairs, roots, targets, avoid)
    found = make(pairs, roots).paths_to_root(targets, 1_000_000, avoid=avoid)
    assert sorted(found) == sorted(expected)
    assert [len(path) for path in found] == [len(path) for path in expected]


@given(pair_lists, node_lists, node_lists, st.integers(2, 5))
def test_some_paths(pairs: Pairs, roots: list[int], targets: list[int], limit: int) -> None:
    expected = all_paths(pairs, roots, targets)
    found = make(pairs, roots).paths_to_root(targets, limit)
    assert len({tuple(path) for path in found}) == len(found) <= limit
    assert all(path in expected for path in found)
    lengths = [len(path) for path in found]
    assert lengths == sorted(lengths)
    assert lengths[:1] == [len(path) for path in expected[:1]]


@given(pair_lists, node_lists, node_lists, st.integers(2, 5))
def test_some_paths_without_cycles_are_the_shortest(
    pairs: Pairs, roots: list[int], targets: list[int], limit: int
) -> None:
    pairs = [(min(pair), max(pair)) for pair in pairs if len(set(pair)) == 2]
    expected = all_paths(pairs, roots, targets)[:limit]
    found = make(pairs, roots).paths_to_root(targets, limit)
    assert [len(path) for path in found] == [len(path) for path in expected]


def test_nothing_asked_for() -> None:
    graph = make([(0, 1)], [0])
    assert graph.paths_to_root([]) == graph.paths_to_root([], 5) == []
    assert graph.merged_paths([]) == ([], 0, 0)
    assert graph.reachable([]) == (0, 0)


def test_bad_arguments() -> None:
    graph = make([(0, 1)], [0])
    for method in (graph.paths_to_root, graph.merged_paths, graph.reachable):
        with pytest.raises(IndexError):
            method([MOST])
        with pytest.raises(IndexError):
            method([-1])
        with pytest.raises(IndexError):
            method([1], avoid=[2**70])
        with pytest.raises(TypeError):
            method(["1"])  # type: ignore[list-item]
        with pytest.raises(TypeError):
            method(1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="limit"):
        graph.paths_to_root([1], 0)
    with pytest.raises(ValueError, match="limit"):
        graph.merged_paths([1], -1)
    with pytest.raises(ValueError, match="keep"):
        Graph.take().chain(graph, None)


def test_targets_that_shrink_while_they_are_read() -> None:
    class Index:
        def __index__(self) -> int:
            targets.clear()
            return 1

    targets: list[Index] = [Index(), Index(), Index()]
    assert make([(0, 1)], [0]).paths_to_root(targets, 5) == [[0, 1]]  # type: ignore[arg-type]


# -- merged_paths ------------------------------------------------------------------------------


@given(pair_lists, node_lists, st.lists(st.integers(0, MOST - 1)), node_lists)
def test_merged_paths(pairs: Pairs, roots: list[int], targets: list[int], avoid: list[int]) -> None:
    graph = make(pairs, roots)
    groups, total, garbage = graph.merged_paths(targets, avoid=avoid)
    held = closure(pairs, roots, avoid) & set(targets)
    assert garbage == len(set(targets)) - len(held)
    assert total == len(groups)

    direct: Counter[int] = Counter()
    for target in held:
        passed = [pair for pair in pairs if pair[0] not in targets]
        if paths := all_paths(passed, roots, [target], avoid):
            direct[len(paths[0])] += 1
    assert direct == {len(path): count - behind for count, _, behind, path, _ in groups}
    assert sum(group[0] for group in groups) == len(held)
    assert all(count == nbytes for count, nbytes, _, _, _ in groups)
    assert [group[0] for group in groups] == sorted((group[0] for group in groups), reverse=True)
    for count, _, behind, path, widths in groups:
        assert path[0] in roots
        assert path[-1] in targets
        assert all(pair in pairs for pair in itertools.pairwise(path))
        assert len(widths) == len(path)
        assert widths[-1] == count - behind
        assert all(1 <= width <= count - behind for width in widths)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_widths(lists: int, leaves: int, others: int) -> None:
    """root -> lists -> leaves each, and root -> others, all leaves targets."""
    numbers = itertools.count(1)
    pairs, targets = [], []
    for _ in range(lists):
        middle = next(numbers)
        pairs.append((0, middle))
        for leaf in itertools.islice(numbers, leaves):
            pairs.append((middle, leaf))
            targets.append(leaf)
    for leaf in itertools.islice(numbers, others):
        pairs.append((0, leaf))
        targets.append(leaf)
    groups, total, garbage = Graph.from_pairs(next(numbers), pairs, [0]).merged_paths(targets)
    assert (total, garbage) == (2, 0)
    assert sorted(group[4] for group in groups) == sorted([[1, lists, lists * leaves], [1, others]])


def test_groups_beyond_the_limit() -> None:
    graph = Graph.from_pairs(5, [(0, 1), (1, 2), (2, 3), (3, 4)], [0])
    assert graph.merged_paths([0, 1], 1)[1] == 1
    branched = Graph.from_pairs(6, [(0, 1), (0, 2), (2, 3), (2, 4), (4, 5)], [0])
    groups, total, _ = branched.merged_paths([1, 3, 5], 2)
    assert (len(groups), total) == (2, 3)


# -- reachable ---------------------------------------------------------------------------------


@given(pair_lists, node_lists, node_lists)
def test_reachable(pairs: Pairs, start: list[int], avoid: list[int]) -> None:
    expected = len(closure(pairs, start, avoid))
    assert make(pairs, []).reachable(start, avoid) == (expected, expected)


def test_reachable_bytes() -> None:
    text = bytes(1000)
    holder = [text, text, [text]]
    graph = Graph.take()
    nodes = graph.find([holder, holder[2], text, list, str])
    sizes = sum(graph.node(node)[2] for node in nodes[:3])
    assert graph.reachable(nodes[:1], nodes[3:]) == (3, sizes)


# -- chain -------------------------------------------------------------------------------------


@settings(max_examples=30)  # each with a graph of the whole heap
@given(pair_lists, st.integers(0, MOST - 1), st.integers(0, MOST), st.integers(0, 5), node_lists)
def test_chain(pairs: Pairs, start: int, goal: int, max_depth: int, avoid: list[int]) -> None:
    objects: list[list[object]] = [[] for _ in range(MOST)]
    for source, target in pairs:
        objects[source].append(objects[target])
    graph = Graph.take(keep=True, hide=[objects])
    nodes = graph.find(objects)
    tracked = range(graph.holders, graph.holders + graph.tracked)
    ignored = {nodes[i] for i in avoid}

    def referrers(node: int) -> list[int]:
        return [i for i in graph.referrers(node) if i in tracked and i not in ignored]

    def referents(node: int) -> list[int]:
        return [i for i in graph.referents(node) if i not in ignored]

    sought: object = objects[goal] if goal < MOST else object()
    node = nodes[goal] if goal < MOST else -1
    ignore = {id(objects[i]) for i in avoid}
    asked: list[int] = []

    def is_target(obj: object) -> bool:
        asked.append(id(obj))
        return obj is sought

    for backward, neighbours in ((True, referrers), (False, referents)):
        asked.clear()
        order: list[int] = []

        def accepts(i: int, order: list[int] = order) -> bool:
            order.append(graph.node(i)[0])
            return i == node

        expected = nearest(graph, nodes[start], accepts, neighbours, max_depth)
        found = graph.chain(
            objects[start], is_target, max_depth=max_depth, ignore=ignore, backward=backward
        )
        assert asked == order
        if expected is None:
            assert found is None
        else:
            assert found is not None
            assert graph.find(found) == (expected if backward else expected[::-1])


class Held:
    """Weakly referable."""

    held: object = None


anchor: list[object] = []


@pytest.fixture
def anchored() -> Iterator[list[object]]:
    yield anchor
    anchor.clear()


def test_chain_to_a_module(anchored: list[object]) -> None:
    leaf = Held()
    anchored.append([leaf])
    graph = Graph.take(keep=True)
    chain = graph.chain(leaf, None)
    assert chain is not None
    assert chain[0] is sys.modules[__name__]
    assert chain[1] is globals()
    assert chain[2] is anchored
    assert chain[-1] is leaf
    assert graph.chain(leaf, None, max_depth=3) is None
    assert graph.chain(leaf, None, ignore=[id(globals())], max_depth=4) is None
    assert graph.chain(sys, None) == [sys]
    assert graph.chain(leaf, lambda obj: False, max_depth=2) is None
    assert graph.chain(leaf, lambda obj: obj is leaf, max_depth=-1) == [leaf]


def test_chain_of_what_is_not_in_the_graph() -> None:
    graph = Graph.take(keep=True)
    stranger = Held()
    assert graph.chain(stranger, None) is None
    assert graph.chain(stranger, lambda obj: True) == [stranger]
    assert graph.chain(stranger, lambda obj: False, backward=False) is None


def test_chain_with_a_predicate_that_raises() -> None:
    class Fault(Exception):
        pass

    class Undecided:
        def __bool__(self) -> bool:
            raise Fault

    def fail(obj: object) -> bool:
        raise Fault

    graph = Graph.take(keep=True)
    for predicate in (fail, lambda obj: Undecided()):
        with pytest.raises(Fault):
            graph.chain(graph, predicate)
        with pytest.raises(Fault):
            graph.chain(sys, predicate)
    with pytest.raises(TypeError):
        graph.chain(sys, 5)  # type: ignore[arg-type]


def test_chain_with_a_predicate_that_drops_the_graph() -> None:
    leaf = Held()
    alive = weakref.ref(leaf)
    inner: list[object] = [leaf]
    outer: list[object] = [inner]
    graphs = [Graph.take(keep=True)]
    calls = 0

    def drop(obj: object) -> bool:
        nonlocal calls
        calls += 1
        graphs.clear()
        outer.clear()
        gc.collect()
        return obj is outer

    chain = graphs[0].chain(leaf, drop)
    assert chain is not None
    assert chain[0] is outer
    assert calls > 2
    del leaf, chain
    inner.clear()
    gc.collect()
    assert alive() is None


# -- on the heap -------------------------------------------------------------------------------


def one_path(graph: _memscope.Graph, obj: object) -> list[int]:
    [path] = graph.paths_to_root(graph.find([obj]))
    return path


def is_module(graph: _memscope.Graph, node: int) -> bool:
    return bool(graph.node(node)[3] & MODULE)


def test_path_from_a_module(anchored: list[object]) -> None:
    leaf = Held()
    anchored.append(leaf)
    graph = Graph.take(keep=True)
    frames = list(range(graph.holders))
    here = sys.modules[__name__]
    [shortest] = graph.paths_to_root(graph.find([leaf]), avoid=frames)
    assert graph.objects(shortest) == [here, globals(), anchored, leaf]
    paths = graph.paths_to_root(graph.find([leaf]), 20, avoid=frames)
    assert shortest in paths
    for path in paths:
        # Entered from the module, not through some function's __globals__.
        objects = graph.objects(path)
        assert objects[0] is here or not any(obj is globals() for obj in objects)


def test_path_from_a_frame() -> None:
    ready, done = threading.Event(), threading.Event()
    found: list[weakref.ref[Held]] = []

    def work() -> None:
        local = Held()
        found.append(weakref.ref(local))
        ready.set()
        done.wait()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        ready.wait()
        graph = Graph.take()
        path = one_path(graph, found[0]())
        kind, _, ident, *_ = graph.holder(path[0])
        assert (kind, ident) == ("thread", thread.ident)
        assert graph.holder(path[1])[0] == "frame"
        assert graph.holder(path[1])[3].endswith("work")
        assert len(path) == 3
        [frame_path] = graph.paths_to_root([path[1]])
        assert frame_path == path[:2]
        assert graph.paths_to_root([path[0]], 5) == [path[:1]]
    finally:
        done.set()
        thread.join()


pinned: Held | None = None


def test_a_module_rather_than_a_frame() -> None:
    global pinned
    local = pinned = Held()
    graph = Graph.take(keep=True)
    nodes = graph.find([local])
    here = sys.modules[__name__]
    assert graph.objects(graph.paths_to_root(nodes)[0]) == [here, globals(), local]
    assert graph.objects(graph.merged_paths(nodes)[0][0][3]) == [here, globals(), local]
    pinned = None


def test_garbage_has_no_path() -> None:
    gc.collect()
    gc.disable()
    try:
        ring = Held()
        ring.held = ring
        alive = weakref.ref(ring)
        del ring
        graph = Graph.take()
        nodes = graph.find([alive()])
        assert graph.paths_to_root(nodes) == graph.paths_to_root(nodes, 3) == []
        assert graph.merged_paths(nodes) == ([], 0, 1)
    finally:
        gc.enable()


def test_no_path_from_an_instance_to_its_class(anchored: list[object]) -> None:
    class Cached:
        cache: dict[str, object] = {}

    leaf = Held()
    Cached.cache["key"] = leaf
    anchored.extend(Cached() for _ in range(5))
    anchored.append([[[Cached]]])
    graph = Graph.take(keep=True)
    nodes = graph.find([leaf])
    frames = list(range(graph.holders))
    for path in graph.paths_to_root(nodes, 50, avoid=frames):
        objects = graph.objects(path)
        assert not any(type(obj) is Cached for obj in objects)
    anchored.pop()
    graph = Graph.take(keep=True)
    frames = list(range(graph.holders))
    [path] = graph.paths_to_root(graph.find([leaf]), avoid=frames)
    assert any(type(obj) is Cached for obj in graph.objects(path))
    [group] = graph.merged_paths(graph.find([leaf]), avoid=frames)[0]
    assert len(group[3]) == len(path)
    assert any(type(obj) is Cached for obj in graph.objects(group[3]))


def test_merged_paths_of_instances(anchored: list[object]) -> None:
    class Item:
        pass

    anchored.extend([Item() for _ in range(100)] for _ in range(3))
    graph = Graph.take(keep=True)
    [kind] = [i for i, row in enumerate(graph.types()) if row[1] == Item.__qualname__]
    items = graph.select([kind])
    groups, total, garbage = graph.merged_paths(items)
    [[count, nbytes, behind, path, widths]] = groups
    assert (count, behind, total, garbage) == (300, 0, 1, 0)
    assert nbytes == 300 * sys.getsizeof(Item())
    objects = graph.objects(path)
    assert objects[0] is sys.modules[__name__]
    assert objects[2] is anchored
    assert widths == [1, 1, 1, 3, 300]


def test_merged_paths_of_links(anchored: list[object]) -> None:
    head: Held | None = None
    for _ in range(1000):
        link = Held()
        link.held = head
        head = link
    anchored.append(head)
    del link, head
    graph = Graph.take(keep=True)
    kinds = [i for i, row in enumerate(graph.types()) if row[:2] == (__name__, Held.__qualname__)]
    [[count, _, behind, path, widths]] = graph.merged_paths(graph.select(kinds))[0]
    assert (count, behind, widths[-1]) == (1000, 999, 1)
    assert graph.objects(path)[2] is anchored


def test_no_memory() -> None:
    """Each allocation fails once; then nothing is held that was not before."""
    leaf: list[object] = []
    outer = [[leaf] for _ in range(3)]
    graph = Graph.take(keep=True, hide=[outer])
    nodes = graph.find([leaf])
    calls: list[Callable[[], object]] = [
        lambda: graph.paths_to_root(nodes),
        lambda: graph.paths_to_root(nodes, 9),
        lambda: graph.merged_paths(nodes),
        lambda: graph.reachable(nodes),
        lambda: graph.chain(leaf, lambda obj: obj is outer[0], ignore=[id(graph), id(nodes)]),
        lambda: Graph.from_pairs(5, [(0, 1), (3, 4)], [1]),
    ]
    for call in calls:
        expected = call()
        del expected
        before = _memscope.get_tracemalloc_memory()
        failures = 0
        for n in itertools.count():
            _memscope._fail_after(n)  # type: ignore[attr-defined]
            try:
                call()
                break
            except MemoryError:
                failures += 1
            finally:
                _memscope._fail_after(-1)  # type: ignore[attr-defined]
        assert failures > 1
        assert _memscope.get_tracemalloc_memory() == before


# -- large ones --------------------------------------------------------------------------------


def test_a_million_links() -> None:
    count = 1_000_000
    forward = zip(range(count - 1), range(1, count))
    back = zip(range(1, count), range(count - 1))
    graph = Graph.from_pairs(count, [*forward, *back], [0])
    line = list(range(count))
    assert graph.paths_to_root([count - 1]) == [line]
    assert graph.paths_to_root([count - 1], 3) == [line]
    assert graph.reachable([0]) == (count, count)
    [[held, _, behind, path, widths]] = graph.merged_paths([count - 1])[0]
    assert (held, behind) == (1, 0)
    assert path == [*range(63), count - 1]
    assert widths == [1] * 64
    [[held, _, behind, path, _]] = graph.merged_paths(line)[0]
    assert (held, behind, path) == (count, count - 1, [0])


def test_chain_of_many_links() -> None:
    first: list[object] = []
    last = first
    for _ in range(100_000):
        last = [last]
    graph = Graph.take(keep=True)
    chain = graph.chain(first, lambda obj: obj is last, max_depth=100_000)
    assert chain is not None
    assert len(chain) == 100_001
    again = graph.chain(last, lambda obj: obj is first, max_depth=100_000, backward=False)
    assert again is not None
    assert all(a is b for a, b in zip(chain, again, strict=True))
    del chain, again, graph
    while last is not first:  # a recursive deallocation is not what is tested
        [last] = last  # type: ignore[assignment]


def test_an_object_with_many_holders(anchored: list[object]) -> None:
    leaf = Held()
    anchored.append([[leaf] for _ in range(300)])
    graph = Graph.take(keep=True)
    frames = list(range(graph.holders))
    [node] = graph.find([leaf])
    paths = graph.paths_to_root([node], 300, avoid=frames)
    assert len({path[-2] for path in paths}) == 300
    assert {len(path) for path in paths} == {6}
    chain = graph.chain(leaf, None)
    assert chain is not None
    assert chain[0] is sys.modules[__name__]
    assert len(chain) == 6
