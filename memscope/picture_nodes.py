"""What a picture is made of: nodes, edges, and what of many alike is drawn once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from memscope.report import size_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

__all__ = ["Edge", "Node", "NodeId", "fold", "most_important", "node_lines"]

NodeId: TypeAlias = "str | int"
NodeKind: TypeAlias = Literal[
    "object", "module", "frame", "thread", "class", "function", "target", "more"
]

NUMBERS = re.compile(r"\d+|'[^']*'|\"[^\"]*\"")
"""What differs between the names of references that are alike: indexes and keys."""


class Node(NamedTuple):
    """An object, or several that are drawn as one."""

    id: NodeId
    """Anything that no other node of the picture has; never shown."""
    title: str
    """The class, or what it is in a few words."""
    detail: str = ""
    size: int | None = None
    """Bytes: of all, if it stands for several."""
    retained: int | None = None
    """Bytes that would be freed with it."""
    count: int = 1  # type: ignore[assignment]
    """How many objects it stands for."""
    kind: NodeKind = "object"
    """"target" is what the picture is about; "more" what is only counted."""
    site: str = ""
    """Where it was allocated: "app.py:85"."""
    depth: int = 0
    """References between it and what the picture is about."""


class Edge(NamedTuple):
    """That *source* refers to *target*."""

    source: NodeId
    target: NodeId
    label: str = ""
    """By which name."""
    kind: Literal["strong", "weak", "more"] = "strong"
    """"more": of what is only counted."""
    emphasised: bool = False
    """Whether it is on the path that the picture is to show."""


def node_lines(node: Node, times: str = "\N{MULTIPLICATION SIGN}") -> list[str]:
    """The node in words, a few short lines: what, details, bytes, where allocated."""
    title = node.title
    if (
        node.kind in ("module", "thread", "class", "function")
        and node.kind not in title.lower().split()
    ):
        title = f"{node.kind} {title}"
    if node.kind == "more":
        title = f"... {node.count:,} more {title}".rstrip()
    elif node.count > 1:
        title = f"{node.count:,} {times} {title}"
    lines = [title]
    if node.detail:
        lines.append(node.detail)
    sizes = [] if node.size is None else [size_text(node.size)]
    if node.retained is not None and node.retained != node.size:
        sizes.append(f"keeps {size_text(node.retained)}")
    if sizes:
        lines.append(", ".join(sizes))
    if node.site:
        lines.append(f"allocated at {node.site}")
    return lines


def fold(
    nodes: Sequence[Node], edges: Sequence[Edge], keep: int = 1
) -> tuple[list[Node], list[Edge]]:
    """Draw *keep* of the nodes that are alike, and count the others in one node.

    Alike are nodes of one title and kind that the same nodes refer to, and that refer to
    the same nodes, by similar names: ``['a']`` and ``['b']``, ``[0]`` and ``[7]``.  What
    the picture is about and what is on the emphasised path is never folded.  The order
    of the result is the order of the arguments.
    """
    around: dict[NodeId, list[Hashable]] = {node.id: [] for node in nodes}
    fixed = {node.id for node in nodes if node.kind in ("target", "more")}
    for edge in edges:
        name = NUMBERS.sub("*", edge.label)
        around[edge.source].append((edge.target, name, edge.kind, True))
        around[edge.target].append((edge.source, name, edge.kind, False))
        if edge.emphasised:
            fixed |= {edge.source, edge.target}
    alike: dict[Hashable, list[Node]] = {}
    for node in nodes:
        if node.id not in fixed and around[node.id]:
            key = (node.title, node.kind, frozenset(around[node.id]))
            alike.setdefault(key, []).append(node)
    # A node that only says "one more" takes the room of the one it stands for.
    groups = [group[keep:] for group in alike.values() if len(group) > keep + 1]
    folded = {group[0].id: _sum(group) for group in groups}
    gone = {node.id for group in groups for node in group[1:]}
    return (
        [folded.get(node.id, node) for node in nodes if node.id not in gone],
        [
            edge._replace(label="", kind="more")
            if edge.source in folded or edge.target in folded
            else edge
            for edge in edges
            if edge.source not in gone and edge.target not in gone
        ],
    )


def _sum(group: Sequence[Node]) -> Node:
    first = group[0]
    return first._replace(
        detail="",
        size=_total(node.size for node in group),
        retained=None,
        count=sum(node.count for node in group),
        kind="more",
        site=first.site if all(node.site == first.site for node in group) else "",
    )


def _total(sizes: Iterable[Any]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def most_important(nodes: Sequence[Node], edges: Sequence[Edge], most: int) -> set[NodeId]:
    """The *most* nodes to draw: first the targets and the path, then the nearest."""
    path = {end for edge in edges if edge.emphasised for end in (edge.source, edge.target)}

    def rank(node: Node) -> tuple[bool, bool, int]:
        return node.kind != "target", node.id not in path, node.depth

    return {node.id for node in sorted(nodes, key=rank)[:most]}
