"""Snapshots of allocations that were taken: the last few, with the counts of classes.

How many there are and how much memory they take is bounded.  When there is no room, the oldest
that was taken by itself goes first, then the oldest.  Those that nobody asked for have a
distance, so that a service whose every request is slow does not spend its time on them.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from memscope import _memscope
from memscope.tracing import take_snapshot
from memscope.web.timeline import class_counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memscope.snapshot import Snapshot

__all__ = ["MOST", "MOST_BYTES", "Shelf", "Taken"]

MOST = 8
MOST_BYTES = 256 << 20
"""Of all together; the newest stays even if it has more."""

LONGEST_LABEL = 200
LEAST_PAUSE, PAUSES = 10.0, 50
"""Between two that are taken by themselves: seconds, and times as long as the last took."""


class Taken(NamedTuple):
    """A snapshot, and when and why it was taken."""

    number: int
    label: str
    time: float
    """Of time.time()."""
    is_automatic: bool
    snapshot: Snapshot
    types: dict[str, tuple[int, int]]
    """Objects and bytes by class, of what the collector tracks."""

    @property
    def nbytes(self) -> int:
        """What keeping it costs."""
        return self.snapshot.columns.nbytes


class Shelf:
    """The snapshots.  Any thread may call it."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._numbers = 0
        self._taken: list[Taken] = []
        self.forked()

    def forked(self) -> None:
        """This is another process; what the parent took stays, as a picture of its past."""
        self._lock = threading.RLock()
        self._due = 0.0

    def take(self, label: str, *, automatic: bool = False) -> Taken | None:
        """Keep a snapshot of now.

        None if memory is not traced, or if it is *automatic* and none is due.
        """
        if not _memscope.is_tracing() or (automatic and time.monotonic() < self._due):
            return None
        began = time.perf_counter()
        types = class_counts()
        snapshot = take_snapshot()
        cost = time.perf_counter() - began
        with self._lock:
            self._numbers += 1
            taken = Taken(
                self._numbers, label[:LONGEST_LABEL], time.time(), automatic, snapshot, types
            )
            self._taken.append(taken)
            self._make_room()
            if automatic:
                self._due = time.monotonic() + max(LEAST_PAUSE, PAUSES * cost)
        return taken

    def forget(self, number: int) -> bool:
        """Whether it was there."""
        with self._lock:
            before = len(self._taken)
            self._taken = [one for one in self._taken if one.number != number]
            return len(self._taken) < before

    def get(self, number: int) -> Taken | None:
        return next((one for one in self if one.number == number), None)

    def __len__(self) -> int:
        return len(self._taken)

    def __iter__(self) -> Iterator[Taken]:
        """Newest first."""
        return reversed(self._taken[:])

    def _make_room(self) -> None:
        while len(self._taken) > 1 and (
            len(self._taken) > self._most
            or sum(one.nbytes for one in self._taken) > self._most_bytes
        ):
            others = self._taken[:-1]
            self._taken.remove(next((one for one in others if one.is_automatic), others[0]))
