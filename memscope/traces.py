"""Frame, Traceback, Trace: what one traced block knows about itself.

The same classes serve the native API and the tracemalloc drop-in; their
comparisons, hashes and texts are tracemalloc's.  A snapshot holds none of them:
they are made when somebody asks for one, from rows of the C table.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Sequence
from functools import total_ordering
from typing import TYPE_CHECKING, SupportsIndex, overload

if TYPE_CHECKING:
    from memscope._memscope import Columns, RawFrame, RawTrace

__all__ = ["Frame", "RawTraces", "Trace", "Traceback", "Traces", "format_size"]


def format_size(size: float, sign: bool = False) -> str:
    """*size* bytes in the largest unit that keeps it readable: 512 B, 9.8 KiB, 250 MiB.

    One decimal below 100 units, none above; with *sign*, a plus before growth.
    """
    plus = "+" if sign else ""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 100 and unit != "B":
            return f"{size:{plus}.1f} {unit}"
        if abs(size) < 10 * 1024:
            return f"{size:{plus}.0f} {unit}"
        size /= 1024
    return f"{size:{plus}.{1 if abs(size) < 100 else 0}f} TiB"


@total_ordering
class Frame:
    """One line of a traceback: ``filename`` and ``lineno`` (0 where it is not known)."""

    __slots__ = ("_frame",)

    def __init__(self, frame: RawFrame) -> None:
        self._frame = frame

    @property
    def filename(self) -> str:
        return self._frame[0]

    @property
    def lineno(self) -> int:
        return self._frame[1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        return self._frame == other._frame

    def __lt__(self, other: Frame) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        return self._frame < other._frame

    def __hash__(self) -> int:
        return hash(self._frame)

    def __str__(self) -> str:
        return f"{self.filename}:{self.lineno}"

    def __repr__(self) -> str:
        return f"<Frame filename={self.filename!r} lineno={self.lineno!r}>"


@total_ordering
class Traceback(Sequence[Frame]):
    """The frames that led to an allocation, oldest first; ``[-1]`` is where it happened.

    ``total_nframe`` is the depth of the whole stack, of which the traceback may
    keep only the newest part; None where it was not recorded, as natively it is
    only on request.  It takes no part in comparisons.
    """

    __slots__ = ("_frames", "_total_nframe")

    def __init__(self, frames: Sequence[RawFrame], total_nframe: int | None = None) -> None:
        """*frames* come newest first, as the tracer gives them."""
        # A tuple of one frame, by far the commonest, is its own reverse.
        if len(frames) == 1 and type(frames) is tuple:
            self._frames: tuple[RawFrame, ...] = frames
        else:
            self._frames = tuple(reversed(frames))
        self._total_nframe = total_nframe

    @property
    def total_nframe(self) -> int | None:
        return self._total_nframe

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Frame, ...]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Frame | tuple[Frame, ...]:
        if isinstance(index, slice):
            return tuple(map(Frame, self._frames[index]))
        return Frame(self._frames[index])

    def __contains__(self, frame: object) -> bool:
        return frame._frame in self._frames  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._frames)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Traceback):
            return NotImplemented
        return self._frames == other._frames

    def __lt__(self, other: Traceback) -> bool:
        if not isinstance(other, Traceback):
            return NotImplemented
        return self._frames < other._frames

    def __str__(self) -> str:
        return str(self[0])

    def __repr__(self) -> str:
        total = "" if self._total_nframe is None else f" total_nframe={self._total_nframe}"
        return f"<Traceback {tuple(self)}{total}>"

    def format(self, limit: int | None = None, most_recent_first: bool = False) -> list[str]:
        """The traceback as lines of text without newlines, in the manner of a Python traceback.

        A positive *limit* keeps that many of the newest frames, a negative one of
        the oldest.  Source lines are read through :mod:`linecache`.
        """
        frames: Sequence[Frame] = self[:]
        if limit is not None:
            frames = frames[-limit:] if limit > 0 else frames[:limit]
        lines = []
        for frame in reversed(frames) if most_recent_first else frames:
            lines.append(f'  File "{frame.filename}", line {frame.lineno}')
            source = linecache.getline(frame.filename, frame.lineno).strip()
            if source:
                lines.append(f"    {source}")
        return lines


class Trace:
    """One block: its ``domain``, ``size`` in bytes and ``traceback``."""

    __slots__ = ("_trace",)

    def __init__(self, trace: RawTrace) -> None:
        self._trace = trace

    @property
    def domain(self) -> int:
        return self._trace[0]

    @property
    def size(self) -> int:
        return self._trace[1]

    @property
    def traceback(self) -> Traceback:
        return Traceback(*self._trace[2:])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        return self._trace == other._trace

    def __hash__(self) -> int:
        return hash(self._trace)

    def __str__(self) -> str:
        return f"{self.traceback}: {format_size(self.size)}"

    def __repr__(self) -> str:
        size = format_size(self.size)
        return f"<Trace domain={self.domain} size={size}, traceback={self.traceback!r}>"


class RawTraces(Sequence["RawTrace"]):
    """The rows of a C table as tracemalloc's tuples; equal to a list of the same tuples.

    An index makes one tuple.  Iteration makes all of them at once, so that
    equal tracebacks are one object as they are in tracemalloc.
    """

    __slots__ = ("columns",)

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns)

    @overload
    def __getitem__(self, index: SupportsIndex) -> RawTrace: ...
    @overload
    def __getitem__(self, index: slice) -> list[RawTrace]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> RawTrace | list[RawTrace]:
        if isinstance(index, slice):
            return [self.columns.trace(row) for row in range(len(self.columns))[index]]
        return self.columns.trace(range(len(self.columns))[index])

    def __iter__(self) -> Iterator[RawTrace]:
        return iter(self.columns.traces())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RawTraces | list):
            return NotImplemented
        if len(self) != len(other):
            return False
        if isinstance(other, RawTraces):
            other = other.columns.traces()
        return self.columns.traces() == other

    def __repr__(self) -> str:
        return f"<RawTraces len={len(self)}>"

    def copy(self) -> list[RawTrace]:
        """All rows as a list.  Cost: one tuple per block."""
        return self.columns.traces()


class Traces(Sequence[Trace]):
    """The blocks of a snapshot; a :class:`Trace` is made when one is asked for."""

    def __init__(self, traces: Sequence[RawTrace]) -> None:
        self._traces = traces

    def __len__(self) -> int:
        return len(self._traces)

    @overload
    def __getitem__(self, index: int) -> Trace: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Trace, ...]: ...
    def __getitem__(self, index: int | slice) -> Trace | tuple[Trace, ...]:
        if isinstance(index, slice):
            return tuple(map(Trace, self._traces[index]))
        return Trace(self._traces[index])

    def __contains__(self, trace: object) -> bool:
        return trace._trace in self._traces  # type: ignore[attr-defined]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Traces):
            return NotImplemented
        return self._traces == other._traces

    def __repr__(self) -> str:
        return f"<Traces len={len(self)}>"
