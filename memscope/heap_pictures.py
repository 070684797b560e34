"""The surroundings of an object, and the paths to it, as a picture."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from memscope.heap_drawing import Fold
from memscope.heap_nodes import MODULE, TYPE, is_class, shown
from memscope.pictures import Edge, Node, Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memscope._memscope import Graph
    from memscope.heap_drawing import Surroundings
    from memscope.heap_nodes import NodeNames
    from memscope.heap_paths import Path, Step
    from memscope.picture_nodes import NodeKind

__all__ = ["path_picture", "picture"]


def picture(graph: Graph, around: Surroundings, names: NodeNames, *, backward: bool) -> Picture:
    """What holds the objects that *around* starts from (backward), or what they hold."""
    nodes = [_node(graph, around, names, node) for node in around.depths]
    edges = []
    for arrow in around.arrows:
        kind = "strong"
        for end in (arrow.source, arrow.target):
            if isinstance(end, Fold):
                kind = "more"
                nodes.append(
                    Node(
                        _name(end),
                        shown(end.type_name),
                        count=end.count,
                        kind="more",
                        depth=around.depths[end.beside] + 1,
                    )
                )
        label = around.label(names, arrow)
        if kind == "strong" and label == "weak":
            kind, label = "weak", ""
        edges.append(
            Edge(
                _name(arrow.source),
                _name(arrow.target),
                shown(label),
                "more" if kind == "more" else "weak" if kind == "weak" else "strong",
                arrow.on_path,
            )
        )
    first = names.type_name(around.start[0]) if around.start else "nothing"
    many = f" and {around.asked - 1:,} more" if around.asked > 1 else ""
    verb = "refer" if many else "refers"
    title = f"What holds {first}{many}" if backward else f"What {first}{many} {verb} to"
    notes = []
    if any(edge.emphasised for edge in edges):
        notes.append("Thick: the shortest path from a root.")
    if not backward and any(node.kind in ("class", "module") for node in nodes):
        notes.append("What classes and modules refer to is not drawn.")
    if around.goes_on:
        notes.append("References farther away are not drawn: see max_depth.")
    if around.is_cut:
        notes.append(f"More is there: only {len(around.depths):,} objects are drawn.")
    # One fold may be met from both its ends.
    return Picture(shown(title), {node.id: node for node in nodes}.values(), edges, notes)


def path_picture(paths: Sequence[Path], note: str = "") -> Picture:
    """Paths from roots to what they hold; objects that several go through are drawn once."""
    nodes: dict[int, Node] = {}
    edges: dict[tuple[int, int], Edge] = {}
    for path in paths:
        for depth, step in enumerate(path.steps):
            nodes.setdefault(step.node, _of_step(step, len(path) - 1 - depth))
        for before, step in pairwise(path.steps):
            ends = before.node, step.node
            edges.setdefault(ends, Edge(*ends, shown(step.edge), emphasised=path is paths[0]))
    what = shown(paths[0].steps[-1].type_name) if paths else "it"
    thick = "Thick: the shortest path from a root." if len(paths) > 1 else ""
    return Picture(
        f"What holds {what}", nodes.values(), edges.values(), filter(None, (thick, note))
    )


def _of_step(step: Step, depth: int) -> Node:
    """The node of one step, *depth* references before what the path leads to."""
    if not step.address:
        if step.type_name == "thread":
            return Node(step.node, step.description, kind="thread", depth=depth)
        title, _, detail = step.description.partition(" at ")
        return Node(step.node, title, detail, kind="frame", depth=depth)
    kind: NodeKind = "object" if depth else "target"
    title, detail = shown(step.type_name), step.description
    if step.type_name == "module":
        kind, title, detail = "module", detail, ""
    elif step.type_name == "function":
        kind, title, detail = "function", detail, ""
    elif detail.startswith(f"{title} "):
        title, detail = detail, ""
    elif detail == title.rpartition(".")[2]:
        detail = ""
    return Node(
        step.node,
        title,
        detail,
        size=step.bytes if step.count == 1 else None,
        count=step.count,
        kind=kind,
        site=step.site,
        depth=depth,
    )


def _name(end: int | Fold) -> int | str:
    return f"{end.beside} {end.type_name} {end.count}" if isinstance(end, Fold) else end


def _node(graph: Graph, around: Surroundings, names: NodeNames, node: int) -> Node:
    depth = around.depths[node]
    words = shown(names.describe(node))
    if node < graph.holders:
        kind: NodeKind = "thread" if graph.holder(node)[0] == "thread" else "frame"
        title, _, detail = words.partition(" at ") if kind == "frame" else (words, "", "")
        return Node(node, title, detail, kind=kind, depth=depth)
    flags, size = graph.node(node)[3], graph.node(node)[2]
    name = shown(names.type_name(node))
    kind = "target" if node in around.start else "object"
    title, detail = name, words
    if kind == "object" and flags & MODULE:
        kind, title, detail = "module", words, ""
    elif kind == "object" and (flags & TYPE or is_class(names.object(node))):
        kind, title, detail = "class", words, ""
    elif kind == "object" and name == "function":
        kind, title, detail = "function", words, ""
    elif words.startswith(f"{name} "):
        title, detail = words, ""
    elif words == name.rpartition(".")[2]:
        detail = ""
    return Node(node, title, detail, size=size, kind=kind, site=names.site(node), depth=depth)
