"""The routes: what each retains, whether it keeps growing, and why it is thought so."""

from __future__ import annotations

import time
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from memscope.sources import Sources
from memscope.web.asked import Unknown, common, contains, thinned
from memscope.web.trend import LEAST_REQUESTS
from memscope.web.view_leaks import leak_data, progress

if TYPE_CHECKING:
    from memscope.web.asked import Asked
    from memscope.web.engine import Engine
    from memscope.web.routes import Route
    from memscope.web.trend import Trend

__all__ = ["reset", "routes"]

SPARK = 60
"""Numbers of a curve in a row of a table."""

ORDER = ("growing", "filling", "too few", "steady")


def routes(engine: Engine, asked: Asked) -> dict[str, Any]:
    """All routes, those that keep growing first; or one of them."""
    if engine.timeline is not None:
        engine.timeline.tick()
    if asked.argument:
        return _one(engine, asked)
    rows = [(route, route.trend()) for route in engine.routes if contains(route.name, asked.filter)]
    rows.sort(key=lambda row: (row[1].verdict != "growing", -row[0].bytes, row[0].name))
    recorder = engine.recorder
    return {
        **common(engine, "routes"),
        "filter": asked.filter,
        "least_requests": LEAST_REQUESTS,
        "warmup": engine.settings.warmup,
        "every": engine.settings.every,
        "begun": recorder.begun,
        "in_flight": recorder.in_flight,
        "shared_requests": recorder.mixed_requests,
        "shared_bytes": recorder.mixed_bytes,
        "dropped": engine.routes.dropped,
        "investigation": progress(engine),
        "routes": [_row(asked, route, trend) for route, trend in rows],
    }


def _one(engine: Engine, asked: Asked) -> dict[str, Any]:
    name = asked.find("route", asked.argument)
    route = engine.routes.get(name)
    if route is None:
        raise Unknown("Nothing is known of this route any more: the routes were forgotten.")
    report = engine.investigation.report
    leaks = report.leaks if report is not None else ()
    place = None
    if route.endpoint is not None:
        place = {
            "file": Sources().shown(route.endpoint.filename),
            "line": route.endpoint.lineno,
            "function": route.endpoint.qualname,
        }
    return {
        **common(engine, "route"),
        **_row(asked, route, route.trend()),
        "retained": list(route.retained),
        "least_requests": LEAST_REQUESTS,
        "warmup": engine.settings.warmup,
        "endpoint": place,
        "investigation": progress(engine),
        "leaks": [
            {**leak_data(leaks[number]), "number": number + 1, "attributed_because": why}
            for number, why in route.leaks
            if number < len(leaks)
        ],
    }


def _row(asked: Asked, route: Route, trend: Trend) -> dict[str, Any]:
    retained = list(route.retained)
    return {
        "name": route.name,
        "handle": asked.handle("route", route.name),
        "requests": route.requests,
        "measured": route.measured,
        "shared": route.shared,
        "errors": route.errors,
        "bytes": route.bytes,
        "blocks": route.blocks,
        "per_request": trend.per_request,
        "verdict": trend.verdict,
        "spans": list(trend.spans),
        "kept": thinned([0, *accumulate(retained)], SPARK) if retained else [],
        "mean_seconds": route.seconds / route.requests if route.requests else 0.0,
        "longest_seconds": route.longest,
        "last_seen": time.time() - (time.perf_counter() - route.last_seen),
        "leak_count": len(route.leaks),
    }


def reset(engine: Engine, asked: Asked, form: dict[str, str]) -> str:
    """Forget what is known of all routes."""
    engine.recorder.reset()
    return "routes"
