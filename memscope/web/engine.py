"""One middleware's engine: what the adapters talk to.

    engine = Engine.of(options, debug=..., spelled=...)     None when it is not enabled
    visit = engine.begin(path, query, source)               None when the path is excluded
    ... the application answers ...
    engine.finish(visit, method, path, route, status, view)

An error of ours never reaches the application: it is logged once, and the engine is off.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import weakref
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from memscope import _memscope
from memscope.report import size_text
from memscope.web.investigation import Investigation
from memscope.web.recorder import Record, Recorder, Triggered
from memscope.web.routes import NO_ROUTE, Routes, template
from memscope.web.settings import Settings
from memscope.web.suspicions import Suspicions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from memscope._memscope import Passed
    from memscope.leak_report import LeakReport
    from memscope.web.dashboard import Dashboard
    from memscope.web.http import Answer, Call
    from memscope.web.kept import Kept
    from memscope.web.recorder import Visit
    from memscope.web.routes import Route
    from memscope.web.shelf import Shelf
    from memscope.web.timeline import Timeline

__all__ = ["Engine"]

requests_log = logging.getLogger("memscope.requests")
log = logging.getLogger("memscope.web")

MOST_RECENT = 50
MOST_PATHS, LONGEST_PATH = 1000, 200
"""Paths that are remembered, and their characters."""

PAUSE = 60.0
"""Seconds between two leak reports that are begun by themselves."""


class Engine:
    """See the top of the file.  Any thread may call it."""

    def __init__(self, settings: Settings, server: str) -> None:
        """*server*: the kind of application, for the pages: "Django", "WSGI"."""
        self.settings = settings
        self.server = server
        self.is_off = False
        self.started = time.time()
        self.pid = os.getpid()
        self.routes = Routes(settings.max_routes, settings.max_records)
        self.recorder = Recorder(
            self.routes,
            every=settings.every,
            warmup=settings.warmup,
            on_record=self._recorded,
            on_passed=self._passed,
        )
        self.passing = self.recorder.passing
        """An adapter asks it first; what passes by there need not come here."""
        self.routes.before_reading = self.passing.flush
        self.suspicions = Suspicions(self.routes, self.recorder)
        self.investigation = Investigation(self.routes, settings.nframe)
        self.investigation.on_state = self._pace
        self.read_rule: Callable[[Any, Any], tuple[str, Any]] | None = None
        """Makes a template and a view of what the framework told instead, of those that passed by;
        a framework need not do that for each."""
        # What every request needs, at hand.
        self._own = (
            re.compile("^" + re.escape(settings.mount) + "(?![^/])") if settings.dashboard else None
        )
        self.passing.excluding = _finders(
            (*settings.exclude_paths, *([self._own] if self._own else ()))
        )
        self._sampler = settings.sampler
        self._group_by = settings.group_by
        self._trigger = settings.trigger_param
        self.passing.is_quick = not (self._sampler or self._trigger or self._group_by)
        self.recent: deque[Record] = deque(maxlen=MOST_RECENT)
        """What was measured last."""
        self.seconds = 0.0
        """That our own work took, leak reports included."""
        self._reported = -PAUSE
        self.notes: tuple[str, ...] = ()
        """What somebody who looks at the figures should know."""
        self.timeline: Timeline | None = None
        self.kept: Kept | None = None
        self.shelf: Shelf | None = None
        self.dashboard: Dashboard | None = None
        if settings.dashboard:
            from memscope.web.dashboard import Dashboard
            from memscope.web.kept import Kept
            from memscope.web.timeline import Timeline

            self.timeline = Timeline()
            self.kept = Kept()
            self.dashboard = Dashboard(self)
        if settings.dashboard or settings.slow_threshold is not None:
            from memscope.web.shelf import Shelf

            self.shelf = Shelf()
        if not _memscope.is_tracing():
            # As a Watch does: free lists would give blocks to new owners unseen.
            _memscope.start(settings.nframe, reuse=sys.version_info >= (3, 13))
        if hasattr(os, "register_at_fork"):
            self_or_none = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _forked(self_or_none()))

    @classmethod
    def of(
        cls,
        options: Mapping[str, Any],
        *,
        server: str,
        debug: bool = False,
        spelled: Callable[[str], str] = str,
    ) -> Self | None:
        """An engine as *options* say; None if it is not enabled.  Raises SettingsError."""
        settings = Settings.of(options, debug=debug, spelled=spelled)
        return cls(settings, server) if settings.enabled else None

    # -- requests

    def begin(
        self, path: str, query: str, source: Any, call: Callable[[], Call] | None = None
    ) -> Visit | float | None:
        """A request begins; None if it is none of our business.

        A number if it only passes by: nothing of it is measured.  Who gets one calls finish() or
        drop(), and one of them once; a Visit notes by itself when it is dropped.

        *source*: the framework's request, for the sampler.  *call*: makes what the access
        check asks for, for the trigger parameter.
        """
        if self.is_off:
            return None
        try:
            recorder = self.recorder
            name = self.passing.paths.get(path)
            if name is None:
                name = self._look_at(path)
            if not name:
                recorder.settle()
                return None
            if self._sampler is not None:
                sampled = bool(self._sampler(source))
            else:
                sampled = recorder.next_is_sampled()
            if self._trigger is None or not self._triggered(query, call):
                return recorder.begin(sampled)
            return recorder.begin(True, Triggered)
        except Exception:
            self._broken("at the beginning of a request")
            return None

    def finish(
        self,
        visit: Visit | float,
        method: str,
        path: str,
        route: str | None,
        status: int | None,
        view: Any = None,
        source: Any = None,
        answered: float = 0.0,
    ) -> None:
        """A request is over: its body is sent, its background work done.

        *route*: the framework's template; None: there was none, and the path is used;
        "": no route matched.  *status*: None if the application raised.  *view*: the function
        or class that answered.  *answered*: see Recorder.finish().  Does nothing if a Visit is
        over.
        """
        if isinstance(visit, float):
            try:
                if self._group_by is not None:
                    route = self._name_of(route, path, status, source)
            except Exception:
                self._broken("at the end of a request")
            self.passing.end(visit, method, path, route, view, status, answered)
            return
        if visit.is_over:
            return
        try:
            # What compares equal, or has the same hash, as it likes is no name to look up.
            if type(route) is not str or self._group_by is not None:
                route = self._name_of(route, path, status, source)
            failed = status is None or status >= 500
            is_asked_for = visit.keeps_snapshot  # no more when it is over
            done = self.recorder.finish(visit, method, route or NO_ROUTE, failed, view, answered)
            if done is None:
                return
            which, seconds = done
            if visit.sampled:
                self._keep_snapshot(which.name, seconds, is_asked_for)
            if visit.sampled or self.investigation.state == "running":
                self._finished(which)
        except Exception:
            self._broken("at the end of a request")

    def _passed(self, requests: list[Passed]) -> None:
        """Requests that passed by are over."""
        if self.is_off:
            return
        try:
            for method, path, route, view, code, count, seconds, longest, over in requests:
                if self.read_rule is not None and self._group_by is None:
                    route, view = self.read_rule(route, view)
                elif type(route) is not str:
                    route = self._name_of(route, path, code)
                failed = code is None or code >= 500
                which = self.routes.seen(
                    method, route or NO_ROUTE, seconds, failed, over, count, longest
                )
                if which.endpoint is None:
                    which.answered_by(view)
                if self.investigation.state == "running":
                    self._finished(which)
        except Exception:
            self._broken("at the end of a request")

    def _pace(self, state: str) -> None:
        """While leaks are looked for, each request may be that after which a step is due."""
        self.passing.flush()  # those came before
        self.passing.is_eager = state == "running"
        self.suspicions.pause(state == "running")  # it has epochs of its own

    def _name_of(self, route: object, path: str, status: int | None, source: Any = None) -> str:
        """What stands for the template of a request whose framework tells none, or no text, or that
        the program itself puts in a group."""
        if self._group_by is not None:
            return str(self._group_by(source))
        if route is not None:
            return str(route)
        return "" if status == 404 else self.passing.paths.get(path) or template(path)

    def _finished(self, route: Route) -> None:
        """What is due after a request that was measured, or comes while leaks are looked for."""
        began = perf_counter()
        if self.investigation.state == "running":
            self.investigation.count(route.name)
        self.work(not self.recorder.in_flight)
        self.seconds += perf_counter() - began

    def drop(self, visit: Visit | float) -> None:
        """A request is gone, and nobody knows how it ended.  May be called in a collection."""
        if isinstance(visit, float):
            self.passing.drop()

    def response_headers(self, visit: Visit) -> list[tuple[str, str]]:
        """What to add to a response that begins now."""
        if not self.settings.header or not visit.sampled:
            return []
        try:
            retained = self.recorder.retained_so_far(visit)
        except Exception:
            self._broken("at the beginning of a response")
            return []
        if retained is None:
            return []
        return [
            ("Server-Timing", f'memscope;desc="{size_text(retained, sign=True)}"'),
            ("X-Memscope-Retained", str(retained)),
        ]

    def _look_at(self, path: str) -> str:
        """The template of a path that was not seen lately; "" if it is excluded."""
        is_excluded = any(find(path) for find in self.passing.excluding)
        name = "" if is_excluded else template(path)
        if len(path) <= LONGEST_PATH:
            if len(self.passing.paths) >= MOST_PATHS:
                self.passing.paths = {}  # other threads may be about to look into the old one
            self.passing.paths[path] = name
        return name

    # -- our own pages

    def serves(self, path: str) -> bool:
        """Whether *path* is one of our pages."""
        return self._own is not None and self._own.match(path) is not None

    def answer(self, call: Call) -> Answer:
        """Answer a request to one of our pages; only where serves() is true."""
        assert self.dashboard is not None
        began = perf_counter()
        self.recorder.disturb()
        try:
            return self.dashboard.answer(call)
        finally:
            self.recorder.calm()
            self.seconds += perf_counter() - began

    # -- what is done between requests

    def work(self, idle: bool) -> None:
        """Do what is due: a checkpoint of a leak report, a point of the timeline."""
        if self.investigation.state == "running":
            self._investigate(idle)
        if idle and self.timeline is not None:
            with self.recorder.left_out():
                self.timeline.tick()

    def _investigate(self, idle: bool) -> None:
        """What a leak report holds, or has let go of, is no request's."""
        moments = self.investigation.moments
        self.recorder.disturb()
        try:
            report = self.investigation.tick(idle)
        finally:
            if self.investigation.moments != moments:
                self.recorder.forget_last()
            self.recorder.calm()
        if report is not None:
            self.tell(report)

    def tell(self, report: LeakReport) -> None:
        """Log what a leak report says, and give it to who wants it."""
        for leak, known in zip(report.leaks, self.investigation.attributions, strict=True):
            where = f"{known.routes[0]}: " if len(known.routes) == 1 else ""
            requests_log.warning("%s%s", where, leak.headline)
        if self.settings.on_report is not None:
            self._call_back({"kind": "leaks", **report.to_dict()})

    def _recorded(self, record: Record) -> None:
        """A request, or some at once, were measured."""
        self.recent.append(record)
        settings = self.settings
        retained = record.retained
        least = settings.log_threshold
        if retained is not None and least is not None and retained >= least * record.requests:
            requests_log.warning(
                "%s retains %s after %.3f s", record.route, size_text(retained), record.seconds
            )
        if settings.on_report is not None:
            self._call_back({"kind": "request", **record._asdict()})
        route = None if retained is None else self.routes.get(record.route)
        self.suspicions.look(route)
        if route is not None and route.is_confirmed and settings.report_threshold is not None:
            self._consider(route, settings.report_threshold)

    def _consider(self, route: Route, threshold: int) -> None:
        """Begin a leak report if a route has grown enough for one."""
        now = time.monotonic()
        if route.bytes < threshold or route.bytes < 2 * route.reported_at:
            return
        if now - self._reported < PAUSE or self.investigation.state == "running":
            return
        if route.trend().verdict != "growing":
            return
        self._reported = now
        route.reported_at = route.bytes
        refusal = self.investigation.refusal()
        if refusal:
            self.notes = (refusal,)
            return
        self.investigation.begin(f"{route.name} keeps growing", route.name)

    def _keep_snapshot(self, route: str, seconds: float, is_asked_for: bool) -> None:
        """Of a request that was measured, if it was slow or somebody asked for it."""
        slow = self.settings.slow_threshold
        if self.shelf is None:
            return
        if is_asked_for:
            self.shelf.take(f"asked for with {route}")
        elif slow is not None and seconds >= slow:
            self.shelf.take(f"{route}, which took {seconds:.2f} s", automatic=True)

    def _triggered(self, query: str, call: Callable[[], Call] | None) -> bool:
        """Whether somebody who may asks for a snapshot of this request."""
        if not self._trigger or self._trigger not in query or call is None:
            return False
        from urllib.parse import parse_qs

        if self.dashboard is None or self._trigger not in parse_qs(query, keep_blank_values=True):
            return False
        return self.dashboard.access.allows(call())

    def _call_back(self, data: dict[str, Any]) -> None:
        callback = self.settings.on_report
        assert callback is not None
        try:
            callback(data)
        except Exception:
            if "on_report failed" not in self.notes:
                self.notes = (*self.notes, "on_report failed")
                log.exception("memscope: on_report failed; told once")

    def _broken(self, when: str) -> None:
        self.is_off = True
        self.passing.is_quick = False
        log.exception("memscope failed %s and is off until the process restarts", when)


def _finders(patterns: Sequence[re.Pattern[str]]) -> tuple[Callable[[str], object], ...]:
    """Functions that find what *patterns* do, but as few as may be, and that look at the beginning
    only where that is enough."""
    plain = [one for one in patterns if not one.groups and one.pattern[:2] != "(?"]
    others = [one for one in patterns if one not in plain]
    at_start = [one for one in plain if one.pattern[:1] == "^" and "|" not in one.pattern]
    anywhere = [one for one in plain if one not in at_start]
    finders = [one.search for one in others]
    if at_start:
        finders.append(_joined(at_start).match)
    if anywhere:
        finders.append(_joined(anywhere).search)
    return tuple(finders)


def _joined(patterns: Sequence[re.Pattern[str]]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{one.pattern})" for one in patterns))


def _forked(engine: Engine | None) -> None:
    if engine is not None:
        engine.pid = os.getpid()
        engine.started = time.time()
        engine.recorder.forked()
        engine.investigation.forked()
        for part in (engine.timeline, engine.shelf, engine.kept):
            if part is not None:
                part.forked()
