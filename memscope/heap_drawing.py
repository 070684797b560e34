"""The surroundings of an object: what holds it, or what it holds, a few steps far.

Breadth first from the object.  Of neighbours of one class, one is drawn and the others
are folded into one node that says how many; of the others as many as fit.  The same goes
for the objects it begins with, if there are many.  What leads to a root on the shortest
path is always drawn, and marked.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from memscope.heap_nodes import MODULE, MOST_NAMES, TYPE, full_name, global_name, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memscope._memscope import Graph
    from memscope.heap_nodes import NodeNames

__all__ = ["Arrow", "Fold", "Surroundings"]


class Fold(NamedTuple):
    """Neighbours of *beside* that are not drawn one by one."""

    beside: int
    type_name: str
    count: int  # type: ignore[assignment]


class Arrow(NamedTuple):
    """A reference that is drawn; either end may be a fold."""

    source: int | Fold
    target: int | Fold
    on_path: bool


class Surroundings:
    """Which nodes and references to draw around *start*.

    *backward*: what holds it, else what it holds.  *depth*: references far; *width*:
    neighbours of one node that are drawn; *paths*: root-to-start lists of nodes that
    are drawn whole; *most*: nodes in all; *asking*: frames whose own reference to
    *start* is left out, unless a path needs it.
    """

    def __init__(
        self,
        graph: Graph,
        start: Sequence[int],
        *,
        backward: bool,
        depth: int,
        width: int,
        most: int,
        paths: Sequence[Sequence[int]] = (),
        asking: frozenset[int] = frozenset(),
    ) -> None:
        self._graph = graph
        self._backward = backward
        self._width = width
        self._types = [full_name(module, name) for module, name, *_ in graph.types()]
        self.asked = len(start)
        self._left_out: dict[Fold, set[int]] = {}
        self.start = self._first_of_each(start) if len(start) > width else list(start)
        self.depths = dict.fromkeys(self.start, 0)
        """The nodes to draw, in order, and how far from the start."""
        self._asking = asking
        self._via: dict[tuple[int, int], int] = {}
        whole = [self._without_namespaces(path) for path in paths]
        self.path_edges = {pair for path in whole for pair in pairwise(path)}
        self._wanted = {node for path in whole for node in path}
        self._near: dict[int, list[int]] = {}
        self._cut = self._goes_on = False
        self._depth = depth
        self._search(most)
        self.arrows = list(dict.fromkeys(self._arrows()))

    def _first_of_each(self, start: Sequence[int]) -> list[int]:
        """One of each class; the others are counted."""
        alike: dict[str, list[int]] = {}
        for node in start:
            alike.setdefault(self._kind(node), []).append(node)
        for kind, (first, *others) in alike.items():
            if others:
                self._left_out[Fold(first, kind, len(others))] = set(others)
        return [group[0] for group in alike.values()]

    @property
    def nodes(self) -> list[int]:
        """All whose names are needed."""
        return [*self.depths, *self._via.values()]

    @property
    def is_cut(self) -> bool:
        """Whether *most* nodes were not enough."""
        return self._cut

    @property
    def goes_on(self) -> bool:
        """Whether there are references farther than *depth*."""
        return self._goes_on

    def _neighbours(self, node: int) -> list[int]:
        graph = self._graph
        found: dict[int, None] = {}
        for other in graph.referrers(node) if self._backward else graph.referents(node):
            if self._backward and (module := self._module_of(other)) is not None:
                self._via[module, node] = other
                found[module] = None
            elif not self._backward and self._module_of(other) == node:
                for inner in graph.referents(other):
                    self._via[node, inner] = other
                    found[inner] = None
            else:
                found[other] = None
        if node in self.start:
            for other in self._asking - self._wanted:
                found.pop(other, None)
        return list(found)

    def _is_module(self, node: int) -> bool:
        return node >= self._graph.holders and bool(self._graph.node(node)[3] & MODULE)

    def _module_of(self, node: int) -> int | None:
        """The module whose namespace the node is."""
        if node < self._graph.holders or node in self.start:
            return None
        return next(filter(self._is_module, self._graph.referrers(node)), None)

    def _without_namespaces(self, path: Sequence[int]) -> list[int]:
        kept = list(path[:1])
        for node, after in pairwise(path[1:]):
            if self._is_module(kept[-1]) and self._module_of(node) == kept[-1]:
                self._via[kept[-1], after] = node
            else:
                kept.append(node)
        return kept + list(path[1:][-1:])

    def _is_end(self, node: int) -> bool:
        """Not looked behind: everything would follow."""
        graph = self._graph
        if node < graph.holders:
            return self._backward and graph.holder(node)[0] == "thread"
        last = MODULE if self._backward else MODULE | TYPE
        return bool(graph.node(node)[3] & last) and node not in self.start

    def _search(self, most: int) -> None:
        queue = list(self.start)
        for node in queue:  # grows meanwhile
            distance = self.depths[node]
            if self._is_end(node):
                continue
            near = self._neighbours(node)
            self._near[node] = near
            if distance < self._depth:
                chosen = self._chosen(near)
            else:
                chosen = [other for other in near if self._on(node, other)]
                self._goes_on |= any(
                    other not in self.depths and other not in chosen for other in near
                )
            for other in chosen:
                if other in self.depths:
                    continue
                if len(self.depths) >= most and other not in self._wanted:
                    self._cut = True
                    continue
                self.depths[other] = distance + 1
                queue.append(other)

    def _on(self, node: int, other: int) -> bool:
        return ((other, node) if self._backward else (node, other)) in self.path_edges

    def _kind(self, node: int) -> str:
        """What a reader can tell apart: classes of one name look alike."""
        if node < self._graph.holders:
            return "thread or frame"
        return self._types[self._graph.node(node)[1]]

    def _chosen(self, near: Sequence[int]) -> list[int]:
        """What is on a path, and the first of each other class, as many as fit.

        Who would be the only one left out of a class is drawn as well: to say that one
        is missing takes the same room.
        """
        wanted = [node for node in near if node in self._wanted]
        kinds = {self._kind(node) for node in wanted}
        alike: dict[str, list[int]] = {}
        for node in near:
            if node not in self._wanted:
                alike.setdefault(self._kind(node), []).append(node)
        chosen: list[int] = []
        for kind, group in alike.items():
            keep = 0 if kind in kinds else 1
            chosen += group if len(group) == keep + 1 else group[:keep]
        return wanted + chosen[: max(self._width - len(wanted), 0)]

    def _arrows(self) -> Iterator[Arrow]:
        for node, distance in self.depths.items():
            folded: dict[str, int] = {}
            for other in self._near.get(node, ()):
                if other in self.depths:
                    yield self._arrow(node, other, self._on(node, other))
                elif distance < self._depth:
                    kind = self._kind(other)
                    folded[kind] = folded.get(kind, 0) + 1
            if len(folded) > self._width:
                most = sorted(folded, key=lambda kind: -folded[kind])[: self._width]
                kept = {kind: folded[kind] for kind in most if folded[kind] > 1}
                others = f"objects of {len(folded) - len(kept):,} other classes"
                folded = {**kept, others: sum(folded.values()) - sum(kept.values())}
            for kind, count in folded.items():
                yield self._arrow(node, Fold(node, kind, count), False)
        yield from self._arrows_of_left_out()

    def _arrows_of_left_out(self) -> Iterator[Arrow]:
        """What is drawn and holds some of those that the picture could have begun with too."""
        graph = self._graph
        for node, distance in self.depths.items():
            if distance != 1 or self._is_module(node):
                continue
            beyond = graph.referents(node) if self._backward else graph.referrers(node)
            for fold, others in self._left_out.items():
                if not others.isdisjoint(beyond):
                    yield Arrow(node, fold, False) if self._backward else Arrow(fold, node, False)

    def tree(self, names: NodeNames) -> str:
        """As indented lines: below each node what holds it, or what it holds."""
        below: dict[int | Fold, list[Arrow]] = {}
        for arrow in self.arrows:
            below.setdefault(arrow.target if self._backward else arrow.source, []).append(arrow)
        lines: list[str] = []
        seen: set[int] = set()
        stack: list[tuple[int | Fold, str, int]] = [(node, "", 0) for node in self.start[::-1]]
        while stack:
            node, edge, indent = stack.pop()
            if isinstance(node, Fold):
                lines.append("  " * indent + f"... {node.count:,} more {node.type_name}")
                continue
            words = [edge, names.headline(node), "(above)" if node in seen else ""]
            lines.append("  " * indent + "  ".join(shown(word) for word in words if word))
            if node in seen:
                continue
            seen.add(node)
            for arrow in reversed(below.get(node, ())):
                other = arrow.source if self._backward else arrow.target
                label = "" if isinstance(other, Fold) else self.label(names, arrow)
                stack.append((other, f"<- {label}" if self._backward else label, indent + 1))
        lines += [f"... {fold.count:,} more {fold.type_name}" for fold in self._left_out]
        return "\n".join(lines)

    def label(self, names: NodeNames, arrow: Arrow) -> str:
        """By which names the one end refers to the other."""
        if isinstance(arrow.source, Fold) or isinstance(arrow.target, Fold):
            return ""
        through = self._via.get((arrow.source, arrow.target))
        if through is None:
            edges = names.edges(arrow.source, arrow.target)
        else:
            edges = [global_name(edge) for edge in names.edges(through, arrow.target)]
        more = [f"and {len(edges) - MOST_NAMES:,} more"] if len(edges) > MOST_NAMES else []
        return ", ".join(edges[:MOST_NAMES] + more)

    def _arrow(self, node: int, other: int | Fold, on_path: bool) -> Arrow:
        return Arrow(other, node, on_path) if self._backward else Arrow(node, other, on_path)
