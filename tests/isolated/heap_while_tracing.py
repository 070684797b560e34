"""Graphs while allocations are traced: the graph is not in the traces, nor slows their end."""

import gc

from _heap import Graph, question
from _support import exercise, m, quick_start

kept: list[object] = [[i, str(i)] for i in range(20_000)]
for nframe in (1, 25):
    for options in ({}, {"reuse": True}):
        quick_start(nframe, **options)
        exercise()
        gc.collect()
        before = len(m.take_snapshot())
        graphs = [Graph.take(), Graph.take(keep=True), m.Join.take().graph]
        for graph in graphs:
            question(graph, kept)
        after = m.take_snapshot()
        # A graph is a Python object of a few bytes; its columns are memscope's own.
        assert len(after) < before + 2000, (before, len(after))
        assert m.get_traced_memory()[0] < 50_000_000
        assert after.lost == 0
        m.stop()
        question(graphs[0], kept)
        del graphs, graph
        gc.unfreeze()
