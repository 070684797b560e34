"""One expensive thing at a time: what stops the process while it looks at the whole heap.

    running     somebody else's is under way: come again
    resting     the last one took so long that the process deserves five times as much for its
                own work first, so that a sixth of its time at most goes to us
    too large   the heap is so large that it would stand still for many seconds

All middlewares of a process share one place: it is one heap.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Busy", "Jobs", "TooLarge"]

T = TypeVar("T")

PAUSES = 5
"""Times what the last one took before the next may begin."""

LONGEST_PAUSE = 300.0
MOST_BLOCKS = 40_000_000
"""Blocks of Python's allocator; a walk of so many takes some ten seconds."""


class Busy(Exception):  # noqa: N818 -- an answer, not a failure
    """Not now.  The text says why."""

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.retry_after = max(math.ceil(seconds), 1)
        """Whole seconds."""


class TooLarge(Exception):  # noqa: N818
    """Not at all.  The text says why, and what to do instead."""


class Done(NamedTuple):
    """The job that ended last."""

    name: str
    seconds: float
    time: float
    """Of time.time()."""
    due: float
    """Of time.monotonic(): when the next may begin."""


class Jobs:
    """Any thread may call it."""

    _running = threading.Lock()
    _last: Done | None = None

    def __init__(self, most_blocks: int = MOST_BLOCKS) -> None:
        self._most_blocks = most_blocks

    @property
    def last(self) -> Done | None:
        """What was done last, and when."""
        return Jobs._last

    def run(self, name: str, work: Callable[[], T]) -> T:
        """Do *work* now.  Raises Busy or TooLarge, and what it raises."""
        running = Jobs._running  # a fork inside *work* puts another there
        if not running.acquire(blocking=False):
            raise Busy("memscope is looking at the heap already: try again in a moment.", 1)
        try:
            last = Jobs._last
            rest = last.due - time.monotonic() if last is not None else 0.0
            if last is not None and rest > 0:
                raise Busy(
                    f"The last look at the heap stopped the process for {last.seconds:.1f} s, so"
                    f" the next may begin in {math.ceil(rest)} s.",
                    rest,
                )
            blocks = sys.getallocatedblocks()
            if blocks > self._most_blocks:
                raise TooLarge(
                    f"The heap has {blocks:,} blocks, more than the {self._most_blocks:,} up to"
                    " which memscope looks at it from a page, because the process would stand still"
                    " for long: call memscope.take_heap_snapshot() in the program instead."
                )
            began = time.perf_counter()
            try:
                return work()
            finally:
                seconds = time.perf_counter() - began
                pause = min(PAUSES * seconds, LONGEST_PAUSE)
                Jobs._last = Done(name, seconds, time.time(), time.monotonic() + pause)
        finally:
            running.release()

    @classmethod
    def forked(cls) -> None:
        """This is another process: what runs in the parent does not run here."""
        cls._running = threading.Lock()
        cls._last = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Jobs.forked)
