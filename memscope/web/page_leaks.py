"""The leak report in the page: how far one is, and each leak with route, site, holder, advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memscope.page_drawings import bars
from memscope.report import size_text
from memscope.web.markup import (
    Html,
    broken,
    button,
    code,
    duration,
    empty,
    field,
    join,
    number,
    raw,
    section,
    size,
    table,
    tag,
)
from memscope.web.page_parts import notes, path_figure, sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memscope.web.context import Context

__all__ = ["leak_article", "leaks", "progress"]

LEAST_ROUNDS = 3


def leaks(data: Mapping[str, Any], context: Context) -> Html:
    report = data["report"]
    parts: list[str | None] = [
        tag("h1", "Leaks"),
        tag(
            "p",
            "What is left behind for good: what it is, which line allocated it, who holds it, and"
            " which route it belongs to.",
            class_="lead",
        ),
        notes(data),
        _state(data, context),
    ]
    if report is not None:
        parts.append(_report(report, context))
    return join(parts)


def progress(one: Mapping[str, Any], context: Context) -> Html | None:
    """A leak report that is being made, in a line; None if there is none."""
    if one["state"] != "running":
        return None
    return tag(
        "p",
        context.link("leaks", "A leak report is being made"),
        f": {_steps(one)}",
        class_="note",
    )


def _steps(one: Mapping[str, Any]) -> str:
    left = one["requests_left"]
    of = f" of {one['route']}" if one["route"] else ""
    need = f"{left:,} more request{'s' * (left != 1)}{of} until the next checkpoint"
    if not left:
        need = "waiting for a moment with no request in flight"
    return f"{one['rounds_done']} of {one['rounds_needed']} rounds, {need}."


def _state(data: Mapping[str, Any], context: Context) -> Html:
    one = data["investigation"]
    if one["state"] == "running":
        done = one["rounds_done"]
        buttons = [
            context.form(
                "leaks/finish",
                button("Finish now" if done >= LEAST_ROUNDS - 1 else "End this round now"),
            ),
            context.form("leaks/cancel", button("Cancel", quiet=True)),
        ]
        return tag(
            "div",
            section(
                "running",
                "A report is being made",
                tag("p", f"{one['because']}."),
                tag(
                    "progress",
                    f"{done} of {one['rounds_needed']}",
                    value=done,
                    max=one["rounds_needed"],
                    aria_label="Rounds",
                ),
                tag("p", _steps(one), class_="quiet", id="steps"),
            ),
            tag("div", *buttons, class_="buttons"),
        )
    parts: list[str | None] = []
    if one["state"] == "failed":
        parts.append(
            tag("p", f"The last report failed: {one['error']}. Begin another.", class_="note")
        )
    options = [tag("option", "any route", value="")]
    options += [tag("option", one["name"], value=one["handle"]) for one in data["routes"]]
    form = context.form(
        "leaks/begin",
        field("route", "On requests of", tag("select", *options, id="route", name="route")),
        button("Begin a report" if data["report"] is None else "Begin another report"),
    )
    about = tag(
        "p",
        f"A baseline, then {data['rounds_needed']} checkpoints, one after every"
        f" {data['requests_of_any_per_round']} requests, or {data['requests_per_round']} of the"
        " route that is chosen. Each is a walk of the heap: this process answers"
        " nobody meanwhile, about as long as a full collection takes.",
        class_="quiet small",
    )
    if data["report"] is None:
        parts.append(
            empty("No report was made yet. Begin one, and let the application answer requests.")
        )
    return join([*parts, form, about])


def _report(report: Mapping[str, Any], context: Context) -> Html:
    found = report["leaks"]
    count = len(found) + report["more_leaks"]
    title = f"{count:,} leak{'s' * (count != 1)}" if count else "No leak"
    facts = [
        f"{report['title']}",
        f"judged over {report['rounds']:,} rounds",
        f"made {duration(report['age_seconds'])} ago",
    ]
    if found:
        facts.insert(1, f"{size_text(report['total_bytes'], True)} retained")
    parts: list[str | None] = [
        tag("h2", title, id="report"),
        tag("p", "; ".join(facts), ".", class_="quiet"),
    ]
    parts += [leak_article(leak, number_of, context) for number_of, leak in enumerate(found, 1)]
    if report["more_leaks"]:
        parts.append(tag("p", f"{report['more_leaks']:,} more are left out.", class_="quiet small"))
    if not found:
        parts.append(empty("Nothing was left behind for good in these rounds."))
    if report["not_leaks"]:
        rows = [
            (
                one["what"],
                (size(one["bytes"], True), one["bytes"]),
                (number(one["count"]), one["count"]),
                one["why"],
            )
            for one in report["not_leaks"]
        ]
        heads = ("What", ">Growth", ">Objects", "=Why")
        others = table("not-leaks", "Recognised, and left out of the leaks", heads, rows)
        parts.append(section("others", "Grew, and is no leak", others, live=False))
    if report["report_notes"]:
        notes = tag("ul", *(tag("li", sentence(note)) for note in report["report_notes"]))
        parts.append(section("report-notes", "Notes", notes, live=False))
    return join(parts)


def leak_article(leak: Mapping[str, Any], number_of: int, context: Context) -> Html:
    """One leak, with all that is known of it."""
    name = f"leak-{number_of}-name"
    kind = leak["kind"].replace("-", " ")
    what: str | Html = "Memory that is no Python object"
    if leak["type_name"]:
        what = join([number(leak["count"]), " ", leak["type_name"].rpartition(".")[2][:80]])
    parts: list[str | None] = [
        tag("p", f"{number_of}. {kind[:1].upper()}{kind[1:]}", class_="eyebrow"),
        tag(
            "h3",
            what,
            " ",
            tag("span", size(leak["retained_bytes"], True), class_="gain"),
            id=name,
            class_="leak",
        ),
        tag("p", sentence(leak["verdict"])) if leak["verdict"] else None,
    ]
    if leak["advice"]:
        advice = tag("p", tag("strong", "What to do."), " ", sentence(leak["advice"]))
        parts.append(tag("div", advice, class_="advice"))
    parts.append(_facts(leak, context))
    if leak["path"]:
        parts.append(tag("h4", "Who holds it"))
        parts.append(path_figure(f"leak-{number_of}-path", leak["path"]))
    parts.append(_growth(leak, number_of))
    if leak["evidence"]:
        parts.append(tag("h4", "Why it is judged so"))
        parts.append(tag("ul", *(tag("li", sentence(one)) for one in leak["evidence"])))
    if leak["traceback"]:
        lines = [
            tag("li", code(f"{one['file']}:{one['line']}"), " in ", code(one["function"] or "?"))
            for one in leak["traceback"]
        ]
        about = f"The calls that allocated it, newest first ({len(lines)})"
        parts.append(
            tag(
                "details",
                tag("summary", about),
                tag("ol", *lines, class_="plain small"),
                id=f"leak-{number_of}-calls",
            )
        )
    return tag("article", *parts, id=f"leak-{number_of}", aria_labelledby=name)


def _facts(leak: Mapping[str, Any], context: Context) -> Html:
    facts: list[tuple[str, Html | str]] = []
    routes = leak.get("routes")
    if routes is not None:
        shown = join(
            [context.link(f"routes/{one['handle']}", code(one["name"], 120)) for one in routes[:8]],
            ", ",
        )
        if len(routes) > 8:
            shown = join([shown, f" and {len(routes) - 8:,} more"])
        which = "Route" if len(routes) == 1 else "Routes" if routes else "Route"
        why = tag("span", sentence(leak["attributed_because"]), class_="quiet small block")
        facts.append((which, join([shown if routes else "not known", why])))
    elif leak.get("attributed_because"):
        facts.append(("This route's because", sentence(leak["attributed_because"])))
    if leak["type_name"]:
        own = join([number(leak["count"]), " of ", code(leak["type_name"]), ", themselves "])
        facts.append(("Objects", join([own, size(leak["bytes"])])))
    site = leak["site"]
    if site is not None:
        place = join([code(f"{site['file']}:{site['line']}")])
        if site["function"]:
            place = join([place, " in ", code(site["function"])])
        facts.append(("Allocated at", place))
    elif leak["type_name"]:
        facts.append(("Allocated at", tag("span", "not traced", class_="quiet")))
    if leak["holder"]:
        held = code(leak["holder"])
        if leak["holder_type"]:
            held = join([held, ", a ", tag("code", broken(leak["holder_type"]))])
        facts.append(("Held by", held))
    return tag("dl", *(join([tag("dt", name), tag("dd", shown)]) for name, shown in facts))


def _growth(leak: Mapping[str, Any], number_of: int) -> Html | None:
    rounds, also = leak["per_round"], leak["also"]
    parts = []
    if rounds:
        label = f"Objects left behind, by round: {', '.join(map(str, rounds))}"
        parts.append(
            tag(
                "div",
                tag("h4", "Left behind by each round"),
                raw(bars(rounds, label, "round")),
            )
        )
    if also:
        rows: list[Sequence[str]] = [
            (code(one["type_name"], 160), number(one["count"], True), size(one["bytes"], True))
            for one in also[:8]
        ]
        heads = ("Class", ">Objects", ">Bytes")
        shown = table(f"leak-{number_of}-also", "Kept with them", heads, rows, sortable=False)
        parts.append(tag("div", tag("h4", "What comes with it"), shown))
    return tag("div", *parts, class_="pair") if parts else None
