"""What several pages have: notes, a path from a root, a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from memscope.web.drawings import path
from memscope.web.markup import Html, broken, code, join, number, size, table, tag

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["no_match", "notes", "path_figure", "sentence"]


def notes(data: Mapping[str, Any]) -> Html:
    """What somebody who looks at the figures should know."""
    found = list(data["notes"])
    if data["off"]:
        found.insert(
            0,
            "memscope failed and is off until the process restarts; the log of memscope.web"
            " says why. These figures stand still.",
        )
    shown = [tag("p", note, class_="note", role="note") for note in found]
    return tag("div", *shown, id="notes", data_live=True)


def path_figure(name: str, data: Mapping[str, Any]) -> Html:
    """A path from a root as a picture, and the same as a table."""
    rows = []
    for at, step in enumerate(data["steps"]):
        edge = code(step["edge"], 120) if at else tag("span", "root", class_="quiet")
        rows.append(
            (
                edge,
                join(
                    [
                        tag("span", step["description"]),
                        Html("<br>"),
                        tag("code", broken(step["type_name"], 120), class_="quiet"),
                    ]
                ),
                number(step["count"]),
                size(step["bytes"]) if step["bytes"] is not None else "",
                code(step["site"], 120),
            )
        )
    heads: tuple[str, ...] = ("By name", "Object", ">Objects", ">Size", "Allocated at")
    if not any(step["site"] for step in data["steps"]):
        heads, rows = heads[:-1], [row[:-1] for row in rows]  # type: ignore[misc]
    count = data["count"]
    which = f"{count:,} objects are held so" if count > 1 else "One object is held so"
    return tag(
        "div",
        path(data),
        table(name, which, heads, rows, sortable=False),
        class_="path",
    )


def no_match(what: str, text: str) -> str:
    """That nothing has the text of a filter in its name."""
    quoted = f"\N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}"
    return f"No {what} has {quoted} in its name."


def sentence(text: str) -> str:
    """A clause with a capital and a full stop; names are left as they are."""
    if re.match(r"[a-z]+ ", text):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "\N{HORIZONTAL ELLIPSIS}")) else f"{text}."
