"""Whether what a route seems to retain was allocated by its own requests.

The recorder takes the difference of two readings of all memory, and that has more in it than one
request's.  A server whose threads end while the next request begins still holds something of
the last one at each reading, and not equally much of each route.  Where the routes take turns,
the one is told too little each time and its neighbour too much: a leak of the one looks like
a leak of both.

A block knows in which epoch it was allocated.  So while a route is under suspicion each span
begins and ends with a new epoch, and when some requests of the route are over, and a few
others after them, what is still there of their epochs is theirs.  That takes a pass over
all traced blocks, and so it is done only where the figures say "growing".
"""

from __future__ import annotations

from memscope import _memscope
from memscope.caches import empty_caches

__all__ = ["Births"]

REQUESTS = 5
LATER = 4
"""Epochs, two of each span, for which what a server still holds of a request is left alone."""

TOGETHER = 100
"""Epochs within which the requests are.  The core tells the last 128 apart."""

PATIENCE = 2000
"""Epochs to wait for the first request."""


class Births:
    """Some requests of one route.  Changed under the recorder's lock."""

    __slots__ = ("_began", "_windows", "requests")

    def __init__(self) -> None:
        self._began = _memscope.get_epoch()
        self._windows: list[tuple[int, int]] = []
        """The first epoch of a span, and the one after its last."""
        self.requests = 0

    def add(self, first: int, end: int, requests: int) -> None:
        """A span of so many requests of the route began and ended with these epochs."""
        if not self._is_full(end):
            self._windows.append((first, end))
            self.requests += requests

    def _is_full(self, now: int) -> bool:
        if not self._windows:
            return now - self._began >= PATIENCE
        return self.requests >= REQUESTS or now - self._windows[0][0] >= TOGETHER

    def is_ripe(self) -> bool:
        """Whether there are enough requests and they are long enough over, or it takes too long."""
        now = _memscope.get_epoch()
        return self._is_full(now) and not (self._windows and now - self._windows[-1][1] < LATER)

    def per_request(self) -> float:
        """Bytes that are still live, of each of the requests, one at least."""
        empty_caches()
        epochs = tuple(epoch for first, end in self._windows for epoch in range(first, end))
        return _memscope.memory_of_epochs(epochs)[0] / self.requests
