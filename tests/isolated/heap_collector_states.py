"""The collector off, frozen, with thresholds and debug flags: graphs are whole and it stays so."""

import gc

from _heap import Graph, collector, node_of, question


class Thing:
    pass


class Cycle:
    def __init__(self) -> None:
        self.self = self


things = [Thing() for _ in range(1000)]


def check() -> None:
    cycles = [Cycle() for _ in range(10)]
    addresses = [id(cycle) for cycle in cycles]
    del cycles
    before = collector()
    for keep in (False, True):
        graph = Graph.take(keep=keep)
        assert min(graph.find(things)) >= graph.holders
        # What is garbage but not collected yet is in the heap.
        present = {graph.node(node)[0] for node in range(graph.holders, len(graph))}
        assert present.issuperset(addresses)
        question(graph, things, things[0])
        del graph
    assert collector() == before, (before, collector())
    assert node_of(Graph.take(), things[0]) >= 0


gc.collect()
gc.disable()
check()
gc.freeze()
check()
things += [Thing() for _ in range(1000)]
check()
gc.unfreeze()
check()
gc.set_threshold(0, 7, 9)
check()
gc.set_threshold(700, 10, 10)
gc.set_debug(gc.DEBUG_SAVEALL)
check()
gc.set_debug(0)
gc.garbage.clear()
gc.enable()
# A threshold of 1: whatever can start a collection does.
gc.set_threshold(1, 1, 1)
for keep in (False, True) * 5:
    question(Graph.take(keep=keep), things, things[0])
gc.set_threshold(700, 10, 10)
gc.collect()
