"""The pictures of the pages: lines of a row, curves over time, a share, a path from a root.

Beside those that the page of a leak report has.  Nothing here has a colour or a size of text:
classes have, in memscope.css.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memscope.page_drawings import Box, chain, curve, safe, stack, swatch
from memscope.report import size_text
from memscope.web.asked import thinned
from memscope.web.markup import Html, duration, raw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["over_time", "parts_bar", "path", "requests_curve", "share", "spark", "swatch_of"]

SPARK_WIDTH, SPARK_HEIGHT = 120, 26
MOST_SPARK = 60
SHARE_WIDTH = 80
WIDTH, PLOT, FOOT = 360, 92, 20


def spark(values: Sequence[int], label: str, *, up: bool = False) -> Html:
    """A line as high as a row, from the least to the most; *up*: in the colour of growth."""
    values = thinned(values, MOST_SPARK)
    if len(values) < 2:
        return raw("")
    least, most = min(values), max(values)
    spread = (most - least) or 1
    step = (SPARK_WIDTH - 6) / (len(values) - 1)
    height = SPARK_HEIGHT - 6
    flat = most == least
    points = [
        (
            3 + at * step,
            3 + (height / 2 if flat else height * (1 - (value - least) / spread)),
        )
        for at, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return raw(
        f'<svg class="spark{" up" if up else ""}" role="img" aria-label="{safe(label)}"'
        f' width="{SPARK_WIDTH}" height="{SPARK_HEIGHT}"'
        f' viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}">'
        f'<polyline class="line" points="{line}"/>'
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.2"/></svg>'
    )


def over_time(
    times: Sequence[float], values: Sequence[int], texts: Sequence[str], label: str
) -> Html:
    """A curve over the moments at which it was measured; *texts*: the least, most, last value.

    It does not begin at zero: what matters is by how much it moved.
    """
    least, most = min(values), max(values)
    spread = most - least
    room = max(spread, abs(most) // 50, 1)
    low = (least + most - room) / 2 if spread < room else least
    begin, end = times[0], times[-1]
    width = (end - begin) or 1.0
    points = [
        ((at - begin) / width * WIDTH, 6 + (PLOT - 12) * (1 - (value - low) / room))
        for at, value in zip(times, values, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    base = PLOT + 15
    return raw(
        f'<svg class="over-time" role="img" aria-label="{safe(label)}" width="{WIDTH}"'
        f' height="{PLOT + FOOT}" viewBox="0 0 {WIDTH} {PLOT + FOOT}">'
        f'<polygon class="area" points="0,{PLOT} {line} {x:.1f},{PLOT}"/>'
        f'<polyline class="curve" points="{line}"/>'
        f'<circle class="bar" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        f'<path class="axis" d="M0 {PLOT + 0.5} H{WIDTH}"/>'
        f'<text class="quiet" x="0" y="{base}">{safe(duration(end - begin))} ago</text>'
        f'<text class="quiet" x="{WIDTH / 2}" y="{base}" text-anchor="middle">'
        f"{safe(texts[0])} to {safe(texts[1])}</text>"
        f'<text class="mark" x="{WIDTH}" y="{base}" text-anchor="end">now {safe(texts[2])}</text>'
        "</svg>"
    )


def requests_curve(values: Sequence[int], label: str) -> Html:
    """What requests left behind, added up; the last number is by how much it grew."""
    return raw(curve(values, ["first request", size_text(values[-1], True)], label))


def share(part: float, *, up: bool = False) -> Html:
    """A bar beside a number."""
    width = max(min(part, 1.0) * SHARE_WIDTH, 0.75) if part > 0 else 0
    return raw(
        f'<svg class="share" aria-hidden="true" width="{SHARE_WIDTH}" height="10"'
        f' viewBox="0 0 {SHARE_WIDTH} 10">'
        f'<rect class="rail" x="0" y="4" width="{SHARE_WIDTH}" height="2" rx="1"/>'
        f'<rect class="{"bar" if up else "amount"}" x="0" y="2" width="{width:.1f}" height="6"'
        ' rx="1.5"/></svg>'
    )


def parts_bar(parts: Sequence[tuple[str, int, str]], label: str) -> Html:
    """One bar, divided."""
    return raw(stack(parts, label))


def swatch_of(name: str) -> Html:
    return raw(swatch(name))


def path(data: Mapping[str, Any]) -> Html:
    """A path from a root to what it holds, as view_types.path_data tells it."""
    boxes = []
    for step in data["steps"]:
        short = step["type_name"].rpartition(".")[2]
        own = f", {size_text(step['bytes'])}" if step["bytes"] is not None else ""
        many = f"{step['count']:,} of " if step["count"] > 1 else ""
        boxes.append(
            Box(
                step["edge"],
                step["description"] or short,
                f"{many}{short}{own}",
                step["count"] > 1,
            )
        )
    label = f"Path from {boxes[0].title} to {boxes[-1].title}, as in the table"
    return raw(chain(boxes, label))
