"""HTML out of names and numbers: everything is escaped that was not made here.

``tag("td", name, class_="right")`` is an element.  Its children are text, which is escaped,
cut to a line and to a length, and elements, which are Html.  Only this file and the drawings
make Html, so what the program calls its classes stays text whatever it is.

There is no way to give a style or a handler: the pages' policy forbids them.
"""

from __future__ import annotations

import re
import time
from html import escape
from typing import TYPE_CHECKING

from memscope.page_drawings import safe
from memscope.report import size_text
from memscope.table import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Html",
    "broken",
    "button",
    "clock",
    "code",
    "duration",
    "empty",
    "field",
    "hidden",
    "join",
    "number",
    "raw",
    "section",
    "size",
    "span_text",
    "table",
    "tag",
    "text",
]

LONGEST = 400
LONG = 2000
"""Columns of a text in a cell, and of a sentence."""

PLAIN = re.compile(r"[\w ,.:;/+=()%#-]*", re.ASCII).fullmatch
"""Whether a text is as it is in HTML too, which most are."""

VOID = frozenset(["br", "input", "link", "meta", "wbr"])


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str | int | None, **attributes: str | int | bool | None) -> Html:
    """An element.  An attribute that is None or False is left out; "class_" is class,
    "aria_label" aria-label."""
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        if key == "style" or key.startswith("on"):
            raise ValueError(f"{key} is no attribute of a page: the pages' policy forbids it")
        parts.append(f" {key}" if value is True else f' {key}="{_attribute(value)}"')
    if name in VOID:
        return Html("".join([*parts, ">"]))
    return Html("".join([*parts, ">", join(children), f"</{name}>"]))


def join(children: Iterable[str | int | None], between: str = "") -> Html:
    """Children one after the other."""
    shown = (text(child) for child in children if child is not None and child != "")
    return Html(escape(between).join(shown))


def text(child: str | int, most: int = LONG) -> Html:
    """Text as HTML: one line, and not too long."""
    if isinstance(child, Html):
        return child
    if isinstance(child, int):
        return Html(f"{child:,}")
    if 2 * len(child) <= most and PLAIN(child):
        return Html(child)
    return Html(safe(child, most))


def raw(drawn: str) -> Html:
    """What memscope.page_drawings made, which is escaped."""
    return Html(drawn)


def _attribute(value: str | int) -> str:
    shown = str(value)[: 4 * LONG]
    return shown if PLAIN(shown) else escape(printable(shown))


def broken(name: str, most: int = LONGEST) -> Html:
    """A long name that may be broken after its dots and slashes."""
    shown = safe(name, most)
    return Html(shown.replace("/", "/<wbr>").replace(".", ".<wbr>"))


def code(name: str, most: int = LONGEST) -> Html:
    return tag("code", broken(name, most))


def size(value: int | None, sign: bool = False) -> Html:
    """Bytes as people read them."""
    if value is None:
        return tag("span", "not known", class_="quiet")
    return tag("span", size_text(value, sign and value != 0), class_="number")


def number(value: int, sign: bool = False) -> Html:
    return tag("span", f"{value:+,}" if sign and value else f"{value:,}", class_="number")


def duration(seconds: float) -> str:
    """A time that passed: "3 s", "12 min", "2 h 5 min"."""
    whole = int(seconds)
    if seconds < 0.000995:
        return f"{1e6 * seconds:.3g} \N{MICRO SIGN}s"
    if seconds < 0.0995:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    if whole < 100:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    if minutes < 100:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min"
    return f"{hours // 24} days"


def clock(moment: float) -> Html:
    """A moment of time.time(), as the server's clock shows it."""
    at = time.localtime(moment)
    exact = time.strftime("%Y-%m-%dT%H:%M:%S%z", at)
    return tag("time", time.strftime("%H:%M:%S", at), datetime=exact)


def span_text(seconds: float) -> str:
    """The last so many seconds: "last 4 minutes"."""
    if seconds < 90:
        return f"last {max(round(seconds), 1)} seconds"
    return f"last {round(seconds / 60)} minutes"


def section(name: str, title: str, *children: str | int | None, live: bool = True) -> Html:
    """A part of a page under a heading; with *live* it is renewed while it is looked at."""
    return tag(
        "section",
        tag("h2", title, id=f"{name}-name"),
        *children,
        id=name,
        aria_labelledby=f"{name}-name",
        data_live=live,
    )


def empty(*children: str | int | None) -> Html:
    """What stands where there is nothing yet: what to do."""
    return tag("p", *children, class_="empty")


def hidden(name: str, value: str) -> Html:
    return tag("input", type="hidden", name=name, value=value)


def field(name: str, label: str, control: Html) -> Html:
    """A control with its label, side by side; *name*: its id."""
    return tag("span", tag("label", label, for_=name), control, class_="field")


def button(label: str, *, quiet: bool = False, about: str | None = None) -> Html:
    """The button of a form; *about* completes its name where several have the same label."""
    return tag(
        "button",
        label,
        type="submit",
        class_="quiet-button" if quiet else None,
        aria_label=f"{label} {about}" if about else None,
    )


def table(
    name: str,
    caption: str | Html,
    heads: Sequence[str],
    rows: Iterable[Sequence[str | int | tuple[str | int, float] | None]],
    *,
    sortable: bool = True,
) -> Html:
    """A table.  A head that begins with ">" has numbers under it, one with "=" sentences,
    one with "~" pictures, by which nothing is sorted.

    A cell is HTML or text, or with the number by which it is sorted.  The first cell of a row
    is its head.  A wide table scrolls by itself, and can be reached with the keyboard to do so.
    """
    looks = {">": "right", "=": "text", "~": "picture"}
    classes = [looks.get(head[:1]) for head in heads]
    head = join(
        tag(
            "th",
            title.lstrip(">=~"),
            scope="col",
            class_=look,
            data_sort=look != "picture" and bool(title.lstrip(">=~")),
        )
        for title, look in zip(heads, classes, strict=True)
    )
    body = []
    for row in rows:
        cells = []
        for at, (cell, look) in enumerate(zip(row, classes, strict=True)):
            shown, value = cell if isinstance(cell, tuple) else (cell, None)
            kind, scope = ("td", None) if at else ("th", "row")
            key = None if value is None else f"{value:.15g}"
            cells.append(tag(kind, shown, scope=scope, class_=look, data_value=key))
        body.append(tag("tr", *cells))
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption, id=f"{name}-caption"),
            tag("thead", tag("tr", head)),
            tag("tbody", *body),
            id=name,
            class_="sortable" if sortable and len(body) > 1 else None,
        ),
        class_="wide",
        role="region",
        tabindex=0,
        aria_labelledby=f"{name}-caption",
    )
