"""A leak report as one HTML page that needs nothing else: no network, no script.

It is made from the report's plain data, which may come from a file that somebody sent:
every text in it is escaped, every number is looked at, lists are cut to what a person
reads.  The same report gives the same page.  No file is read: source lines are those that
the report holds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from memscope.page_drawings import Box, bars, chain, curve, safe, stack, swatch
from memscope.page_style import STYLE
from memscope.report import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["page"]

MOST_LEAKS = 20
MOST_ROWS = 25
MOST_STEPS = 64
MOST_MOMENTS = 60
MOST_ROUNDS = 1000
LARGEST = 1 << 62
"""No process has as much; a larger number in a file is a mistake or a joke."""

LONG = 1000
"""Characters of a sentence that are shown."""

PROLOGUE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
"""  # noqa: E501 -- one attribute

PARTS = (
    ("arenas_used", "Python's small objects (pymalloc, in use)"),
    ("arenas_free", "free in pymalloc's arenas"),
    ("libc_used", "in use in the C library's heaps: larger Python blocks, native code"),
    ("libc_mmapped", "large blocks, mapped by the C library"),
    ("libc_free", "free in the C library's heaps"),
    ("other", "code, files, stacks, mapped by native code"),
)
"""Parts of what is resident, as memscope.process names them."""

CURVES = (("rss", "Resident memory of the process"), ("bytes", "Bytes of all objects"))


def page(report: Mapping[str, Any]) -> str:
    """The page of what LeakReport.to_dict() gave."""
    leaks = _rows(report, "leaks")
    shown = leaks[:MOST_LEAKS]
    title = _title(report, leaks)
    sections = [
        _header(report, leaks, title),
        _overview(shown, len(leaks)),
        *(_leak(number, leak) for number, leak in enumerate(shown, 1)),
        _process(report),
        _types(_rows(report, "types")),
        _not_leaks(_rows(report, "not_leaks")),
        _notes(report),
    ]
    body = "\n".join(filter(None, sections))
    return (
        f"{PROLOGUE}<title>{safe(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<main>\n{body}\n</main>\n"
        "<footer><p>Made by memscope. Everything is in this file; it loads nothing.</p></footer>\n"
        "</body>\n</html>\n"
    )


# -- sections --------------------------------------------------------------------------------


def _title(report: Mapping[str, Any], leaks: Sequence[Any]) -> str:
    what = _text(report, "title")
    of = f" in {what}" if what else ""
    if not leaks:
        return f"No leak{of}"
    return f"{len(leaks):,} leak{'s' * (len(leaks) != 1)}{of}"


def _header(report: Mapping[str, Any], leaks: Sequence[Any], title: str) -> str:
    rounds, python = _number(report, "rounds"), _text(report, "python")
    facts = []
    if leaks:
        size = _size(_number(report, "total_bytes"), True)
        facts.append(f"{size} retained by what was left behind")
    if rounds:
        facts.append(f"judged over {rounds:,} round{'s' * (rounds != 1)}")
    if python:
        facts.append(f"CPython {safe(python, 40)}")
    return (
        '<header>\n<p class="eyebrow">memscope leak report</p>\n'
        f'<h1>{safe(title)}</h1>\n<p class="quiet">{"; ".join(facts)}</p>\n</header>'
    )


def _overview(leaks: Sequence[Mapping[str, Any]], number: int) -> str:
    if len(leaks) < 2:
        return ""
    rows = [
        (
            f'<a href="#leak-{rank}">{_what(leak)}</a>',
            _size(_number(leak, "retained_bytes"), True),
            _kind(leak),
            f"<code>{_short_site(leak)}</code>",
            f"<code>{safe(_text(leak, 'holder'), 120)}</code>",
        )
        for rank, leak in enumerate(leaks, 1)
    ]
    heads = ("Leak", ">Retained", "Kind", "Allocated at", "Held by")
    more = _more(number - len(leaks))
    return f'<nav aria-label="Leaks">{_table("The leaks, largest first", heads, rows)}{more}</nav>'


def _leak(number: int, leak: Mapping[str, Any]) -> str:
    retained = _number(leak, "retained_bytes")
    name = f"leak-{number}-name"
    gain = f'<span class="gain">{_size(retained, True)}</span>'
    parts = [
        f'<article id="leak-{number}" aria-labelledby="{name}">',
        f'<p class="eyebrow">{number}. {_kind(leak)}</p>',
        f'<h2 id="{name}">{_what(leak)} {gain}</h2>',
    ]
    if verdict := _text(leak, "verdict"):
        parts.append(f"<p>{_sentence(verdict)}</p>")
    if advice := _text(leak, "advice"):
        parts.append(
            f'<div class="advice"><p><strong>What to do.</strong> {_sentence(advice)}</p></div>'
        )
    parts.append(_facts(leak))
    if evidence := _texts(leak, "evidence"):
        more = _more(len(evidence) - MOST_ROWS)
        parts.append(f"<h3>Why it is judged so</h3>\n{_items(evidence[:MOST_ROWS])}{more}")
    parts.append(_path(leak))
    parts.append(_growth(leak))
    parts.append("</article>")
    return "\n".join(filter(None, parts))


def _facts(leak: Mapping[str, Any]) -> str:
    facts = []
    count, own = _number(leak, "count"), _number(leak, "bytes")
    name = _text(leak, "type_name")
    if name:
        text = f'<span class="number">{count:,}</span> of <code>{_broken(name)}</code>, themselves'
        facts.append(("Objects", f"{text} {_size(own)}"))
    site = leak.get("site")
    if isinstance(site, dict):
        place = f"<code>{_broken(_text(site, 'filename'))}:{_number(site, 'lineno')}</code>"
        if function := _text(site, "function"):
            place += f" in <code>{_broken(function)}</code>"
        if source := _text(leak, "source"):
            place += f"<pre><code>{safe(source)}</code></pre>"
        facts.append(("Allocated at", place))
    elif name:
        facts.append(("Allocated at", '<span class="quiet">not traced</span>'))
    if holder := _text(leak, "holder"):
        kind = _text(leak, "holder_type")
        text = f"<code>{_broken(holder)}</code>"
        facts.append(("Held by", f"{text}, a <code>{_broken(kind)}</code>" if kind else text))
    if not facts:
        return ""
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts) + "</dl>"


def _path(leak: Mapping[str, Any]) -> str:
    path = leak.get("path")
    steps = _rows(path, "steps")[:MOST_STEPS] if isinstance(path, dict) else []
    if not steps:
        return ""
    boxes: list[Box] = []
    rows: list[Sequence[str]] = []
    for number, step in enumerate(steps):
        edge, title = _text(step, "edge"), _text(step, "description")
        name, count = _text(step, "type_name"), _number(step, "count")
        own = f", {size_text(_number(step, 'bytes'))}" if _number(step, "address") else ""
        short = name.rpartition(".")[2]
        many = f"{count:,} of " if count > 1 else ""
        boxes.append(Box(edge, title or short, f"{many}{short}{own}", count > 1))
        rows.append(
            (
                f"<code>{safe(edge, 120)}</code>" if number else '<span class="quiet">root</span>',
                f'{safe(title, 200)}<br><code class="quiet">{_broken(name, 120)}</code>',
                f"{count:,}",
                _size(_number(step, "bytes")) if own else "",
                f"<code>{_broken(_text(step, 'site'), 120)}</code>",
            )
        )
    count = _number(path, "count") if isinstance(path, dict) else 1
    which = f"{count:,} objects" if count > 1 else "one of them"
    heads: Sequence[str] = ("By name", "Object", ">Objects", ">Size", "Allocated at")
    if not any(_text(step, "site") for step in steps):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    picture = chain(boxes, f"Path from {boxes[0].title} to {boxes[-1].title}, as in the table")
    table = _table(f"From the root to {which}", heads, rows)
    return f'<h3>Who holds it</h3>\n<div class="path">{picture}{table}</div>'


def _growth(leak: Mapping[str, Any]) -> str:
    rounds = [_int(value) for value in _list(leak, "per_round")[:MOST_ROUNDS]]
    also = _rows(leak, "also")
    parts = []
    if rounds:
        label = f"Objects left behind, by round: {', '.join(map(str, rounds[:MOST_ROWS]))}"
        picture = bars(rounds, label, "round")
        text = '<p class="quiet small">Objects that each round left behind</p>'
        parts.append(f"<div><h3>Growth</h3>\n{text}{picture}</div>")
    if also:
        table = _grown_table("Kept with them", also)
        parts.append(f"<div><h3>What comes with it</h3>\n{table}</div>")
    return f'<div class="pair">{"".join(parts)}</div>' if parts else ""


def _process(report: Mapping[str, Any]) -> str:
    memory = report.get("memory")
    moments = _rows(report, "moments")
    split = _split(memory) if isinstance(memory, dict) else ""
    text = "\n".join(filter(None, [split, _curves(moments), _moments(moments)]))
    return _section("process", "The process", text) if text else ""


def _split(memory: Mapping[str, Any]) -> str:
    known = [
        (name, what, _number(memory, name)) for name, what in PARTS if memory.get(name) is not None
    ]
    if not known:
        return ""
    grown = [
        (name, size, f"{what}: {size_text(size, True)}") for name, what, size in known if size > 0
    ]
    rows = [(f"{swatch(name)}{what}", _size(size, True)) for name, what, size in known]
    for name, what in (
        ("rss", "<strong>resident, all together</strong>"),
        ("traced", "traced by memscope, within the above"),
        ("memscope", "memscope's own, within the above"),
    ):
        if memory.get(name) is not None:
            rows.append((what, _size(_number(memory, name), True)))
    label = "Growth since the baseline: " + "; ".join(text for _, _, text in grown)
    picture = stack(grown, label) if grown else ""
    table = _table("How its memory changed since the baseline", ("Part", ">Change"), rows)
    return f"{picture}{table}"


def _curves(moments: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for name, what in CURVES:
        values = [_number(moment, name) for moment in moments if moment.get(name) is not None]
        if len(values) > 2:
            texts = [size_text(value) for value in values]
            label = f"{what}: from {texts[0]} to {texts[-1]}"
            caption = f'<p class="quiet small">{what}</p>'
            parts.append(f"<div>{caption}{curve(values, texts, label)}</div>")
    return f'<h3>Over time</h3>\n<div class="pair">{"".join(parts)}</div>' if parts else ""


def _moments(moments: Sequence[Mapping[str, Any]]) -> str:
    if not moments:
        return ""
    rows = [
        (
            safe(_text(moment, "label"), 80),
            f"{_float(moment, 'seconds'):,.2f} s",
            f"{_number(moment, 'objects'):,}",
            _size(_number(moment, "bytes")),
            _size(_number(moment, "rss")) if moment.get("rss") is not None else "",
        )
        for moment in moments[-MOST_MOMENTS:]
    ]
    heads = ("Moment", ">After", ">Objects", ">Their bytes", ">Resident")
    before = len(moments) - len(rows)
    earlier = f'<p class="quiet small">{before:,} earlier ones are left out.</p>' if before else ""
    return _table("The moments that were compared", heads, rows) + earlier


def _types(types: Sequence[Mapping[str, Any]]) -> str:
    if not types:
        return ""
    caption = "Classes that have more objects than at the baseline, for whatever reason"
    return _section("types", "Classes that grew", _grown_table(caption, types))


def _not_leaks(others: Sequence[Mapping[str, Any]]) -> str:
    if not others:
        return ""
    rows = [
        (
            safe(_text(one, "what"), 200),
            _size(_number(one, "bytes"), True),
            f"{_number(one, 'count'):,}",
            safe(_text(one, "why"), LONG),
        )
        for one in others[:MOST_ROWS]
    ]
    heads = ("What", ">Growth", ">Objects", "=Why")
    table = _table("Recognised, and left out of the leaks", heads, rows)
    return _section("others", "Grew, and is no leak", table + _more(len(others) - len(rows)))


def _notes(report: Mapping[str, Any]) -> str:
    notes = _texts(report, "notes")[:MOST_ROWS]
    if not notes:
        return ""
    return _section("notes", "Notes", _items(notes))


# -- pieces ----------------------------------------------------------------------------------


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML; a head that begins with ">" has numbers under it, one
    with "=" sentences.

    The first cell of a row is its head.  A wide table scrolls by itself, and can be
    reached with the keyboard to do so.
    """
    looks = {">": ' class="right"', "=": ' class="text"'}
    classes = [looks.get(head[0], "") for head in heads]
    head = "".join(
        f'<th scope="col"{look}>{name.lstrip(">=")}</th>'
        for name, look in zip(heads, classes, strict=True)
    )
    body = []
    for first, *others in rows:
        cells = "".join(
            f"<td{look}>{cell}</td>" for cell, look in zip(others, classes[1:], strict=True)
        )
        body.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{caption}"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _grown_table(caption: str, grown: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            f"<code>{_broken(_text(one, 'type_name'), 160)}</code>",
            f"{_number(one, 'count'):+,}",
            _size(_number(one, "bytes"), True),
        )
        for one in grown[:MOST_ROWS]
    ]
    more = _more(len(grown) - len(rows))
    return _table(caption, ("Class", ">Objects", ">Bytes"), rows) + more


def _section(name: str, title: str, text: str) -> str:
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>\n{text}</section>'


def _items(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_sentence(text)}</li>" for text in texts) + "</ul>"


def _sentence(text: str) -> str:
    """A clause with a capital and a full stop; names are left as they are."""
    shown = safe(text, LONG)
    if re.match(r"[a-z]+ ", shown):
        shown = shown[0].upper() + shown[1:]
    return shown if shown.endswith((".", "!", "?", "\N{HORIZONTAL ELLIPSIS}")) else f"{shown}."


def _more(number: int) -> str:
    return f'<p class="quiet small">{number:,} more are left out.</p>' if number > 0 else ""


def _what(leak: Mapping[str, Any]) -> str:
    name = _text(leak, "type_name")
    if not name:
        return "Memory that is no Python object"
    count = f'<span class="number">{_number(leak, "count"):,}</span>'
    return f"{count} {safe(name.rpartition('.')[2], 80)}"


def _kind(leak: Mapping[str, Any]) -> str:
    kind = _text(leak, "kind").replace("-", " ")
    return safe(kind[:1].upper() + kind[1:], 60)


def _short_site(leak: Mapping[str, Any]) -> str:
    """The end of the path and the line: app/handlers.py:88."""
    site = leak.get("site")
    if not isinstance(site, dict):
        return ""
    end = "/".join(_text(site, "filename").replace("\\", "/").split("/")[-2:])
    return f"{safe(end, 60)}:{_number(site, 'lineno')}"


def _broken(name: str, most: int = 400) -> str:
    """A long name that may be broken after its dots and slashes."""
    text = safe(name, most)
    return text.replace("/", "/<wbr>").replace(".", ".<wbr>")


def _size(size: int, sign: bool = False) -> str:
    return f'<span class="number">{size_text(size, sign and size != 0)}</span>'


# -- data that may be anything ------------------------------------------------------------------


def _list(data: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = data.get(name)
    return value if isinstance(value, (list, tuple)) else ()


def _rows(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [one for one in _list(data, name) if isinstance(one, dict)]


def _texts(data: Mapping[str, Any], name: str) -> list[str]:
    return [one for one in _list(data, name) if isinstance(one, str)]


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _number(data: Mapping[str, Any], name: str) -> int:
    return _int(data.get(name))


def _int(value: object) -> int:
    if not isinstance(value, (int, float)) or not -LARGEST < value < LARGEST:
        return 0  # a NaN is not between them either
    return int(value)


def _float(data: Mapping[str, Any], name: str) -> float:
    value = data.get(name)
    if not isinstance(value, (int, float)) or not -LARGEST < value < LARGEST:
        return 0.0
    return float(value)
