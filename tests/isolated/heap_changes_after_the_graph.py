"""Objects die, move and are replaced while a graph of them is questioned: no dead one is given."""

import gc
import sys
import time
from typing import Any

from _heap import GONE, Graph, node_of, question
from _support import deadline, threads


class Thing:
    def __init__(self, number: int) -> None:
        self.number = number
        self.text = f"thing {number} " * 3


def dropped() -> None:
    things = [Thing(i) for i in range(1500)]
    graph = Graph.take()
    nodes = graph.find(things)
    texts = graph.find([thing.text for thing in things])
    assert graph.objects(nodes, GONE) == things
    assert graph.objects(texts, GONE) == [thing.text for thing in things]
    del things[::2]
    gc.collect()
    # Others where they were: an address says nothing.
    others: list[Any] = [(i, [str(i)]) for i in range(1500)]
    for obj in graph.objects(nodes, GONE) + graph.objects(texts, GONE):
        repr(obj)
    alive = graph.objects(nodes, GONE)[1::2]
    assert alive == things
    things.clear()
    question(graph, others)
    for row in others:
        assert row is not GONE


for _ in range(3):
    dropped()

# The dict of an instance, made and unmade; a list that has grown elsewhere.
thing = Thing(1)
grown: list[int] = []
graph, kept = Graph.take(), Graph.take(keep=True)
vars(thing)["more"] = [1]
grown.extend(range(100_000))
thing.__dict__ = {"other": 1}
for each in (graph, kept):
    question(each, thing, grown)
    assert each.objects([node_of(each, grown)])[0] is grown
newer = Graph.take()
total, rows = newer.grown(graph, 100)
assert any(newer.objects([row[0]])[0] is grown for row in rows), (total, rows)


# Under threads, which change everything all the time.
def churn(stopped: Any) -> None:
    mine: dict[int, Any] = {}
    number = 0
    while not stopped():
        number += 1
        mine[number % 500] = Thing(number), [number], {number: str(number)}


sys.setswitchinterval(1e-4)
with threads(2, churn):
    for turn in deadline(3):
        graph = Graph.take(keep=turn % 4 == 3)
        for _ in range(2):
            time.sleep(0.002)
            for obj in graph.objects(range(0, len(graph), 7), GONE):
                type(obj)
            question(graph, churn)
