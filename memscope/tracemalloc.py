"""Drop-in for the standard library's tracemalloc.

    from memscope import tracemalloc

Same names, arguments, results, messages and files; what differs is the cost, and
that get_object_traceback finds instances of ordinary classes on Python 3.11 too.
Memory is traced by memscope, not by the interpreter: ``python -X tracemalloc``
and PYTHONTRACEMALLOC do not start it.
"""

from __future__ import annotations

import linecache  # noqa: F401 - looked up here by code that replaces its getline
from typing import TYPE_CHECKING, SupportsIndex

from memscope import _memscope
from memscope._memscope import (
    clear_traces,
    get_traceback_limit,
    get_traced_memory,
    get_tracemalloc_memory,
    is_tracing,
    reset_peak,
    stop,
)
from memscope.filters import BaseFilter, DomainFilter, Filter, normalize_filename
from memscope.grouping import LINE_KEYS, check_key, differences, statistics
from memscope.snapshot import NOT_TRACING, BlockTable
from memscope.statistics import Statistic, StatisticDiff
from memscope.traces import Frame, RawTraces, Trace, Traceback, Traces, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memscope._memscope import RawFrame, RawTrace
    from memscope.files import PathLike

__all__ = [
    "BaseFilter",
    "DomainFilter",
    "Filter",
    "Frame",
    "Snapshot",
    "Statistic",
    "StatisticDiff",
    "Trace",
    "Traceback",
    "clear_traces",
    "get_object_traceback",
    "get_traceback_limit",
    "get_traced_memory",
    "get_tracemalloc_memory",
    "is_tracing",
    "reset_peak",
    "start",
    "stop",
    "take_snapshot",
]


# tracemalloc's names for what its users sometimes reach for.
_Traces = Traces
_format_size = format_size
_normalize_filename = normalize_filename


def start(nframe: SupportsIndex = 1, /) -> None:
    """Start tracing memory allocations, keeping the *nframe* newest frames of each.

    Does nothing if tracing has started already.  Raises ValueError unless
    *nframe* is from 1 to 65535.
    """
    _memscope.start(nframe, total_nframe=True, reuse=True)


def get_object_traceback(obj: object) -> Traceback | None:
    """Where *obj* was allocated; None if memory is not traced, or was not at that time."""
    frames = _get_object_traceback(obj)
    return None if frames is None else Traceback(frames)


def take_snapshot() -> Snapshot:
    """Every block that is live now.  Raises RuntimeError if memory is not being traced."""
    if not is_tracing():
        raise RuntimeError(NOT_TRACING)
    return Snapshot(_get_traces(), get_traceback_limit())


def _get_object_traceback(obj: object, /) -> tuple[RawFrame, ...] | None:
    found = _memscope.get_object_traceback(obj)
    return None if found is None else found[0]


def _get_traces() -> Sequence[RawTrace]:
    return RawTraces(_memscope.take_snapshot()) if is_tracing() else []


class Snapshot(BlockTable):
    """Snapshot of the traces of all blocks that Python allocated."""

    def statistics(self, key_type: str, cumulative: bool = False) -> list[Statistic]:
        """Statistics by "lineno", "filename" or "traceback", largest first.

        With *cumulative*, which "traceback" does not allow, a block counts for
        every frame of its traceback, and as often as the frame occurs there.
        Raises ValueError.
        """
        key = check_key(key_type, cumulative, LINE_KEYS)
        return statistics(self.columns, key, cumulative, per_occurrence=True)

    def compare_to(
        self, old_snapshot: BlockTable, key_type: str, cumulative: bool = False
    ) -> list[StatisticDiff]:
        """The differences from *old_snapshot*, largest first; arguments as in statistics."""
        key = check_key(key_type, cumulative, LINE_KEYS)
        return differences(self.columns, old_snapshot.columns, key, cumulative, per_occurrence=True)

    @staticmethod
    def load(filename: PathLike) -> Snapshot:
        """The snapshot that dump, here or in the standard library, wrote to *filename*.

        The file is a pickle, which can run any code: load only what you trust.
        memscope.Snapshot.load reads snapshots of unknown origin.
        """
        from memscope.pickles import load

        classes = (
            DomainFilter,
            Filter,
            Frame,
            Snapshot,
            Statistic,
            StatisticDiff,
            Trace,
            Traceback,
        )
        names = {"_Traces": _Traces, **{one.__name__: one for one in classes}}
        snapshot: Snapshot = load(filename, names)
        return snapshot
