"""What the options and the ini file say, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from memscope.pytest_plugin.names import FIXTURE, MODES
from memscope.testing import Allowance, parse_size, patterns

if TYPE_CHECKING:
    from typing import Self

    from memscope.leak_report import Leak, LeakReport

__all__ = ["Settings", "Wish", "is_of_fixture", "kept_by_fixtures"]

OF_FIXTURES = tuple(f"fixture * ({scope})*" for scope in ("class", "module", "package", "session"))
"""Patterns of holders: what fixtures have that are not torn down after each test."""


@dataclass(frozen=True)
class Wish:
    """What one test asks for itself."""

    allowance: Allowance | None
    """What each run may leave behind; None: it does not ask to be judged."""
    rounds: int
    """By how many runs; 0: it asks to be left alone."""
    limit: int | None
    """Bytes that it may allocate at its peak."""


@dataclass(frozen=True)
class Settings:
    """Of one run of pytest."""

    all: bool
    mode: str
    rounds: int
    most: int
    """Tests that leak after which others are not repeated; 0: no end."""
    slow: float
    """Seconds: a test that takes longer is not repeated, unless it asks to be judged."""
    top: int
    ignore: tuple[str, ...]
    fixtures: bool
    """Whether it counts what fixtures of wider scope have."""
    json: Path | None
    save: Path | None
    known: Path | None
    update_known: bool
    rootpath: Path

    @classmethod
    def of(cls, config: pytest.Config) -> Self:
        """Raises pytest.UsageError with what is wrong."""
        mode = config.getoption("memscope_mode") or config.getini("memscope_mode")
        if mode not in MODES:
            raise pytest.UsageError(f"memscope_mode must be fail, warn or report, not {mode!r}")
        known = config.getoption("memscope_known")
        known = path_of(known) if known else _ini_path(config, "memscope_known")
        if config.getoption("memscope_known_update") and known is None:
            raise pytest.UsageError("--memscope-known-update needs --memscope-known=FILE")
        return cls(
            bool(config.getoption("memscope") or config.getini("memscope")),
            mode,
            _number(config, "memscope_rounds", 1),
            _number(config, "memscope_most", 0),
            _seconds(config, "memscope_slow"),
            _number(config, "memscope_top", 0),
            tuple(config.getini("memscope_ignore")),
            bool(config.getoption("memscope_fixtures") or config.getini("memscope_fixtures")),
            path_of(config.getoption("memscope_json")),
            path_of(config.getoption("memscope_save")),
            known,
            bool(config.getoption("memscope_known_update")),
            config.rootpath,
        )

    def wish(self, item: pytest.Item) -> Wish:
        """What *item* asks for.  Raises TypeError, ValueError with what is wrong in its marks."""
        allowance, rounds, limit = None, self.rounds, None
        mark = item.get_closest_marker("memscope_leaks")
        if mark is not None:
            if mark.args:
                raise TypeError("memscope_leaks takes only arguments with names: max_objects=10")
            options = dict(mark.kwargs)
            rounds = options.pop("rounds", rounds)
            if type(rounds) is not int or rounds < 0:
                raise ValueError(f"rounds must be a number of 0 or more, not {rounds!r}")
            allowance = self._allowance(options) if rounds else None
        elif FIXTURE in getattr(item, "fixturenames", ()):
            allowance = self._allowance({})
        mark = item.get_closest_marker("memscope_limit")
        if mark is not None:
            if len(mark.args) != 1 or mark.kwargs:
                raise TypeError('memscope_limit takes one size: memscope_limit("24 MB")')
            limit = parse_size(mark.args[0])
        return Wish(allowance, rounds, limit)

    def _allowance(self, options: dict[str, Any]) -> Allowance:
        known = {"max_objects", "max_bytes", "types", "ignore"}
        if options.keys() - known:
            name, names = min(options.keys() - known), ", ".join(sorted(known))
            raise TypeError(f"memscope_leaks has no argument {name!r}; it has {names}, rounds")
        ignore = patterns(options.pop("ignore", ()))
        return Allowance.of(**options, ignore=(*self._ignored, *ignore))

    @property
    def _ignored(self) -> tuple[str, ...]:
        return self.ignore if self.fixtures else (*self.ignore, *OF_FIXTURES)

    @property
    def default(self) -> Allowance:
        """For tests that do not ask themselves."""
        return Allowance(ignore=self._ignored)


def is_of_fixture(leak: Leak) -> bool:
    """Whether a fixture of wider scope has it."""
    return any(fnmatchcase(leak.holder, pattern) for pattern in OF_FIXTURES)


def kept_by_fixtures(report: LeakReport, allowance: Allowance, runs: int) -> list[Leak]:
    """The leaks of *report*, whose rounds are so many *runs* each, that *allowance* lets pass only
    because fixtures have them."""
    ignore = tuple(pattern for pattern in allowance.ignore if pattern not in OF_FIXTURES)
    return list(filter(is_of_fixture, replace(allowance, ignore=ignore).excess(report, runs)))


def path_of(name: str | None) -> Path | None:
    return Path(name).absolute() if name else None


def _ini_path(config: pytest.Config, name: str) -> Path | None:
    value: str = config.getini(name)
    if not value:
        return None
    folder = config.rootpath if config.inipath is None else config.inipath.parent
    return folder / value


def _number(config: pytest.Config, name: str, least: int) -> int:
    value = config.getoption(name)
    try:
        number = int(config.getini(name) if value is None else value)
    except (TypeError, ValueError, pytest.UsageError) as error:  # of pytest, nameless
        text = f"{name} must be a number of {least} or more: {error}"
        raise pytest.UsageError(text) from None
    if number < least:
        raise pytest.UsageError(f"{name} must be a number of {least} or more, not {number}")
    return number


def _seconds(config: pytest.Config, name: str) -> float:
    value = config.getoption(name)
    try:
        seconds = float(config.getini(name) if value is None else value)
    except (TypeError, ValueError, pytest.UsageError) as error:
        raise pytest.UsageError(f"{name} must be a number of seconds: {error}") from None
    if not seconds >= 0:
        raise pytest.UsageError(f"{name} must be 0 or more seconds, not {seconds}")
    return seconds
