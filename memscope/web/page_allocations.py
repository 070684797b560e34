"""Live memory by place; the snapshots, and two of them compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memscope.report import share_text
from memscope.web.drawings import share
from memscope.web.markup import (
    Html,
    broken,
    button,
    clock,
    code,
    duration,
    empty,
    field,
    hidden,
    join,
    number,
    section,
    size,
    table,
    tag,
)
from memscope.web.page_parts import no_match, notes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memscope.web.context import Context

__all__ = ["allocations", "compared", "snapshots"]

KEYS = {
    "lineno": "by line",
    "filename": "by file",
    "function": "by function",
    "traceback": "by traceback",
}
UNTRACED = "Memory is not traced in this process, so there is nothing to show."
MOST_CALLERS = 12


def allocations(data: Mapping[str, Any], context: Context) -> Html:
    return join(
        [
            tag("h1", "Allocations"),
            tag(
                "p",
                "Memory that is live, by the code that allocated it.",
                class_="lead",
            ),
            notes(data),
            _keys(data, context),
            _choices(data, context),
            _places_of(data),
        ]
    )


def _keys(data: Mapping[str, Any], context: Context) -> Html:
    links = [
        tag(
            "li",
            tag(
                "a",
                label,
                href=context.url("allocations", by=key, since=data["since"], q=data["filter"]),
                aria_current="true" if key == data["by"] else None,
            ),
        )
        for key, label in KEYS.items()
    ]
    return tag("nav", tag("ul", *links, class_="choices"), aria_label="Summed up")


def _choices(data: Mapping[str, Any], context: Context) -> Html:
    options = [tag("option", "the beginning", value="")]
    options += [
        tag(
            "option",
            f"{one['label']}, ",
            clock_text(one["time"]),
            value=one["handle"],
            selected=one["handle"] == data["since"],
        )
        for one in data["snapshots"]
    ]
    since = join(
        [
            hidden("by", data["by"]),
            field("since", "Added since", tag("select", *options, id="since", name="since")),
        ]
    )
    search = context.search("allocations", data["filter"], "places", "places", since)
    if data["snapshots"]:
        return search
    hint = tag(
        "p",
        "To see what is added from now on, ",
        context.link("snapshots", "take a snapshot"),
        " and choose it here.",
        class_="quiet small",
    )
    return join([search, hint])


def clock_text(moment: float) -> str:
    import time

    return time.strftime("%H:%M:%S", time.localtime(moment))


def _places_of(data: Mapping[str, Any]) -> Html:
    if not data["is_tracing"]:
        return tag("div", empty(UNTRACED), id="list", data_live=True)
    changed = bool(data["since"])
    parts: list[str | None] = []
    if data["places"]:
        caption = join([number(data["total_blocks"]), " blocks, ", size(data["total_bytes"])])
        if changed:
            caption = join(
                [
                    size(data["bytes_diff"], True),
                    " in ",
                    number(data["blocks_diff"], True),
                    " blocks since ",
                    data["since_label"],
                ]
            )
        parts.append(places_table(data["places"], data["by"], caption, changed=changed))
    elif data["filter"]:
        parts.append(empty(no_match("place", data["filter"])))
    else:
        parts.append(empty("Nothing was added since that snapshot."))
    if data["more"]:
        parts.append(tag("p", f"{data['more']:,} more places are left out.", class_="quiet small"))
    words = "Counted" if data["age_seconds"] < 1 else f"Counted {duration(data['age_seconds'])} ago"
    parts.append(
        tag(
            "p",
            f"{words}, in {duration(data['seconds'])}. memscope's own ",
            size(data["own_bytes"], changed),
            " left out.",
            f" {data['lost']:,} blocks are missing: there was no memory to record them."
            if data["lost"]
            else "",
            class_="quiet small",
        )
    )
    return tag("div", *parts, id="list", data_live=True)


def places_table(
    places: Sequence[Mapping[str, Any]], by: str, caption: Html, *, changed: bool
) -> Html:
    """Places with what they hold, or by how much that changed."""
    rows = []
    for place in places:
        words = tag("span", share_text_of(place["share"]), class_="number")
        bar = join([share(place["share"], up=changed), words])
        bar = tag("span", bar, class_="share-cell")
        cells: list[Any] = [
            _place(place, by),
            (size(place["bytes"]), place["bytes"]),
            (bar, place["share"]),
            (number(place["blocks"]), place["blocks"]),
        ]
        if changed:
            cells[1:3] = [
                (size(place["bytes_diff"], True), place["bytes_diff"]),
                (bar, place["share"]),
                (number(place["blocks_diff"], True), place["blocks_diff"]),
                (size(place["bytes"]), place["bytes"]),
            ]
        else:
            average = place["bytes"] // place["blocks"] if place["blocks"] else 0
            cells.append((size(average), average))
        rows.append(cells)
    heads = ("Place", ">Bytes", ">Share", ">Blocks", ">Average")
    if changed:
        heads = ("Place", ">Growth", ">Share", ">New blocks", ">Bytes now", ">Blocks")  # type: ignore[assignment]
    return table("places", caption, heads, rows)


def share_text_of(part: float) -> str:
    return share_text(round(part * 1000), 1000) if part > 0 else ""


def _place(place: Mapping[str, Any], by: str) -> Html:
    line = f":{place['line']}" if place["line"] else ""
    where = tag("code", broken(f"{place['file']}{line}"))
    if by == "function" and place["name"]:
        return join(
            [
                tag("code", broken(place["name"])),
                Html("<br>"),
                tag("span", where, class_="quiet small"),
            ]
        )
    if not place["callers"]:
        return where
    callers = place["callers"]
    shown = [tag("li", code(f"{one['file']}:{one['line']}")) for one in callers[:MOST_CALLERS]]
    count = len(callers) + place["more_callers"]
    if count > len(shown):
        shown.append(tag("li", f"and {count - len(shown):,} more", class_="quiet"))
    label = f"called from {count:,} line{'s' * (count != 1)}"
    return join(
        [where, tag("details", tag("summary", label), tag("ol", *shown, class_="plain small"))]
    )


# -- snapshots


def snapshots(data: Mapping[str, Any], context: Context) -> Html:
    label = join(
        [
            field(
                "label",
                "Label",
                tag(
                    "input",
                    type="text",
                    id="label",
                    name="label",
                    maxlength=80,
                    placeholder="before the import",
                    autocomplete="off",
                ),
            ),
            button("Take a snapshot"),
        ]
    )
    taken = data["snapshots"]
    parts: list[str | None] = [
        tag("h1", "Snapshots"),
        tag(
            "p",
            f"Every live block at one moment. The last {data['most']} are kept, in the memory of"
            " this process; those that were taken by themselves go first.",
            class_="lead",
        ),
        notes(data),
        context.form("snapshots/take", label)
        if data["is_tracing"]
        else tag("p", UNTRACED, class_="note"),
        _taken(taken, context),
    ]
    if len(taken) > 1:
        parts.append(_compare_form(taken, context))
    return join(parts)


def _taken(taken: Sequence[Mapping[str, Any]], context: Context) -> Html:
    if not taken:
        return tag(
            "div",
            empty("There is none yet. Take one, let the application work, take another: compare."),
            id="list",
            data_live=True,
        )
    rows = [
        (
            join(
                [
                    f"{one['number']}. ",
                    one["label"],
                    tag("span", " by itself", class_="tag") if one["automatic"] else "",
                ]
            ),
            (clock(one["time"]), one["time"]),
            (size(one["bytes"]), one["bytes"]),
            (number(one["blocks"]), one["blocks"]),
            (size(one["kept_bytes"]), one["kept_bytes"]),
            tag(
                "a",
                "what is new",
                href=context.url("allocations", since=one["handle"]),
                aria_label=f"What is new since {one['label']}",
            ),
            context.form(
                "snapshots/forget",
                hidden("handle", one["handle"]),
                button("Forget", quiet=True, about=one["label"]),
            ),
        )
        for one in taken
    ]
    heads = ("Snapshot", ">Taken", ">Live bytes", ">Blocks", ">It costs", "~", "~")
    return tag("div", table("taken", "Newest first", heads, rows), id="list", data_live=True)


def _compare_form(taken: Sequence[Mapping[str, Any]], context: Context) -> Html:
    def options(chosen: Mapping[str, Any]) -> list[Html]:
        return [
            tag(
                "option",
                f"{one['number']}. {one['label']}",
                value=one["handle"],
                selected=one is chosen,
            )
            for one in taken
        ]

    return tag(
        "section",
        tag("h2", "Compare two", id="compare-name"),
        tag(
            "form",
            field("older", "Older", tag("select", *options(taken[1]), id="older", name="older")),
            field("newer", "Newer", tag("select", *options(taken[0]), id="newer", name="newer")),
            tag("button", "Compare", type="submit"),
            method="get",
            action=context.url("snapshots/compare"),
            class_="filter",
        ),
        aria_labelledby="compare-name",
    )


def compared(data: Mapping[str, Any], context: Context) -> Html:
    older, newer = data["older"], data["newer"]
    seconds = newer["time"] - older["time"]
    grew = tag("span", size(data["bytes_diff"], True), class_="gain")
    parts: list[str | None] = [
        tag("p", context.link("snapshots", "Snapshots"), class_="eyebrow"),
        tag("h1", "Compared ", grew),
        tag(
            "p",
            f"From \N{LEFT DOUBLE QUOTATION MARK}{older['label']}\N{RIGHT DOUBLE QUOTATION MARK}"
            f" ({clock_text(older['time'])}) to \N{LEFT DOUBLE QUOTATION MARK}{newer['label']}"
            f"\N{RIGHT DOUBLE QUOTATION MARK} ({clock_text(newer['time'])}), {duration(seconds)}"
            f" later: {data['blocks_diff']:+,} blocks.",
            class_="lead",
        ),
    ]
    if data["places"]:
        caption = join([size(data["bytes_diff"], True), ", largest growth first"])
        lines = places_table(data["places"], "lineno", caption, changed=True)
        parts.append(section("lines", "By line", lines, live=False))
    else:
        parts.append(empty("No line has more or less than before."))
    if data["types"]:
        rows = [
            (
                code(one["name"], 120),
                (number(one["objects_diff"], True), one["objects_diff"]),
                (size(one["bytes_diff"], True), one["bytes_diff"]),
                (number(one["objects"]), one["objects"]),
                (size(one["bytes"]), one["bytes"]),
            )
            for one in data["types"]
        ]
        heads = ("Class", ">Objects", ">Bytes", ">Objects now", ">Bytes now")
        tracked = "Objects that the collector tracks"
        by_class = table("type-changes", tracked, heads, rows)
        parts.append(section("classes", "By class", by_class, live=False))
    return join(parts)
