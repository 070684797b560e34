"""What a statistic looks like: lists of statistics to tables, plain data in, plain data out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from memscope.sources import Sources, source_line
from memscope.table import Column, Row, Table, clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memscope.statistics import Statistic, StatisticDiff, StatisticDiffs, Statistics

__all__ = ["differences_table", "first_rows", "share_text", "size_text", "statistics_table"]

HEADS = {
    "lineno": ("line", "Line", "Source"),
    "traceback": ("traceback", "Line", "Source"),
    "filename": ("file", "File", ""),
    "function": ("function", "Function", "File"),
    "module": ("module", "Module", ""),
    "package": ("package", "Package", ""),
    "type": ("type", "Type", ""),
}
"""Key -> what a row is, the title of its column, the title of what stands beside it."""
T = TypeVar("T")

SOURCE_MAX = 100
"""Characters of a source line worth showing, however wide the terminal."""


def statistics_table(statistics: Statistics, limit: int | None) -> Table:
    """The *limit* largest rows (None: all), the sum of the others, and the total."""
    shown, rest = first_rows(statistics, limit)
    unit, place, aside = HEADS[statistics.key_type]
    columns = (
        Column("Size"),
        Column("Share"),
        Column("Blocks"),
        Column("Average"),
        Column(place, "left"),
    )
    total = statistics.total_size
    describe = _Describer(statistics.key_type)
    rows = []
    for one in shown:
        numbers = (*_amounts(one.size, total, one.count), _average(one.size, one.count))
        rows += describe.rows(numbers, one)
    if rest:
        text = f"... {len(rest):,} more"
        if statistics.cumulative:
            # A block counts in every row it passes through, so rows do not add up.
            rows.append(Row(("", "", "", "", text)))
        else:
            size, count = sum(one.size for one in rest), sum(one.count for one in rest)
            rows.append(Row((*_amounts(size, total, count), _average(size, count), text)))
    count = statistics.total_count
    rows.append(Row((*_amounts(total, total, count), _average(total, count), "total"), "", "bold"))
    title = (
        f"Live memory by {unit}{', cumulative' if statistics.cumulative else ''}:"
        f" {size_text(total)} in {count:,} blocks"
    )
    return Table(title, columns, tuple(rows), _notes(statistics.lost), aside)


def differences_table(differences: StatisticDiffs, limit: int | None) -> Table:
    """The *limit* largest changes (None: all), the sum of the others, and the total."""
    changed = [one for one in differences if one.size_diff or one.count_diff]
    shown, rest = first_rows(changed, limit)
    unit, place, aside = HEADS[differences.key_type]
    columns = (
        Column("Growth"),
        Column("Share"),
        Column("Size"),
        Column("New blocks"),
        Column("Blocks"),
        Column(place, "left"),
    )
    growth = sum(one.size_diff for one in changed if one.size_diff > 0)

    def numbers(size_diff: int, size: int, count_diff: int, count: int) -> tuple[str, ...]:
        share = share_text(size_diff, growth) if size_diff > 0 else ""
        return (
            size_text(size_diff, True),
            share,
            size_text(size),
            f"{count_diff:+,}",
            f"{count:,}",
        )

    describe = _Describer(differences.key_type)
    rows = []
    for one in shown:
        rows += describe.rows(numbers(one.size_diff, one.size, one.count_diff, one.count), one)
    if rest:
        text = f"... {len(rest):,} more"
        if differences.cumulative:
            rows.append(Row(("", "", "", "", "", text)))
        else:
            sums = numbers(
                sum(one.size_diff for one in rest),
                sum(one.size for one in rest),
                sum(one.count_diff for one in rest),
                sum(one.count for one in rest),
            )
            # A sum of ups and downs has no share in the growth.
            rows.append(Row((sums[0], "", *sums[2:], text)))
    totals = numbers(
        differences.size_diff,
        differences.total_size,
        differences.count_diff,
        differences.total_count,
    )
    rows.append(Row((totals[0], "", *totals[2:], "total"), "", "bold"))
    title = (
        f"Change by {unit}{', cumulative' if differences.cumulative else ''}:"
        f" {size_text(differences.size_diff, True)}, {differences.count_diff:+,} blocks"
    )
    return Table(title, columns, tuple(rows), _notes(differences.lost), aside)


class _Describer:
    """Names the place of a statistic: a path short enough to read, and its source line."""

    def __init__(self, key_type: str) -> None:
        self._key_type = key_type
        self._sources = Sources()

    def rows(self, numbers: Sequence[str], one: Statistic | StatisticDiff) -> list[Row]:
        """The row of *one*, and below it, for a traceback, a row for every caller."""
        frames = [(frame.filename, frame.lineno) for frame in reversed(one.traceback)]
        filename = frames[0][0]
        name = getattr(one, "name", "")
        if self._key_type == "function":
            return [Row((*numbers, name), self._sources.shown(filename))]
        if self._key_type in ("module", "package", "type"):
            return [Row((*numbers, name))]
        if self._key_type == "filename":
            return [Row((*numbers, self._sources.shown(filename)))]
        blanks = ("",) * len(numbers)
        rows = []
        for depth, (filename, lineno) in enumerate(frames):
            shown = f"{self._sources.shown(filename)}:{lineno}" if lineno else filename
            cells = (*blanks, f"  from {shown}") if depth else (*numbers, shown)
            rows.append(Row(cells, clip(source_line(filename, lineno), SOURCE_MAX)))
        return rows


def size_text(size: float, sign: bool = False) -> str:
    """*size* bytes to three digits: 512 B, 1.50 KiB, 12.3 MiB; with *sign*, a plus too."""
    plus = "+" if sign else ""
    if abs(size) < 1023.5:
        return f"{size:{plus}.0f} B"
    units = ["TiB", "GiB", "MiB", "KiB"]
    while abs(size := size / 1024) >= 1023.5 and len(units) > 1:
        units.pop()
    decimals = 2 if abs(size) < 9.995 else 1 if abs(size) < 99.95 else 0
    return f"{size:{plus}.{decimals}f} {units[-1]}"


def first_rows(rows: Sequence[T], limit: int | None) -> tuple[Sequence[T], Sequence[T]]:
    """The first *limit* rows (None: all), and the others."""
    if limit is None:
        return rows, ()
    if limit < 0:
        raise ValueError(f"limit must be None or at least 0, not {limit}")
    return rows[:limit], rows[limit:]


def _amounts(size: int, total: int, count: int) -> tuple[str, str, str]:
    return size_text(size), share_text(size, total), f"{count:,}"


def share_text(size: int, total: int) -> str:
    """*size* as a share of *total*; "" of nothing."""
    return f"{100 * size / total:.1f} %" if total else ""


def _average(size: int, count: int) -> str:
    return size_text(size / count) if count else ""


def _notes(lost: int) -> tuple[str, ...]:
    if not lost:
        return ()
    were = "block was" if lost == 1 else "blocks were"
    return (f"{lost:,} {were} lost: the tracer had no memory to record them, so they are missing.",)
