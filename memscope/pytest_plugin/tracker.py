"""The fixture ``memscope``: look at memory inside a test."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from memscope import _memscope
from memscope.heap import take_heap_snapshot
from memscope.leaks import watch
from memscope.pytest_plugin.limits import Peak
from memscope.report import size_text
from memscope.testing import assert_no_leaks, parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memscope.heap import HeapSnapshot
    from memscope.heap_rows import HeapDiff
    from memscope.leaks import Watch

__all__ = ["Tracker"]


class Tracker:
    """Take, compare, assert.

    def test_cache(memscope):
        before = memscope.take()
        fill(cache)
        assert memscope.added("Entry", since=before) <= 100

        memscope.assert_no_leaks(lambda: handle(request))

        with memscope.limit("10 MB"):
            parse(large)
    """

    def __init__(self, title: str) -> None:
        self._title = title

    def take(self) -> HeapSnapshot:
        """All objects that live now, after a collection; see memscope.take_heap_snapshot."""
        gc.collect()
        return take_heap_snapshot()

    def compare(self, before: HeapSnapshot) -> HeapDiff:
        """What changed since *before*: ``.types``, ``.containers``, ``.show()``."""
        return self.take().compare_to(before)

    def added(self, type_name: str | type, *, since: HeapSnapshot) -> int:
        """How many objects of a class, by name or itself, there are more than *since*."""
        older = sum(1 for _ in since.find(type=type_name))
        return sum(1 for _ in self.take().find(type=type_name)) - older

    def watch(self, *, title: str = "") -> Watch:
        """``with memscope.watch() as watched:``; see memscope.watch."""
        return watch(title=title or self._title)

    assert_no_leaks = staticmethod(assert_no_leaks)

    @contextmanager
    def limit(self, size: int | str) -> Iterator[None]:
        """Raise AssertionError if the block allocates more than *size* at its peak.

        Not while a peak is being measured around it.  Raises ValueError, TypeError for what
        is no size.
        """
        most = parse_size(size)
        started = not _memscope.is_tracing()
        if started:
            _memscope.start()
        peak = Peak()
        try:
            yield
            height = peak.bytes()
        finally:
            if started and _memscope.is_tracing():
                _memscope.stop()
        if height is None:
            raise AssertionError("the block ended the tracing of memory: its peak is not known")
        if height > most:
            raise AssertionError(
                f"the block allocated {size_text(height)} at its peak, and may {size_text(most)}"
            )
