"""A test, run again: its fixtures of function scope, its body, their teardown.

It happens inside the teardown of the real run, where what the test has from outside (fixtures
of classes, modules and the session) still stands, and without pytest's hooks, so that no
report, no section of captured output and no record of a log is made of it.  What hooks
would see of it is put back.
"""

from __future__ import annotations

import io
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "CannotRepeatError",
    "Repeats",
    "Unseen",
    "forget_strategies",
    "tear_down_function",
    "why_not_repeated",
]


class CannotRepeatError(Exception):
    """Why a test could not be run again."""


def tear_down_function(item: pytest.Item) -> None:
    """Tear down what is the test's alone.  Raises what its finalizers raise."""
    parent: Any = item.parent
    item.session._setupstate.teardown_exact(parent)


OF_TIMEOUT = 0.5
"""Share of a test's timeout that it and its repetitions may take."""


def why_not_repeated(item: pytest.Item, took: float, slow: float) -> str:
    """Why a test that took so many seconds is not to be run again; "" if it may be."""
    if took > slow:
        return f"it took {took:.1f} s"
    timeout = _timeout(item)
    if timeout and took > OF_TIMEOUT * timeout / 12:
        return f"its timeout of {timeout:g} s is too short for repetitions"
    return ""


def _timeout(item: pytest.Item) -> float:
    """Seconds that pytest-timeout gives it, for all its runs; 0: any number."""
    mark = item.get_closest_marker("timeout")
    value: Any = None
    if mark is not None:
        value = mark.args[0] if mark.args else mark.kwargs.get("timeout")
    if value is None:
        value = item.config.getoption("timeout", None)
    if value is None and item.config.pluginmanager.has_plugin("timeout"):
        try:
            value = item.config.getini("timeout")
        except (KeyError, ValueError):
            value = None
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return 0.0


def forget_strategies() -> None:
    """Empty hypothesis's cache of strategies, which keeps the last 1024 that any test made: a test
    that makes them in its body leaves some with each run, until it is full."""
    strategies = sys.modules.get("hypothesis.strategies")
    clear = getattr(getattr(strategies, "integers", None), "__clear_cache", None)
    if clear is not None:
        clear()


class Repeats:
    """One test, to be run again and again."""

    def __init__(self, item: pytest.Item) -> None:
        self.item: Any = item
        # A doctest clears its namespace when it has run.
        test = getattr(item, "dtest", None)
        self._globs = dict(test.globs) if test is not None else None
        self._stash: dict[Any, Any] = {}
        self._left: dict[Any, Any] | None = None
        self._is_new = False
        self.count = 0
        self.subtest_failed = False

    def remember(self) -> None:
        """What plugins have put aside for the test: its teardown may take it away."""
        self._stash = dict(_stash_of(self.item))

    def restore(self) -> None:
        """Leave to plugins what they would have found without repetitions; and the item with what
        is made now, not while it was repeated."""
        if self._left is not None:
            stash = _stash_of(self.item)
            stash.clear()
            stash.update(self._left)
            if hasattr(self.item, "_initrequest"):
                self.item._initrequest()

    def forget_last_run(self) -> None:
        """Drop the values of its fixtures, which are torn down, and what its runner cached."""
        self._renew()
        forget_strategies()

    def run_unseen(self, unseen: Unseen) -> None:
        """Run it once, and leave nothing of it with pytest.  Raises CannotRepeatError."""
        self.run()
        self.forget_last_run()
        unseen.clear()

    def run(self) -> None:
        """Run it once.  Raises CannotRepeatError if it does not pass as it did before."""
        item = self.item
        state = item.session._setupstate
        if not self._is_new:
            self._renew()
        self._is_new = False
        self.count += 1
        finalizers = _finalizers_of(item)
        self.subtest_failed = False
        failure = ""
        try:
            try:
                state.setup(item)
                item.runtest()
                failure = self._unittest_failure()
                if self.subtest_failed:
                    failure = "a subtest failed"
            finally:
                state.teardown_exact(item.parent)
        except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
            raise
        except BaseException as error:
            failure = _in_words(error)
        for before, each in finalizers:
            del each[before:]
        if failure:
            self._renew()
            raise CannotRepeatError(failure)

    def _renew(self) -> None:
        """As before a first run."""
        self._is_new = True
        stash = _stash_of(self.item)
        if self._left is None:
            self._left = dict(stash)
            for before, each in _finalizers_of(self.item):
                each.append(each[-1])  # or the first repetition makes them longer than they are
                del each[before:]
        # Made anew, or the dict would grow by what each run takes out of it.
        whole = self._stash | stash
        stash.clear()
        stash.update(whole)
        if hasattr(self.item, "_initrequest"):
            self.item._initrequest()
        if self._globs is not None:
            self.item.dtest.globs.update(self._globs)

    def _unittest_failure(self) -> str:
        """What went wrong in a unittest.TestCase, which is kept, not raised."""
        failures = vars(self.item).pop("_excinfo", None)
        return _in_words(failures[0].value) if failures else ""


def _failed_subtests(config: pytest.Config) -> dict[Any, int]:
    """pytest's own count, by test; of versions that have subtests."""
    key: Any = getattr(sys.modules.get("_pytest.subtests"), "failed_subtests_key", None)
    found: dict[Any, int] = {} if key is None else config.stash.get(key, {})
    return found


def _capture_files(manager: Any) -> list[Any]:
    """What pytest writes to that is printed, without a buffer: at 0 until there is something."""
    capture: Any = getattr(manager, "_global_capturing", None)
    files = [getattr(getattr(capture, name, None), "tmpfile", None) for name in ("out", "err")]
    unbuffered = [getattr(file, "buffer", None) for file in files]
    return [] if None in unbuffered else unbuffered


def _uncaught(config: pytest.Config) -> list[Any]:
    """pytest's queues of exceptions that nobody could catch; of versions that have them."""
    found = []
    for name in ("unraisable", "thread"):
        module = sys.modules.get(f"_pytest.{name}exception")
        key: Any = getattr(module, f"{name}_exceptions", None)
        if key is not None and key in config.stash:
            found.append(config.stash[key])
    return found


def _finalizers_of(item: Any) -> list[tuple[int, list[Any]]]:
    """What fixtures of wider scope, which live on, keep of each use: how many, and the list.

    Each is the end of a fixture of this test, which is over after its run.
    """
    info = getattr(item, "_fixtureinfo", None)
    definitions = info.name2fixturedefs.values() if info is not None else ()
    found = []
    for definition in definitions:
        for fixture in definition:
            finalizers = getattr(fixture, "_finalizers", None)
            if type(finalizers) is list and finalizers:
                found.append((len(finalizers), finalizers))
    return found


def _stash_of(item: pytest.Item) -> dict[Any, Any]:
    storage: dict[Any, Any] = item.stash._storage
    return storage


def _in_words(error: BaseException) -> str:
    """The error without what it holds; its text is the program's, and may fail."""
    try:
        text = str(error).partition("\n")[0][:200]
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Unseen:
    """What pytest has seen of the real run is put aside, and put back at the end.

    What is printed, logged and warned meanwhile is not the test's; ``clear()`` drops it, so
    that it does not look like a leak.  One for all tests of a run, one after the other.
    """

    def __init__(self, config: pytest.Config) -> None:
        manager = config.pluginmanager
        capture: Any = manager.get_plugin("capturemanager")
        self._capture = capture if capture and capture.is_globally_capturing() else None
        self._files = _capture_files(self._capture)
        logging: Any = manager.get_plugin("logging-plugin")
        handlers = [getattr(logging, f"{name}_handler", None) for name in ("caplog", "report")]
        self._handlers: list[Any] = [handler for handler in handlers if handler is not None]
        hooks = config.hook.pytest_runtest_logreport, config.hook.pytest_exception_interact
        self._hooks: list[Any] = list(hooks)
        self._subtests = _failed_subtests(config)
        # Exceptions in finalizers and threads: pytest's hooks would collect them after each phase.
        self._uncaught = _uncaught(config)
        # Containers that stay: one that is made for each test may take the place of another, which
        # looks like a change of that one's length.
        self._aside: list[Any] = [None] * len(self._handlers)
        self._records: list[list[Any]] = [[] for _ in self._handlers]
        self._streams = [io.StringIO() for _ in self._handlers]
        self._impls: list[Any] = [None] * len(hooks)
        self._no_impls: list[list[Any]] = [[] for _ in hooks]
        self._failed_subtests: dict[Any, int] = {}
        self._uncaught_before: list[list[Any]] = [[] for _ in self._uncaught]
        self._not_warned: list[Any] = []
        self._warned = self._not_warned
        self._printed = ("", "")
        self._warnings = warnings.catch_warnings(record=True)

    def __enter__(self) -> Self:
        # A subtest reports itself, of a repetition too: nobody is to hear of that.
        for at, hook in enumerate(self._hooks):
            self._impls[at], hook._hookimpls = hook._hookimpls, self._no_impls[at]
        self._failed_subtests.update(self._subtests)
        for queue, before in zip(self._uncaught, self._uncaught_before, strict=True):
            before.extend(queue)
            queue.clear()
        self._printed = self._read()
        self._warnings = warnings.catch_warnings(record=True)
        # Not "or": an empty list is the one that is going to record.
        warned: list[Any] | None = self._warnings.__enter__()
        self._warned = self._not_warned if warned is None else warned
        for at, handler in enumerate(self._handlers):
            self._aside[at] = handler.records, handler.stream
            handler.records, handler.stream = self._records[at], self._streams[at]
        return self

    def clear(self) -> None:
        self._warned.clear()
        self._read()
        for handler in self._handlers:
            # Used ones only: a run that leaves nothing must not change what lives.
            if handler.records:
                handler.records = []
            if handler.stream.closed or handler.stream.tell():
                handler.stream = io.StringIO()
        for queue in self._uncaught:
            queue.clear()

    def _read(self) -> tuple[str, str]:
        """Take what was printed."""
        # Where something was written only: it is read by six calls of the system.
        if self._capture is None or (self._files and not any(file.tell() for file in self._files)):
            return "", ""
        out, err = self._capture.read_global_capture()
        return out, err

    def __exit__(self, *_: object) -> None:
        self.clear()
        for queue, before in zip(self._uncaught, self._uncaught_before, strict=True):
            queue.extend(before)
            before.clear()
        self._warnings.__exit__(None, None, None)
        self._warned = self._not_warned
        for hook, impls in zip(self._hooks, self._impls, strict=True):
            hook._hookimpls = impls
        self._subtests.clear()
        self._subtests.update(self._failed_subtests)
        self._failed_subtests.clear()
        for stream, text in zip((sys.stdout, sys.stderr), self._printed, strict=True):
            if text:
                stream.write(text)
        for at, handler in enumerate(self._handlers):
            self._records[at], self._streams[at] = handler.records, handler.stream
            handler.records, handler.stream = self._aside[at]
            self._aside[at] = None
        self._printed = ("", "")
