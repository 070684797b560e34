"""What a heap snapshot answers with: rows of plain data, and the lists that print as tables.

Rows are made of numbers and of names that were computed when the question was asked;
no row holds one of the program's objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple, overload

from memscope import heap_report
from memscope.report import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from memscope.table import Table

__all__ = [
    "ContainerGrowth",
    "HeapDiff",
    "ObjectRow",
    "ObjectRows",
    "TypeDiff",
    "TypeRow",
    "TypeRows",
]

BATCH = 4096
"""Rows that are made at once: each batch looks at the live heap once."""


class Shown:
    """Something that prints as a table."""

    def _table(self, limit: int | None) -> Table:
        raise NotImplementedError

    def show(self, limit: int | None = 10, file: IO[str] | None = None) -> None:
        """Print the first *limit* rows (None: all) to *file*, by default sys.stdout."""
        self._table(limit).show(file)

    def __str__(self) -> str:
        return self._table(10).text()

    def _repr_html_(self) -> str:
        return self._table(10).html()


class TypeRow(NamedTuple):
    """All objects of one class: how many, and their own bytes."""

    type_name: str
    """module.qualname; builtins without their module."""
    count: int  # type: ignore[assignment]
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        return self._asdict()


class TypeRows(Shown, list[TypeRow]):
    """Classes, those with the most bytes first; the totals are of all objects asked about."""

    def __init__(self, rows: Iterable[TypeRow], total_count: int, total_bytes: int) -> None:
        super().__init__(rows)
        self.total_count = total_count
        self.total_bytes = total_bytes

    def _table(self, limit: int | None) -> Table:
        return heap_report.types_table(self, limit)

    def __repr__(self) -> str:
        return (
            f"<TypeRows: {len(self)} classes, {size_text(self.total_bytes)}"
            f" in {self.total_count} objects>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json: the totals, and every row under "types"."""
        return {
            "total_count": self.total_count,
            "total_bytes": self.total_bytes,
            "types": [row.to_dict() for row in self],
        }


class TypeDiff(NamedTuple):
    """How the objects of one class changed; ``count`` and ``bytes`` are the newer ones."""

    type_name: str
    count: int  # type: ignore[assignment]
    count_diff: int
    bytes: int
    bytes_diff: int

    def to_dict(self) -> dict[str, Any]:
        return self._asdict()


class ContainerGrowth(NamedTuple):
    """One object that refers to more objects, or takes more bytes, than before.

    ``references`` and ``bytes`` are the newer ones, both without what it refers to.
    """

    description: str
    type_name: str
    address: int
    references: int
    references_diff: int
    bytes: int
    bytes_diff: int
    node: int
    """Its number in the newer snapshot."""

    def to_dict(self) -> dict[str, Any]:
        return self._asdict()


class HeapDiff(Shown):
    """What changed between two heap snapshots.

    ``types``: every class whose objects changed in number or bytes, largest growth in
    bytes first.  ``containers``: the objects that grew most, of ``containers_total``.
    """

    def __init__(
        self,
        types: Sequence[TypeDiff],
        containers: Sequence[ContainerGrowth],
        containers_total: int,
        *,
        total_count: int,
        count_diff: int,
        total_bytes: int,
        bytes_diff: int,
    ) -> None:
        self.types = list(types)
        self.containers = list(containers)
        self.containers_total = containers_total
        self.total_count = total_count
        self.count_diff = count_diff
        self.total_bytes = total_bytes
        self.bytes_diff = bytes_diff

    @property
    def new(self) -> list[TypeDiff]:
        """Classes that had no objects before."""
        return [row for row in self.types if row.count == row.count_diff]

    @property
    def gone(self) -> list[TypeDiff]:
        """Classes that have no objects any more."""
        return [row for row in self.types if row.count == 0]

    def _table(self, limit: int | None) -> Table:
        return heap_report.type_changes_table(self, limit)

    def show(self, limit: int | None = 10, file: IO[str] | None = None) -> None:
        """Print the *limit* largest changes (None: all) of classes, and of containers."""
        for number, table in enumerate(self._tables(limit)):
            if number:
                print(file=file)
            table.show(file)

    def _tables(self, limit: int | None) -> list[Table]:
        tables = [heap_report.type_changes_table(self, limit)]
        if self.containers:
            tables.append(heap_report.containers_table(self, limit))
        return tables

    def __str__(self) -> str:
        return "\n\n".join(table.text() for table in self._tables(10))

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in self._tables(10))

    def __repr__(self) -> str:
        return (
            f"<HeapDiff: {len(self.types)} classes changed,"
            f" {size_text(self.bytes_diff, True)}, {self.count_diff:+} objects>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json."""
        return {
            "total_count": self.total_count,
            "count_diff": self.count_diff,
            "total_bytes": self.total_bytes,
            "bytes_diff": self.bytes_diff,
            "types": [row.to_dict() for row in self.types],
            "new": [row.type_name for row in self.new],
            "gone": [row.type_name for row in self.gone],
            "containers": [row.to_dict() for row in self.containers],
            "containers_total": self.containers_total,
        }


class ObjectRow(NamedTuple):
    """One object, thread or frame."""

    names: tuple[str, ...]
    """By which names the reference is known that led here; () if none did."""
    description: str
    type_name: str
    bytes: int
    address: int
    """0 for a thread or a frame."""
    node: int

    def to_dict(self) -> dict[str, Any]:
        return {**self._asdict(), "names": list(self.names)}


class ObjectRows(Shown, Sequence[ObjectRow]):
    """Objects of a snapshot.  A row, and its names, are made when it is looked at."""

    def __init__(
        self, title: str, nodes: Sequence[int], make: Callable[[Sequence[int]], list[ObjectRow]]
    ) -> None:
        self.title = title
        self.nodes = tuple(nodes)
        """Their numbers in the snapshot."""
        self._make = make

    def __len__(self) -> int:
        return len(self.nodes)

    @overload
    def __getitem__(self, index: int) -> ObjectRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[ObjectRow]: ...
    def __getitem__(self, index: int | slice) -> ObjectRow | list[ObjectRow]:
        if isinstance(index, slice):
            return self._make(self.nodes[index])
        return self._make([self.nodes[index]])[0]

    def __iter__(self) -> Iterator[ObjectRow]:
        for start in range(0, len(self.nodes), BATCH):
            yield from self._make(self.nodes[start : start + BATCH])

    def _table(self, limit: int | None) -> Table:
        return heap_report.objects_table(self, limit)

    def __repr__(self) -> str:
        return f"<ObjectRows: {self.title}>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json.  Cost: one row for each object."""
        return {"title": self.title, "objects": [row.to_dict() for row in self]}
