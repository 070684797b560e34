"""Whether a route grows in truth, once its figures say so.

The figures of a route are differences of all memory, taken while it was asked for, and two
things are in them that are no growth:

* what was its neighbours', in a server that lets go of a request when the next has begun; see
  ``memscope.web.births``;
* garbage that waits for a full collection.  The recorder collects the young generation only, and
  what was still there when its request ended, such as a connection, is moved to an older one.

So a route is called growing when most of what it seems to retain was allocated by its own
requests, and has outlived a full collection.  Both looks take long on a large heap; they
are taken between two requests, only at a suspicion, and then seldom.
"""

from __future__ import annotations

import gc
from time import perf_counter
from typing import TYPE_CHECKING

from memscope import _memscope
from memscope.caches import empty_caches
from memscope.web.births import Births

if TYPE_CHECKING:
    from memscope.web.recorder import Recorder
    from memscope.web.routes import Route, Routes

__all__ = ["Suspicions"]

EVERY = 5
"""Measured requests of a route between two looks at its figures."""

APART = 20
"""Times the length of such a look, at least, lie between two."""


class Suspicions:
    """The routes that seem to grow.  Any thread may call it, between two requests."""

    def __init__(self, routes: Routes, recorder: Recorder) -> None:
        self._routes = routes
        self._recorder = recorder
        self._suspects: dict[Route, Births] = {}
        self._is_paused = False
        self._judges_from = self._collects_from = 0.0

    def look(self, route: Route | None) -> None:
        """Requests were measured: of *route*, or of several."""
        for suspect, births in tuple(self._suspects.items()):
            if births.is_ripe() or self._routes.get(suspect.name) is not suspect:
                self._judge(suspect)
        if route is None or route.is_confirmed or route.measured % EVERY:
            return
        if route.suspicion().verdict != "growing":
            return
        if route.is_its_own:
            self._collect()
        elif route.births is None and perf_counter() >= self._judges_from:
            route.births = self._suspects[route] = Births()
            self._mark_epochs()

    def pause(self, is_paused: bool) -> None:
        """Leave the epochs, of which there are few, to somebody else for a time."""
        self._is_paused = is_paused
        self._mark_epochs()

    def _mark_epochs(self) -> None:
        self._recorder.marks_epochs = bool(self._suspects) and not self._is_paused

    def _judge(self, route: Route) -> None:
        births = self._suspects.pop(route, None)
        if births is None:
            return  # another thread was faster
        route.births = None
        self._mark_epochs()
        began = perf_counter()
        born = births.per_request()
        self._judges_from = began + APART * (perf_counter() - began)
        if born is None:
            return
        if 2 * born < route.suspicion().per_request:
            route.begin_anew()
        else:
            route.is_its_own = True
            self._collect()

    def _collect(self) -> None:
        routes = [
            one
            for one in self._routes
            if not one.is_confirmed and one.is_its_own and one.suspicion().verdict == "growing"
        ]
        if not gc.isenabled():
            for one in routes:
                one.is_confirmed = True  # garbage that nobody collects is retained
            return
        began = perf_counter()
        if began < self._collects_from:
            return
        empty_caches()  # or what that frees is taken for garbage
        before = _memscope.get_traced_memory()[0]
        gc.collect()
        freed = before - _memscope.get_traced_memory()[0]
        self._collects_from = began + APART * (perf_counter() - began)
        for one in routes:
            if 2 * freed >= sum(one.retained):
                one.begin_anew()
            else:
                one.is_confirmed = True
