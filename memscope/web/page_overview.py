"""The first page: what grows, where the memory is, the last minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memscope.leak_page import PARTS
from memscope.report import size_text
from memscope.web.drawings import over_time, parts_bar, spark, swatch_of
from memscope.web.markup import (
    Html,
    button,
    code,
    duration,
    empty,
    join,
    number,
    section,
    size,
    span_text,
    table,
    tag,
)
from memscope.web.page_leaks import progress
from memscope.web.page_parts import notes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memscope.web.context import Context

__all__ = ["overview"]

CURVES = (
    ("rss", "Resident", size_text),
    ("traced", "Traced by memscope", size_text),
    ("objects", "Objects that the collector tracks", "{:,}".format),
)


def overview(data: Mapping[str, Any], context: Context) -> Html:
    return join(
        [
            tag("h1", "Overview", class_="unseen"),
            notes(data),
            _figures(data),
            _growing(data, context),
            _times(data["timeline"]),
            _memory(data),
            _recent(data, context),
            _collector(data, context),
            _own(data),
        ]
    )


def _figures(data: Mapping[str, Any]) -> Html:
    memory, requests = data["memory"], data["requests"]
    facts = [
        ("Resident", size(memory["rss"]), _peak(memory)),
        (
            "Traced",
            size(memory["traced"]) if data["is_tracing"] else "off",
            f"in {data['traced_blocks']:,} blocks"
            if data["is_tracing"]
            else "memory is not traced",
        ),
        ("Objects", number(data["objects"]), "that the collector tracks"),
        ("Requests", number(requests["begun"]), f"of {_routes(requests['routes'])}"),
        (
            "Up",
            duration(data["worker"]["seconds"]),
            f"{requests['in_flight']:,} in flight"
            + (f" for {duration(requests['busy_seconds'])}" if requests["in_flight"] else ""),
        ),
    ]
    return tag(
        "dl",
        *(
            tag("div", tag("dt", name), tag("dd", shown), tag("dd", more, class_="quiet small"))
            for name, shown, more in facts
        ),
        class_="figures",
        id="figures",
        data_live=True,
    )


def _routes(count: int) -> str:
    return f"{count:,} route{'s' * (count != 1)}"


def _peak(memory: Mapping[str, Any]) -> str:
    return f"peak {size_text(memory['peak_rss'])}" if memory["peak_rss"] else ""


def _growing(data: Mapping[str, Any], context: Context) -> Html:
    routes, classes = data["growing_routes"], data["growing_classes"]
    parts: list[str | None] = []
    if routes:
        shown = [
            tag(
                "li",
                context.link(f"routes/{route['handle']}", code(route["name"])),
                tag(
                    "span",
                    f" keeps {size_text(route['per_request'])} of each request, ",
                    size(route["bytes"]),
                    " so far",
                    f"; {route['leaks']:,} in the leak report" if route["leaks"] else "",
                ),
            )
            for route in routes
        ]
        parts += [tag("h3", "Routes"), tag("ul", *shown, class_="plain")]
        if data["more_growing_routes"]:
            parts.append(
                tag("p", f"and {data['more_growing_routes']:,} more", class_="quiet small")
            )
    if classes:
        shown = [
            tag(
                "li",
                spark(one["values"], f"{one['min']:,} to {one['now']:,} objects", up=True),
                context.link(f"types/{one['handle']}", code(one["name"], 90)),
                tag("span", " ", number(one["growth"], True), class_="gain"),
            )
            for one in classes
        ]
        parts += [
            tag("h3", "Classes whose objects only became more"),
            tag("ul", *shown, class_="plain sparks"),
        ]
    if not parts:
        parts.append(
            empty(
                "Nothing is seen to grow for good. A route is judged after 20 measured requests,"
                " a class after five points of the timeline."
            )
        )
    report = progress(data["investigation"], context)
    return section("growing", "What grows", *parts, report)


def _times(points: Sequence[Mapping[str, Any]]) -> Html:
    if len(points) < 2:
        return section(
            "times",
            "The last minutes",
            empty("The curves begin with the second point, in two seconds or a little more."),
        )
    times = [point["time"] for point in points]
    drawn = []
    for name, what, words in CURVES:
        values = [point[name] for point in points]
        if not any(values):
            continue
        texts = [words(min(values)), words(max(values)), words(values[-1])]
        label = f"{what}: from {words(values[0])} to {texts[2]}"
        drawn.append(
            tag(
                "figure",
                tag("figcaption", what),
                over_time(times, values, texts, label),
            )
        )
    title = f"The {span_text(times[-1] - times[0])}"
    return section("times", title, tag("div", *drawn, class_="curves"))


def _memory(data: Mapping[str, Any]) -> Html:
    memory = data["memory"]
    known = [(name, what, memory[name]) for name, what in PARTS if memory.get(name) is not None]
    if not known:
        return section("memory", "Where the memory is", *_sentences(data["memory_notes"]))
    drawn = [
        (name, value, f"{what}: {size_text(value)}") for name, what, value in known if value > 0
    ]
    whole = sum(value for _, _, value in known) or 1
    rows: list[Sequence[str]] = [
        (
            join([swatch_of(name), what]),
            size(value),
            f"{100 * value / whole:.1f} %",
        )
        for name, what, value in known
    ]
    if memory["traced"] is not None:
        rows.append(("of these, traced by memscope", size(memory["traced"]), ""))
    if memory["memscope"]:
        rows.append(("of these, memscope's own tables", size(memory["memscope"]), ""))
    label = "Divided by who holds it: " + "; ".join(one for _, _, one in drawn)
    return section(
        "memory",
        "Where the memory is",
        parts_bar(drawn, label),
        table(
            "parts",
            "What is resident, and what allocators hold",
            ("Part", ">Bytes", ">Share"),
            rows,
            sortable=False,
        ),
        *_sentences(data["memory_notes"]),
    )


def _sentences(texts: Sequence[str]) -> list[Html]:
    return [tag("p", f"Not known: {one}", class_="quiet small") for one in texts]


def _recent(data: Mapping[str, Any], context: Context) -> Html:
    requests = data["requests"]
    if not data["recent"]:
        return section(
            "recent",
            "Measured last",
            empty("No request was measured yet. Ask the application for something."),
        )
    rows = []
    for record in data["recent"]:
        count = record["requests"]
        name: str | Html = "several routes at once"
        if record["route"]:
            name = context.link(f"routes/{record['handle']}", code(record["route"]))
        together = f" \N{MULTIPLICATION SIGN} {count:,}" if count > 1 else ""
        kept: str = tag("span", "not told apart", class_="quiet")
        if record["retained"] is not None:
            kept = size(record["retained"], True)
        blocks = number(record["blocks"], True) if record["blocks"] is not None else ""
        rows.append((join([name, together]), kept, blocks, duration(record["seconds"])))
    every = requests["every"]
    which = "each request" if every == 1 else f"one of {every:,} requests"
    return section(
        "recent",
        "Measured last",
        tag(
            "p",
            f"What {which} left behind that was not there before.",
            class_="quiet small",
        ),
        table("requests", "Newest first", ("Route", ">Kept", ">Blocks", ">Took"), rows),
    )


def _collector(data: Mapping[str, Any], context: Context) -> Html:
    collector = data["gc"]
    rows = [
        (
            f"generation {number_of}",
            number(count),
            number(threshold),
            number(stats["collections"]),
            number(stats["collected"]),
            number(stats["uncollectable"]),
        )
        for number_of, (count, threshold, stats) in enumerate(
            zip(
                collector["counts"], collector["thresholds"], collector["generations"], strict=False
            )
        )
    ]
    facts = []
    if not collector["enabled"]:
        facts.append("The collector is switched off: garbage in cycles stays.")
    if collector["frozen"]:
        facts.append(f"{collector['frozen']:,} objects are frozen: it does not look at them.")
    if collector["uncollectable"]:
        facts.append(f"gc.garbage holds {collector['uncollectable']:,} objects.")
    heads = ("Generation", ">Count", ">Threshold", ">Collections", ">Collected", ">Uncollectable")
    return join(
        [
            section(
                "collector",
                "Garbage collector",
                table("generations", "Since the process began", heads, rows, sortable=False),
                *(tag("p", fact) for fact in facts),
            ),
            context.form("gc/collect", button("Collect garbage now", quiet=True)),
        ]
    )


def _own(data: Mapping[str, Any]) -> Html:
    cost, requests = data["cost"], data["requests"]
    share = 100 * cost["seconds"] / max(data["worker"]["seconds"], 0.001)
    warmup = requests["warmup"]
    return section(
        "own",
        "What memscope itself costs",
        tag(
            "p",
            f"Its points, walks, reports and pages took {duration(cost['seconds'])} so far,"
            f" {share:.1f} % of the time; its tables have {size_text(cost['bytes'])}, the"
            f" snapshots {size_text(cost['snapshots'])}. The first {warmup:,} requests of each"
            " route fill caches and are not judged.",
        ),
        tag(
            "p",
            f"These are the figures of process {data['worker']['pid']} only. A server with several"
            " worker processes has such a page in each, and any of them may answer; the process is"
            " named at the top.",
            class_="quiet",
        ),
    )
