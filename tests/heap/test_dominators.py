"""Dominators and retained sizes: against the definition, and sums.

isolated/heap_dominators.py has the comparison with another algorithm, on a whole heap.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memscope
from memscope import _memscope

Graph = _memscope.Graph
ROOT, GARBAGE = -1, -2

Shape = tuple[int, list[tuple[int, int]], list[int]]


@st.composite
def shapes(draw: st.DrawFn, most: int = 12) -> Shape:
    """(nodes, edges, roots); some of the nodes are garbage."""
    count = draw(st.integers(1, most))
    node = st.integers(0, count - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=3 * count))
    return count, edges, draw(st.lists(node, max_size=3, unique=True))


def successors(shape: Shape) -> dict[int, list[int]]:
    """As the tree sees the graph: with the two virtual nodes, and without what garbage holds."""
    count, edges, roots = shape
    out: dict[int, list[int]] = {node: [] for node in range(count)}
    for source, target in edges:
        out[source].append(target)
    out[ROOT] = list(roots)
    alive = reach(out, ROOT)
    dead = set(range(count)) - alive
    for node in dead:
        out[node] = [target for target in out[node] if target in dead]
    return out


def reach(out: dict[int, list[int]], start: int, without: int | None = None) -> set[int]:
    met, todo = {start} - {without}, [start] if start != without else []
    while todo:
        for target in out[todo.pop()]:
            if target not in met and target != without:
                met.add(target)
                todo.append(target)
    return met


def dominated(out: dict[int, list[int]], start: int, node: int) -> set[int]:
    """By the definition: what is cut off from the start without the node."""
    return reach(out, start) - reach(out, start, without=node)


@given(shapes())
def test_as_defined(shape: Shape) -> None:
    tree = Graph.from_pairs(*shape).dominators()
    out = successors(shape)
    alive = reach(out, ROOT) - {ROOT}
    for node in alive:
        cut = dominated(out, ROOT, node)
        assert {other for other in range(shape[0]) if tree.dominates(node, other)} == cut
        assert tree.retained(node) == tree.retained_count(node) == len(cut)
        above = {by for by in alive if by != node and node in dominated(out, ROOT, by)}
        # The nearest is the one that no other of them is below.
        [nearest] = [by for by in above if dominated(out, ROOT, by) & above == {by}] or [ROOT]
        assert tree.idom(node) == nearest
        assert sorted(tree.children(node)) == [
            other for other in range(shape[0]) if tree.idom(other) == node
        ]


@given(shapes())
def test_garbage(shape: Shape) -> None:
    """It is under its own root: entered where no other garbage refers to, or in a cycle."""
    graph = Graph.from_pairs(*shape)
    tree = graph.dominators()
    out = successors(shape)
    dead = set(range(shape[0])) - reach(out, ROOT)
    entries = tree.children(GARBAGE)
    assert set(entries) <= dead
    assert {node for node in range(shape[0]) if tree.dominates(GARBAGE, node)} == dead
    assert tree.retained(GARBAGE) == tree.retained_count(GARBAGE) == len(dead)
    sources = {node for node in dead if set(graph.referrers(node)) <= {node}}
    assert sources <= set(entries)
    # Inside it is the dominator tree of what begins at these entries.
    out[GARBAGE] = entries
    for node in dead:
        cut = dominated(out, GARBAGE, node)
        assert {other for other in dead if tree.dominates(node, other)} == cut


@given(shapes(most=30), st.data())
def test_sets(shape: Shape, data: st.DataObject) -> None:
    graph = Graph.from_pairs(*shape)
    tree = graph.dominators()
    nodes = data.draw(st.lists(st.integers(0, shape[0] - 1)))
    below = {node for node in range(shape[0]) for by in nodes if tree.dominates(by, node)}
    assert tree.retained_of(nodes) == (len(below), len(below))
    labels = [0]
    assert tree.by_type(labels) == tree.by_type() == [(0, shape[0], shape[0], shape[0])]


@given(shapes(most=30))
def test_sums_add_up(shape: Shape) -> None:
    tree = Graph.from_pairs(*shape).dominators()
    assert len(tree) == tree.retained_count(ROOT) == tree.retained(ROOT) == shape[0]
    tops = tree.children(ROOT) + tree.children(GARBAGE)
    assert sum(map(tree.retained, tops)) == shape[0]
    for node in range(shape[0]):
        assert tree.retained(node) == 1 + sum(map(tree.retained, tree.children(node)))
    sizes = [tree.retained(node) for node in tree.children(ROOT)]
    assert sizes == sorted(sizes, reverse=True)
    assert tree.top(3) == tree.children(ROOT, 3) == tree.children(ROOT)[:3]
    assert sum(row[4] for row in tree.by_holder()) == shape[0]


LONG = 200_000


def links(step: int = 1) -> list[tuple[int, int]]:
    return [(node, node + step) for node in range(LONG - step)]


def back() -> list[tuple[int, int]]:
    return [(target, source) for source, target in links()]


@pytest.mark.parametrize(
    ("make", "last"),
    [
        pytest.param(links, 1, id="list"),
        pytest.param(lambda: links() + back(), 1, id="doubly linked"),
        pytest.param(lambda: links() + [(0, node) for node in range(2, LONG)], 1, id="head to all"),
        pytest.param(lambda: links() + links(2), 1, id="ladder"),
        pytest.param(lambda: [*back(), (0, LONG - 1)], LONG - 1, id="to the end and back"),
    ],
)
def test_what_would_be_deep_or_quadratic(
    make: Callable[[], list[tuple[int, int]]], last: int
) -> None:
    tree = Graph.from_pairs(LONG, make(), [0]).dominators()
    assert tree.retained(0) == LONG
    assert tree.idom(last) == 0
    assert tree.retained_count(ROOT) == LONG


# -- the live heap


def test_sums_of_the_live_heap() -> None:
    graph = Graph.take()
    tree = graph.dominators()
    total = sum(size for *_, size in graph.types())
    assert tree.retained(ROOT) == total
    tops = [*tree.children(ROOT), *tree.children(GARBAGE)]
    assert sum(map(tree.retained, tops)) == total
    assert sum(map(tree.retained_count, tops)) == len(graph)
    assert sum(row[4] for row in tree.by_holder()) == total
    assert tree.nbytes <= 24 * len(graph) + 200
    assert tree.graph is graph


class Node:
    """Holds others."""

    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)


def one(graph: _memscope.Graph, obj: object) -> int:
    [node] = graph.find([obj])
    assert node >= 0
    return node


HELD: list[Any] = []


@pytest.fixture
def held() -> Any:
    yield HELD
    HELD.clear()


def keep(*objects: object) -> None:
    """Let no variable of a frame hold them too."""
    HELD.extend(objects)


def test_one_holder_and_two(held: list[Any]) -> None:
    def build() -> None:
        shared = Node()
        keep(Node(own=Node(leaf=bytearray(1000)), shared=shared), Node(shared=shared))

    build()
    graph = Graph.take(keep=True)
    tree = graph.dominators()
    first, second = held
    node = {
        name: one(graph, obj)
        for name, obj in (
            ("list", held),
            ("first", first),
            ("own", first.own),
            ("leaf", first.own.leaf),
            ("shared", first.shared),
            ("second", second),
        )
    }
    assert tree.dominates(node["first"], node["own"])
    assert tree.dominates(node["own"], node["leaf"])
    assert not tree.dominates(node["first"], node["shared"])
    assert tree.dominates(node["list"], node["shared"])
    assert tree.retained(node["own"]) > 1000 + sys.getsizeof(bytearray())
    assert tree.retained(node["first"]) > tree.retained(node["own"])
    both = tree.retained_of([node["first"], node["own"], node["second"]])
    assert both[1] == tree.retained(node["first"]) + tree.retained(node["second"])


def test_weak_references_keep_nothing(held: list[Any]) -> None:
    def build() -> None:
        target = Node()
        keep(Node(target=target), [weakref.ref(target), weakref.proxy(target)])
        keep(weakref.WeakSet([target]), weakref.WeakValueDictionary(key=target))

    build()
    graph = Graph.take(keep=True)
    tree = graph.dominators()
    holder, target = one(graph, held[0]), one(graph, held[0].target)
    assert tree.dominates(holder, target)


def test_a_class_lives_as_long_as_its_instances(held: list[Any]) -> None:
    def build() -> None:
        made = type("Made", (), {"payload": bytearray(5000)})
        keep(Node(instance=made()), Node(cls=made))

    build()
    graph = Graph.take(keep=True)
    tree = graph.dominators()
    cls = one(graph, held[1].cls)
    assert not tree.dominates(one(graph, held[1]), cls)
    assert tree.retained(cls) > 5000


def test_what_a_frame_holds() -> None:
    local = Node(payload=bytearray(3000))
    graph = Graph.take()
    tree = graph.dominators()
    node = one(graph, local)
    frames = [
        holder
        for holder in range(graph.holders)
        if graph.holder(holder)[0] == "frame" and tree.dominates(holder, node)
    ]
    assert graph.holder(frames[-1])[3].endswith("test_what_a_frame_holds")


def test_garbage_of_the_live_heap() -> None:
    gc.collect()
    gc.disable()
    try:
        ring = [Node(payload=bytearray(7000)) for _ in range(3)]
        for left, right in zip(ring, ring[1:] + ring[:1], strict=True):
            left.next = right  # type: ignore[attr-defined]
        addresses = {id(one) for one in ring}
        del ring, left, right
        graph = Graph.take()
    finally:
        gc.enable()
    tree = graph.dominators()
    nodes = [node for node in range(len(graph)) if graph.node(node)[0] in addresses]
    assert all(tree.dominates(GARBAGE, node) for node in nodes)
    assert tree.retained(GARBAGE) > 21_000
    [kind] = [row for row in tree.by_holder() if row[0] == "garbage"]
    assert kind[4] == tree.retained(GARBAGE)


def test_by_type(held: list[Any]) -> None:
    def build() -> None:
        for _ in range(10):
            keep(Node(inner=Node(inner=Node(payload=bytearray(100)))))

    build()
    graph = Graph.take(keep=True)
    tree = graph.dominators()
    types = graph.types()
    [number] = [i for i, row in enumerate(types) if row[1] == "Node" and row[3] >= 30]
    nodes = graph.select([number])
    [(_, count, size, retained)] = [row for row in tree.by_type() if row[0] == number]
    assert count == len(nodes)
    assert size == sum(graph.node(node)[2] for node in nodes)
    assert retained == tree.retained_of(nodes)[1]
    assert retained >= sum(tree.retained(one(graph, outer)) for outer in held)
    everything = tree.by_type([0] * len(types))
    assert everything[0][1] == len(graph) - graph.holders


def test_children_by_type(held: list[Any]) -> None:
    def build() -> None:
        keep(*(Node(payload=bytearray(number)) for number in range(50)), bytes(bytearray(300)))

    build()
    graph = Graph.take()
    tree = graph.dominators()
    node = one(graph, held)
    found = tree.children_by_type(node)
    children = tree.children(node)
    assert sum(row[1] for row in found) == len(children) == 51
    for kind, count, size, retained, most in found:
        of_kind = [child for child in children if graph.node(child)[1] == kind]
        assert count == len(of_kind)
        assert size == sum(graph.node(child)[2] for child in of_kind)
        assert retained == sum(map(tree.retained, of_kind))
        assert most == max(map(tree.retained, of_kind))
        others = [child for child in children if child not in of_kind]
        assert tree.children(node, -1, [kind]) == others
        assert tree.children(node, 1, [kind]) == others[:1]


def test_by_module_namespace() -> None:
    graph = Graph.take()
    tree = graph.dominators()
    rows = {node: row for kind, node, *row in tree.by_holder() if kind == "module"}
    this = one(graph, sys.modules[__name__])
    assert rows[this][2] >= tree.retained_of([this, one(graph, globals())])[1]
    kinds = Counter(row[0] for row in tree.by_holder())
    assert kinds["thread"] >= 1
    assert kinds["shared"] == kinds["C"] == 1


def test_by_site() -> None:
    memscope.start(2)
    line = sys._getframe().f_lineno + 1
    made = [Node(inner=bytearray(1000)) for _ in range(50)]
    join = _memscope.Join.take()
    memscope.stop()
    graph = join.graph
    tree = graph.dominators()
    types = graph.types()
    places, kinds = tree.by_site(join)
    assert places[0][0] is None
    assert sum(row[3] for row in places) == len(graph) - graph.holders
    [at] = [i for i, row in enumerate(places) if row[:2] == (__file__, line)]
    nodes = [
        node
        for node in range(graph.holders, len(graph))
        if join.sites([node]) == [(__file__, line)]
    ]
    assert places[at][3:] == (
        len(nodes),
        sum(graph.node(node)[2] for node in nodes),
        tree.retained_of(nodes)[1],
    )
    expected = Counter(graph.node(node)[1] for node in nodes)
    assert {kind: count for place, kind, count, _ in kinds if place == at} == dict(expected)
    assert {"Node", "bytearray"} & {types[kind][1] for kind in expected}
    for key in ("filename", "function"):
        others, _ = tree.by_site(join, key)  # type: ignore[arg-type]
        assert len(others) < len(places)
        assert sum(row[3] for row in others) == len(graph) - graph.holders
    assert any(row[2] == "test_by_site" for row in tree.by_site(join, "function")[0])
    assert len(made) == 50


def test_bad_arguments() -> None:
    graph = Graph.from_pairs(3, [(0, 1)], [0])
    tree = graph.dominators()
    for method in (tree.idom, tree.retained, tree.retained_count, tree.children):
        for wrong in (3, -3, 1 << 70):
            with pytest.raises(IndexError):
                method(wrong)
        with pytest.raises(TypeError):
            method("x")  # type: ignore[arg-type]
    with pytest.raises(IndexError):
        tree.dominates(0, 3)
    with pytest.raises(IndexError):
        tree.retained_of([0, 3])
    for labels in ([], [0, 0]):
        with pytest.raises(ValueError, match="as many as"):
            tree.by_type(labels)
    with pytest.raises(IndexError):
        tree.by_type([5])
    for classes in ([5], ["x"], 5):
        with pytest.raises((IndexError, TypeError)):
            tree.children(0, -1, classes)  # type: ignore[arg-type]
    table = _memscope.Columns.from_traces([], 1)
    with pytest.raises(ValueError, match="another graph"):
        tree.by_site(_memscope.Join(Graph.from_pairs(1, []), table))
    with pytest.raises(ValueError, match="unknown key"):
        tree.by_site(_memscope.Join(graph, table), "colour")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        tree.by_site(graph)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _memscope.Dominators()


def test_an_empty_graph() -> None:
    tree = Graph.from_pairs(0, []).dominators()
    assert (len(tree), tree.retained(ROOT), tree.top(), tree.by_holder()) == (0, 0, [], [])


def test_a_tree_outlives_the_names_of_its_graph() -> None:
    queue = deque([Graph.from_pairs(3, [(0, 1), (1, 2)], [0]).dominators()])
    gc.collect()
    assert queue[0].graph.referents(0) == [1]
