"""Each interpreter sees its own heap: not the objects of another, and none is harmed."""

import sys

from _heap import Graph, question
from _support import deadline, ext, threads

CODE = f"""
import sys
sys.path[:0] = {sys.path!r}
try:
    from memscope import _memscope as inner
except ImportError as error:
    assert "interpreter" in str(error), error
else:
    class Inside: pass
    kept = [Inside() for _ in range(500)]
    for keep in (False, True):
        graph = inner.Graph.take(keep=keep)
        names = dict((row[2], row[3]) for row in graph.types())
        assert names["Inside"] == 500, names
        assert "Outside" not in names
        assert graph.objects(graph.find(kept)) == kept
        graph.paths_to_root(graph.find(kept[:3]))
    LAST
"""


class Outside:
    pass


outside = [Outside() for _ in range(500)]


def check() -> None:
    graph = Graph.take()
    names = {row[2]: row[3] for row in graph.types()}
    assert names["Outside"] == 500
    assert "Inside" not in names, "objects of another interpreter"
    question(graph, outside)
    question(Graph.take(keep=True), outside)


own_gil = (False, True)[: 2 if sys.version_info >= (3, 12) else 1]
for last in ("del graph", "pass", "sys.modules['graph'] = graph"):
    for own in own_gil:
        assert ext.run_in_subinterp(CODE.replace("LAST", last), own) == 0
        check()

LOOP = """
for i in range(20):
    kept = [[i, {}] for i in range(500)]
"""


def inside(stopped) -> None:  # type: ignore[no-untyped-def]
    while not stopped():
        assert ext.run_in_subinterp(LOOP, own_gil[-1]) == 0


with threads(2, inside):
    for _ in deadline(2):
        question(Graph.take(), outside)
