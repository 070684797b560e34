"""Snapshot: every live block at one moment, as columns in C, and the questions one asks of it.

``BlockTable`` is what the native snapshot and the drop-in's have in common: the
table itself, its lazy view as traces, and filtering.  They differ in what a
recursive function counts as and in the form of the answer, not in the data.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any, Self

from memscope import files
from memscope._memscope import Columns
from memscope.filters import (
    BaseFilter,
    DomainFilter,
    Filter,
    ModuleFilter,
    MyCodeFilter,
    select,
)
from memscope.grouping import KEYS, check_key, differences, statistics
from memscope.report import size_text
from memscope.statistics import StatisticDiffs, Statistics
from memscope.traces import RawTraces, Traces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memscope._memscope import RawTrace
    from memscope.files import PathLike

__all__ = ["NOT_TRACING", "BlockTable", "Snapshot"]

NOT_TRACING = "the tracemalloc module must be tracing memory allocations to take a snapshot"
"""tracemalloc's words, which programs may look for."""

PICKLE_MAGIC = b"\x80"
"""What every pickle of protocol 2 or later starts with, and no file of ours."""


class BlockTable:
    """A table of blocks: ``traces``, a lazy sequence, and ``traceback_limit``."""

    traces: Traces
    traceback_limit: int

    def __init__(self, traces: Sequence[RawTrace], traceback_limit: int) -> None:
        """*traces* are tuples (domain, size, frames newest first, total_nframe)."""
        self.traces = Traces(traces)
        self.traceback_limit = traceback_limit

    @property
    def columns(self) -> Columns:
        """The C table.  A snapshot made from tuples gets it when it is first needed."""
        raw = self.traces._traces
        if not isinstance(raw, RawTraces):
            raw = RawTraces(Columns.from_traces(raw, self.traceback_limit))
            self.traces._traces = raw
        return raw.columns

    def __reduce__(self) -> tuple[Any, ...]:
        attributes = {key: value for key, value in vars(self).items() if key != "traces"}
        return type(self), (list(self.traces._traces), self.traceback_limit), attributes

    def dump(self, filename: PathLike) -> None:
        """Write the snapshot to *filename* in tracemalloc's own format, attributes included.

        tracemalloc.Snapshot.load reads it.  Cost: one tuple per block.
        """
        from memscope.pickles import dump

        dump(filename, vars(self), list(self.traces._traces))

    def filter_traces(self, filters: Iterable[BaseFilter]) -> Self:
        """A new snapshot of the blocks that *filters* keep; of all blocks if there are none.

        A block is kept if any inclusive filter matches it (or there is none)
        and no exclusive one shuts it out.  Raises TypeError if *filters* is not
        iterable.
        """
        if not isinstance(filters, Iterable):
            raise TypeError(f"filters must be a list of filters, not {type(filters).__name__}")
        return type(self)(RawTraces(select(self.columns, filters)), self.traceback_limit)


class Snapshot(BlockTable):
    """Every block that was live when it was taken.

    ``print(snapshot)`` and :meth:`show` give the largest lines; :meth:`statistics`
    and :meth:`compare_to` the figures.  Memory: some 20 bytes per block.
    """

    @property
    def total_size(self) -> int:
        """Bytes in all blocks."""
        return self.columns.total_size

    @property
    def lost(self) -> int:
        """Blocks the tracer had no memory to record, and which are missing here."""
        return self.columns.lost

    @property
    def epoch(self) -> int:
        """The number of checkpoints passed (advance_epoch) when it was taken."""
        return self.columns.epoch

    def __len__(self) -> int:
        return len(self.traces)

    def __bool__(self) -> bool:
        return True  # a snapshot without blocks is still a snapshot

    def statistics(self, key_type: str, cumulative: bool = False) -> Statistics:
        """Bytes and blocks by *key_type*, largest first.

        *key_type* is "lineno", "filename", "traceback", "function", "module" or
        "package" (the installed distribution).  A block belongs to its newest
        frame; with *cumulative*, to every place its traceback passes through,
        once each however deep the recursion.  Or "type": the class of the object
        that lies in the block, if the snapshot was taken with ``types=True``.
        Raises ValueError for an unknown key, for "traceback" and "type" with
        *cumulative*, and if types are not known.

        Cost: one pass over the rows in C, one object per row of the result.
        """
        key = check_key(key_type, cumulative, KEYS)
        columns = self.columns
        return Statistics(
            statistics(columns, key, cumulative),
            key_type=key,
            cumulative=cumulative,
            total_size=columns.total_size,
            total_count=len(columns),
            lost=columns.lost,
        )

    def compare_to(
        self, old_snapshot: BlockTable, key_type: str, cumulative: bool = False
    ) -> StatisticDiffs:
        """What changed since *old_snapshot*, largest change first; arguments as in statistics.

        Cost: one pass over the rows of both in C, one object per row of the result.
        """
        key = check_key(key_type, cumulative, KEYS)
        new, old = self.columns, old_snapshot.columns
        return StatisticDiffs(
            differences(new, old, key, cumulative),
            key_type=key,
            cumulative=cumulative,
            total_size=new.total_size,
            size_diff=new.total_size - old.total_size,
            total_count=len(new),
            count_diff=len(new) - len(old),
            lost=new.lost,
        )

    def filter(
        self,
        *,
        filename: str | None = None,
        module: str | None = None,
        only_my_code: bool = False,
        all_frames: bool = False,
        domain: int | None = None,
        min_size: int = 0,
        max_size: int | None = None,
        min_epoch: int = 0,
        max_epoch: int | None = None,
    ) -> Snapshot:
        """A new snapshot of the blocks for which everything that is given holds.

        *filename* and *module* are patterns as in Filter and ModuleFilter,
        *only_my_code* as in MyCodeFilter; these look at the newest frame, with
        *all_frames* at any.  Sizes are in bytes, epochs as get_epoch counts them,
        both ends inclusive.
        """
        criteria: list[BaseFilter] = []
        if filename is not None:
            criteria.append(Filter(True, filename, None, all_frames))
        if module is not None:
            criteria.append(ModuleFilter(True, module, all_frames))
        if only_my_code:
            criteria.append(MyCodeFilter(True, all_frames))
        if domain is not None:
            criteria.append(DomainFilter(True, domain))
        # In one list any of them would do, so each filters what the one before kept.
        first, *others = [[criterion] for criterion in criteria] or [[]]
        columns = select(
            self.columns,
            first,
            min_size=min_size,
            max_size=max_size,
            min_epoch=min_epoch,
            max_epoch=max_epoch,
        )
        for criterion in others:
            columns = select(columns, criterion)
        return Snapshot(RawTraces(columns), self.traceback_limit)

    def only_my_code(self, all_frames: bool = False) -> Snapshot:
        """The blocks that the user's own code allocated: not Python's, not installed packages'.

        With *all_frames*, also what others allocated when the user's code
        called them; that needs more than one frame per traceback.
        """
        return self.filter(only_my_code=True, all_frames=all_frames)

    def show(
        self,
        key: str = "lineno",
        limit: int | None = 10,
        file: IO[str] | None = None,
        cumulative: bool = False,
    ) -> None:
        """Print the *limit* largest (None: all) places by *key* to *file*, or to sys.stdout."""
        self.statistics(key, cumulative).show(limit, file)

    def __str__(self) -> str:
        return str(self.statistics("lineno"))

    def _repr_html_(self) -> str:
        return self.statistics("lineno")._repr_html_()

    def __repr__(self) -> str:
        return f"<Snapshot of {len(self)} blocks, {size_text(self.total_size)}>"

    def save(self, filename: PathLike) -> None:
        """Write the snapshot to *filename* in memscope's own format (docs/dump-format.md).

        The file appears whole or not at all, and only its owner may read it.  Attributes
        added to the object are not saved; :meth:`dump` keeps them.  Raises OSError.
        """
        files.write_whole(filename, self.columns.to_bytes(), private=True)

    @staticmethod
    def load(filename: PathLike) -> Snapshot:
        """The snapshot in *filename*, written by :meth:`save`, or by dump or tracemalloc.

        No code in the file runs: of a pickle, plain data and the two classes of
        a snapshot are read and anything else is refused.  Raises OSError, and
        ValueError if the file is damaged or is something else.
        """
        data = files.read(filename)
        with files.describing(filename):
            if not data.startswith(PICKLE_MAGIC):
                columns = Columns.from_bytes(data)
                return Snapshot(RawTraces(columns), columns.traceback_limit)
            from memscope.pickles import loads_plain

            state = loads_plain(data)
            limit = state.pop("traceback_limit")
            columns = Columns.from_traces(state.pop("traces"), limit)
            snapshot = Snapshot(RawTraces(columns), limit)
            vars(snapshot).update(state)
            return snapshot
