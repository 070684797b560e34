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
    from collections.abc import Iterable, Sequence

__all__ = ["CLASSES", "POINTS", "ClassSeries", "Point", "Timeline", "class_counts", "only_rises"]

POINTS = 120
CLASSES = 1000
LEAST_PAUSE = 2.0
PAUSES = 50
"""How many times as long as a point took is waited before the next."""

LEAST_POINTS, LEAST_RISES = 5, 2
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
    def only_up(self) -> bool:
        return only_rises(self.values)


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
        self._process = [array("q", bytes(8 * self._points)) for _ in range(4)]
        self._series: dict[str, array[int]] = {}
        self._since: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._others = array("q", bytes(8 * self._points))
        self.merged = 0
        """Classes at the last point that are not told apart: those with the fewest objects."""
        self.seconds = 0.0
        """That all points took."""

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
            self.seconds += cost
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
                    *(self._ordered(ring) for ring in self._process), strict=True
                )
            ]

    def classes(self) -> list[ClassSeries]:
        """Of the last points: what only goes up first, then what grew, then what is many."""
        with self._lock:
            found = [self._series_of(name) for name in self._series]
        found.sort(key=lambda one: (not one.only_up, -one.growth, -one.values[-1], one.name))
        return found

    def series(self, name: str) -> ClassSeries | None:
        """Of one class; None if it is not known."""
        with self._lock:
            return self._series_of(name) if name in self._series else None

    def others(self) -> int:
        """Objects, at the last point, of the classes that are not told apart."""
        with self._lock:
            return self._others[(self._taken - 1) % self._points] if self._taken else 0

    # -- under the lock

    def _take(self) -> None:
        counts = class_counts()
        traced = _memscope.get_traced_memory()[0] if _memscope.is_tracing() else 0
        objects = sum(count for count, _ in counts.values())
        slot = self._taken % self._points
        now = (int(time.time() * 1000), resident_bytes() or 0, traced, objects)
        for ring, value in zip(self._process, now, strict=True):
            ring[slot] = value
        kept = self._told_apart(counts)
        self._others[slot] = sum(count for name, (count, _) in counts.items() if name not in kept)
        self.merged = sum(name not in kept for name in counts)
        for name in kept:
            ring = self._series.get(name) or self._begin(name)
            ring[slot] = counts[name][0] if name in counts else 0
        self._bytes = {name: counts[name][1] if name in counts else 0 for name in kept}
        self._taken += 1

    def _told_apart(self, counts: dict[str, tuple[int, int]]) -> Iterable[str]:
        """The names that have a series of their own; of others the series is merged."""
        if self._taken % self._points == 0:
            for name in [name for name, ring in self._series.items() if not any(ring)]:
                self._end(name)
        names = self._series.keys() | counts.keys()
        if len(names) <= self._classes:
            return names
        nothing = (0, 0)
        order = sorted(names, key=lambda name: (-counts.get(name, nothing)[0], name))
        for name in order[self._classes :]:
            if name in self._series:
                for at, value in enumerate(self._end(name)):
                    self._others[at] += value
        return set(order[: self._classes])

    def _begin(self, name: str) -> array[int]:
        ring = self._series[name] = array("q", bytes(8 * self._points))
        self._since[name] = self._taken
        return ring

    def _end(self, name: str) -> array[int]:
        self._since.pop(name)
        return self._series.pop(name)

    def _series_of(self, name: str) -> ClassSeries:
        known = self._taken - self._since[name]
        values = self._ordered(self._series[name])
        return ClassSeries(name, tuple(values[-known:]), self._bytes.get(name, 0))

    def _ordered(self, ring: array[int]) -> array[int]:
        if self._taken <= self._points:
            return ring[: self._taken]
        at = self._taken % self._points
        return ring[at:] + ring[:at]


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


def only_rises(values: Sequence[int]) -> bool:
    """Whether they never fell, and rose again and again."""
    if len(values) < LEAST_POINTS:
        return False
    rises = 0
    for at in range(1, len(values)):
        if values[at] < values[at - 1]:
            return False
        rises += values[at] > values[at - 1]
    return rises >= LEAST_RISES
