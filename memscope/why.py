"""Why an object is alive: who holds it, by name, from a root on."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from memscope.heap import HeapSnapshot, take_heap_snapshot
from memscope.heap_nodes import is_class

if TYPE_CHECKING:
    from memscope.files import PathLike
    from memscope.heap_paths import Paths

__all__ = ["WhyAlive", "why_alive"]

MOST_PATHS = 1


def why_alive(
    obj: object, *, limit: int = MOST_PATHS, snapshot: HeapSnapshot | None = None
) -> WhyAlive:
    """Who holds *obj*; if it is a class, who holds its instances.

    *limit*: paths, shortest first.  *snapshot*: of what moment, by default of now; also
    of rows that its find() returned.  Where memory is traced, each step of a path says
    where it was allocated.

    Raises ValueError if the object is not in *snapshot*.  Cost: a walk of the heap, about
    a full collection, and a search.
    """
    taken = take_heap_snapshot(traces=False) if snapshot is None else snapshot
    if is_class(obj):
        cls: Any = obj
        rows = taken.find(type=cls)
        return WhyAlive(rows.title, len(rows), taken.paths_to_root(rows, limit=limit))
    return WhyAlive("", 1, taken.paths_to_root(obj, limit=limit))


class WhyAlive:
    """The paths by which an object, or all objects of a class, are held.

    ``paths`` has them, shortest first; ``count`` is the number of objects.
    """

    __slots__ = ("count", "paths", "title")

    def __init__(self, title: str, count: int, paths: Paths) -> None:
        self.title = title
        self.count = count
        self.paths = paths

    @property
    def holder(self) -> str:
        """What holds it, by name: "module app.cache -> _sessions"; "" if nothing known does."""
        return self.paths[0].holder if self.paths else ""

    def __bool__(self) -> bool:
        """Whether anything holds it."""
        return bool(self.paths)

    def __str__(self) -> str:
        text = str(self.paths)
        return f"{self.title}\n{text}" if self.title else text

    def __repr__(self) -> str:
        return f"<WhyAlive: {self.count} objects, {len(self.paths)} paths>"

    def show(self, file: IO[str] | None = None, *, filename: PathLike | None = None) -> None:
        """Print each path as a tree, with classes, sizes and allocation sites.

        *filename*: draw them instead; see Paths.show.
        """
        if self.title and filename is None:
            print(self.title, end="\n\n", file=file)
        self.paths.show(file, filename=filename)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.paths._repr_mimebundle_(include, exclude)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json."""
        return {"count": self.count, "holder": self.holder, **self.paths.to_dict()}
