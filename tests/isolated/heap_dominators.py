"""Dominators of a whole heap, against another algorithm; and no cycle through them leaks."""

import gc
import weakref
from typing import Any

from _heap import Graph
from _support import m

ROOT, GARBAGE = -1, -2
IMMORTAL, MODULE, SURPLUS = 2, 4, 32


def simple_lengauer_tarjan(out: list[list[int]], start: int) -> list[int]:
    """Immediate dominators, by another algorithm: Lengauer and Tarjan 1979, the simple version."""
    count = len(out)
    number, node, above = [-1] * count, [start], [-1] * count
    number[start] = 0
    stack = [(start, iter(out[start]))]
    while stack:
        at, targets = stack[-1]
        for target in targets:
            if number[target] < 0:
                number[target] = len(node)
                node.append(target)
                above[target] = at
                stack.append((target, iter(out[target])))
                break
        else:
            stack.pop()
    sources: list[list[int]] = [[] for _ in range(count)]
    for source in node:
        for target in out[source]:
            sources[target].append(source)
    semi, label, ancestor = number[:], list(range(count)), [-1] * count
    buckets: dict[int, list[int]] = {}
    idom = [-1] * count

    def evaluate(of: int) -> int:
        if ancestor[of] < 0:
            return of
        path = []
        while ancestor[ancestor[of]] >= 0:
            path.append(of)
            of = ancestor[of]
        for below in reversed(path):
            up = ancestor[below]
            if semi[label[up]] < semi[label[below]]:
                label[below] = label[up]
            ancestor[below] = ancestor[up]
            of = below
        return label[of]

    for at in reversed(node[1:]):
        for source in sources[at]:
            semi[at] = min(semi[at], semi[evaluate(source)])
        buckets.setdefault(node[semi[at]], []).append(at)
        ancestor[at] = above[at]
        for waiting in buckets.pop(above[at], []):
            found = evaluate(waiting)
            idom[waiting] = found if semi[found] < semi[waiting] else above[at]
    for at in node[1:]:
        if idom[at] != node[semi[at]]:
            idom[at] = idom[idom[at]]
    return idom


def is_root(graph: Any, node: int) -> bool:
    if node < graph.holders:
        return graph.holder(node)[0] == "thread"
    return bool(graph.node(node)[3] & (IMMORTAL | MODULE | SURPLUS))


gc.collect()
graph = Graph.take()
tree = graph.dominators()
count = len(graph)
out = [graph.referents(node) for node in range(count)]
out.append([node for node in range(count) if is_root(graph, node)])
expected = simple_lengauer_tarjan(out, count)
checked = 0
for node in range(count):
    if expected[node] < 0:
        assert tree.dominates(GARBAGE, node)
    else:
        found = tree.idom(node)
        assert found == (ROOT if expected[node] == count else expected[node]), node
        checked += 1
assert checked > 0.99 * count > 10_000, (checked, count)


class Thing:
    """Can be watched."""


for make in (
    lambda: Graph.take(keep=True).dominators(),
    lambda: m.Join.take(keep=True),
    lambda: m.Join(Graph.take(keep=True), m.take_snapshot()),
):
    thing: Any = Thing()
    gone = weakref.ref(thing)
    thing.cycle = make()
    del thing
    gc.collect()
    assert gone() is None
