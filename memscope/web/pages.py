"""The pages as HTML: the frame around all, and which file makes which.

Server-rendered and whole without a script.  The script renews what is marked as live, so
what a visitor types into, a form or a filter, stands outside of that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from memscope.web import page_allocations, page_leaks, page_overview, page_routes, page_types
from memscope.web.context import CSRF_FIELD, Context
from memscope.web.markup import Html, clock, join, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CSRF_FIELD", "Context", "frame", "render"]

TABS = (
    ("", "Overview"),
    ("types", "Types"),
    ("allocations", "Allocations"),
    ("routes", "Routes"),
    ("leaks", "Leaks"),
    ("snapshots", "Snapshots"),
)

CONTENTS: dict[str, tuple[str, Callable[[Mapping[str, Any], Context], Html]]] = {
    "overview": ("", page_overview.overview),
    "types": ("types", page_types.types),
    "type": ("types", page_types.one),
    "allocations": ("allocations", page_allocations.allocations),
    "routes": ("routes", page_routes.routes),
    "route": ("routes", page_routes.one),
    "leaks": ("leaks", page_leaks.leaks),
    "snapshots": ("snapshots", page_allocations.snapshots),
    "compared": ("snapshots", page_allocations.compared),
}
"""Page of the data -> the tab it belongs to, and what makes its contents."""

TITLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "type": lambda data: str(data["name"]),
    "route": lambda data: str(data["name"]),
    "compared": lambda data: "Snapshots compared",
}

PLAIN = ("compared",)
"""Pages whose figures do not change."""

PROLOGUE = Html(
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n'
    '<meta name="referrer" content="no-referrer">\n'
    '<meta name="robots" content="noindex">\n'
    '<link rel="icon" href="data:,">\n'
)


def render(name: str, data: Mapping[str, Any], context: Context) -> str:
    """The page of the data that a view gave."""
    page = data.get("page", name)
    tab, contents = CONTENTS[page]
    title = TITLES[page](data)[:80] if page in TITLES else dict(TABS)[tab]
    worker = data["worker"]
    began = time.perf_counter()
    shown = contents(data, context)
    cost = time.perf_counter() - began + data.get("seconds", 0.0)
    main = tag(
        "main",
        shown,
        id="main",
        tabindex=-1,
        data_pid=worker["pid"],
        data_every=None if page in PLAIN else _every(cost),
    )
    facts = f"{worker['server']}, CPython {worker['python']}"
    process = context.worker or f"process {worker['pid']}"
    address = context.path + (f"?{context.query}" if context.query else "")
    return frame(
        title,
        context,
        main,
        tab,
        worker=tag("p", tag("strong", process), Html("<br>"), facts, class_="worker"),
        state=tag(
            "p",
            tag("span", "As of ", clock(data["time"]), id="as-of"),
            " ",
            tag("a", "Refresh", href=f"{context.root}/{address}", id="refresh"),
            " ",
            tag("a", "JSON", href=_json(context, page)),
            class_="state",
        ),
    )


def frame(
    title: str,
    context: Context,
    main: Html,
    tab: str | None = None,
    *,
    worker: Html | None = None,
    state: Html | None = None,
) -> str:
    """A whole page around its main part."""
    head = join(
        [
            PROLOGUE,
            tag("title", f"{title} \N{MIDDLE DOT} memscope"),
            tag("link", rel="stylesheet", href=context.url("memscope.css")),
            tag("script", src=context.url("memscope.js"), defer=True),
        ]
    )
    links = [
        tag(
            "li",
            tag(
                "a",
                label,
                href=context.url(path),
                aria_current="page" if path == tab else None,
            ),
        )
        for path, label in (TABS if tab is not None else ())
    ]
    bar = tag(
        "header",
        tag(
            "div",
            tag("a", "memscope", href=context.url(""), class_="brand"),
            tag("nav", tag("ul", *links), aria_label="Pages") if links else None,
            worker,
            class_="bar",
        ),
    )
    status = tag("div", state, class_="under") if state else None
    footer = tag(
        "footer",
        tag("p", "Figures of this process only. Served by memscope; nothing leaves it."),
    )
    return f"{head}</head>\n<body>\n{join([SKIP, bar, status, main, footer])}\n</body>\n</html>\n"


SKIP = tag("a", "Skip to the figures", href="#main", class_="skip")


def _every(cost: float) -> int:
    """Seconds between two looks, so that a page that stays open takes two percent of the time."""
    return max(2, min(round(50 * cost), 600))


def _json(context: Context, page: str) -> str:
    path = context.path.strip("/") or "overview"
    return f"{context.root}/{path}.json" + (f"?{context.query}" if context.query else "")
