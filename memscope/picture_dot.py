"""How a picture looks when Graphviz or Mermaid draws it.

Colours are quiet and their meanings are told by shape, thickness or words as well, so
that nothing is lost in grey, in print, or to who sees colours differently.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from memscope.dot import TEXT_MAX, quoted, quoted_lines, statement
from memscope.picture_nodes import node_lines
from memscope.table import clip, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memscope.picture_nodes import Edge, Node, NodeId

__all__ = ["dot_text", "mermaid_text"]

INK, QUIET, PATH = "#1F2933", "#66717C", "#B34700"
"""Text; lines and names of references; the path: each readable on white."""

WIDE = 5
"""Boxes beside each other above which the picture goes from left to right."""


class Look(NamedTuple):
    shape: str
    fill: str
    line: str = QUIET
    style: str = "filled"


LOOKS = {
    "object": Look("box", "#FFFFFF", style="rounded,filled"),
    "target": Look("box", "#FFE9A8", PATH, "rounded,filled,bold"),
    "module": Look("folder", "#DCEBF7", "#3B6E99"),
    "thread": Look("octagon", "#DFF1E6", "#3E7D5A"),
    "frame": Look("tab", "#DFF1E6", "#3E7D5A"),
    "class": Look("note", "#EEE6F5", "#75559A"),
    "function": Look("component", "#EEE6F5", "#75559A"),
    "more": Look("box", "#F3F4F6", style="rounded,filled,dashed"),
}
"""Kind of node -> its look."""


def dot_text(title: str, nodes: Sequence[Node], edges: Sequence[Edge], notes: Sequence[str]) -> str:
    """The picture in DOT.  Names in it are numbers: what users wrote is in labels only."""
    names = {node.id: f"n{number}" for number, node in enumerate(nodes)}
    path = {end for edge in edges if edge.emphasised for end in (edge.source, edge.target)}
    head = statement(
        "graph",
        rankdir="LR" if _is_wide(nodes) else "TB",
        bgcolor=quoted("#FFFFFF"),
        fontname=quoted("Helvetica"),
        fontcolor=quoted(INK),
        fontsize=11,
        label=quoted_lines((line for note in notes for line in _wrapped(note)), left=True),
        labelloc=quoted("b"),
        labeljust=quoted("l"),
        nodesep=0.3,
        ranksep=0.45,
        pad=0.2,
        charset=quoted("UTF-8"),
    )
    lines = [
        "digraph memscope {",
        head,
        statement(
            "node",
            fontname=quoted("Helvetica"),
            fontcolor=quoted(INK),
            fontsize=11,
            margin=quoted("0.14,0.07"),
            height=0.3,
        ),
        statement(
            "edge",
            fontname=quoted("Helvetica"),
            fontcolor=quoted("#46505A"),
            color=quoted(QUIET),
            fontsize=10,
            arrowsize=0.7,
        ),
        "subgraph cluster_all {",
        statement(
            "graph",
            label=quoted_lines(_wrapped(title), left=True),
            labelloc=quoted("t"),
            labeljust=quoted("l"),
            fontsize=14,
            penwidth=0,
        ),
        # Where there are cycles, Graphviz points away from what it reads first: the path,
        # from its root on, goes straight, and the others around it.
        *(_node(node, names, True) for node in _from_roots(nodes, edges) if node.id in path),
        *(_node(node, names, False) for node in nodes if node.id not in path),
        "}",
        *(_edge(edge, names) for edge in _path_first(nodes, edges)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _from_roots(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[Node]:
    """The nodes that no emphasised edge leads to, then those these lead to, and so on."""
    following: dict[NodeId, list[NodeId]] = {}
    for edge in edges:
        if edge.emphasised:
            following.setdefault(edge.source, []).append(edge.target)
    later = {target for targets in following.values() for target in targets}
    order = dict.fromkeys(node.id for node in nodes if node.id not in later)
    queue = list(order)
    for source in queue:  # grows meanwhile
        fresh = [target for target in following.get(source, ()) if target not in order]
        order.update(dict.fromkeys(fresh))
        queue += fresh
    by_id = {node.id: node for node in nodes}
    return [by_id[name] for name in {**order, **dict.fromkeys(by_id)}]


def _node(node: Node, names: dict[NodeId, str], on_path: bool) -> str:
    look = LOOKS[node.kind]
    return statement(
        names[node.id],
        label=quoted_lines(node_lines(node)),
        shape=look.shape,
        style=quoted(look.style),
        fillcolor=quoted(look.fill),
        color=quoted(PATH if on_path else look.line),
        penwidth=2.2 if on_path or node.kind == "target" else 1,
    )


def _path_first(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[Edge]:
    place = {node.id: number for number, node in enumerate(_from_roots(nodes, edges))}
    return sorted(edges, key=lambda edge: (not edge.emphasised, place[edge.source]))


def _edge(edge: Edge, names: dict[NodeId, str]) -> str:
    label = edge.label
    if edge.kind == "weak":
        label = f"{label} (weak)".lstrip()
    return statement(
        f"{names[edge.source]} -> {names[edge.target]}",
        # Blanks on both sides keep the text off the line.
        label=quoted(f" {clip(printable(label), TEXT_MAX - 2)} ") if label else None,
        color=quoted(PATH) if edge.emphasised else None,
        fontcolor=quoted(PATH) if edge.emphasised else None,
        fontname=quoted("Helvetica-Bold") if edge.emphasised else None,
        penwidth=2.6 if edge.emphasised else None,
        weight=8 if edge.emphasised else None,
        style=None if edge.kind == "strong" else "dashed" if edge.kind == "weak" else "dotted",
    )


def _is_wide(nodes: Sequence[Node]) -> bool:
    """Whether rows of boxes would be too long to read, and longer than the columns are."""
    rows = Counter(node.depth for node in nodes)
    return max(rows.values(), default=0) > max(WIDE, len(rows))


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(printable(text), TEXT_MAX)[:6]


def mermaid_text(
    title: str, nodes: Sequence[Node], edges: Sequence[Edge], notes: Sequence[str]
) -> str:
    """The picture as a Mermaid flow chart, which code hosts draw in a README or an issue."""
    names = {node.id: f"n{number}" for number, node in enumerate(nodes)}
    lines = ["flowchart TB"]
    for number, text in enumerate(text for text in (title, *notes) if text):
        lines.append(f'    note{number}["{_entities(clip(printable(text), 200))}"]:::note')
    for node in nodes:
        words = "<br/>".join(
            _entities(clip(printable(line), TEXT_MAX)) for line in node_lines(node)
        )
        lines.append(f'    {names[node.id]}["{words}"]:::{node.kind}_')
    strong = []
    for number, edge in enumerate(edges):
        arrow = "==>" if edge.emphasised else "-->" if edge.kind == "strong" else "-.->"
        label = f'|"{_entities(clip(printable(edge.label), TEXT_MAX))}"|' if edge.label else ""
        lines.append(f"    {names[edge.source]} {arrow}{label} {names[edge.target]}")
        if edge.emphasised:
            strong.append(str(number))
    lines += [
        f"    classDef {kind}_ fill:{look.fill},stroke:{look.line},color:{INK}"
        for kind, look in LOOKS.items()
    ]
    lines.append(f"    classDef note fill:#FFFFFF,stroke:#FFFFFF,color:{INK}")
    if strong:
        lines.append(f"    linkStyle {','.join(strong)} stroke:{PATH},stroke-width:3px")
    return "\n".join(lines) + "\n"


def _entities(text: str) -> str:
    """Everything that is not a letter, a digit or harmless, as Mermaid's ``#35;``."""
    return "".join(
        char if char.isalnum() or char in " .,:_-()/" else f"#{ord(char)};" for char in text
    )
