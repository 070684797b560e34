"""What the answers of a heap snapshot look like: rows to tables, plain data in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memscope.report import first_rows, share_text, size_text
from memscope.table import Column, Row, Table

if TYPE_CHECKING:
    from memscope.heap_retained import DominatorTree, RetainedPart, RetainedRows
    from memscope.heap_rows import HeapDiff, ObjectRows, TypeRows

__all__ = [
    "containers_table",
    "dominators_table",
    "objects_table",
    "retained_table",
    "type_changes_table",
    "types_table",
]

GROUPS = {
    "type": "Type",
    "module": "Module of the class",
    "holder": "Holder",
    "site": "Allocated at",
    "lineno": "Allocated at",
    "filename": "Allocated in",
    "function": "Allocated by",
}
"""What RetainedRows are grouped by -> the title of the column."""

PARTS_SHOWN = 3
"""Parts of a group that are named in a table."""


def types_table(types: TypeRows, limit: int | None) -> Table:
    """The *limit* classes with the most bytes (None: all), the sum of the others, the total."""
    shown, rest = first_rows(types, limit)
    total = types.total_bytes

    def cells(size: int, count: int, name: str) -> tuple[str, ...]:
        average = size_text(size / count) if count else ""
        return size_text(size), share_text(size, total), f"{count:,}", average, name

    rows = [Row(cells(one.bytes, one.count, one.type_name)) for one in shown]
    if rest:
        size, count = sum(one.bytes for one in rest), sum(one.count for one in rest)
        rows.append(Row(cells(size, count, f"... {len(rest):,} more")))
    rows.append(Row(cells(total, types.total_count, "total"), "", "bold"))
    columns = (
        Column("Size"),
        Column("Share"),
        Column("Objects"),
        Column("Average"),
        Column("Type", "left"),
    )
    title = f"Live objects by type: {size_text(total)} in {types.total_count:,} objects"
    return Table(title, columns, tuple(rows))


def type_changes_table(changes: HeapDiff, limit: int | None) -> Table:
    """The *limit* largest changes by class (None: all), the sum of the others, the total."""
    shown, rest = first_rows(changes.types, limit)

    def cells(size_diff: int, size: int, count_diff: int, count: int, name: str) -> Row:
        return Row(
            (
                size_text(size_diff, True),
                size_text(size),
                f"{count_diff:+,}",
                f"{count:,}",
                name,
            )
        )

    def mark(count: int, count_diff: int) -> str:
        return " (new)" if count == count_diff else " (gone)" if count == 0 else ""

    rows = [
        cells(
            one.bytes_diff,
            one.bytes,
            one.count_diff,
            one.count,
            one.type_name + mark(one.count, one.count_diff),
        )
        for one in shown
    ]
    if rest:
        rows.append(
            cells(
                sum(one.bytes_diff for one in rest),
                sum(one.bytes for one in rest),
                sum(one.count_diff for one in rest),
                sum(one.count for one in rest),
                f"... {len(rest):,} more",
            )
        )
    total = cells(
        changes.bytes_diff, changes.total_bytes, changes.count_diff, changes.total_count, "total"
    )
    rows.append(total._replace(style="bold"))
    columns = (
        Column("Growth"),
        Column("Size"),
        Column("New objects"),
        Column("Objects"),
        Column("Type", "left"),
    )
    title = (
        f"Change by type: {size_text(changes.bytes_diff, True)}, {changes.count_diff:+,} objects"
    )
    return Table(title, columns, tuple(rows))


def containers_table(changes: HeapDiff, limit: int | None) -> Table:
    """The *limit* objects that grew most (None: all that were kept)."""
    shown, _ = first_rows(changes.containers, limit)
    rows = [
        Row(
            (
                f"{one.references_diff:+,}",
                f"{one.references:,}",
                size_text(one.bytes_diff, True),
                one.type_name,
                one.description,
            )
        )
        for one in shown
    ]
    if more := changes.containers_total - len(shown):
        rows.append(Row(("", "", "", "", f"... {more:,} more")))
    columns = (
        Column("New references"),
        Column("References"),
        Column("Growth"),
        Column("Type", "left"),
        Column("Container", "left"),
    )
    return Table(
        f"Containers that grew: {changes.containers_total:,}",
        columns,
        tuple(rows),
    )


def objects_table(objects: ObjectRows, limit: int | None) -> Table:
    """The first *limit* objects (None: all)."""
    nodes, rest = first_rows(objects.nodes, limit)
    rows = [
        Row((size_text(one.bytes), ", ".join(one.names), one.type_name, one.description))
        for one in objects[: len(nodes)]
    ]
    if rest:
        rows.append(Row(("", "", "", f"... {len(rest):,} more")))
    columns = [
        Column("Size"),
        Column("Reference", "left"),
        Column("Type", "left"),
        Column("Object", "left"),
    ]
    if not any(row.cells[1] for row in rows):
        del columns[1]
        rows = [Row((row.cells[0], *row.cells[2:])) for row in rows]
    return Table(objects.title, tuple(columns), tuple(rows))


def retained_table(groups: RetainedRows, limit: int | None) -> Table:
    """The *limit* groups that retain most (None: all)."""
    shown, rest = first_rows(groups, limit)
    total = groups.total_bytes
    with_parts = any(row.parts for row in groups)
    rows = [
        Row(
            (
                size_text(one.retained_bytes),
                share_text(one.retained_bytes, total),
                size_text(one.bytes),
                f"{one.count:,}",
                one.name,
                *([_parts_text(one.parts)] if with_parts else []),
            )
        )
        for one in shown
    ]
    if rest:
        rows.append(Row(("", "", "", "", f"... {len(rest):,} more", *[""] * with_parts)))
    columns = [
        Column("Retained"),
        Column("Share"),
        Column("Size"),
        Column("Objects"),
        Column(GROUPS[groups.by], "left"),
    ]
    if with_parts:
        columns.append(Column("Lines" if groups.by == "type" else "Types", "left"))
    title = f"Retained by {groups.by}: of {size_text(total)} in {groups.total_count:,} objects"
    return Table(title, tuple(columns), tuple(rows))


def _parts_text(parts: tuple[RetainedPart, ...]) -> str:
    named = [f"{part.name} {part.count:,}" for part in parts[:PARTS_SHOWN]]
    if more := len(parts) - len(named):
        named.append(f"{more:,} more")
    return ", ".join(named)


def dominators_table(tree: DominatorTree, limit: int | None) -> Table:
    """The first *limit* rows (None: all), indented by depth."""
    shown, rest = first_rows(tree, limit)
    rows = []
    for one in shown:
        words = [one.edge] if one.edge else []
        words.append(one.description)
        if one.count == 1 and one.type_name not in one.description and one.address:
            words.append(f"({one.type_name})")
        if one.site:
            words.append(f"allocated at {one.site}")
        rows.append(
            Row(
                (
                    size_text(one.retained_bytes),
                    share_text(one.retained_bytes, tree.total_bytes),
                    f"{one.retained_count:,}",
                    size_text(one.bytes),
                    "  " * one.depth + "  ".join(words),
                )
            )
        )
    if rest:
        rows.append(Row(("", "", "", "", f"... {len(rest):,} more")))
    columns = (
        Column("Retained"),
        Column("Share"),
        Column("Objects"),
        Column("Size"),
        Column("Object", "left"),
    )
    return Table(tree.title, columns, tuple(rows))
