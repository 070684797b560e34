"""Paths from a root to an object, in words: who holds it.

A root is what the program itself holds on to: a thread with its running frames, a
module, or, where none of them leads to the object, an object that C code holds.
Paths of many objects that go the same way, through objects of the same classes, are
one path that says how many.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from memscope.heap_nodes import MODULE, SURPLUS, global_name, shown
from memscope.report import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memscope._memscope import Graph
    from memscope.files import PathLike
    from memscope.heap_nodes import NodeNames
    from memscope.pictures import Picture

__all__ = ["Path", "Paths", "Step", "make_path"]


PATH_MOST = 64
"""Nodes of a merged path; of a longer one what is between the last two is left out."""


MOST_ALIKE = 3
"""Steps of one name in a row, as in a linked list, that are written one by one."""


class Step(NamedTuple):
    """An object on a path, and by what name the one before refers to it."""

    edge: str
    """ "" for the root."""
    description: str
    type_name: str
    bytes: int
    address: int
    """Of the first one; 0 for a thread or a frame."""
    node: int
    count: int  # type: ignore[assignment]
    """Different objects at this place of a merged path."""
    site: str
    """Where it was allocated, if that was traced: "app.py:85"."""

    def to_dict(self) -> dict[str, Any]:
        return self._asdict()


class Path:
    """One way from a root to an object, or to ``count`` objects that are held alike."""

    __slots__ = ("count", "steps")

    def __init__(self, steps: Sequence[Step], count: int) -> None:
        self.steps = tuple(steps)
        self.count = count

    def __len__(self) -> int:
        return len(self.steps)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        return (self.steps, self.count) == (other.steps, other.count)

    def __hash__(self) -> int:
        return hash((self.steps, self.count))

    @property
    def place(self) -> str:
        """The names alone: "module app.cache -> _sessions -> ['k17']"."""
        edges: list[str] = []
        for edge, same in groupby(_edge(step, before) for before, step in pairwise(self.steps)):
            times = len(list(same))
            edges += [f"{edge} x {times}"] if times > MOST_ALIKE else [edge] * times
        return " -> ".join([self.steps[0].description, *edges])

    @property
    def holder(self) -> str:
        """The names up to what holds the object: "module app.cache -> _sessions"."""
        return Path(self.steps[:-1] or self.steps, 1).place

    def __str__(self) -> str:
        many = f" ({self.count:,} objects)" if self.count > 1 else ""
        last = f" -> {shown(self.steps[-1].type_name)}" if len(self) > 1 else ""
        return self.place + last + many

    def __repr__(self) -> str:
        return f"<Path {self}>"

    def text(self) -> str:
        """The path as a tree: a line for each step, with class, size and allocation site."""
        lines = []
        for depth, step in enumerate(self.steps):
            before = self.steps[max(depth - 1, 0)]
            what = [_edge(step, before)] if depth else [step.description]
            if depth and step.address:
                what.append(shown(step.type_name))
                if step.description != step.type_name.rpartition(".")[2]:
                    what.append(f"({step.description})")
            if step.address:
                what.append(size_text(step.bytes))
            if step.site:
                what.append(f"allocated at {step.site}")
            lines.append("  " * depth + "  ".join(what))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json: the text, and the steps from the root on."""
        return {
            "text": str(self),
            "count": self.count,
            "steps": [step.to_dict() for step in self.steps],
        }


class Paths(list[Path]):
    """Who holds an object: paths from roots to it, shortest first.

    ``note`` says what else is to be known, or why there is none.
    """

    def __init__(self, paths: Iterable[Path] = (), note: str = "") -> None:
        super().__init__(paths)
        self.note = note

    def __str__(self) -> str:
        lines = [str(path) for path in self]
        return "\n".join([*lines, *([self.note] if self.note else [])])

    def picture(self) -> Picture:
        """The same as a picture: objects that several paths go through are drawn once."""
        from memscope.heap_pictures import path_picture

        return path_picture(self, self.note)

    def show(self, file: IO[str] | None = None, *, filename: PathLike | None = None) -> None:
        """Print each path as a tree, with classes, sizes and allocation sites.

        *filename*: draw them instead; .svg, .png, .pdf, .dot, .json, .txt or .mmd.  Raises
        ValueError for another suffix, OSError.
        """
        if filename is not None:
            saved = self.picture().save(filename)
            print(saved.message or f"Picture written to {saved}", file=file)
            return
        texts = [path.text() for path in self]
        print("\n\n".join([*texts, *([self.note] if self.note else [])]), file=file)

    def __repr__(self) -> str:
        return f"<Paths: {len(self)}, for {sum(path.count for path in self)} objects>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.picture()._repr_mimebundle_(include, exclude)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json."""
        return {"note": self.note, "paths": [path.to_dict() for path in self]}


def make_path(
    graph: Graph,
    names: NodeNames,
    way: Sequence[int],
    *,
    widths: Sequence[int] = (),
    count: int = 1,
) -> Path:
    """The path of *way*, a list of nodes.

    It may stand for the paths of *count* objects: then *widths* says how many
    different nodes there are at each step.
    """
    steps: list[Step] = []
    for depth, node in enumerate(way):
        edges = names.edges(way[depth - 1], node) if depth else []
        if depth == PATH_MOST - 1 and node not in graph.referents(way[depth - 1]):
            edges = ["..."]
        description = shown(names.describe(node))
        address, _, size, flags, surplus = graph.node(node)
        if depth == 0 and flags & SURPLUS and not flags & MODULE:
            description += (
                f", held by C code or the interpreter (reference count exceeds what is in"
                f" the heap by {surplus}; a hint)"
            )
        steps.append(
            Step(
                edges[0] if edges else "",
                description,
                names.type_name(node),
                size,
                address,
                node,
                widths[depth] if widths else 1,
                names.site(node),
            )
        )
    return Path(_folded(steps), count)


def _edge(step: Step, before: Step) -> str:
    """The edge in words; of a frame where it is, which says more."""
    if not step.address:
        return step.description
    text = shown(step.edge or f"<{step.type_name}>")
    if step.count > before.count:
        text += f" and {step.count - 1:,} more"
    return text


def _folded(steps: Sequence[Step]) -> list[Step]:
    """Without the namespaces: a module's, class's or instance's __dict__ is not a step."""
    folded: list[Step] = []
    for step in steps:
        name = global_name(step.edge)
        if name != step.edge and len(folded) > 1 and folded[-1].edge.lstrip(".") == "__dict__":
            folded.pop()
            dot = "" if folded[-1].type_name == "module" else "."
            step = step._replace(edge=dot + name)
        folded.append(step)
    return folded
