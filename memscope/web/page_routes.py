"""The routes: what each keeps of a request, its trend in words; one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memscope.page_drawings import bars
from memscope.report import size_text
from memscope.web.drawings import requests_curve, spark
from memscope.web.markup import (
    Html,
    broken,
    button,
    code,
    duration,
    empty,
    hidden,
    join,
    number,
    raw,
    section,
    size,
    table,
    tag,
)
from memscope.web.page_leaks import leak_article, progress
from memscope.web.page_parts import no_match, notes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memscope.web.context import Context

__all__ = ["one", "routes"]

VERDICTS = {
    "growing": "keeps growing",
    "filling": "grew, and less and less: a cache that fills",
    "steady": "steady",
    "too few": "too few requests",
}
SHORT = {**VERDICTS, "filling": "filling"}


def routes(data: Mapping[str, Any], context: Context) -> Html:
    return join(
        [
            tag("h1", "Routes"),
            tag(
                "p",
                "What requests leave behind that was not there before, by route. What keeps"
                " growing comes first.",
                class_="lead",
            ),
            notes(data),
            tag("div", progress(data["investigation"], context), id="progress", data_live=True),
            context.search("routes", data["filter"], "routes", "routes"),
            _list(data, context),
            context.form("routes/reset", button("Forget all routes", quiet=True))
            if data["routes"]
            else None,
        ]
    )


def _list(data: Mapping[str, Any], context: Context) -> Html:
    if not data["routes"]:
        words = "No request was counted yet. Ask the application for something."
        if data["filter"]:
            words = no_match("route", data["filter"])
        return tag("div", empty(words), id="list", data_live=True)
    rows = []
    for row in data["routes"]:
        up = row["verdict"] == "growing"
        look = "gain" if up else "quiet" if row["verdict"] == "too few" else ""
        link = context.link(f"routes/{row['handle']}", code(row["name"], 120))
        label = f"Kept, added up: {size_text(row['kept'][-1] if row['kept'] else 0, True)}"
        mean = row["mean_seconds"]
        rows.append(
            (
                link,
                spark(row["kept"], label, up=up),
                tag(
                    "span",
                    SHORT[row["verdict"]],
                    class_=f"number {look}",
                ),
                (_bytes(row, "per_request"), row["per_request"]),
                (_bytes(row, "bytes"), row["bytes"]),
                (number(row["requests"]), row["requests"]),
                (number(row["measured"]), row["measured"]),
                (number(row["shared"]), row["shared"]),
                (number(row["errors"]), row["errors"]),
                (tag("span", duration(mean), class_="number"), mean),
                (
                    tag("span", duration(row["longest_seconds"]), class_="number"),
                    row["longest_seconds"],
                ),
            )
        )
    heads = (
        *("Route", "~Kept", "Verdict", ">Per request", ">In all"),
        *(">Requests", ">Measured", ">Shared", ">Errors", ">Mean", ">Longest"),
    )
    caption = f"{data['begun']:,} requests began, {data['in_flight']:,} are in flight"
    return tag(
        "div", table("routes", caption, heads, rows), *_words(data), id="list", data_live=True
    )


def _bytes(row: Mapping[str, Any], name: str) -> Html:
    if not row["measured"]:
        return tag("span", "\N{EN DASH}", class_="quiet")
    return size(row[name], True)


def _words(data: Mapping[str, Any]) -> list[Html]:
    words = [
        (
            f"The first {data['warmup']:,} requests of a route fill caches and are not measured; a"
            f" verdict needs {data['least_requests']} that are, and one of growth a few more."
        ),
        (
            "Bytes and objects are differences of the whole process: what other threads do"
            " meanwhile, or a collection frees, is in them, so on a threaded server they are rough."
            " A verdict of growth rests on what the route's own requests allocated."
        ),
    ]
    if data["every"] > 1:
        words.append(f"One of {data['every']:,} requests is measured.")
    if data["shared_requests"] or any(row["shared"] for row in data["routes"]):
        kept = size_text(data["shared_bytes"], data["shared_bytes"] != 0)
        words.append(
            "Shared: in flight together with requests of other routes, or with one of these"
            f" pages, so that what they kept ({kept} in all, as far as it was seen) cannot be told"
            " apart and counts for none of them."
        )
    if data["dropped"]:
        words.append(
            f"{data['dropped']:,} requests were of routes beyond the limit (max_routes) and are"
            " counted together."
        )
    return [tag("p", " ".join(words), class_="quiet small")]


def one(data: Mapping[str, Any], context: Context) -> Html:
    return join(
        [
            tag("p", context.link("routes", "Routes"), class_="eyebrow"),
            tag("h1", broken(data["name"])),
            notes(data),
            _verdict(data),
            _facts(data),
            _series(data),
            _leaks(data, context),
        ]
    )


def _verdict(data: Mapping[str, Any]) -> Html:
    verdict = data["verdict"]
    if verdict == "too few" and data["measured"] >= data["least_requests"]:
        words = (
            "It seems to grow, and more requests are needed to tell: it may be garbage that waits"
            " for a full collection, or little."
        )
    elif verdict == "too few":
        words = (
            f"{data['measured']:,} measured requests are too few for a verdict;"
            f" {data['least_requests']} are needed, after the first {data['warmup']:,}."
        )
    elif verdict == "growing":
        words = (
            f"It keeps growing: {size_text(data['per_request'])} of each request,"
            " again and again, at no falling rate."
        )
    elif verdict == "filling":
        words = "It grew, and less and less: a cache that fills."
    else:
        words = "It is steady: what a request makes goes with it."
    look = "gain lead" if verdict == "growing" else "lead"
    return tag("p", words, class_=look, id="verdict", data_live=True)


def _facts(data: Mapping[str, Any]) -> Html:
    facts: list[tuple[str, str | Html]] = []
    if data["endpoint"]:
        place = data["endpoint"]
        facts.append(
            (
                "Answered by",
                join([code(place["function"]), " at ", code(f"{place['file']}:{place['line']}")]),
            )
        )
    shared = ""
    if data["shared"]:
        shared = f"; {data['shared']:,} could not be told apart from other routes"
    facts += [
        ("Requests", join([number(data["requests"]), f", {data['measured']:,} measured{shared}"])),
        (
            "Kept",
            join([_bytes(data, "bytes"), " in all, ", _bytes(data, "per_request"), " a request"]),
        ),
        ("Blocks kept", number(data["blocks"], True)),
        (
            "Time",
            (
                f"{duration(data['mean_seconds'])} on average, {duration(data['longest_seconds'])}"
                " the longest"
            ),
        ),
        ("Errors", number(data["errors"])),
        ("Last seen", f"{duration(max(data['time'] - data['last_seen'], 0))} ago"),
    ]
    return tag(
        "dl",
        *(join([tag("dt", name), tag("dd", shown)]) for name, shown in facts),
        id="facts",
        data_live=True,
    )


def _series(data: Mapping[str, Any]) -> Html:
    retained = data["retained"]
    if len(retained) < 2:
        return section(
            "series",
            "Request by request",
            empty("The curve begins with the second measured request."),
        )
    whole = [0]
    for value in retained:
        whole.append(whole[-1] + value)
    total = f"Kept by the last {len(retained):,} measured requests, added up"
    parts = [
        tag("figure", tag("figcaption", total), requests_curve(whole, f"{total}: {whole[-1]:,} B"))
    ]
    if data["spans"]:
        spans = f"The same in {len(data['spans'])} equal parts, bytes"
        label = f"{spans}: {', '.join(map(str, data['spans']))}"
        parts.append(
            tag("figure", tag("figcaption", spans), raw(bars(data["spans"], label, "part")))
        )
    return section("series", "Request by request", tag("div", *parts, class_="curves"))


def _leaks(data: Mapping[str, Any], context: Context) -> Html:
    report = data["investigation"]
    parts: list[str | None] = [progress(report, context)]
    shown = [leak_article(leak, leak["number"], context) for leak in data["leaks"]]
    if not shown and report["state"] != "running":
        words = "The last leak report has none for this route."
        if report["leak_count"] is None:
            words = (
                "What is kept, where it was allocated and who holds it: a leak report says. It"
                " takes some requests, and stops this process for the time of a collection after"
                " each few."
            )
        parts.append(empty(words))
    begin = None
    if report["state"] != "running":
        begin = context.form(
            "leaks/begin",
            hidden("route", data["handle"]),
            button("Begin a leak report on this route"),
        )
    return join([section("leaks", "Leaks", *parts), begin, tag("div", *shown)])
