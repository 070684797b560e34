"""The pictures in the page of a leak report, as SVG: a path, bars, a curve, a divided bar.

Drawn for a width that fits a telephone, so that their text never has to shrink.  All text
goes through :func:`safe`, whatever it holds.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import east_asian_width

from memscope.table import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Box", "bars", "chain", "curve", "safe", "stack", "swatch"]

WIDTH = 360
BOX, GAP = 46, 34
"""Heights of a box and of the arrow between two."""

MOST_BOXES = 12
MOST_BARS = 40
LABELLED_BARS = 8
PLOT, FOOT, HEAD = 80, 20, 18


class Box(NamedTuple):
    """One object on a path, or many that are alike."""

    edge: str
    """The name by which the one before refers to it."""
    title: str
    subtitle: str
    many: bool


def safe(text: str, most: int = 400) -> str:
    """*text* as text in HTML, in an attribute's quotes too: one line, and not too much of it."""
    return escape(fit(printable(text[: 4 * most]), most))


def fit(text: str, columns: int) -> str:
    """*text*, cut with dots if it takes more columns; an ideograph takes two."""
    if len(text) <= columns // 2 or (text.isascii() and len(text) <= columns):
        return text
    if text.isascii():
        return text[: columns - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    room = columns
    for at, char in enumerate(text):
        room -= 2 if east_asian_width(char) in "WF" else 1
        if room < 0:
            return text[: max(at - 1, 0)].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    return text


def chain(boxes: Sequence[Box], label: str) -> str:
    """A path from the root, on top, to the object; the middle of a long one is left out."""
    shown: list[Box | int] = list(boxes)
    if len(boxes) > MOST_BOXES:
        half = MOST_BOXES // 2
        shown = [*boxes[:half], len(boxes) - 2 * half, *boxes[-half:]]
    parts = []
    y = 1
    for index, box in enumerate(shown):
        if isinstance(box, int):
            parts.append(_text(22, y + 18, f"{box:,} more steps", "quiet", 40))
            y += GAP
            continue
        if index:
            parts.append(
                f'<path class="arrow" d="M22 {y} V{y + GAP - 5}"/>'
                f'<path class="tip" d="M18 {y + GAP - 7} h8 l-4 6 z"/>'
            )
            if box.edge:
                parts.append(_text(36, y + GAP // 2 + 4, box.edge, "code", 42))
            y += GAP
        last = " last" if index == len(shown) - 1 else ""
        if box.many:
            behind = (_rect(1 + by, y + by, WIDTH - 8, BOX, "behind") for by in (6, 3))
            parts.extend(behind)
        parts.append(_rect(1, y, WIDTH - 8, BOX, f"box{last}"))
        parts.append(_text(14, y + 19, box.title, "", 48))
        parts.append(_text(14, y + 36, box.subtitle, "quiet", 54))
        y += BOX
    return _svg(WIDTH, y + 7, label, parts)


def bars(values: Sequence[int], label: str, unit: str) -> str:
    """A bar for each value, the last ones if there are many; negative ones are no bar."""
    shown = values[-MOST_BARS:]
    first = len(values) - len(shown) + 1
    top = max(1, *shown)
    pitch = min(WIDTH / len(shown), 44)
    parts = []
    for index, value in enumerate(shown):
        height = max(PLOT * value / top, 1) if value > 0 else 0
        x, y = index * pitch, HEAD + PLOT - height
        name = f"{unit} {first + index}: {value:,}"
        parts.append(
            f'<rect class="bar" x="{x + pitch * 0.14:.1f}" y="{y:.1f}" width="{pitch * 0.72:.1f}"'
            f' height="{height:.1f}" rx="1.5"><title>{safe(name)}</title></rect>'
        )
        middle = x + pitch / 2
        if len(shown) <= LABELLED_BARS or (value == top and shown.index(top) == index):
            parts.append(_middle(middle, y - 5, _short(value)))
        if len(shown) <= 2 * LABELLED_BARS or index in (0, len(shown) - 1):
            parts.append(_middle(middle, HEAD + PLOT + 15, str(first + index)))
    parts.append(_axis(pitch * len(shown)))
    return _svg(WIDTH, HEAD + PLOT + FOOT, label, parts)


def curve(values: Sequence[int], texts: Sequence[str], label: str) -> str:
    """A curve over zero, and the texts of the first and the last value."""
    top = max(1, *values)
    step = WIDTH / max(len(values) - 1, 1)
    points = [
        (index * step, HEAD + PLOT * (1 - max(value, 0) / top))
        for index, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    end, base = points[-1], HEAD + PLOT
    last = f'<text class="mark" x="{WIDTH}" y="{base + 15}" text-anchor="end">'
    parts = [
        f'<polygon class="area" points="0,{base} {line} {end[0]:.1f},{base}"/>',
        f'<polyline class="curve" points="{line}"/>',
        f'<circle class="bar" cx="{end[0]:.1f}" cy="{end[1]:.1f}" r="3"/>',
        _axis(WIDTH),
        f'<text class="quiet" x="0" y="{base + 15}">{safe(texts[0])}</text>',
        f"{last}{safe(texts[-1])}</text>",
    ]
    return _svg(WIDTH, HEAD + PLOT + FOOT, label, parts)


def stack(parts: Sequence[tuple[str, int, str]], label: str) -> str:
    """One bar over the whole width, divided: (name of the part, value, its tooltip)."""
    whole = sum(value for _, value, _ in parts) or 1
    drawn = []
    x = 0.0
    for name, value, tooltip in parts:
        share = 100 * value / whole
        drawn.append(
            f'<rect class="part-{name}" x="{x:.2f}%" y="1" width="{max(share - 0.35, 0.15):.2f}%"'
            f' height="26" rx="2"><title>{safe(tooltip)}</title></rect>'
        )
        x += share
    return f'<svg class="stack" role="img" aria-label="{safe(label)}">{"".join(drawn)}</svg>'


def swatch(name: str) -> str:
    """The colour of a part of the divided bar, to stand beside its name."""
    return (
        f'<svg class="swatch" aria-hidden="true"><rect class="part-{name}" x="0.5" y="0.5"'
        ' width="11" height="11" rx="2"/></svg>'
    )


def _svg(width: int, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{safe(label)}" width="{width}" height="{height:.0f}"'
        f' viewBox="0 0 {width} {height:.0f}">{"".join(parts)}</svg>'
    )


def _rect(x: int, y: int, width: int, height: int, name: str) -> str:
    return f'<rect class="{name}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'


def _text(x: float, y: float, text: str, name: str, columns: int) -> str:
    whole, short = safe(text), safe(text, columns)
    tooltip = f"<title>{whole}</title>" if whole != short else ""
    style = f' class="{name}"' if name else ""
    return f'<text{style} x="{x}" y="{y}">{tooltip}{short}</text>'


def _middle(x: float, y: float, text: str) -> str:
    return f'<text class="quiet" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{safe(text)}</text>'


def _axis(width: float) -> str:
    y = HEAD + PLOT + 0.5
    return f'<path class="axis" d="M0 {y} H{width:.1f}"/>'


def _short(value: int) -> str:
    """A number that fits over a bar."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if abs(value) >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value / 1000:,.0f} k" if abs(value) >= 100_000 else f"{value:,}"
