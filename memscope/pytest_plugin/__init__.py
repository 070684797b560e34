"""The pytest plugin: a leaking test fails, and says why.

    pytest --memscope                     every test is judged
    def test_login(no_leaks): ...         this one is
    @pytest.mark.memscope_leaks(max_objects=10)
    @pytest.mark.memscope_limit("24 MB")

pytest imports this file in every run of an environment that has memscope, so it only
declares: options, markers, fixtures.  What judges is imported when a test asks for it.

========== ==================================================================
file       what it does
========== ==================================================================
names      by what the plugin is asked: modes, fixture, warning
judge      measures each test, and judges those that left something behind
repeats    runs a test again, unseen by the rest of pytest
screening  what a test left behind, in a few microseconds; threads, files, tasks
signs      whether a test shows a sign of a leak: a glance, and trials
trial      the rounds, without a walk of the heap
containers what both read: the program's containers, without pytest's
limits     the peak of a test against its limit
reports    a leak as the failure of its test
outcome    what was found, as plain data that travels between processes
settings   options, ini file and marks, checked
known      the file of known leaks
summary    the end of the run: terminal, JSON, GitHub
tracker    the fixture ``memscope``
========== ==================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from memscope.pytest_plugin.names import FIXTURE, MODES, MemscopeWarning

if TYPE_CHECKING:
    from memscope.pytest_plugin.summary import Summary
    from memscope.pytest_plugin.tracker import Tracker

__all__ = ["MemscopeWarning"]

MARKERS = (
    (
        "memscope_leaks(max_objects=None, max_bytes=None, types=(), ignore=(), rounds=5): fail the"
        " test if each run leaves more behind than allowed; without limits, anything."
    ),
    'memscope_limit(size): fail the test if it allocates more than size at its peak: "24 MB".',
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("memscope", "memory leaks (memscope)")
    group.addoption(
        "--memscope", action="store_true", help="judge every test: does it leave memory behind?"
    )
    group.addoption(
        "--memscope-mode",
        choices=MODES,
        help="what a leak does: fail the test (default), warn, or only report it at the end",
    )
    group.addoption(
        "--memscope-rounds",
        type=int,
        metavar="N",
        help="runs by which a test is judged that left something behind (default 5)",
    )
    group.addoption(
        "--memscope-most",
        type=int,
        metavar="N",
        help="stop repeating tests when so many leak (default 25; 0: never): one leak in a"
        " library can be in all of them",
    )
    group.addoption(
        "--memscope-slow",
        type=float,
        metavar="SECONDS",
        help="judge a test that takes longer on one run, unless it asks to be judged (default 0.2)",
    )
    group.addoption(
        "--memscope-top",
        type=int,
        metavar="N",
        help="worst leaks and biggest peaks that the summary shows (default 5; 0: no summary)",
    )
    group.addoption(
        "--memscope-fixtures",
        action="store_true",
        help="count what fixtures of class, module and session scope keep of each test",
    )
    group.addoption("--memscope-json", metavar="FILE", help="write all that was found to FILE")
    group.addoption(
        "--memscope-save",
        metavar="DIR",
        help="write a report of each leaking test to DIR, for 'memscope report'",
    )
    group.addoption(
        "--memscope-known",
        metavar="FILE",
        help="a file of known leaks, which do not fail; it may only get shorter",
    )
    group.addoption(
        "--memscope-known-update",
        action="store_true",
        help="drop from that file what leaks no more; make it if there is none",
    )
    add_ini(parser, "memscope", "judge every test, as --memscope does", "bool", False)
    add_ini(parser, "memscope_mode", "fail, warn or report", "string", "fail")
    add_ini(parser, "memscope_rounds", "runs by which a test is judged", "int", 5)
    add_ini(parser, "memscope_most", "leaking tests after which none is repeated", "int", 25)
    add_ini(parser, "memscope_slow", "seconds above which a test is not repeated", "float", 0.2)
    add_ini(parser, "memscope_top", "rows of the summary, 0 for none", "int", 5)
    add_ini(parser, "memscope_ignore", "patterns of leaks that do not count", "linelist", [])
    add_ini(parser, "memscope_fixtures", "as --memscope-fixtures", "bool", False)
    add_ini(parser, "memscope_known", "the file of known leaks", "string", "")


def add_ini(parser: pytest.Parser, name: str, text: str, kind: Any, default: Any) -> None:
    try:
        parser.addini(name, text, type=kind, default=default)
    except (AssertionError, ValueError):  # of pytest before 8.4, which has no numbers
        parser.addini(name, text, default=default)


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.pluginmanager.register(Entry(config), "memscope-entry")


class Entry:
    """Finds out whether this run wants to be judged, and keeps what comes of it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.all = bool(config.getoption("memscope") or config.getini("memscope"))
        self.summary: Summary | None = None
        if self.all:
            self._judge()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if not self.config.pluginmanager.has_plugin("memscope-judge") and any(
            wants_judge(item) for item in items
        ):
            self._judge()

    def _judge(self) -> None:
        from memscope.pytest_plugin.judge import Judge, Unweighed
        from memscope.pytest_plugin.settings import Settings

        judge = Judge(Settings.of(self.config))
        self.config.pluginmanager.register(judge, "memscope-judge")
        if self.all:
            self.config.pluginmanager.register(Unweighed(judge), "memscope-unweighed")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = getattr(report, "memscope", None)
        if found is not None:
            self._summary().add(found)

    def _summary(self) -> Summary:
        if self.summary is None:
            from memscope.pytest_plugin.settings import Settings
            from memscope.pytest_plugin.summary import Summary

            self.summary = Summary(Settings.of(self.config))
        return self.summary

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        wanted = self.all or self.summary is not None or self.config.getoption("memscope_json")
        if wanted and not hasattr(self.config, "workerinput"):
            self._summary().finish(session)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.summary is not None:
            self.summary.show(terminalreporter)


def wants_judge(item: pytest.Item) -> bool:
    """Whether a test asks to be judged by itself."""
    return (
        FIXTURE in getattr(item, "fixturenames", ())
        or item.get_closest_marker("memscope_leaks") is not None
        or item.get_closest_marker("memscope_limit") is not None
    )


@pytest.fixture
def no_leaks() -> None:
    """The test must leave nothing behind: it is repeated, and fails if each run does.

    What it may leave, and by how many runs it is judged, is said by the marker
    ``memscope_leaks``; the fixture is that marker without arguments.
    """


@pytest.fixture
def memscope(request: pytest.FixtureRequest) -> Tracker:
    """The memory of this process, to look at inside the test: take, compare, assert."""
    from memscope.pytest_plugin.tracker import Tracker

    return Tracker(request.node.nodeid)
