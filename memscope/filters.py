"""Filters: which blocks of a snapshot to keep.

Filter and DomainFilter are tracemalloc's, ModuleFilter and MyCodeFilter go
beyond it.  In a list of filters a block is kept if any inclusive one matches it
(or there is none) and every exclusive one lets it pass.

A filter knows two ways to say what it matches: ``_match`` looks at one trace, as
in tracemalloc; ``_spec`` looks once at every distinct file name and leaves the
blocks to the C table, which is why filtering a million of them takes milliseconds.
"""

from __future__ import annotations

import fnmatch
import os.path
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

from memscope.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memscope._memscope import Columns, RawFrame, RawTrace

__all__ = ["BaseFilter", "DomainFilter", "Filter", "ModuleFilter", "MyCodeFilter", "select"]

Spec: TypeAlias = "tuple[bool, bytes | None, int | None, bool, int | None]"
"""Columns.filter's form: inclusive, matching files, line, all frames, domain."""


class Ranges(TypedDict, total=False):
    """Sizes in bytes and epochs to keep; both ends inclusive."""

    min_size: int
    max_size: int | None
    min_epoch: int
    max_epoch: int | None


def normalize_filename(filename: str) -> str:
    """*filename* in the platform's normal case, a compiled file by its source's name."""
    filename = os.path.normcase(filename)
    return filename[:-1] if filename.endswith(".pyc") else filename


class BaseFilter:
    """A filter of one's own derives from this and implements ``_match``."""

    def __init__(self, inclusive: bool) -> None:
        self.inclusive = inclusive

    def _match(self, trace: RawTrace) -> bool:
        raise NotImplementedError


class FrameFilter(BaseFilter):
    """Matches blocks by where they were allocated: the newest frame, or with *all_frames* any."""

    def __init__(
        self,
        inclusive: bool,
        lineno: int | None = None,
        all_frames: bool = False,
        domain: int | None = None,
    ) -> None:
        super().__init__(inclusive)
        self.lineno = lineno
        self.all_frames = all_frames
        self.domain = domain

    def _match_file(self, filename: str) -> bool:
        raise NotImplementedError

    def _match_frame_impl(self, filename: str, lineno: int) -> bool:
        return self._match_file(filename) and self.lineno in (None, lineno)

    def _match_frame(self, filename: str, lineno: int) -> bool:
        return self._match_frame_impl(filename, lineno) is bool(self.inclusive)

    def _match_traceback(self, traceback: Sequence[RawFrame]) -> bool:
        frames = traceback if self.all_frames else traceback[:1]
        found = any(self._match_frame_impl(*frame) for frame in frames)
        return found is bool(self.inclusive)

    def _match(self, trace: RawTrace) -> bool:
        kept = self._match_traceback(trace[2])
        if self.domain is None:
            return kept
        if self.inclusive:
            return kept and trace[0] == self.domain
        return kept or trace[0] != self.domain

    def _spec(self, filenames: Sequence[str]) -> Spec:
        matches = bytes(map(self._match_file, filenames))
        return bool(self.inclusive), matches, self.lineno, bool(self.all_frames), self.domain


class Filter(FrameFilter):
    """Matches blocks by file name pattern (fnmatch) and, if given, line and domain."""

    def __init__(
        self,
        inclusive: bool,
        filename_pattern: str,
        lineno: int | None = None,
        all_frames: bool = False,
        domain: int | None = None,
    ) -> None:
        super().__init__(inclusive, lineno, all_frames, domain)
        self._filename_pattern = normalize_filename(filename_pattern)

    @property
    def filename_pattern(self) -> str:
        return self._filename_pattern

    def _match_file(self, filename: str) -> bool:
        return fnmatch.fnmatch(normalize_filename(filename), self._filename_pattern)


class DomainFilter(BaseFilter):
    """Matches blocks by the number of their domain: 0 is Python's, numpy's is 389047."""

    def __init__(self, inclusive: bool, domain: int) -> None:
        super().__init__(inclusive)
        self._domain = domain

    @property
    def domain(self) -> int:
        return self._domain

    def _match(self, trace: RawTrace) -> bool:
        return (trace[0] == self._domain) is bool(self.inclusive)

    def _spec(self, filenames: Sequence[str]) -> Spec:
        return bool(self.inclusive), None, None, False, self._domain


class ModuleFilter(FrameFilter):
    """Matches blocks by dotted module name: ``"flask"`` is flask and all inside it.

    A pattern may hold the wildcards of fnmatch: ``"*.tests"``.
    """

    def __init__(
        self,
        inclusive: bool,
        module_pattern: str,
        all_frames: bool = False,
        domain: int | None = None,
    ) -> None:
        super().__init__(inclusive, None, all_frames, domain)
        self._module_pattern = module_pattern
        self._sources = Sources()

    @property
    def module_pattern(self) -> str:
        return self._module_pattern

    def _match_file(self, filename: str) -> bool:
        module = self._sources.module(filename)
        return fnmatch.fnmatchcase(module, self._module_pattern) or fnmatch.fnmatchcase(
            module, f"{self._module_pattern}.*"
        )


class MyCodeFilter(FrameFilter):
    """Matches blocks allocated by the user's code: not Python's own, not installed packages'."""

    def __init__(self, inclusive: bool = True, all_frames: bool = False) -> None:
        super().__init__(inclusive, None, all_frames)
        self._sources = Sources()

    def _match_file(self, filename: str) -> bool:
        return self._sources.is_mine(filename)


NATIVE = (Filter, DomainFilter, ModuleFilter, MyCodeFilter)


def select(columns: Columns, filters: Iterable[BaseFilter], **ranges: Unpack[Ranges]) -> Columns:
    """The rows of *columns* that *filters* keep and that lie in *ranges*.

    Cost: one look at each distinct file name and traceback and one pass over
    the rows in C; with a filter of the user's own class, one Python call per
    row instead, and the rows kept no longer know their address and epoch.
    """
    filters = list(filters)
    if all(type(one) in NATIVE for one in filters):
        names = columns.filenames()
        return columns.filter(
            [one._spec(names) for one in filters],  # type: ignore[attr-defined]
            **ranges,
        )
    including = [one for one in filters if one.inclusive]
    excluding = [one for one in filters if not one.inclusive]
    kept = (
        trace
        for trace in columns.filter([], **ranges).traces()
        if (not including or any(one._match(trace) for one in including))
        and all(one._match(trace) for one in excluding)
    )
    return type(columns).from_traces(kept, columns.traceback_limit)
