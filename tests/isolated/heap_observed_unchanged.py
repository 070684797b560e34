"""The observer changes nothing: dicts, references, collector and memory are as before a query."""

import gc
import sys
from typing import Any

from _heap import Graph, collector, node_of, question
from _support import m


class Plain:
    def __init__(self, number: int) -> None:
        self.number = number
        self.list = [number]


class Asked(Plain):
    """Its dict has been asked for."""


class Slotted:
    __slots__ = ("one", "two")

    def __init__(self) -> None:
        self.one = [1]


plain = [Plain(i) for i in range(20_000)]
asked = [Asked(i) for i in range(100)]
dicts = [vars(each) for each in asked]
slotted = [Slotted() for _ in range(100)]
sample: list[Any] = [
    *plain[::500], *asked, *slotted, plain, Plain, int, type, 10**9, Plain.__init__,
    Plain.__init__.__code__, sys, vars(sys), gc.callbacks, question,
]  # fmt: skip


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def dicts_and_objects() -> tuple[int, int]:
    objects = gc.get_objects()
    return sum(type(obj) is dict for obj in objects), len(objects)


def observed() -> list[Any]:
    return [[sys.getrefcount(obj) for obj in sample], collector()]


def ask(keep: bool) -> None:
    graph = Graph.take(keep=keep)
    question(graph, *sample)
    nodes = graph.find(plain)
    for obj in graph.objects(nodes[:1000]):
        type(obj)
    if hasattr(m, "edge_names"):
        for node in nodes[:100]:
            [obj] = graph.objects([node])
            for target in graph.objects(graph.referents(node)):
                m.edge_names(obj, target)
    if hasattr(m, "referents"):
        for obj in sample:
            m.referents(obj)
    if hasattr(m, "size_of"):
        for obj in plain:
            m.size_of(obj)
    if hasattr(m, "gc_types"):
        m.gc_types(sizes=True)
    del graph


gc.collect()
gc.disable()
for keep in (False, True):
    ask(keep)  # caches of the interpreter
    gc.collect()
    before, after, counts = observed(), observed(), gc.get_count()
    dicts_before, objects_before = dicts_and_objects()
    memory = resident()
    for _ in range(3):
        Graph.take(keep=keep)
        ask(keep)
    assert gc.get_count()[1:] == counts[1:], "a collection ran"
    dicts_after, objects_after = dicts_and_objects()
    assert (dicts_after, objects_after) == (dicts_before, objects_before)
    after = observed()
    assert after == before, [pair for pair in zip(before, after) if pair[0] != pair[1]]
    assert resident() < memory + 8_000_000, (memory, resident())
assert not gc.isenabled()

# A pending exception, a handled one and the context are those of the caller.
try:
    raise KeyError("mine")
except KeyError as error:
    Graph.take()
    assert sys.exc_info()[1] is error
assert node_of(Graph.take(), sample) >= 0
