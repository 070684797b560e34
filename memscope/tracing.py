"""The native tracing API: start, look, compare.

    import memscope
    memscope.start()
    before = memscope.take_snapshot()
    ...
    memscope.take_snapshot().compare_to(before, "lineno").show()

Names that tracemalloc has mean what they mean there.  Differences: cumulative
statistics count recursion once; results print as tables; and what makes every
allocation dearer is left out unless start() is asked for it: ``total_nframe``,
which walks the whole stack, and ``reuse``, which follows objects through the
interpreter's free lists.  ``memscope.tracemalloc`` is without the differences.

All functions concern the whole process: allocator hooks know no smaller unit.
"""

from __future__ import annotations

from memscope import _memscope
from memscope._memscope import (
    advance_epoch,
    clear_traces,
    get_epoch,
    get_traceback_limit,
    get_traced_memory,
    get_tracemalloc_memory,
    is_tracing,
    reset_peak,
    start,
    status,
    stop,
)
from memscope.filters import BaseFilter, DomainFilter, Filter, ModuleFilter, MyCodeFilter
from memscope.snapshot import NOT_TRACING, Snapshot
from memscope.statistics import (
    GroupStatistic,
    GroupStatisticDiff,
    Statistic,
    StatisticDiff,
    StatisticDiffs,
    Statistics,
)
from memscope.traces import Frame, RawTraces, Trace, Traceback

__all__ = [
    "BaseFilter",
    "DomainFilter",
    "Filter",
    "Frame",
    "GroupStatistic",
    "GroupStatisticDiff",
    "ModuleFilter",
    "MyCodeFilter",
    "Snapshot",
    "Statistic",
    "StatisticDiff",
    "StatisticDiffs",
    "Statistics",
    "Trace",
    "Traceback",
    "advance_epoch",
    "clear_traces",
    "get_epoch",
    "get_object_traceback",
    "get_traceback_limit",
    "get_traced_memory",
    "get_tracemalloc_memory",
    "is_tracing",
    "reset_peak",
    "start",
    "status",
    "stop",
    "take_snapshot",
]


def get_object_traceback(obj: object) -> Traceback | None:
    """Where the memory block of *obj* was allocated; None if that was not traced.

    Objects that the interpreter takes from a free list or shares (small
    integers, interned strings) may have no block of their own.
    """
    found = _memscope.get_object_traceback(obj)
    return None if found is None else Traceback(*found)


def take_snapshot(*, types: bool = False) -> Snapshot:
    """Every block that is live now.  Raises RuntimeError if memory is not being traced.

    With *types*, the snapshot also knows which kind of object lies in each block, for
    ``statistics("type")``.

    Cost: one pass over the table in C; no Python object per block.  With *types*, a walk of
    the whole heap as well, about a full collection, and 4 bytes for each block.
    """
    if not is_tracing():
        raise RuntimeError(NOT_TRACING)
    if types:
        join = _memscope.Join.take()
        join.tell_types()
        columns = join.columns
    else:
        columns = _memscope.take_snapshot()
    return Snapshot(RawTraces(columns), columns.traceback_limit)
