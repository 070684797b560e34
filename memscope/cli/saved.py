"""Saved files of every kind: what is in one, told by its content, and loaded.

A file may come from a stranger: whatever is wrong with it ends in one sentence.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from memscope.cli.output import CommandError, file_errors, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memscope.heap import HeapSnapshot
    from memscope.leak_report import LeakReport
    from memscope.snapshot import Snapshot

__all__ = ["kind_of", "load", "load_allocations", "load_heap", "load_report"]

REPORT, ALLOCATIONS, HEAP = "leak report", "snapshot of allocations", "heap snapshot"

HOW_TO_GET = {
    REPORT: "memscope run -o FILE.json",
    ALLOCATIONS: "memscope run -o FILE.memscope, or Snapshot.save",
    HEAP: "memscope run --heap FILE, or HeapSnapshot.save",
}

COMMANDS_FOR = {
    REPORT: "memscope report",
    ALLOCATIONS: "memscope stats and diff",
    HEAP: "memscope types, why, refs and diff",
}

MAGIC = b"\x89MSCP\r\n\x1a"
HEADER, ENTRY, MOST_CHUNKS = 24, 24, 64
HEAP_CHUNK = b"HEAP"
"""A chunk that every heap snapshot has and no other file."""

PICKLE_MAGIC = b"\x80"


def kind_of(head: bytes) -> str | None:
    """What kind of file begins with *head*; None: none of ours."""
    if head.startswith(MAGIC):
        count = min(int.from_bytes(head[12:16], "little"), MOST_CHUNKS)
        ids = [head[HEADER + ENTRY * number :][:4] for number in range(count)]
        return HEAP if HEAP_CHUNK in ids else ALLOCATIONS
    if head.startswith(PICKLE_MAGIC):
        return ALLOCATIONS
    return REPORT if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else None


def load_report(name: str) -> LeakReport:
    report: LeakReport = load(name, REPORT)
    return report


def load_allocations(name: str) -> Snapshot:
    snapshot: Snapshot = load(name, ALLOCATIONS)
    return snapshot


def load_heap(name: str) -> HeapSnapshot:
    snapshot: HeapSnapshot = load(name, HEAP)
    return snapshot


def load(name: str, *wanted: str) -> Any:
    """What the file *name* ("-": the standard input) holds, if it is a *wanted* kind."""
    with _on_disk(name) as path:
        with file_errors(name), open(path, "rb") as file:
            head = file.read(HEADER + ENTRY * MOST_CHUNKS)
        kind = kind_of(head)
        if kind not in wanted:
            raise CommandError(_wrong_kind(name, kind, wanted))
        with progress(f"reading {name}"):
            return _load(name, path, kind)


def _load(name: str, path: str, kind: str) -> Any:
    from memscope.heap import HeapSnapshot
    from memscope.leak_report import LeakReport
    from memscope.snapshot import Snapshot

    of_kind: Any = {REPORT: LeakReport, ALLOCATIONS: Snapshot, HEAP: HeapSnapshot}[kind]
    try:
        with file_errors(name):
            return of_kind.load(path)
    except ValueError as error:
        raise CommandError(str(error).replace(repr(path), repr(name))) from error
    except (MemoryError, RecursionError) as error:
        why = "it needs more memory than there is" if type(error) is MemoryError else "damaged"
        raise CommandError(f"cannot load {name!r}: {why}") from error


def _wrong_kind(name: str, kind: str | None, wanted: tuple[str, ...]) -> str:
    needed = " or a ".join(wanted)
    how = "; ".join(HOW_TO_GET[one] for one in wanted)
    if kind is None:
        return f"{name!r} is no file of memscope's: a {needed} is needed ({how})"
    return (
        f"{name!r} is a {kind}, which {COMMANDS_FOR[kind]} read{'s' * (kind == REPORT)}:"
        f" a {needed} is needed here ({how})"
    )


@contextmanager
def _on_disk(name: str) -> Iterator[str]:
    """The path of *name*; of the standard input, that of a copy nobody else can read."""
    if name != "-":
        yield name
        return
    with tempfile.TemporaryDirectory(prefix="memscope-") as folder:
        path = os.path.join(folder, "stdin")
        with open(path, "wb") as file:
            while piece := sys.stdin.buffer.read(1 << 20):
                file.write(piece)
        yield path
