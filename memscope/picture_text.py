"""A picture as a tree of lines, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from memscope.picture_nodes import node_lines
from memscope.table import clip, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memscope.picture_nodes import Edge, Node, NodeId

__all__ = ["tree_text"]

BOLD, PAINT, DIM, RESET = "\x1b[1m", "\x1b[1;33m", "\x1b[2m", "\x1b[0m"


class Lines(NamedTuple):
    """What the branches are drawn with; thick ones lead along the emphasised path."""

    middle: str
    last: str
    thick_middle: str
    thick_last: str
    beside: str
    times: str


UNICODE = Lines("├─ ", "└─ ", "┣━ ", "┗━ ", "│  ", "\N{MULTIPLICATION SIGN}")
ASCII = Lines("|- ", "`- ", "|= ", "`= ", "|  ", "x")
DEEPEST = 30
"""Levels of indentation; what is deeper stays there, or no room would be left."""


class _Place(NamedTuple):
    node: NodeId
    edge: Edge | None
    before: str
    """What the line begins with, and those below it."""
    is_last: bool
    above: frozenset[NodeId]


def tree_text(
    title: str,
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    notes: Sequence[str],
    *,
    width: int | None,
    colour: bool,
    ascii_only: bool,
) -> str:
    """The roots first, below each what it refers to.

    A node is described where it comes first; further on it is "(see above)", or, below
    itself, "(a cycle)".
    """
    draw = ASCII if ascii_only else UNICODE
    by_id = {node.id: node for node in nodes}
    below: dict[NodeId, list[Edge]] = {node.id: [] for node in nodes}
    for one in edges:
        below[one.source].append(one)
    for under in below.values():
        under.sort(key=lambda one: (not one.emphasised, one.kind == "more"))

    def paint(text: str, style: str) -> str:
        return f"{style}{text}{RESET}" if colour and text else text

    lines = [paint(clip(printable(title), width), BOLD), ""] if title else []
    seen: set[NodeId] = set()
    for start in _starts(nodes, edges):
        if start in seen:
            continue
        stack = [_Place(start, None, "", True, frozenset())]
        while stack:
            place = stack.pop()
            node = by_id[place.node]
            edge = place.edge
            thick = edge is not None and edge.emphasised
            branch = ""
            if edge is not None:
                if place.is_last:
                    branch = draw.thick_last if thick else draw.last
                else:
                    branch = draw.thick_middle if thick else draw.middle
            words = [] if edge is None else [edge.label]
            if edge is not None and edge.kind == "weak":
                words.append("(weak)")
            what = node_lines(node, draw.times)
            if place.node in place.above:
                what = [what[0], "(a cycle)"]
            elif place.node in seen and below[place.node]:
                what = [what[0], "(see above)"]
            text = "  ".join(printable(word) for word in [*words, *what] if word)
            text = clip(
                text, None if width is None else max(width - len(place.before + branch), 24)
            )
            style = PAINT if thick or node.kind == "target" else DIM if node.kind == "more" else ""
            lines.append(paint(place.before + branch, PAINT if thick else DIM) + paint(text, style))
            if place.node in seen:
                continue
            seen.add(place.node)
            before = place.before
            if edge is not None and len(before) < DEEPEST * 3:
                before += "   " if place.is_last else draw.beside
            above = place.above | {place.node}
            under = below[place.node]
            stack += [
                _Place(other.target, other, before, other is under[-1], above)
                for other in reversed(under)
            ]
    if notes:
        lines += ["", *(paint(clip(printable(note), width), DIM) for note in notes)]
    text = "\n".join(line.rstrip() for line in lines)
    return text.encode("ascii", "backslashreplace").decode() if ascii_only else text


def _starts(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[NodeId]:
    """What nothing drawn refers to, the emphasised first; then, for cycles, all by distance."""
    referred = {edge.target for edge in edges if edge.source != edge.target}
    path = {edge.source for edge in edges if edge.emphasised}
    roots = sorted(
        (node for node in nodes if node.id not in referred), key=lambda node: node.id not in path
    )
    rest = sorted(nodes, key=lambda node: (node.id not in path, -node.depth))
    return [node.id for node in (*roots, *rest)]
