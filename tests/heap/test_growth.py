"""Which objects grew between two graphs, against the naive answer."""

from __future__ import annotations

import pytest

from memscope import _memscope

Graph = _memscope.Graph


def shape(graph: _memscope.Graph) -> dict[int, tuple[tuple[str | None, str], int, int, int]]:
    """Address -> (class, node, references, bytes)."""
    types = graph.types()
    found = {}
    for node in range(graph.holders, len(graph)):
        address, kind, size, *_ = graph.node(node)
        found[address] = (types[kind][:2], node, len(graph.referents(node)), size)
    return found


def naive(newer: _memscope.Graph, older: _memscope.Graph) -> list[tuple[int, int, int, int]]:
    old = shape(older)
    rows = []
    for address, (kind, node, references, size) in shape(newer).items():
        if address in old and old[address][0] == kind:
            _, old_node, old_references, old_size = old[address]
            row = (node, old_node, references - old_references, size - old_size)
            if row[2] > 0 or (row[2] == 0 and row[3] > 0):
                rows.append(row)
    return sorted(rows, key=lambda row: (-row[2], -row[3], row[0]))


def test_as_the_naive_comparison() -> None:
    kept: list[object] = [[] for _ in range(50)] + [{} for _ in range(50)] + [set(), bytearray()]
    older = Graph.take()
    for number, one in enumerate(kept):
        if type(one) is list:
            one.extend([None] * (number % 7))
        elif type(one) is dict:
            one.update(dict.fromkeys(range(number % 5)))
        elif type(one) is bytearray:
            one.extend(bytes(5000))
    newer = Graph.take()
    expected = naive(newer, older)
    assert len(expected) > 50
    for limit in (0, 1, 2, 7, len(expected) - 1, len(expected), 10 * len(expected)):
        total, rows = newer.grown(older, limit)
        assert total == len(expected)
        assert rows == expected[:limit]


def test_nothing_grew() -> None:
    graph = Graph.take()
    assert graph.grown(graph, 10) == (0, [])


def test_of_kept_graphs() -> None:
    one: list[int] = []
    older = Graph.take(keep=True)
    one += [1, 2, 3]
    newer = Graph.take(keep=True)
    nodes = [row[0] for row in newer.grown(older, 1000)[1]]
    assert newer.find([one])[0] in nodes


def test_bad_arguments() -> None:
    graph = Graph.take()
    with pytest.raises(TypeError):
        graph.grown(None, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 0"):
        graph.grown(graph, -1)
