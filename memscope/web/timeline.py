"""The process and its classes over the last minutes.

A point is taken between requests, and when somebody looks at a page: how much is resident
and traced, and how many objects of each class the collector tracks.  Nothing runs by itself, so
a service that nobody asks has no points.

Counting is a pass over all tracked objects, so points have a distance: two seconds, and
fifty times as long as the last one took.  However large the heap, that is two percent of
the time.  Everything is kept in rings of numbers under names; no class is held alive.
"""

from __future__ import annotations

import threading
import time
from array import array
from typing import TYPE_CHECKING, NamedTuple

from memscope import _memscope
from memscope.heap_nodes import class_name, full_name
from memscope.naming import exact
from memscope.process import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["CLASSES", "POINTS", "ClassSeries", "Point", "Timeline", "class_counts", "rises"]

POINTS = 120
CLASSES = 1000
LEAST_PAUSE = 2.0
PAUSES = 50
"""How many times as long as a point took is waited before the next."""

LEAST_POINTS, LEAST_RISES = 5, 2
OTHERS = 4
"""Row of the classes that are not told apart, after those of the fields of a Point."""

FIRST_ROWS = OTHERS + 1
OWN = "memscope."
LONGEST_NAME = 300


class Point(NamedTuple):
    """The process at one moment."""

    time: float
    """Of time.time()."""
    rss: int
    """Resident bytes; 0 where the platform does not tell."""
    traced: int
    objects: int
    """That the collector tracks."""


class ClassSeries(NamedTuple):
    """The objects of one class, or of several of one name."""

    name: str
    values: tuple[int, ...]
    """How many there were at each point, oldest first, since its first object was seen."""
    bytes: int
    """Their own, at the last point."""

    @property
    def growth(self) -> int:
        return self.values[-1] - self.values[0] if self.values else 0

    @property
    def rises(self) -> int:
        """At how many points there were more than before; 0 if they do not only go up."""
        return rises(self.values)


class Timeline:
    """The last points.  Any thread may call it."""

    def __init__(self, points: int = POINTS, classes: int = CLASSES) -> None:
        self._points = points
        self._classes = classes
        self.forked()

    def forked(self) -> None:
        """This is another process, whose history begins now."""
        self._lock = threading.Lock()
        self._due = 0.0
        self._taken = 0
        # One block of numbers for all series, so that they are not themselves hundreds of
        # objects that become more.
        self._numbers = array("q", bytes(8 * self._points * FIRST_ROWS))
        self._free: list[int] = []
        self._rows: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self.own_objects = 0
        """Of memscope's classes at the last point, which have no series."""
        self.merged = 0
        """Classes at the last point that are not told apart: those with the fewest objects."""

    def tick(self, *, at_once: bool = False) -> bool:
        """Take a point if one is due; whether one was taken."""
        if time.monotonic() < self._due and not at_once:
            return False
        if not self._lock.acquire(blocking=False):
            return False
        try:
            began = time.perf_counter()
            self._take()
            cost = time.perf_counter() - began
            self._due = time.monotonic() + max(LEAST_PAUSE, PAUSES * cost)
        finally:
            self._lock.release()
        return True

    @property
    def pause(self) -> float:
        """Seconds until the next point is due."""
        return max(self._due - time.monotonic(), 0.0)

    def points(self) -> list[Point]:
        """Oldest first."""
        with self._lock:
            return [
                Point(milliseconds / 1000, rss, traced, objects)
                for milliseconds, rss, traced, objects in zip(
                    *(self._ordered(row) for row in range(OTHERS)), strict=True
                )
            ]

    def classes(self) -> list[ClassSeries]:
        """Of the last points: what only goes up first, and most often; then what grew."""
        with self._lock:
            found = [self._series_of(name) for name in self._rows]
        found.sort(key=lambda one: (-one.rises, -one.growth, -one.values[-1], one.name))
        return found

    def series(self, name: str) -> ClassSeries | None:
        """Of one class; None if it is not known."""
        with self._lock:
            return self._series_of(name) if name in self._rows else None

    def others(self) -> int:
        """Objects, at the last point, of the classes that are not told apart."""
        with self._lock:
            return self._ordered(OTHERS)[-1] if self._taken else 0

    # -- under the lock

    def _take(self) -> None:
        counts = class_counts()
        traced = _memscope.get_traced_memory()[0] if _memscope.is_tracing() else 0
        objects = sum(count for count, _ in counts.values())
        own = [name for name in counts if name.startswith(OWN)]
        self.own_objects = sum(counts.pop(name)[0] for name in own)
        now = (int(time.time() * 1000), resident_bytes() or 0, traced, objects)
        for field, value in enumerate(now):
            self._set(field, value)
        kept = self._told_apart(counts)
        merged = [count for name, (count, _) in counts.items() if name not in kept]
        self._set(OTHERS, sum(merged))
        self.merged = len(merged)
        nothing = (0, 0)
        self._bytes = {name: counts.get(name, nothing)[1] for name in kept}
        for name in kept:
            row = self._rows.get(name)
            self._set(self._begin(name) if row is None else row, counts.get(name, nothing)[0])
        self._taken += 1

    def _told_apart(self, counts: dict[str, tuple[int, int]]) -> Collection[str]:
        """The names that have a series of their own; those of others end."""
        gone = [name for name in self._rows if name not in counts]
        for name in gone:
            if not any(self._row(self._rows[name])):
                self._end(name)
        names = {*self._rows, *counts}
        if len(names) <= self._classes:
            return names
        nothing = (0, 0)
        order = sorted(names, key=lambda name: (-counts.get(name, nothing)[0], name))
        for name in order[self._classes :]:
            if name in self._rows:
                self._end(name)
        return set(order[: self._classes])

    def _begin(self, name: str) -> int:
        if not self._free:
            row = len(self._numbers) // self._points
            self._numbers.frombytes(bytes(8 * self._points))
        else:
            row = self._free.pop()
            for at in range(row * self._points, (row + 1) * self._points):
                self._numbers[at] = 0
        self._rows[name] = row
        self._since[name] = self._taken
        return row

    def _end(self, name: str) -> None:
        """A series goes, and what it was counts among the others."""
        row = self._rows.pop(name)
        self._since.pop(name)
        for at, value in enumerate(self._row(row)):
            self._numbers[OTHERS * self._points + at] += value
        self._free.append(row)

    def _set(self, row: int, value: int) -> None:
        self._numbers[row * self._points + self._taken % self._points] = value

    def _row(self, row: int) -> array[int]:
        return self._numbers[row * self._points : (row + 1) * self._points]

    def _series_of(self, name: str) -> ClassSeries:
        known = min(self._taken - self._since[name], self._points)
        values = self._ordered(self._rows[name])
        return ClassSeries(name, tuple(values[-known:]), self._bytes.get(name, 0))

    def _ordered(self, row: int) -> array[int]:
        values = self._row(row)
        if self._taken <= self._points:
            return values[: self._taken]
        at = self._taken % self._points
        return values[at:] + values[:at]


def class_counts() -> dict[str, tuple[int, int]]:
    """(objects, bytes) that the collector tracks, by the name of their class."""
    counts: dict[str, tuple[int, int]] = {}
    for cls, count, size in _memscope.gc_types(sizes=True):
        module, qualname = class_name(cls)
        # A program may have given the class a name of a class of its own.
        name = full_name(module, exact(qualname))[:LONGEST_NAME]
        before = counts.get(name)
        counts[name] = (count, size) if before is None else (before[0] + count, before[1] + size)
    return counts


def rises(values: Sequence[int]) -> int:
    """How often they rose; 0 if they do not only go up.

    That is: they never fell, rose again and again, and lately too, so that what a program
    makes while it warms up is not taken for what it goes on making.
    """
    if len(values) < LEAST_POINTS:
        return 0
    found = last = 0
    for at in range(1, len(values)):
        if values[at] < values[at - 1]:
            return 0
        if values[at] > values[at - 1]:
            found, last = found + 1, at
    return found if found >= LEAST_RISES and last >= len(values) // 2 else 0
