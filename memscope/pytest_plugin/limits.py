"""The peak of a test's body, and what was there at that moment.

The tracer knows the height of the peak, not what made it.  So a test that went over its
limit is run once more beside a thread that takes a snapshot when the height is nearly reached
again.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from memscope import _memscope

if TYPE_CHECKING:
    from memscope.pytest_plugin.repeats import Repeats
    from memscope.snapshot import Snapshot

__all__ = ["Peak", "largest_at_peak"]

NEARLY = 0.9
MOST_LINES = 3
PAUSE = 0.0002
"""Seconds between two looks at the height."""


class Peak:
    """The most that lives at once from now on, above what lives now."""

    def __init__(self) -> None:
        self._before = _memscope.get_traced_memory()[0]
        _memscope.reset_peak()

    def bytes(self) -> int | None:
        """None if memory is not being traced any more."""
        if not _memscope.is_tracing():
            return None
        return max(_memscope.get_traced_memory()[1] - self._before, 0)


def largest_at_peak(repeats: Repeats, peak: int) -> list[dict[str, Any]]:
    """The lines that hold most when the test, repeated, is near *peak* bytes again; empty if
    that moment was too short to be seen.  Raises CannotRepeatError."""
    snapshot = _snapshot_near(repeats, int(NEARLY * peak))
    if snapshot is None:
        return []
    return [
        {
            "filename": row.traceback[0].filename,
            "lineno": row.traceback[0].lineno,
            "bytes": row.size,
            "blocks": row.count,
        }
        for row in snapshot.statistics("lineno")[:MOST_LINES]
    ]


def _snapshot_near(repeats: Repeats, height: int) -> Snapshot | None:
    from memscope.tracing import take_snapshot

    before = _memscope.get_traced_memory()[0]
    epoch = _memscope.advance_epoch()
    found: list[Snapshot] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(PAUSE):
            if _memscope.get_traced_memory()[0] - before >= height:
                found.append(take_snapshot().filter(min_epoch=epoch))
                return

    thread = threading.Thread(target=look, name="memscope", daemon=True)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(PAUSE)
    thread.start()
    try:
        repeats.run()
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)
    return found[0] if found else None
