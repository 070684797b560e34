"""Statistic and StatisticDiff: live memory by line, file, traceback, function, module or package.

One row each, with tracemalloc's comparisons and texts; and the lists of rows
that the native API returns, which are lists in every respect but their text: they
print as a table.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from memscope import report
from memscope.traces import Traceback, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "GroupStatistic",
    "GroupStatisticDiff",
    "Statistic",
    "StatisticDiff",
    "StatisticDiffs",
    "Statistics",
]


class Statistic:
    """What one place in the program holds: ``size`` in bytes, in ``count`` blocks."""

    __slots__ = ("count", "size", "traceback")

    def __init__(self, traceback: Traceback, size: int, count: int) -> None:
        self.traceback = traceback
        self.size = size
        self.count = count

    def __hash__(self) -> int:
        return hash((self.traceback, self.size, self.count))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Statistic):
            return NotImplemented
        return (self.traceback, self.size, self.count) == (
            other.traceback,
            other.size,
            other.count,
        )

    def __str__(self) -> str:
        text = f"{self._place()}: size={format_size(self.size)}, count={self.count}"
        if self.count:
            text += f", average={format_size(self.size / self.count)}"
        return text

    def __repr__(self) -> str:
        return f"<Statistic traceback={self.traceback!r} size={self.size} count={self.count}>"

    def _place(self) -> str:
        return str(self.traceback)

    def _sort_key(self) -> tuple[int, int, Traceback]:
        return (self.size, self.count, self.traceback)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json: size, count, and the traceback oldest frame first."""
        return {"size": self.size, "count": self.count, "traceback": _frames(self.traceback)}


class StatisticDiff:
    """How one place in the program changed between two snapshots.

    ``size`` and ``count`` are those of the newer snapshot.
    """

    __slots__ = ("count", "count_diff", "size", "size_diff", "traceback")

    def __init__(
        self, traceback: Traceback, size: int, size_diff: int, count: int, count_diff: int
    ) -> None:
        self.traceback = traceback
        self.size = size
        self.size_diff = size_diff
        self.count = count
        self.count_diff = count_diff

    def _key(self) -> tuple[Traceback, int, int, int, int]:
        return (self.traceback, self.size, self.size_diff, self.count, self.count_diff)

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StatisticDiff):
            return NotImplemented
        return self._key() == other._key()

    def __str__(self) -> str:
        text = (
            f"{self._place()}: size={format_size(self.size)}"
            f" ({format_size(self.size_diff, True)}), count={self.count} ({self.count_diff:+})"
        )
        if self.count:
            text += f", average={format_size(self.size / self.count)}"
        return text

    def __repr__(self) -> str:
        return (
            f"<StatisticDiff traceback={self.traceback!r} size={self.size}"
            f" ({self.size_diff:+}) count={self.count} ({self.count_diff:+})>"
        )

    def _place(self) -> str:
        return str(self.traceback)

    def _sort_key(self) -> tuple[int, int, int, int, Traceback]:
        return (abs(self.size_diff), self.size, abs(self.count_diff), self.count, self.traceback)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json: sizes, counts, and the traceback oldest frame first."""
        return {
            "size": self.size,
            "size_diff": self.size_diff,
            "count": self.count,
            "count_diff": self.count_diff,
            "traceback": _frames(self.traceback),
        }


class GroupStatistic(Statistic):
    """What a function, a module or a package holds; ``name`` says which.

    ``traceback`` is one frame at line 0: of a function, its file; of a module or
    a package, which may have many files, the name in the place of the file.
    """

    __slots__ = ("name",)

    def __init__(self, traceback: Traceback, size: int, count: int, name: str) -> None:
        super().__init__(traceback, size, count)
        self.name = name

    __hash__ = Statistic.__hash__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GroupStatistic) and self.name != other.name:
            return False
        return super().__eq__(other)

    def __repr__(self) -> str:
        return f"<GroupStatistic name={self.name!r} size={self.size} count={self.count}>"

    def _place(self) -> str:
        return _named_place(self.name, self.traceback)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **super().to_dict()}


class GroupStatisticDiff(StatisticDiff):
    """How a function, a module or a package changed; ``name`` says which."""

    __slots__ = ("name",)

    def __init__(
        self,
        traceback: Traceback,
        size: int,
        size_diff: int,
        count: int,
        count_diff: int,
        name: str,
    ) -> None:
        super().__init__(traceback, size, size_diff, count, count_diff)
        self.name = name

    __hash__ = StatisticDiff.__hash__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GroupStatisticDiff) and self.name != other.name:
            return False
        return super().__eq__(other)

    def __repr__(self) -> str:
        return (
            f"<GroupStatisticDiff name={self.name!r} size={self.size} ({self.size_diff:+})"
            f" count={self.count} ({self.count_diff:+})>"
        )

    def _place(self) -> str:
        return _named_place(self.name, self.traceback)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **super().to_dict()}


def _named_place(name: str, traceback: Traceback) -> str:
    filename = traceback[-1].filename
    return name if filename == name else f"{name} ({filename})"


def _frames(traceback: Traceback) -> list[list[Any]]:
    return [[frame.filename, frame.lineno] for frame in traceback]


class Statistics(list[Statistic]):
    """Statistics of one snapshot, largest first: a list that prints as a table.

    ``total_size`` and ``total_count`` are of the whole snapshot, in bytes and
    blocks; ``lost`` is how many blocks the tracer could not record.
    """

    def __init__(
        self,
        statistics: Iterable[Statistic] = (),
        *,
        key_type: str = "lineno",
        cumulative: bool = False,
        total_size: int = 0,
        total_count: int = 0,
        lost: int = 0,
    ) -> None:
        super().__init__(statistics)
        self.key_type = key_type
        self.cumulative = cumulative
        self.total_size = total_size
        self.total_count = total_count
        self.lost = lost

    def show(self, limit: int | None = 10, file: IO[str] | None = None) -> None:
        """Print the *limit* largest (None: all) to *file*, by default sys.stdout."""
        report.statistics_table(self, limit).show(file)

    def __str__(self) -> str:
        return report.statistics_table(self, 10).text()

    def _repr_html_(self) -> str:
        return report.statistics_table(self, 10).html()

    def __repr__(self) -> str:
        return (
            f"<Statistics by {self.key_type}: {len(self)} rows,"
            f" {report.size_text(self.total_size)} in {self.total_count} blocks>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json: the totals, and every row under "statistics"."""
        return {
            "key_type": self.key_type,
            "cumulative": self.cumulative,
            "total_size": self.total_size,
            "total_count": self.total_count,
            "lost": self.lost,
            "statistics": [statistic.to_dict() for statistic in self],
        }


class StatisticDiffs(list[StatisticDiff]):
    """What changed between two snapshots, largest change first: a list that prints as a table.

    ``total_size`` and ``total_count`` are of the whole newer snapshot, in bytes
    and blocks, ``size_diff`` and ``count_diff`` how much it exceeds the older;
    ``lost`` is how many blocks the tracer could not record, in the newer.
    """

    def __init__(
        self,
        differences: Iterable[StatisticDiff] = (),
        *,
        key_type: str = "lineno",
        cumulative: bool = False,
        total_size: int = 0,
        size_diff: int = 0,
        total_count: int = 0,
        count_diff: int = 0,
        lost: int = 0,
    ) -> None:
        super().__init__(differences)
        self.key_type = key_type
        self.cumulative = cumulative
        self.total_size = total_size
        self.size_diff = size_diff
        self.total_count = total_count
        self.count_diff = count_diff
        self.lost = lost

    def show(self, limit: int | None = 10, file: IO[str] | None = None) -> None:
        """Print the *limit* largest changes (None: all) to *file*, by default sys.stdout."""
        report.differences_table(self, limit).show(file)

    def __str__(self) -> str:
        return report.differences_table(self, 10).text()

    def _repr_html_(self) -> str:
        return report.differences_table(self, 10).html()

    def __repr__(self) -> str:
        return (
            f"<StatisticDiffs by {self.key_type}: {len(self)} rows,"
            f" {report.size_text(self.size_diff, True)}, {self.count_diff:+} blocks>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json: the totals, and every row under "statistics"."""
        return {
            "key_type": self.key_type,
            "cumulative": self.cumulative,
            "total_size": self.total_size,
            "size_diff": self.size_diff,
            "total_count": self.total_count,
            "count_diff": self.count_diff,
            "lost": self.lost,
            "statistics": [difference.to_dict() for difference in self],
        }
