"""A leak report in the life of a service: a Watch whose rounds are requests.

Asked for by a visitor or begun because a route keeps growing, it takes a baseline when no
request is in flight, and a checkpoint after each few requests; five later there is a report.
Each is a walk of the heap, during which the process answers nobody.

Which route a leak belongs to is told by what was seen, and how is said with it:

    the code of the route is in the traceback that allocated it
    no other route was requested in the rounds in which it grew
    in every round it grew by as many objects, or as many times as many, as that route, and no
    other, had requests

Else it is said that it cannot be told.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from memscope.leaks import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from memscope.leak_report import Leak, LeakReport
    from memscope.web.routes import Route, Routes

__all__ = ["REQUESTS", "REQUESTS_OF_ANY", "ROUNDS", "Attribution", "Investigation", "attribute"]

ROUNDS = 5
REQUESTS, REQUESTS_OF_ANY = 4, 12
"""Requests in each round: of the route that is suspected, or of any, of which it may be that only
some leak."""

PATIENCE = 3.0
"""Seconds that a checkpoint waits for a moment with no request in flight."""

MOST_BLOCKS = 40_000_000
"""Blocks of Python's allocator beyond which no report is begun by itself: a walk would stop the
process for many seconds."""


class Attribution(NamedTuple):
    """Which routes a leak belongs to."""

    routes: tuple[str, ...]
    """One if it is known; several if it is one of them, or shared code of theirs; none if it
    came from no request."""
    why: str
    """How that is known, or why it is not."""


IN_TRACEBACK = "the code that answers it is in the traceback"
ALONE = "no other route was requested while it grew"
AS_MANY = "it grew with the number of requests of this route in every round"
UNKNOWN = "several routes were requested while it grew, and none is in its traceback"
NO_REQUEST = "nothing was requested while it grew"


class Investigation:
    """At most one at a time, and the last report.  Any thread may call it."""

    def __init__(self, routes: Routes, nframe: int) -> None:
        self._routes = routes
        self._nframe = nframe
        self._watch: Watch | None = None
        self._counts: list[Counter[str]] = []
        self._waiting_since = 0.0
        self.on_state: Callable[[str], None] = _ignore
        """Called with each new state."""
        self.state = "none"
        """"none", "running", "done" or "failed"."""
        self.because = ""
        """What it was begun for: a sentence."""
        self.route = ""
        """Whose requests count; "": those of any."""
        self.report: LeakReport | None = None
        self.attributions: tuple[Attribution, ...] = ()
        """Of each leak of the report."""
        self.finished = 0.0
        """Of time.time()."""
        self.longest_stop = 0.0
        """Seconds that the longest checkpoint of the last one took."""
        self.error = ""
        self.forked()

    def forked(self) -> None:
        """This is another process: what the parent watches is not watched here."""
        self._lock = threading.Lock()
        if self.state == "running":
            self._drop("none")

    @property
    def moments(self) -> int:
        """Walks of the heap that it has made: the baseline, and one for each round."""
        return len(self._counts)

    @property
    def rounds_done(self) -> int:
        return max(len(self._counts) - 1, 0)

    def requests_left(self) -> int:
        """Requests until the next checkpoint, as far as they count."""
        if self.state != "running" or not self._counts:
            return 0
        return max(self.requests_per_round - self._counted(self._counts[-1]), 0)

    @property
    def requests_per_round(self) -> int:
        return REQUESTS if self.route else REQUESTS_OF_ANY

    def refusal(self) -> str:
        """Why none may be begun by itself; "" if it may."""
        blocks = sys.getallocatedblocks()
        if blocks > MOST_BLOCKS:
            return (
                f"the heap has {blocks:,} blocks, so a leak report would stop the process for long;"
                " begin it by hand"
            )
        return ""

    def begin(self, because: str, route: str = "") -> bool:
        """Begin one, unless one is running.  The baseline is taken at the next tick()."""
        with self._lock:
            if self.state == "running":
                return False
            self.state, self.because, self.route, self.error = "running", because, route, ""
            self._counts = []
            self._watch = None
            self.longest_stop = 0.0
            self._waiting_since = time.monotonic()
        self.on_state("running")
        return True

    def cancel(self) -> None:
        """End it without a report."""
        with self._lock:
            self._drop("none" if self.report is None else "done")

    def count(self, route: str) -> None:
        """A request of *route* is over."""
        if self.state == "running" and self._counts:
            counts = self._counts[-1]
            if not self._counted(counts):
                self._waiting_since = time.monotonic()
            counts[route] += 1

    def tick(self, idle: bool, *, at_once: bool = False) -> LeakReport | None:
        """Take the step that is due; the report, if that was the last one.

        *idle*: no request is in flight.  *at_once*: end this round now, and with three or
        more of them the whole.
        """
        if self.state != "running" or not self._lock.acquire(blocking=False):
            return None
        try:
            if self.state != "running":
                return None
            if not idle and time.monotonic() - self._waiting_since < PATIENCE and not at_once:
                return None
            if self._counts and not at_once and self.requests_left():
                return None
            return self._step(at_once)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            self._drop("failed")
            return None
        finally:
            self._lock.release()

    def _counted(self, counts: Counter[str]) -> int:
        return counts[self.route] if self.route else sum(counts.values())

    def _step(self, at_once: bool) -> LeakReport | None:
        began = time.perf_counter()
        if self._watch is None:
            self._watch = Watch(nframe=self._nframe, title=self.because)
        else:
            self._watch.checkpoint(f"round {len(self._counts)}")
        self._counts.append(Counter())
        self._waiting_since = time.monotonic()
        done = self.rounds_done
        report = None
        if done >= ROUNDS or (at_once and done >= 3):
            report = self._watch.report()
            self._conclude(report)
        self.longest_stop = max(self.longest_stop, time.perf_counter() - began)
        return report

    def _conclude(self, report: LeakReport) -> None:
        counts = self._counts[: report.rounds]
        self.attributions = tuple(attribute(leak, self._routes, counts) for leak in report.leaks)
        self.report = report
        self.finished = time.time()
        for route in self._routes:
            route.leaks = tuple(
                (number, known.why)
                for number, known in enumerate(self.attributions)
                if known.routes == (route.name,)
            )
        self._drop("done")

    def _drop(self, state: str) -> None:
        if self._watch is not None:
            self._watch.stop()
        self._watch = None
        self.state = state
        self.on_state(state)


def _ignore(state: str) -> None:
    """For who has no use for it."""


def attribute(leak: Leak, routes: Routes, counts: Sequence[Counter[str]]) -> Attribution:
    """The routes that *leak* belongs to; *counts*: requests of each in every round."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    covering = _requested(routes.covering(leak.traceback), total)
    if covering:
        return Attribution(covering, IN_TRACEBACK)
    if not total:
        return Attribution((), NO_REQUEST)
    grew = [one for one, born in zip(counts, leak.per_round, strict=False) if born > 0] or list(
        counts
    )
    while_it_grew = {name for one in grew for name, number in one.items() if number}
    if len(while_it_grew) == 1:
        return Attribution(tuple(while_it_grew), ALONE)
    fitting = tuple(
        name
        for name in sorted(while_it_grew)
        if _fits(leak.per_round, [one[name] for one in counts])
    )
    if len(fitting) == 1:
        return Attribution(fitting, AS_MANY)
    return Attribution(fitting or tuple(sorted(while_it_grew)), UNKNOWN)


def _requested(routes: Iterable[Route], total: Counter[str]) -> tuple[str, ...]:
    names = tuple(route.name for route in routes)
    return tuple(name for name in names if total[name]) or names


def _fits(born: Sequence[int], requests: Sequence[int]) -> bool:
    """Whether a leak grew by so many, or so many times as many, as there were requests."""
    if len(born) != len(requests) or not any(born) or not any(requests):
        return False
    pairs = list(zip(born, requests, strict=True))
    factor = sum(born) / sum(requests)
    return factor >= 1 and all(new == asked * factor for new, asked in pairs)
