"""A list of a million links, deep recursion, nested containers: nothing recurses in C."""

import sys
from typing import Any

from _heap import Graph, node_of, question

LINKS = 1_000_000

head: Any = None
tail = last = ["end"]
for _ in range(LINKS - 1):
    last = [last]
head = last
for keep in (False, True):
    graph = Graph.take(keep=keep)
    node = node_of(graph, head)
    assert graph.reachable([node])[0] >= LINKS
    [path] = graph.paths_to_root([node_of(graph, tail)])[:1]
    if keep:
        assert graph.chain(tail, lambda obj: obj is head, max_depth=LINKS + 9) is not None
    graph.merged_paths([node_of(graph, tail)])
    graph.objects(list(range(node, node + 100)))
    del graph
# Dropped one by one: destroying a million nested lists is CPython's affair, not ours.
while len(head) == 1 and head is not tail:
    head = head[0]
del last, tail

nested: Any = ()
for _ in range(200_000):
    nested = (nested,)
question(Graph.take(), nested)
question(Graph.take(keep=True), nested)
while nested:
    nested = nested[0]


def deep(depth: int) -> None:
    mine = [depth]
    if depth:
        return deep(depth - 1)
    graph = Graph.take()
    frames = [
        holder
        for holder in range(graph.holders)
        if graph.holder(holder)[0] == "frame" and graph.holder(holder)[3] == "deep"
    ]
    assert len(frames) == 20_001, len(frames)
    assert [graph.local_names(frame).count("mine") for frame in frames] == [1] * 20_001
    question(graph, mine)
    question(Graph.take(keep=True), mine)


sys.setrecursionlimit(30_000)
deep(20_000)
