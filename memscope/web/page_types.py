"""The classes over the last minutes; one of them, and who holds its objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memscope.web.drawings import over_time, spark
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
    section,
    size,
    span_text,
    table,
    tag,
)
from memscope.web.page_parts import no_match, notes, path_figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memscope.web.context import Context

__all__ = ["one", "types"]


def types(data: Mapping[str, Any], context: Context) -> Html:
    return join(
        [
            tag("h1", "Types"),
            tag(
                "p",
                "Objects of each class that the collector tracks. What only became more comes"
                " first, and of that what rose most often: look there.",
                class_="lead",
            ),
            notes(data),
            context.search("types", data["filter"], "classes", "classes"),
            _list(data, context),
        ]
    )


def _list(data: Mapping[str, Any], context: Context) -> Html:
    if not data["types"]:
        words = (
            no_match("class", data["filter"])
            if data["filter"]
            else "Nothing was counted yet: refresh in two seconds."
        )
        return tag("div", empty(words), id="list", data_live=True)
    rows = []
    for row in data["types"]:
        label = f"{row['min']:,} to {row['max']:,} objects, now {row['now']:,}"
        link = context.link(f"types/{row['handle']}", code(row["name"], 120))
        up = tag("span", "only up", class_="tag up") if row["only_up"] else ""
        rows.append(
            (
                join([link, " ", up]),
                spark(row["values"], label, up=row["only_up"]),
                (number(row["min"]), row["min"]),
                (number(row["now"]), row["now"]),
                (number(row["max"]), row["max"]),
                (_growth(row["growth"], row["only_up"]), row["growth"]),
                (size(row["bytes"]), row["bytes"]),
            )
        )
    heads = ("Class", "~Trend", ">Least", ">Now", ">Most", ">Growth", ">Bytes now")
    span = span_text(data["span_seconds"]) if data["points"] > 1 else "first point"
    only = f"{data['only_up']:,} only went up" if data["only_up"] else "none only went up"
    more = data["fitting"] - len(rows)
    return tag(
        "div",
        table("classes", f"{data['classes']:,} classes, {span}; {only}", heads, rows),
        tag("p", f"{more:,} more are left out; filter to see them.", class_="quiet small")
        if more > 0
        else None,
        tag(
            "p",
            f"{data['merged_classes']:,} classes with the fewest objects,"
            f" {data['merged_objects']:,} all together, are not told apart.",
            class_="quiet small",
        )
        if data["merged_classes"]
        else None,
        tag(
            "p",
            f"memscope's own {data['own_objects']:,} objects are left out.",
            class_="quiet small",
        ),
        id="list",
        data_live=True,
    )


def _growth(growth: int, up: bool) -> Html:
    return tag("span", f"{growth:+,}" if growth else "0", class_="number gain" if up else "number")


def one(data: Mapping[str, Any], context: Context) -> Html:
    return join(
        [
            tag("p", context.link("types", "Types"), class_="eyebrow"),
            tag("h1", broken(data["name"])),
            notes(data),
            _facts(data),
            _held(data),
            context.form(
                "types/paths",
                hidden("handle", data["handle"]),
                button("Look again" if data["held"] else "Look who holds them"),
                tag(
                    "p",
                    "A walk of the heap, during which this process answers nobody: about as long"
                    " as a full collection.",
                    class_="quiet small",
                ),
            ),
        ]
    )


def _facts(data: Mapping[str, Any]) -> Html:
    facts = [
        ("Objects now", number(data["now"])),
        ("Growth", _growth(data["growth"], data["only_up"])),
        ("Least and most", join([number(data["min"]), " to ", number(data["max"])])),
        ("Their own bytes", size(data["bytes"])),
    ]
    drawn = None
    if len(data["values"]) > 1:
        texts = [f"{value:,}" for value in (data["min"], data["max"], data["now"])]
        label = f"Objects: from {data['values'][0]:,} to {data['now']:,}"
        drawn = tag("figure", over_time(data["times"], data["values"], texts, label))
    words = ""
    if data["only_up"]:
        words = "It never fell, and rose again and again."
    return tag(
        "div",
        tag("dl", *(join([tag("dt", name), tag("dd", shown)]) for name, shown in facts)),
        tag("div", drawn, tag("p", words, class_="gain small") if words else None),
        class_="pair",
        id="facts",
        data_live=True,
    )


def _held(data: Mapping[str, Any]) -> Html:
    held = data["held"]
    if held is None:
        return section(
            "held",
            "Who holds them",
            empty(
                "Nobody looked yet. Looking finds the shortest ways from modules, threads and"
                " running functions to the objects of this class."
            ),
        )
    count = held["count"]
    age = held["age_seconds"]
    when = f"{duration(age)} ago" if age >= 1 else "just now"
    about = f"{count:,} object{'s' * (count != 1)}, found {when} in {duration(held['seconds'])}."
    return section(
        "held",
        "Who holds them",
        tag("p", about, class_="quiet"),
        *(path_figure(f"path-{at}", one) for at, one in enumerate(held["paths"], 1)),
        tag("p", held["note"]) if held["note"] else None,
        tag("p", "Keys of dicts are the program's data and are not shown.", class_="quiet small"),
    )
