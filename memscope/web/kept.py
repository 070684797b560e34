"""What takes long to find out, and is kept until it may be found out again.

A page that refreshes itself must not spend the program's time on its figures.  So a figure
stays what it was for two seconds, and for fifty times as long as finding it took; how old
it is, is said with it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Found", "Kept"]

LEAST_PAUSE, PAUSES = 2.0, 50
MOST = 24


class Found(NamedTuple):
    """A result, when it was found, and how long that took."""

    value: Any
    time: float
    """Of time.time()."""
    seconds: float
    due: float
    """Of time.monotonic()."""


class Kept:
    """The results that were asked for last.  Any thread may call it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: OrderedDict[Hashable, Found] = OrderedDict()
        self.forked()

    def forked(self) -> None:
        """This is another process, of which nothing is known yet."""
        self._lock = threading.Lock()
        self._found.clear()

    def last(self, key: Hashable) -> Found | None:
        """What was found last, however old."""
        with self._lock:
            return self._found.get(key)

    def of(self, key: Hashable, find: Callable[[], Any]) -> Found:
        """What was found, or what *find* finds now if that is due."""
        found = self.last(key)
        if found is None or time.monotonic() >= found.due:
            found = self.renew(key, find)
        return found

    def renew(self, key: Hashable, find: Callable[[], Any]) -> Found:
        """What *find* finds now."""
        began = time.perf_counter()
        value = find()
        seconds = time.perf_counter() - began
        due = time.monotonic() + max(LEAST_PAUSE, PAUSES * seconds)
        found = Found(value, time.time(), seconds, due)
        with self._lock:
            self._found[key] = found
            self._found.move_to_end(key)
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return found
