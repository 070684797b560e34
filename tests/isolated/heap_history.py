"""The history of a live heap, object by object, is that of dicts kept by hand."""

import gc
from collections.abc import Iterator
from typing import Any, NamedTuple

from _heap import Graph, node_of
from _support import m


class Thing:
    pass


class Known(NamedTuple):
    kind: object
    birth: int
    rises: int
    first: tuple[int, int]
    last: tuple[int, int]
    most: int
    """References that it had at most."""
    rise: tuple[int, int] = (0, 0)
    """The last moment at which it had more than ever, and by how much."""

    def at(self, moment: int, size: tuple[int, int]) -> "Known":
        """What is known of it after one more moment."""
        references, nbytes = size
        step = references - self.most
        if references == self.most == 0:
            step = nbytes - self.last[1]
        return self._replace(
            rises=self.rises + (step > 0),
            rise=(moment, step) if step > 0 else self.rise,
            most=max(self.most, references),
            last=size,
        )

    def told(self) -> tuple[int, int, int, int]:
        more = (self.last[0] - self.first[0], self.last[1] - self.first[1])
        return (self.birth, self.rises, *more)


def objects_of(graph: Any) -> Iterator[tuple[int, int, object, tuple[int, int]]]:
    """(node, address, class, (references, bytes)) of all objects."""
    types = graph.types()
    for node in range(graph.holders, len(graph)):
        address, kind, size, *_ = graph.node(node)
        yield node, address, types[kind][:2], (len(graph.referents(node)), size)


def workload(kept: list[Any], moment: int) -> None:
    for number, inner in enumerate(kept[0]):
        inner.extend([None] * (number % 3))
    kept[1].update({(moment, number): Thing() for number in range(20)})
    kept[2] |= set(range(moment * 50))
    kept[3] += bytes(5000)
    setattr(kept[4], f"attribute{moment}", Thing())
    kept[5] += [Thing() for _ in range(300)]
    del kept[5][::3]
    if moment == 2:
        kept[0][3:9] = []


gc.collect()
kept: list[Any] = [[[] for _ in range(30)], {}, set(), bytearray(), Thing(), []]
# First all graphs, then the dicts, which would be in the graphs otherwise.
graphs = []
histories: list[Any] = []
for moment in range(4):
    graph = Graph.take()
    histories.append(histories[-1].advance(graph) if histories else m.History.begin(graph))
    graphs.append(graph)
    workload(kept, moment)
    gc.collect()

known: dict[int, Known] = {}
births = set()
for moment, (graph, history) in enumerate(zip(graphs, histories, strict=True)):
    assert history.moment == moment
    assert history.graph is graph
    now, nodes = {}, {}
    for node, address, kind, size in objects_of(graph):
        nodes[address] = node
        before = known.get(address)
        if before is None or before.kind != kind:
            now[address] = Known(kind, moment, 0, size, size, size[0])
        else:
            now[address] = before.at(moment, size)
    known = now
    for address, one in known.items():
        assert history.node(nodes[address]) == one.told(), (hex(address), one)
        assert history.rise(nodes[address]) == one.rise, (hex(address), one)
        births.add(one.birth)
    for least in (0, 1, 2, 3, 99):
        expected = [
            (nodes[address], *one.told()[1:])
            for address, one in known.items()
            if one.rises >= max(least, 1) and one.last > one.first
        ]
        assert history.growers(least) == sorted(
            expected, key=lambda row: (-row[2], -row[3], row[0])
        ), (moment, least)
    assert (node_of(graph, kept[3]) in [row[0] for row in history.growers(moment)]) == (moment > 0)
assert births == {0, 1, 2, 3}
assert len(known) > 1000
