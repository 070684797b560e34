"""The leak report: how far one is, and what the last one says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memscope.sources import Sources
from memscope.web.asked import Unknown, common, hide_keys
from memscope.web.investigation import REQUESTS, REQUESTS_OF_ANY, ROUNDS
from memscope.web.view_types import path_data

if TYPE_CHECKING:
    from memscope.leak_report import Leak, LeakReport, Site
    from memscope.web.asked import Asked
    from memscope.web.engine import Engine
    from memscope.web.investigation import Attribution

__all__ = ["begin", "cancel", "finish", "leak_data", "leaks", "progress"]

MOST_LEAKS = 20
MOST_ROWS = 25


def leaks(engine: Engine, asked: Asked) -> dict[str, Any]:
    """A leak report that is being made, and the last one."""
    if asked.argument:
        raise Unknown("There is no such page.")
    investigation = engine.investigation
    report = investigation.report
    data = common(engine, "leaks")
    return {
        **data,
        "investigation": progress(engine),
        "rounds_needed": ROUNDS,
        "requests_per_round": REQUESTS,
        "requests_of_any_per_round": REQUESTS_OF_ANY,
        "routes": [
            {"name": route.name, "handle": asked.handle("route", route.name)}
            for route in sorted(engine.routes, key=lambda one: (-one.bytes, one.name))
        ],
        "report": None
        if report is None
        else {
            **_report_data(asked, report, investigation.attributions),
            "finished": investigation.finished,
            "age_seconds": max(data["time"] - investigation.finished, 0.0),
        },
    }


def progress(engine: Engine) -> dict[str, Any]:
    """How far the leak report is."""
    one = engine.investigation
    return {
        "state": one.state,
        "because": one.because,
        "route": one.route,
        "rounds_done": one.rounds_done,
        "rounds_needed": ROUNDS,
        "requests_left": one.requests_left(),
        "longest_stop_seconds": one.longest_stop,
        "error": one.error,
        "leak_count": len(one.report.leaks) if one.report is not None else None,
    }


def _report_data(
    asked: Asked, report: LeakReport, attributions: tuple[Attribution, ...]
) -> dict[str, Any]:
    found = []
    for number, leak in enumerate(report.leaks[:MOST_LEAKS]):
        known = attributions[number] if number < len(attributions) else None
        found.append(
            {
                **leak_data(leak),
                "routes": [
                    {"name": name, "handle": asked.handle("route", name)}
                    for name in (known.routes if known else ())
                ],
                "attributed_because": known.why if known else "",
            }
        )
    return {
        "title": report.title,
        "rounds": report.rounds,
        "total_bytes": report.total_bytes,
        "leaks": found,
        "more_leaks": max(len(report.leaks) - MOST_LEAKS, 0),
        "not_leaks": [
            {**one.to_dict(), "what": hide_keys(one.what), "why": hide_keys(one.why)}
            for one in report.not_leaks[:MOST_ROWS]
        ],
        "report_notes": [hide_keys(note) for note in report.notes],
    }


def leak_data(leak: Leak) -> dict[str, Any]:
    """A leak without source text, addresses, and keys of the program's dicts."""
    sources = Sources()
    # The sentence is made of what may be shown.
    leak = replace(
        leak,
        source="",
        holder=hide_keys(leak.holder),
        verdict=hide_keys(leak.verdict),
        advice=hide_keys(leak.advice),
        evidence=tuple(hide_keys(text) for text in leak.evidence),
    )
    return {
        "headline": leak.headline,
        "kind": leak.kind,
        "verdict": leak.verdict,
        "advice": leak.advice,
        "type_name": leak.type_name,
        "count": leak.count,
        "bytes": leak.bytes,
        "retained_bytes": leak.retained_bytes,
        "per_round": list(leak.per_round),
        "site": _site_data(sources, leak.site) if leak.site is not None else None,
        "holder": leak.holder,
        "holder_type": leak.holder_type,
        "evidence": list(leak.evidence),
        "also": [grown._asdict() for grown in leak.also[:MOST_ROWS]],
        "path": path_data(leak.path) if leak.path is not None else None,
        "traceback": [_site_data(sources, site) for site in leak.traceback[:MOST_ROWS]],
    }


def _site_data(sources: Sources, site: Site) -> dict[str, Any]:
    return {
        "file": sources.shown(site.filename),
        "line": site.lineno,
        "function": site.function,
    }


def begin(engine: Engine, asked: Asked, form: dict[str, str]) -> str:
    """Begin a report: on the requests of one route, or of any."""
    handle = form.get("route", "")
    name = asked.find("route", handle) if handle else ""
    engine.investigation.begin("Asked for on the page" + (f", for {name}" if name else ""), name)
    return "leaks"


def finish(engine: Engine, asked: Asked, form: dict[str, str]) -> str:
    """End this round now; with three rounds or more, the whole."""
    report = engine.investigation.tick(engine.recorder.in_flight == 0, at_once=True)
    if report is not None:
        engine.tell(report)
    return "leaks"


def cancel(engine: Engine, asked: Asked, form: dict[str, str]) -> str:
    """End it without a report."""
    engine.investigation.cancel()
    return "leaks"
