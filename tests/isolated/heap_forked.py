"""fork() while threads take graphs; the child takes some, and questions its parent's."""

import sys

from _heap import Graph, node_of, question
from _support import deadline, in_fork, threads

shared = [[i] for i in range(1000)]
plain, kept = Graph.take(), Graph.take(keep=True)


def child() -> None:
    for graph in (plain, kept, Graph.take(), Graph.take(keep=True)):
        question(graph, shared, shared[0])
        assert graph.objects([node_of(graph, shared)]) == [shared]


def taking(stopped) -> None:  # type: ignore[no-untyped-def]
    while not stopped():
        Graph.take()


sys.setswitchinterval(1e-4)
in_fork(child, "alone")
with threads(2, taking):
    for i in deadline(2):
        in_fork(child, i, timeout=60)
