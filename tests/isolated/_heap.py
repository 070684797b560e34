"""What the scenarios of the heap graph share."""

from __future__ import annotations

import gc
from typing import Any

from _support import m, skip

if not hasattr(m, "Graph"):
    skip("memscope._memscope has no Graph")

Graph = m.Graph
GONE = object()


def node_of(graph: Any, obj: object) -> int:
    """The node of an object; it must be in the graph."""
    [node] = graph.find([obj])
    assert node >= 0, f"no node for {type(obj)}"
    return int(node)


def question(graph: Any, *sample: object) -> None:
    """Every query; the answers agree with each other."""
    count = len(graph)
    assert graph.lost == 0
    assert sum(row[3] for row in graph.types()) == count - graph.holders
    for holder in range(graph.holders):
        kind, thread, *_ = graph.holder(holder)
        assert kind in ("thread", "frame")
        assert 0 <= thread <= holder
        assert len(graph.local_names(holder)) == len(graph.referents(holder))
    nodes = [node for node in graph.find(sample) if node >= 0]
    nodes += range(0, count, max(1, count // 50))
    for node in nodes:
        graph.node(node)
        assert all(node in graph.referrers(target) for target in set(graph.referents(node)))
    graph.objects(nodes, GONE)
    graph.select([0], min_size=100)
    graph.reachable(nodes[:3])
    graph.paths_to_root(nodes[:5], 2)
    graph.merged_paths(nodes[:5])
    graph.grown(graph, 5)
    if graph.kept:
        for start in sample[:2]:
            graph.chain(start, None)
            graph.chain(start, lambda obj: False, max_depth=3, backward=False)


def collector() -> list[object]:
    """All that a program can see of the collector's state."""
    return [
        gc.isenabled(),
        gc.get_threshold(),
        gc.get_debug(),
        gc.get_freeze_count(),
        list(gc.callbacks),
        len(gc.garbage),
        [sorted(generation.items()) for generation in gc.get_stats()],
    ]
