"""Grouping: from rows that the C table has summed to Statistic and StatisticDiff objects.

The table groups by what it knows of a block: line, file, traceback, function, or
any number given to each file name.  The last is how modules and packages are
done: their names are worked out here, once per distinct file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from memscope.sources import Sources
from memscope.statistics import GroupStatistic, GroupStatisticDiff, Statistic, StatisticDiff
from memscope.traces import Traceback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memscope._memscope import Columns

__all__ = [
    "KEYS",
    "LINE_KEYS",
    "NOT_AN_OBJECT",
    "KeyType",
    "check_key",
    "differences",
    "statistics",
]

KeyType: TypeAlias = Literal[
    "lineno", "filename", "traceback", "function", "module", "package", "type"
]

LINE_KEYS = ("lineno", "filename", "traceback")
"""tracemalloc's."""

KEYS = (*LINE_KEYS, "function", "module", "package", "type")

NOT_AN_OBJECT = "memory of objects and of C code"
"""The type of blocks in which no object lies: the tables of dicts, the arrays of lists, ..."""

NO_TYPES = (
    "the types of its blocks are not known to this snapshot: take it with"
    " take_snapshot(types=True), which walks the heap too; a file does not keep them"
)


def check_key(key_type: str, cumulative: bool, keys: Sequence[str]) -> KeyType:
    """*key_type*; raises ValueError, in tracemalloc's words, for what cannot be grouped."""
    if key_type not in keys:
        raise ValueError(f"unknown key_type: {key_type!r}")
    if cumulative and key_type in ("traceback", "type"):
        raise ValueError(f"cumulative mode cannot by used with key type {key_type!r}")
    return cast("KeyType", key_type)


def statistics(
    columns: Columns, key_type: KeyType, cumulative: bool, *, per_occurrence: bool = False
) -> list[Statistic]:
    """Sorted as tracemalloc sorts; *per_occurrence* counts recursion as tracemalloc does."""
    if key_type == "lineno" or key_type == "filename":
        rows = columns.group(key_type, cumulative, per_occurrence=per_occurrence)
        return [Statistic(Traceback(frames), size, count) for frames, size, count in rows]
    if key_type == "traceback":
        rows = columns.group(key_type)
        return [Statistic(Traceback(frames), size, count) for (frames, _), size, count in rows]
    if key_type == "function":
        rows = columns.group(key_type, cumulative)
        return [
            GroupStatistic(_at(filename), size, count, name)
            for (filename, name), size, count in rows
        ]
    if key_type == "type":
        by_type = [GroupStatistic(_at(name), *row, name) for name, row in _types(columns).items()]
        return sorted(by_type, key=GroupStatistic._sort_key, reverse=True)
    names, (labels,) = _labels(key_type, columns)
    rows = columns.group("label", cumulative, labels=labels)
    return [
        GroupStatistic(_at(names[label]), size, count, names[label]) for label, size, count in rows
    ]


def differences(
    new: Columns,
    old: Columns,
    key_type: KeyType,
    cumulative: bool,
    *,
    per_occurrence: bool = False,
) -> list[StatisticDiff]:
    """Sorted as tracemalloc sorts; *per_occurrence* counts recursion as tracemalloc does."""
    if key_type == "lineno" or key_type == "filename":
        rows = new.compare(old, key_type, cumulative, per_occurrence=per_occurrence)
        return [StatisticDiff(Traceback(frames), *figures) for frames, *figures in rows]
    if key_type == "traceback":
        rows = new.compare(old, key_type)
        return [StatisticDiff(Traceback(frames), *figures) for (frames, _), *figures in rows]
    if key_type == "function":
        rows = new.compare(old, key_type, cumulative)
        return [
            GroupStatisticDiff(_at(filename), size, size_diff, count, count_diff, name)
            for (filename, name), size, size_diff, count, count_diff in rows
        ]
    if key_type == "type":
        new_types, old_types = _types(new), _types(old)
        by_type = []
        for name in {**new_types, **old_types}:
            (size, count), (old_size, old_count) = (
                some.get(name, (0, 0)) for some in (new_types, old_types)
            )
            by_type.append(
                GroupStatisticDiff(_at(name), size, size - old_size, count, count - old_count, name)
            )
        return sorted(by_type, key=GroupStatisticDiff._sort_key, reverse=True)
    names, (labels, old_labels) = _labels(key_type, new, old)
    rows = new.compare(old, "label", cumulative, labels=labels, old_labels=old_labels)
    return [
        GroupStatisticDiff(_at(names[label]), size, size_diff, count, count_diff, names[label])
        for label, size, size_diff, count, count_diff in rows
    ]


def _at(filename: str) -> Traceback:
    return Traceback(((filename, 0),))


def _types(columns: Columns) -> dict[str, tuple[int, int]]:
    """Name of a class -> (bytes, blocks); classes of one name are one."""
    rows = columns.types()
    if rows is None:
        raise ValueError(NO_TYPES)
    types: dict[str, tuple[int, int]] = {}
    for module, qualname, size, count in rows:
        name = NOT_AN_OBJECT
        if qualname is not None:
            name = qualname if module in (None, "builtins") else f"{module}.{qualname}"
        before = types.get(name, (0, 0))
        types[name] = (before[0] + size, before[1] + count)
    return types


def _labels(key_type: KeyType, *tables: Columns) -> tuple[list[str], list[list[int]]]:
    """The names of all modules or packages, and for each table the number of each file's.

    Numbers are in the order of names, so that rows which tie in size and count
    are ordered by name.
    """
    sources = Sources()
    name_of = sources.module if key_type == "module" else sources.package
    known: dict[str, str] = {}
    for table in tables:
        for filename in table.filenames():
            if filename not in known:
                known[filename] = name_of(filename)
    names = sorted(set(known.values()))
    number = {name: index for index, name in enumerate(names)}
    return names, [[number[known[filename]] for filename in t.filenames()] for t in tables]
