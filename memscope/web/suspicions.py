"""Whether a route grows in truth, once its figures say so.

The figures of a route are differences of all memory, taken while it was asked for, and two
things are in them that are no growth:

* what was its neighbours', in a server that lets go of a request when the next has begun; see
  ``memscope.web.births``;
* garbage that waits for a full collection.  The recorder collects the young generation only, and
  what was still there when its request ended, such as a connection, is moved to an older one.

So a route is called growing when most of what it seems to retain was allocated by its own
requests, and is still there after a full collection.  That look takes long on a large heap; it
is taken between two requests, only at a suspicion, and then seldom.
"""

from __future__ import annotations

import gc
from time import perf_counter
from typing import TYPE_CHECKING

from memscope.web.births import Births

if TYPE_CHECKING:
    from memscope.web.recorder import Recorder
    from memscope.web.routes import Route, Routes

__all__ = ["Suspicions"]

EVERY = 5
"""Measured requests of a route between two looks at its figures."""

APART = 20
"""Times the length of a full look, at least, lie between two."""


class Suspicions:
    """The routes that seem to grow.  Any thread may call it, between two requests."""

    def __init__(self, routes: Routes, recorder: Recorder) -> None:
        self._routes = routes
        self._recorder = recorder
        self._suspects: dict[Route, Births] = {}
        self._is_paused = False
        self._looks_from = 0.0

    def look(self, route: Route | None) -> None:
        """Requests were measured: of *route*, or of several."""
        for suspect, births in tuple(self._suspects.items()):
            if births.is_ripe() or self._routes.get(suspect.name) is not suspect:
                self._judge(suspect)
        if route is None or route.is_confirmed or route.births is not None:
            return
        if route.measured % EVERY or perf_counter() < self._looks_from:
            return
        if route.suspicion().verdict == "growing":
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
        trend = route.suspicion()
        if not births.requests or trend.verdict != "growing" or began < self._looks_from:
            return  # if it grows there will be another occasion
        # Less than half is its own, or is left: the rest was somebody else's, or garbage.
        least = trend.per_request / 2
        is_own = births.per_request() >= least
        if is_own and gc.isenabled():  # else garbage that nobody collects is retained
            gc.collect()
            is_own = births.per_request() >= least
        self._looks_from = began + APART * (perf_counter() - began)
        if is_own:
            route.is_confirmed = True
        else:
            route.begin_anew()
