"""Each page as plain data, and what a visitor may have done; the overview."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from memscope import _memscope
from memscope.process import process_memory
from memscope.web import view_allocations, view_leaks, view_routes, view_types
from memscope.web.asked import Action, Asked, Handles, Unknown, View, common, series_data

if TYPE_CHECKING:
    from memscope.web.engine import Engine

__all__ = ["ACTIONS", "PAGES", "Action", "Asked", "Handles", "Unknown", "View"]

MOST_RECENT = 12
MOST_GROWING = 5


def overview(engine: Engine, asked: Asked) -> dict[str, Any]:
    """The process, what grows in it, and what was requested last."""
    if asked.argument:
        raise Unknown("There is no such page.")
    timeline = engine.timeline
    assert timeline is not None
    timeline.tick()
    points = timeline.points()
    memory = process_memory()
    recorder = engine.recorder
    growing = [
        (route, trend) for route in engine.routes if (trend := route.trend()).verdict == "growing"
    ]
    growing.sort(key=lambda pair: -pair[0].bytes)
    return {
        **common(engine, "overview"),
        "memory": memory.to_dict(),
        "memory_notes": list(memory.notes),
        "is_tracing": _memscope.is_tracing(),
        "traced_blocks": _memscope.get_traced_blocks() if _memscope.is_tracing() else 0,
        "objects": points[-1].objects if points else 0,
        "gc": {
            "enabled": gc.isenabled(),
            "counts": list(gc.get_count()),
            "thresholds": list(gc.get_threshold()),
            "generations": gc.get_stats(),
            "frozen": gc.get_freeze_count(),
            "uncollectable": len(gc.garbage),
        },
        "timeline": [point._asdict() for point in points],
        "growing_routes": [
            {
                "name": route.name,
                "handle": asked.handle("route", route.name),
                "bytes": route.bytes,
                "per_request": trend.per_request,
                "leaks": len(route.leaks),
            }
            for route, trend in growing[:MOST_GROWING]
        ],
        "more_growing_routes": max(len(growing) - MOST_GROWING, 0),
        "growing_classes": [
            series_data(asked, one) for one in timeline.classes()[:MOST_GROWING] if one.rises
        ],
        "requests": {
            "begun": recorder.begun,
            "in_flight": recorder.in_flight,
            "busy_seconds": recorder.busy_seconds,
            "routes": len(engine.routes),
            "every": engine.settings.every,
            "warmup": engine.settings.warmup,
            "shared": recorder.mixed_requests,
            "shared_bytes": recorder.mixed_bytes,
        },
        "investigation": view_leaks.progress(engine),
        "cost": {
            "seconds": engine.seconds,
            "bytes": _memscope.get_tracemalloc_memory(),
            "snapshots": sum(one.nbytes for one in engine.shelf or ()),
        },
        "recent": [
            {**record._asdict(), "handle": _route_handle(asked, record.route)}
            for record in list(engine.recent)[: -MOST_RECENT - 1 : -1]
        ],
    }


def _route_handle(asked: Asked, name: str) -> str:
    return asked.handle("route", name) if name else ""


def collect(engine: Engine, asked: Asked, form: dict[str, str]) -> str:
    """Collect garbage."""
    gc.collect()
    if engine.timeline is not None:
        engine.timeline.tick(at_once=True)
    return ""


PAGES: dict[str, View] = {
    "": overview,
    "overview": overview,
    "types": view_types.types,
    "allocations": view_allocations.allocations,
    "routes": view_routes.routes,
    "leaks": view_leaks.leaks,
    "snapshots": view_allocations.snapshots,
}
"""By the first part of the path; what follows it is the argument."""

ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action("snapshots/take", False, view_allocations.take),
        Action("snapshots/forget", False, view_allocations.forget),
        Action("leaks/begin", False, view_leaks.begin),
        Action("leaks/finish", True, view_leaks.finish),
        Action("leaks/cancel", False, view_leaks.cancel),
        Action("types/paths", True, view_types.look),
        Action("gc/collect", True, collect),
        Action("routes/reset", False, view_routes.reset),
    )
}
