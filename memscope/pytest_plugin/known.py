"""The file of known leaks: what fails no test, and may only get shorter.

A line for each leak, to be read and reviewed by people:

    tests/test_app.py::test_login | app.Session | module app -> _sessions | 10

the test, the class, the holder, and how many of them a run leaves at most.  Lines that begin
with # are remarks.  A leak that is not in the file fails its test, and so does one that got
bigger.  A line whose leak is gone fails the run, until ``--memscope-known-update`` drops it;
that option never adds to a file that exists.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from memscope import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from memscope.leak_report import Leak
    from memscope.pytest_plugin.outcome import Outcome

__all__ = ["Entry", "Known"]

HEAD = "# Known leaks, to get shorter only: test | class | held by | objects per run"


class Entry(NamedTuple):
    """One leak of one test."""

    nodeid: str
    type_name: str
    holder: str
    most: int
    """Objects that a run leaves at most."""

    def __str__(self) -> str:
        return " | ".join([self.nodeid, self.type_name, self.holder, str(self.most)])

    @property
    def place(self) -> tuple[str, str, str]:
        return self[:3]


def entry_of(nodeid: str, leak: dict[str, Any], rounds: int) -> Entry:
    most = ceil(leak["count"] / max(rounds, 1))
    return Entry(_plain(nodeid), _plain(leak["type_name"]), _plain(leak["holder"]), most)


def _plain(text: str) -> str:
    """Without what would end the field or the line."""
    return " ".join(text.replace("|", "/").split())


class Known:
    """The file, as it was when the run began."""

    def __init__(
        self, path: Path | None, lines: Sequence[str | Entry], *, is_there: bool = False
    ) -> None:
        self.path = path
        self.lines = lines
        self.entries = {line.place: line for line in lines if isinstance(line, Entry)}
        self.is_there = is_there

    @classmethod
    def read(cls, path: Path | None) -> Known:
        """Raises pytest.UsageError with what is wrong in the file; none is an empty one."""
        if path is None or not path.exists():
            return cls(path, ())
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise pytest.UsageError(f"{path}: {error}") from None
        lines = [_parsed(line, f"{path}:{at}") for at, line in enumerate(_lines(text), 1)]
        return cls(path, lines, is_there=True)

    def has(self, nodeid: str, leak: Leak, rounds: int) -> bool:
        """Whether a leak is known, and not bigger than it was."""
        found = entry_of(nodeid, {**leak.to_dict()}, rounds)
        entry = self.entries.get(found.place)
        return entry is not None and found.most <= entry.most

    def stale(self, outcomes: Iterable[Outcome]) -> list[Entry]:
        """The lines whose test was judged and whose leak was not there."""
        judged: set[str] = set()
        seen: set[tuple[str, str, str]] = set()
        for outcome in outcomes:
            if outcome.verdict != "not judged":
                judged.add(_plain(outcome.nodeid))
            for leak in (*outcome.known, *outcome.leaks):
                seen.add(entry_of(outcome.nodeid, leak, outcome.rounds).place)
        return [
            entry
            for entry in self.entries.values()
            if entry.nodeid in judged and entry.place not in seen
        ]

    def update(self, outcomes: Sequence[Outcome]) -> str:
        """Write the file without what is stale, or, if there was none, with what was found.

        Returns what was done, in words.  Raises OSError.
        """
        assert self.path is not None
        if self.is_there:
            gone = {entry.place for entry in self.stale(outcomes)}
            kept = [line for line in self.lines if isinstance(line, str) or line.place not in gone]
            if gone:
                self._write(kept)
            lines = "line" if len(gone) == 1 else "lines"
            return f"{len(gone)} {lines} dropped from {self.path}" if gone else ""
        found = sorted(
            entry_of(outcome.nodeid, leak, outcome.rounds)
            for outcome in outcomes
            for leak in outcome.leaks
        )
        self._write([HEAD, *found])
        return f"{self.path} made, with {len(found)} known leak{'s' * (len(found) != 1)}"

    def _write(self, lines: Sequence[str | Entry]) -> None:
        assert self.path is not None
        text = "".join(f"{line}\n" for line in lines)
        files.write_whole(self.path, text.encode("utf-8", "backslashreplace"))


def _lines(text: str) -> list[str]:
    return text.splitlines()


def _parsed(line: str, place: str) -> str | Entry:
    if not line.strip() or line.startswith("#"):
        return line
    fields = [field.strip() for field in line.split(" | ")]
    if len(fields) != 4 or not fields[3].isdecimal():
        raise pytest.UsageError(
            f"{place}: a known leak is 'test | class | held by | objects per run', not {line!r}"
        )
    return Entry(fields[0], fields[1], fields[2], int(fields[3]))
