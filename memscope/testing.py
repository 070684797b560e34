"""Leak checks in tests: for unittest, for Django's test runner, for any function.

    from memscope.testing import assert_no_leaks

    def test_log_in(self):
        assert_no_leaks(lambda: self.client.post("/login", USER))

Under pytest, the plugin does it for whole tests, fixtures included: see
``memscope.pytest_plugin``, which judges by what is here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from memscope.leak_report import Leak, LeakReport

__all__ = [
    "Allowance",
    "assert_no_leaks",
    "failure_text",
    "parse_size",
    "patterns",
    "raise_excess",
]

ROUNDS = 5

UNITS: dict[str, int] = {"": 1, "B": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("KMGT", 1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}
SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", re.ASCII)


def parse_size(size: int | str) -> int:
    """Bytes: 1024, "512 B", "24 MB" (of 1000 each), "24 MiB" (of 1024 each).

    Raises ValueError for anything else, TypeError for what is neither number nor text.
    """
    if isinstance(size, int) and not isinstance(size, bool):
        if size < 0:
            raise ValueError(f"a size must be 0 or more bytes, not {size}")
        return size
    if not isinstance(size, str):
        raise TypeError(f"a size is a number of bytes or a text like '24 MB', not {size!r}")
    found = SIZE.fullmatch(size)
    units = {name.lower(): factor for name, factor in UNITS.items()}
    if found is None or found[2].lower() not in units:
        raise ValueError(f"a size is a number and B, KB, MB, GB, KiB, MiB or GiB, not {size!r}")
    whole, _, part = found[1].partition(".")
    parsed: int = int(whole + part) * units[found[2].lower()] // 10 ** len(part)
    return parsed


@dataclass(frozen=True)
class Allowance:
    """What each run may leave behind, and which leaks do not count.

    Without *max_objects* and *max_bytes* nothing may be left; with one of them, what is
    within it may, by the average of the rounds and in all leaks together.
    """

    max_objects: int | None = None
    max_bytes: int | None = None
    types: tuple[str, ...] = ()
    """Only leaks with objects of these classes count, by name with or without module."""
    ignore: tuple[str, ...] = ()
    """Patterns (fnmatch) of classes, files that allocate, and holders that do not count."""

    @classmethod
    def of(
        cls,
        max_objects: int | None = None,
        max_bytes: int | str | None = None,
        types: str | type | Iterable[str | type] = (),
        ignore: str | Iterable[str] = (),
    ) -> Allowance:
        """Of what users write.  Raises TypeError and ValueError with what is wrong."""
        if max_objects is not None and (type(max_objects) is not int or max_objects < 0):
            raise ValueError(f"max_objects must be a number of objects, not {max_objects!r}")
        return cls(
            max_objects,
            None if max_bytes is None else parse_size(max_bytes),
            tuple(map(_type_name, _several(types, "types are classes or their names"))),
            patterns(ignore),
        )

    def excess(self, report: LeakReport, runs: int = 1) -> tuple[Leak, ...]:
        """The leaks of *report*, whose rounds are so many *runs* each, that are too many; empty
        if all of them are allowed."""
        counted = [leak for leak in report.leaks if self._counts(leak)]
        rounds = max(report.rounds, 1) * runs
        if self.max_objects is None and self.max_bytes is None:
            return tuple(counted)
        objects = sum(leak.count for leak in counted) / rounds
        size = sum(leak.retained_bytes for leak in counted) / rounds
        over = (self.max_objects is not None and objects > self.max_objects) or (
            self.max_bytes is not None and size > self.max_bytes
        )
        return tuple(counted) if over else ()

    def _counts(self, leak: Leak) -> bool:
        names = [leak.type_name, *(grown.type_name for grown in leak.also)]
        if self.types and not any(
            name == wanted or name.endswith(f".{wanted}") for name in names for wanted in self.types
        ):
            return False
        short = leak.type_name.rpartition(".")[2]
        filename = leak.site.filename if leak.site is not None else ""
        return not any(
            fnmatchcase(text, pattern)
            for pattern in self.ignore
            for text in (leak.type_name, short, filename, leak.holder)
            if text
        )


def patterns(ignore: str | Iterable[str]) -> tuple[str, ...]:
    """One pattern or several.  Raises TypeError for anything else."""
    several = _several(ignore, "ignore is patterns of classes, files and holders")
    for pattern in several:
        if not isinstance(pattern, str):
            raise TypeError(f"ignore is patterns of classes, files and holders, not {pattern!r}")
    return several


def _several(given: Any, what: str) -> tuple[Any, ...]:
    if isinstance(given, (str, type)):
        return (given,)
    try:
        return tuple(given)
    except TypeError:
        raise TypeError(f"{what}, not {given!r}") from None


def _type_name(name: str | type) -> str:
    if isinstance(name, str):
        return name
    if not isinstance(name, type):
        raise TypeError(f"types are classes or their names, not {name!r}")
    module = "" if name.__module__ == "builtins" else f"{name.__module__}."
    return f"{module}{name.__qualname__}"


@overload
def assert_no_leaks(
    callable: Callable[[], object],
    /,
    *,
    rounds: int = ...,
    warmup: int = ...,
    max_objects: int | None = ...,
    max_bytes: int | str | None = ...,
    types: str | type | Iterable[str | type] = ...,
    ignore: str | Iterable[str] = ...,
) -> LeakReport: ...
@overload
def assert_no_leaks(
    *,
    max_objects: int | None = ...,
    max_bytes: int | str | None = ...,
    types: str | type | Iterable[str | type] = ...,
    ignore: str | Iterable[str] = ...,
) -> AbstractContextManager[None]: ...
def assert_no_leaks(
    callable: Callable[[], object] | None = None,  # noqa: A002 -- as memscope.diagnose has it
    /,
    *,
    rounds: int = ROUNDS,
    warmup: int = 2,
    max_objects: int | None = None,
    max_bytes: int | str | None = None,
    types: str | type | Iterable[str | type] = (),
    ignore: str | Iterable[str] = (),
) -> LeakReport | AbstractContextManager[None]:
    """Run *callable* in rounds and raise LeakError if each leaves more than it may.

    Without a callable, a context manager, which can only be judged on one round: a cache
    that is filled for the first time looks like a leak there.

    *max_objects*, *max_bytes* (a number, or "10 KiB"): what one round may leave behind.
    *types*: only leaks of these classes count.  *ignore*: patterns of classes, of files
    that allocate and of holders that do not.

    Raises LeakError, an AssertionError whose ``report`` has all of it; ValueError and
    TypeError for limits that are none; and what *callable* raises.  Cost: that of
    :func:`memscope.diagnose`.
    """
    from memscope.leaks import diagnose

    allowance = Allowance.of(max_objects, max_bytes, types, ignore)
    if callable is None:
        return _block(allowance)
    report = diagnose(callable, rounds, warmup=warmup)
    raise_excess(report, allowance)
    return report


def _block(allowance: Allowance) -> AbstractContextManager[None]:
    from contextlib import contextmanager

    from memscope.leaks import Watch

    @contextmanager
    def block() -> Iterator[None]:
        with Watch(title="the block") as watched:
            yield
        raise_excess(watched.report(), allowance)

    return block()


def raise_excess(report: LeakReport, allowance: Allowance) -> None:
    """Raise LeakError if *report* has more than is allowed."""
    from memscope.leaks import LeakError

    leaks = allowance.excess(report)
    if leaks:
        raise LeakError(report, failure_text(report.title, leaks, notes=report.notes))


# -- what a failure says


def failure_text(
    title: str, leaks: Sequence[Leak], *, command: str = "", notes: Sequence[str] = ()
) -> str:
    """What a test prints that leaks: for each leak, in the order in which one asks, the verdict
    with the numbers of the rounds, what, from which line, held by whom, and the remedy."""
    from memscope.leak_text import failure_lines

    return "\n".join(failure_lines(title, leaks, command, notes))
