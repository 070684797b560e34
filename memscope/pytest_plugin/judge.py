"""Measures each test, and judges those that left something behind.

From the start of its setup to the end of its teardown, a test is weighed: live bytes, open
files, threads.  Most tests leave nothing, and that is all.  What left something is looked at
in steps, each of which costs more than the one before and is reached by fewer tests:

    1  collect the young garbage, and drop the values of its fixtures
    2  run the test again, and twice more: what comes with the first run only, a cache or an
       import, does not come with these
    3  the rounds, without a walk of the heap, as long as they may show a leak (``signs``)
    4  ``memscope.Watch``: the rounds, a walk of the heap after each, and a report

A test that asks for it (``no_leaks``, ``memscope_leaks``) begins with step 3, its own run being the
warm-up: a clean test costs its repetitions, a leak the walks that its report is made of.

All of it happens inside the teardown of a test, before fixtures of wider scope end; the verdict
goes into the report of its body, which is logged when teardown is over.  Only tests that passed
are judged: the report of another holds its frames.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from _pytest.outcomes import TEST_OUTCOME

from memscope import _memscope
from memscope.caches import all_frozen, empty_free_lists, has_frozen
from memscope.leaks import NFRAME, Watch, left_since
from memscope.pytest_plugin import screening
from memscope.pytest_plugin.containers import Containers
from memscope.pytest_plugin.known import Known
from memscope.pytest_plugin.limits import Peak, largest_at_peak
from memscope.pytest_plugin.names import MemscopeWarning
from memscope.pytest_plugin.outcome import Outcome
from memscope.pytest_plugin.repeats import (
    CannotRepeatError,
    Repeats,
    Unseen,
    forget_strategies,
    tear_down_function,
    why_not_repeated,
)
from memscope.pytest_plugin.settings import kept_by_fixtures
from memscope.pytest_plugin.signs import Signs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import pluggy

    from memscope.leak_report import LeakReport
    from memscope.pytest_plugin.settings import Settings, Wish
    from memscope.testing import Allowance

__all__ = ["Judge", "Unweighed"]

FRAMES = 1
"""Frames of a traceback while tests run; what judges them traces more."""


class Test:
    """The test that is running."""

    __test__ = False

    def __init__(self, item: pytest.Item, wish: Wish) -> None:
        self.item = item
        self.wish = wish
        self.repeats = Repeats(item)
        self.before = screening.leftovers()
        self.began = time.perf_counter()
        self.epoch = _memscope.advance_epoch()
        self.full_collections = 0
        """Made before it; counted if all tests are judged."""
        self.passed = self.failed = False
        self.report: pytest.TestReport | None = None
        """Of its body, once that has run."""
        self.logged = False
        self.outcome = Outcome(item.nodeid)


class Judge:
    """The plugin that is registered when tests are to be judged."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.known = Known.read(settings.known)
        self.scale = screening.Scale()
        self.floor = screening.Floor()
        self.containers = Containers()
        self.signs = Signs(self.scale, self.containers)
        self.test: Test | None = None
        self._in_body = self._untraced = self._traces_runner = False
        self.in_repeat = False
        self._leaking = 0
        self._unseen: Unseen | None = None
        self._wishes: dict[pytest.Item, Wish] = {}
        self._protocols: list[pluggy.HookImpl] = []
        """Of other plugins: how they run a test."""
        self._started = False

    # -- the life of a run

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.containers = Containers(session.items)
        self.signs = Signs(self.scale, self.containers)
        for item in session.items:
            try:
                self._wishes[item] = self.settings.wish(item)
            except (TypeError, ValueError) as error:
                raise pytest.UsageError(f"{item.nodeid}: {error}") from None
        hook = session.config.hook
        self._protocols = [
            each
            for each in hook.pytest_runtest_protocol.get_hookimpls()[::-1]
            if not (each.wrapper or each.hookwrapper)
            and each.plugin is not self
            and each.plugin_name != "runner"
        ]
        self._traces_runner = all(
            self._trace_runner(each)
            for each in (
                hook.pytest_runtest_setup,
                hook.pytest_runtest_call,
                hook.pytest_runtest_teardown,
            )
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            self._stop()  # else what pytest does at its end would be traced

    def pytest_unconfigure(self) -> None:
        self.scale.close()

    def _start(self) -> None:
        if not _memscope.is_tracing():
            with all_frozen():  # it collects all garbage, which is not what tests are judged by
                _memscope.start(FRAMES)
            self._started = True

    def _stop(self) -> None:
        if self._started and _memscope.is_tracing():
            _memscope.stop()
        self._started = False

    # -- the life of a test

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> object | None:
        """As pytest's own, but logs the reports when teardown is over."""
        wish = self._wish_of(item)
        if not self.settings.all and wish.allowance is None and wish.limit is None:
            return None
        if item.config.getoption("setuponly", False):
            return None
        # Of a test that asks, pytest's part is not traced: its sweeps empty the free lists anyway.
        self._untraced = wish.allowance is not None and self._traces_runner and not has_frozen()
        before = _memscope.pause(self._untraced)
        try:
            self._run(item, nextitem)
        finally:
            _memscope.pause(before)
            if not self._untraced:
                self.containers.leave_out(item)
            self._untraced = False  # what other tests do is traced if they say so
        return True

    def _run(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        for plugin in self._protocols:
            # One that repeats tests in its own way logs them in its own way.
            if not _is_idle_flaky(plugin.function, item):
                given = {"item": item, "nextitem": nextitem}
                if plugin.function(*(given[name] for name in plugin.argnames)) is not None:
                    return
        from _pytest.runner import runtestprotocol

        hook = item.ihook
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            self._warn(item, report)
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _trace_runner(self, hook: pluggy.HookCaller) -> bool:
        """Trace what pytest's runner does in a hook, and not what others do around it; False if
        that cannot be had, and then nothing is left out.

        Not by a hook of our own, for what pytest makes of each call would be traced then.
        """
        runner = [each for each in hook.get_hookimpls() if each.plugin_name == "runner"]
        try:
            for each in runner:
                each.function = self._traced(each.function)  # type: ignore[misc]  # Final
        except (AttributeError, TypeError):
            return False
        return bool(runner)

    def _traced(self, function: Callable[..., object]) -> Callable[..., object]:
        def traced(*args: object) -> object:
            __tracebackhide__ = True
            _resume()
            try:
                return function(*args)
            finally:
                self._pause()

        return traced

    def _pause(self) -> None:
        """Do not trace what this thread allocates, if it was not traced when the test began."""
        if self._untraced and not _memscope.pause(True):
            empty_free_lists()  # what waits there counts as traced, whoever gets it

    def _warn(self, item: pytest.Item, report: pytest.TestReport) -> None:
        found = getattr(report, "memscope", None)
        if found is None or self.settings.mode != "warn" or found["verdict"] != "leaks":
            return
        headlines = [leak["headline"] for leak in found["leaks"]] or found["leftovers"]
        try:
            item.warn(MemscopeWarning(f"{item.nodeid} leaks: {'; '.join(headlines)}"))
        except MemscopeWarning as error:  # warnings are errors in this run
            from memscope.pytest_plugin.reports import fail_report

            fail_report(report, item, str(error), str(error))

    def _wish_of(self, item: pytest.Item) -> Wish:
        wish = self._wishes.get(item)
        if wish is None:  # it was not there when all were collected
            wish = self._wishes[item] = self.settings.wish(item)
        return wish

    # Trylast: as deep in pytest's stack as what weighs after it, so that its frames are the same.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        wish, self.test = self._wish_of(item), None
        if not self.settings.all and wish.allowance is None and wish.limit is None:
            return (yield)
        self._start()
        self.test = Test(item, wish)
        forget_strategies()
        if self.settings.all:
            self.test.full_collections = screening.full_collections()
            self.scale.zero()
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        if self.test is None:
            return (yield)
        peak = Peak()
        self._in_body = True
        try:
            return (yield)
        finally:
            self._in_body = False
            self.test.outcome.peak = peak.bytes()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if self.in_repeat:  # of a subtest: it does not raise, it makes a report
            report = yield
            if self.test is not None and report.failed:
                self.test.repeats.subtest_failed = True
            return report
        report = yield
        test = self.test
        if test is not None and test.item is item:
            if self._in_body:  # of a subtest
                test.failed = test.failed or report.failed
            elif call.when == "call":
                test.report = report
                passed = report.passed and not hasattr(report, "wasxfail")
                test.passed = passed and not test.failed
            elif call.when == "teardown":
                self._tell(test, report)
                self.test = None
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._untraced:
            self.containers.leave_out(report)
        if self.test is not None and report is self.test.report:
            self.test.logged = True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        test, errors = self.test, list[BaseException]()
        try:
            if test is not None and test.item is item and test.passed:
                _resume()
                self._end(test, errors)
                self._pause()
            result = yield
        except TEST_OUTCOME as error:
            errors.append(error)
        if len(errors) > 1:
            raise BaseExceptionGroup("errors during test teardown", errors[::-1])
        if errors:
            raise errors[0]
        return result

    # -- judging

    def _end(self, test: Test, errors: list[BaseException]) -> None:
        """Tear down what is the test's own, and judge it if that works."""
        test.repeats.remember()
        try:
            tear_down_function(test.item)
        except TEST_OUTCOME as error:
            errors.append(error)
            return
        self.in_repeat = True
        try:
            self._judge(test)
        finally:
            self.in_repeat = False

    def _judge(self, test: Test) -> None:
        """Find out what *test* left behind.  Raises only what ends the run."""
        began, outcome = time.perf_counter(), test.outcome
        try:
            if not _memscope.is_tracing():
                outcome.verdict = "not judged"
                outcome.notes.append("the test ended the tracing of memory")
            elif test.wish.allowance is not None:
                self._judge_by_wish(test, test.wish.allowance)
            elif self.settings.all and not test.wish.rounds:
                outcome.verdict = "not judged"
                outcome.notes.append("it asks to be left alone (rounds=0)")
            elif self.settings.all:
                self._screen(test)
            self._hold_to_limit(test)
        except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
            raise
        except Exception as error:
            outcome.verdict = "not judged"
            outcome.notes.append(f"memscope failed: {type(error).__name__}: {error}")
        self._pause()  # what the item is left with is pytest's
        test.repeats.restore()
        self._leaking += outcome.verdict == "leaks"
        outcome.runs += test.repeats.count
        outcome.seconds = time.perf_counter() - began

    def _judge_by_wish(self, test: Test, allowance: Allowance) -> None:
        if test.wish.rounds == 1:
            self._one_round(test, "it asks for one", allowance, True)
            return
        with self._unseen_of(test.item.config) as unseen:
            test.repeats.forget_last_run()
            try:
                self._look_closer(test, unseen, None, allowance)
            except CannotRepeatError as error:
                if test.repeats.count == 1:
                    why = f"it could not be repeated ({error})"
                    self._one_round(test, why, allowance, True)
                else:
                    self._give_up(test, error)

    def _look_closer(
        self,
        test: Test,
        unseen: Unseen,
        sweeper: screening.Sweeper | None,
        allowance: Allowance,
    ) -> None:
        """The rounds: without a walk of the heap, and with walks if these show a sign of a leak."""
        rounds, before = test.wish.rounds, test.before
        for turns in self.signs.turns(test.repeats, unseen, test.outcome, rounds, before, sweeper):
            if self._rounds(test, unseen, allowance, turns=turns):
                return

    def _screen(self, test: Test) -> None:
        """Look at what a test left that did not ask for it, in steps."""
        item = test.item
        kind = (
            type(item),
            getattr(item, "cls", None) is None,
            len(getattr(item, "fixturenames", ())),
        )
        # If not, older garbage has gone, perhaps as much as this test left.
        comparable = screening.full_collections() == test.full_collections
        if comparable and self._is_usual(test, kind, self.scale.grown()):
            return
        test.repeats.forget_last_run()
        screening.young_garbage()
        grown = self.scale.grown()
        if comparable and self._is_usual(test, kind, grown):
            return
        if 0 < self.settings.most <= self._leaking:
            # Without a walk of the heap: there may be thousands more, with the same leak.
            test.outcome.verdict = "not judged"
            test.outcome.notes.append(f"{self._leaking} tests leak already (--memscope-most)")
            return
        took = time.perf_counter() - test.began
        why_not = why_not_repeated(test.item, took, self.settings.slow)
        if why_not:
            self._one_round(test, why_not, self.settings.default, False)
            return
        sweeper = screening.Sweeper()
        with self._unseen_of(test.item.config) as unseen:
            try:
                if self._comes_again(test, unseen, sweeper):
                    self._look_closer(test, unseen, sweeper, self.settings.default)
                if comparable and test.outcome.verdict == "clean":
                    self.floor.learn(kind, grown)
            except CannotRepeatError as error:
                why_not = f"it could not be repeated ({error})"
                self._one_round(test, why_not, self.settings.default, False)

    def _is_usual(self, test: Test, kind: object, grown: int) -> bool:
        """Whether a test left no more than pytest leaves of any."""
        return (
            self.floor.is_below(kind, grown)
            and not self.scale.native()
            and not screening.leftovers().since(test.before)
        )

    def _comes_again(self, test: Test, unseen: Unseen, sweeper: screening.Sweeper) -> bool:
        """Whether further runs leave something behind, or that is not to be told.

        Two runs are enough for most: what is made once is not made again.  Weighed at the same
        point of a run, so that pytest's own part cancels out.
        """
        test.repeats.run_unseen(unseen)
        left = screening.leftovers()
        was_full = sweeper.sweep()
        self.scale.zero()
        test.repeats.run_unseen(unseen)
        test.repeats.run_unseen(unseen)
        is_full = sweeper.sweep()
        return (
            is_full > was_full  # and older garbage has gone, perhaps as much as these left
            or self.scale.grown() > screening.NOISE
            or self.scale.native() > 0
            or bool(screening.settled(left))
        )

    def _rounds(self, test: Test, unseen: Unseen, allowance: Allowance, *, turns: int) -> bool:
        """Judge by the rounds, of so many runs each, after a warm-up: memscope's own report.

        Whether anything is told: a leak, perhaps one that is allowed, or why it is not judged.
        """
        outcome, rounds = test.outcome, 0
        left = screening.leftovers()
        was_started = self._started
        self._stop()  # the watch traces more frames
        watched = None
        try:
            watched = Watch(nframe=NFRAME, title=test.item.name)
            for number in range(test.wish.rounds):
                for _ in range(turns):
                    test.repeats.run_unseen(unseen)
                watched.checkpoint(f"run {turns * (number + 1)}")
                rounds += 1
            report = watched.report()
            left = screening.settled(left)
        except CannotRepeatError as error:
            self._give_up(test, error)
            return True
        finally:
            if watched is not None:
                watched.stop()
            if was_started:
                self._start()
        outcome.rounds = rounds
        outcome.notes += [note for note in report.notes if note not in outcome.notes]
        if len(left.threads) >= rounds or len(left.files) >= rounds:
            outcome.leftovers = left.names()
        self._conclude(test, report, allowance, turns)
        if turns > 1 and outcome.verdict == "leaks":
            outcome.notes.append(f"each round was {turns} runs: it does not leak in every one")
        return bool(report) or bool(outcome.leftovers)

    def _give_up(self, test: Test, error: CannotRepeatError) -> None:
        # What the first run left can no longer be told: others came after it.
        test.outcome.verdict = "not judged"
        test.outcome.notes.append(f"it could not be repeated so often ({error})")

    def _conclude(
        self, test: Test, report: LeakReport, allowance: Allowance, turns: int = 1
    ) -> None:
        outcome = test.outcome
        for leak in allowance.excess(report, turns):
            known = self.known.has(test.item.nodeid, leak, report.rounds)
            (outcome.known if known else outcome.leaks).append(leak.to_dict())
        if report.rounds > 1 and not self.settings.fixtures:
            outcome.in_fixtures = [
                leak.to_dict() for leak in kept_by_fixtures(report, allowance, turns)
            ]
        if outcome.leaks or outcome.leftovers:
            outcome.verdict = "leaks"
            if any("asyncio" in leak["type_name"] for leak in outcome.leaks):
                outcome.leftovers += screening.pending_tasks()
            if self.settings.save is not None:
                outcome.notes.append(f"saved: {_save(report, self.settings.save, outcome.nodeid)}")
        elif outcome.known:
            outcome.verdict = "known"

    def _one_round(self, test: Test, why: str, allowance: Allowance, fails: bool) -> None:
        """Of a test that cannot be repeated: what it left, which may be a cache that fills.

        Fails only a test that asked to be judged.
        """
        outcome = test.outcome
        left = screening.settled(test.before)
        report = left_since(test.epoch, title=test.item.name)
        outcome.rounds = 1
        outcome.notes.append(f"judged on one round, because {why}")
        outcome.leftovers = [*left.names(), *screening.pending_tasks()]
        self._conclude(test, report, allowance)
        if outcome.verdict == "leaks" and not fails:
            outcome.verdict = "not judged"

    def _unseen_of(self, config: pytest.Config) -> Unseen:
        if self._unseen is None:
            self._unseen = Unseen(config)
        return self._unseen

    def _hold_to_limit(self, test: Test) -> None:
        outcome, limit = test.outcome, test.wish.limit
        outcome.limit = limit
        if limit is None or outcome.peak is None or outcome.peak <= limit:
            return
        outcome.verdict = "over limit"
        with self._unseen_of(test.item.config):
            try:
                outcome.at_peak = largest_at_peak(test.repeats, outcome.peak)
            except CannotRepeatError as error:
                outcome.notes.append(f"what was there at the peak is not known: {error}")

    # -- telling

    def _tell(self, test: Test, teardown: pytest.TestReport) -> None:
        """Put the verdict into the report of the test's body, or of its teardown if that one
        is logged already, by a plugin that runs tests in its own way."""
        outcome, report = test.outcome, test.report
        if report is None:
            return
        if not test.passed:
            outcome.verdict = "not judged"
            outcome.notes.append("it did not pass")
        if test.logged:
            report = teardown
        fails = outcome.verdict == "over limit" or (
            outcome.verdict == "leaks"
            and (self.settings.mode == "fail" or test.wish.allowance is not None)
        )
        if fails and report.passed:
            from memscope.pytest_plugin.reports import fail_report, failure

            outcome.fails = True
            fail_report(report, test.item, *failure(outcome, test.item.name))
        report.memscope = outcome.to_dict()  # type: ignore[attr-defined]
        properties: list[tuple[str, object]] = []
        if outcome.verdict in ("leaks", "over limit"):
            properties.append(("memscope_verdict", outcome.verdict))
            properties += [("memscope_leak", leak["headline"]) for leak in outcome.leaks]
        if test.wish.limit is not None and outcome.peak is not None:
            properties.append(("memscope_peak_bytes", outcome.peak))
        # JUnit's XML has those of the last report of a test.
        teardown.user_properties += properties


class Unweighed:
    """The plugin by which what pytest makes of a test, its reports, is not weighed."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, object, object]:
        if self.judge.in_repeat:  # that of a subtest does not live
            return (yield)
        self.judge.scale.pause()
        report = yield
        self.judge.scale.resume()
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, object, object]:
        self.judge.scale.pause()
        result = yield
        self.judge.scale.resume()
        return result


def _resume() -> None:
    """Trace what this thread allocates, if that was paused."""
    if _memscope.pause(False):
        empty_free_lists()  # a container that is made of what waits there could not be known


def _is_idle_flaky(hook: Callable[..., object], item: pytest.Item) -> bool:
    """Whether *hook* is that of flaky, which runs every test, and needs not repeat this one."""
    if not hook.__module__.startswith("flaky."):
        return False
    marked = (getattr(item, "obj", None), getattr(item, "cls", None))
    return not (
        item.config.getoption("force_flaky", False)
        or item.get_closest_marker("flaky") is not None
        or any(hasattr(one, "_flaky_max_runs") for one in marked)
    )


def _save(report: LeakReport, folder: Path, nodeid: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    from memscope.pytest_plugin.reports import file_name

    path = folder / file_name(nodeid)
    report.save(path)
    return str(path)
