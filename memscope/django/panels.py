"""A panel for django-debug-toolbar: what this request retains, and its route.

    DEBUG_TOOLBAR_PANELS = ["memscope.django.panels.MemoryPanel", ...]

It shows what the middleware measures, and measures nothing itself.  The toolbar keeps texts
and numbers only, so none of what is recorded refers to the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from debug_toolbar.panels import Panel
from django.utils.html import format_html, format_html_join

from memscope import _memscope
from memscope.django import service
from memscope.django.middleware import visit_of
from memscope.process import resident_bytes
from memscope.report import size_text
from memscope.web.routes import METHODS, NO_ROUTE

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

__all__ = ["MemoryPanel"]

VERDICTS = {
    "too few": "too few requests yet to tell",
    "steady": "steady: it does not grow",
    "filling": "filling: it grew, and grows less and less, like a cache",
    "growing": "growing: each span of requests left more behind",
}


class MemoryPanel(Panel):
    """See the top of the file."""

    is_async = True
    title = "Memory"
    nav_title = "Memory"

    @property
    def nav_subtitle(self) -> str:
        stats = self.get_stats()
        retained = stats.get("retained")
        if retained is None:
            return str(stats.get("why", ""))
        return f"{size_text(retained, sign=True)} by this request"

    @property
    def content(self) -> str:
        stats = self.get_stats()
        rows = [
            ("This request, so far", _size(stats.get("retained")) or stats.get("why", "")),
            ("Route", stats.get("route", "")),
            ("Requests of it", stats.get("requests", "")),
            ("Retained by each, on average", _size(stats.get("per_request"))),
            ("Trend", VERDICTS.get(stats.get("verdict", ""), "")),
            ("Resident memory of the process", _size(stats.get("resident"), sign=False)),
            ("Traced", _size(stats.get("traced"), sign=False)),
            ("Process", stats.get("pid", "")),
        ]
        table = format_html_join(
            "", '<tr><th scope="row">{}</th><td>{}</td></tr>', [row for row in rows if row[1] != ""]
        )
        pages = stats.get("pages")
        link = format_html('<p><a href="{}">The pages of memscope</a></p>', pages) if pages else ""
        content: str = format_html("<table><tbody>{}</tbody></table>{}", table, link)
        return content

    def generate_stats(self, request: HttpRequest, response: HttpResponse) -> None:
        engine = service.current()
        if engine is None:
            self.record_stats({"why": "memscope is not enabled"})
            return
        match = request.resolver_match
        name = NO_ROUTE if match is None else service.template_of(match.route)
        method = request.method if request.method in METHODS else "OTHER"
        key = f"{method} {name}"
        stats: dict[str, Any] = {
            "route": key,
            "pid": engine.pid,
            "resident": resident_bytes(),
            "traced": _memscope.get_traced_memory()[0] if _memscope.is_tracing() else None,
            "retained": None,
        }
        if engine.dashboard is not None:
            stats["pages"] = service.call_of(request).root + "/"
        visit = visit_of(request)
        if visit is None:
            stats["why"] = "not sampled"
        else:
            stats["retained"] = engine.recorder.retained_so_far(visit)
            if stats["retained"] is None:
                stats["why"] = "others were in flight"
        route = engine.routes.get(key)
        if route is not None:
            trend = route.trend()
            stats["requests"] = route.requests
            stats["per_request"] = trend.per_request
            stats["verdict"] = trend.verdict
        self.record_stats(stats)


def _size(count: int | None, *, sign: bool = True) -> str:
    return "" if count is None else size_text(count, sign=sign)
