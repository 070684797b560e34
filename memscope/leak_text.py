"""A leak report as a screen of text that a tired person understands.

The first line of each leak says all: how many of what, how much, from which line, held by
whom.  What follows is the evidence, in the order in which one asks for it.
"""

from __future__ import annotations

import os
import sys
from textwrap import wrap
from typing import IO, TYPE_CHECKING

from memscope.report import size_text
from memscope.sources import Sources
from memscope.table import clip, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memscope.leak_report import Aged, Leak, LeakReport, Site

__all__ = [
    "failure_lines",
    "headline",
    "leak_text",
    "report_text",
    "show_report",
    "site_text",
    "verdict_line",
]

WIDTH = 98
LABEL = 18
"""Characters of the column in which it is said what a line is about."""

MOST_ROUNDS = 12
"""Rounds whose numbers are shown one by one."""

MOST_TYPES = 4
MOST_LEAKS = 10
MOST_OTHERS = 6
SOURCE_MAX, NAME_MAX, HOLDER_MAX = WIDTH - LABEL - 6, 100, 400
"""Characters of a line of source, of the name of a class, of the place of a holder."""

QUALITIES = {
    "unbounded-cache": "never evicts",
    "growing-container": "only grows",
    "queue": "filled faster than emptied",
}
"""Kind -> what is wrong with the holder, in two words."""

LEAST_CHANGE = 64 * 1024
"""Bytes of a kind of memory that are worth a word."""

BOLD, DIM, RED, RESET = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"


def site_text(site: Site, sources: Sources | None = None) -> str:
    """A place as people write it, the path as short as it is clear: "app/handlers.py:88"."""
    return f"{(sources or Sources()).shown(site.filename)}:{site.lineno}"


def short_type(name: str) -> str:
    """The class as its author calls it: what stands behind the module."""
    return clip(printable(name.rpartition(".")[2]), NAME_MAX)


def headline(leak: Leak) -> str:
    """48,211 Session, +1.9 GiB, allocated at handlers.py:88, held by module app -> cache (dict)."""
    if not leak.type_name:
        return f"{size_text(leak.retained_bytes, True)} that are no Python objects"
    parts = [f"{leak.count:,} {short_type(leak.type_name)}", size_text(leak.retained_bytes, True)]
    if leak.site is not None:
        parts.append(f"allocated at {printable(site_text(leak.site))}")
    if leak.holder:
        words = [short_type(leak.holder_type)] if leak.holder_type else []
        words += [QUALITIES[leak.kind]] if words and leak.kind in QUALITIES else []
        kind = f" ({', '.join(words)})" if words else ""
        parts.append(f"held by {clip(printable(leak.holder), HOLDER_MAX)}{kind}")
    return ", ".join(parts)


def aged_text(row: Aged) -> str:
    """48,211 Session, 1.9 GiB, allocated at handlers.py:88."""
    text = f"{row.count:,} {short_type(row.type_name)}, {size_text(row.bytes)}"
    return text if row.site is None else f"{text}, allocated at {printable(site_text(row.site))}"


def leak_text(leak: Leak) -> str:
    """One leak with its evidence, as lines without a last newline."""
    return "\n".join(_leak_lines(leak))


def _leak_lines(leak: Leak) -> Iterator[str]:
    yield from _wrapped(f"{headline(leak)}.", "")
    yield from _wrapped(leak.advice, "")
    yield ""
    yield from _labelled(leak.kind.replace("-", " "), leak.verdict)
    if leak.per_round:
        yield from _labelled("left behind", rounds_text(leak.per_round))
    yield from _site_lines(leak)
    if leak.path is not None:
        yield from _labelled("held by", clip(printable(str(leak.path)), 2 * HOLDER_MAX))
    if leak.also:
        yield from _labelled("with them", also_text(leak))
    for number, line in enumerate(leak.evidence):
        yield from _labelled("evidence" if number == 0 else "", clip(line, 2 * HOLDER_MAX))


def _site_lines(leak: Leak) -> Iterator[str]:
    if leak.site is not None:
        function = f" in {printable(leak.site.function)}" if leak.site.function else ""
        yield from _labelled("allocated at", printable(site_text(leak.site)) + function)
        if leak.source:
            yield " " * (LABEL + 6) + clip(printable(leak.source), SOURCE_MAX)


def failure_lines(
    title: str, leaks: Sequence[Leak], command: str, notes: Sequence[str]
) -> Iterator[str]:
    """The leaks of a test, each in the order in which one asks; without a last newline."""
    for number, leak in enumerate(leaks[:MOST_LEAKS]):
        if number:
            yield ""
        yield from _wrapped(f"{title} leaks {verdict_line(leak)}.", "")
        yield ""
        yield from _labelled("what", _amount(leak))
        yield from _site_lines(leak)
        if leak.path is not None:
            yield from _labelled("held by", clip(printable(str(leak.path)), 2 * HOLDER_MAX))
        elif leak.holder:
            yield from _labelled("held by", clip(printable(leak.holder), HOLDER_MAX))
        if leak.also:
            yield from _labelled("with them", also_text(leak))
        for index, line in enumerate(leak.evidence):
            yield from _labelled("evidence" if index == 0 else "", clip(line, 2 * HOLDER_MAX))
        yield from _labelled("what to do", leak.advice)
    if len(leaks) > MOST_LEAKS:
        yield from ("", f"... and {len(leaks) - MOST_LEAKS} smaller leaks")
    for note in notes:
        yield from _labelled("note", note)
    if command:
        yield f"   {'dig further':<{LABEL}}   {printable(command)}"


def verdict_line(leak: Leak) -> str:
    """+10 Session in each of 5 rounds: the dict gets new keys and never evicts."""
    if leak.type_name and leak.per_round:
        numbers = per_round_text(leak.per_round)
        before, _, after = numbers.partition(" ")
        what = f"{before} {short_type(leak.type_name)} {after}".rstrip()
    elif leak.type_name:
        what = f"{leak.count:+,} {short_type(leak.type_name)}"
    else:
        what = f"{size_text(leak.retained_bytes, True)} that are no Python objects"
    return f"{what}: {leak.verdict}"


def per_round_text(per_round: Sequence[int]) -> str:
    """+10 in each of 5 runs; +7 in 5 runs (3 0 4 0 0)."""
    if len(per_round) == 1:
        return f"{per_round[0]:+,} in one run"
    if len(set(per_round)) == 1:
        return f"{per_round[0]:+,} in each of {len(per_round)} runs"
    shown = " ".join(f"{number:,}" for number in per_round[-MOST_ROUNDS:])
    before = "... " if len(per_round) > MOST_ROUNDS else ""
    return f"{sum(per_round):+,} in {len(per_round)} runs ({before}{shown})"


def _amount(leak: Leak) -> str:
    if not leak.type_name:
        return f"{size_text(leak.retained_bytes, True)} of memory of the process"
    name = clip(printable(leak.type_name), NAME_MAX)
    return f"{leak.count:,} {name}, {size_text(leak.retained_bytes, True)} with all they hold"


def rounds_text(per_round: Sequence[int]) -> str:
    """Objects left behind by each round: "9,642 in every round", or one by one."""
    if len(per_round) == 1:
        return f"{per_round[0]:,}"
    if len(set(per_round)) == 1:
        return f"{per_round[0]:,} in each of {len(per_round)} rounds"
    shown = [f"{number:,}" for number in per_round[-MOST_ROUNDS:]]
    before = "... " if len(per_round) > MOST_ROUNDS else ""
    return f"{before}{' '.join(shown)}, round by round"


def also_text(leak: Leak) -> str:
    texts = [f"{grown.count:,} {short_type(grown.type_name)}" for grown in leak.also[:MOST_TYPES]]
    more = len(leak.also) - MOST_TYPES
    if more > 0:
        texts.append(f"{more} more classes")
    return ", ".join(texts)


def report_text(report: LeakReport) -> str:
    """The whole report, as lines without a last newline."""
    return "\n".join(text for text, _ in _report_lines(report))


def show_report(report: LeakReport, file: IO[str] | None) -> None:
    """Print the report, with colour if *file* is a terminal that has it."""
    out = sys.stdout if file is None else file
    colour = _has_colour(out)
    for text, style in _report_lines(report):
        print(f"{style}{text}{RESET}" if colour and style and text else text, file=out)


def _report_lines(report: LeakReport) -> Iterator[tuple[str, str]]:
    yield summary(report), BOLD + (RED if report else "")
    for number, leak in enumerate(report.leaks[:MOST_LEAKS], 1):
        yield "", ""
        first = f"{number}. "
        heads = len(_wrapped(f"{headline(leak)}.", ""))
        for index, line in enumerate(_leak_lines(leak)):
            lead = first if index == 0 else " " * len(first)
            yield (lead + line).rstrip(), BOLD if index < heads else ""
    if len(report.leaks) > MOST_LEAKS:
        yield "", ""
        yield f"... {len(report.leaks) - MOST_LEAKS} smaller leaks, in report.leaks", ""
    if report.not_leaks:
        yield "", ""
        yield "Grew, and is no leak:", BOLD
        for one in report.not_leaks[:MOST_OTHERS]:
            text = f"{printable(one.what)}: {size_text(one.bytes, True)}, {printable(one.why)}"
            for line in _wrapped(text, "  "):
                yield line, DIM
        if len(report.not_leaks) > MOST_OTHERS:
            yield f"  ... {len(report.not_leaks) - MOST_OTHERS} more", DIM
    memory = memory_text(report)
    if memory:
        yield "", ""
        for line in _wrapped(memory, ""):
            yield line, ""
    for note in report.notes:
        for line in _wrapped(note, ""):
            yield line, DIM


def summary(report: LeakReport) -> str:
    """The report in one line."""
    over = f" in {report.rounds} rounds" if report.rounds > 1 else ""
    what = f" of {printable(report.title)}" if report.title else ""
    if not report:
        return f"No leak{over}{what}"
    number = len(report.leaks)
    return f"{number} leak{'s' * (number > 1)}, {size_text(report.total_bytes, True)}{over}{what}"


MEMORY_NAMES = {
    "rss": "resident",
    "traced": "traced by memscope",
    "arenas_used": "Python's arenas in use",
    "arenas_free": "Python's arenas free",
    "libc_used": "libc in use",
    "libc_free": "libc free",
    "libc_mmapped": "libc in large blocks",
}
"""Field of memscope.process -> what it is called here."""


def memory_text(report: LeakReport) -> str:
    """How the process grew, in one sentence; "" if that is not known."""
    parts = [
        f"{name} {size_text(value, True)}"
        for key, name in MEMORY_NAMES.items()
        if (value := report.memory.get(key)) is not None
        and (key == "rss" or abs(value) >= LEAST_CHANGE)
    ]
    return f"The process since the baseline: {', '.join(parts)}." if parts else ""


def _labelled(label: str, text: str) -> Iterator[str]:
    label = printable(label)
    for number, line in enumerate(_wrapped(text, "", WIDTH - LABEL - 6)):
        yield f"   {label if number == 0 else '':<{LABEL}}   {line}"


def _wrapped(text: str, indent: str, width: int = WIDTH - 3) -> list[str]:
    return wrap(
        printable(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _has_colour(out: IO[str]) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    try:
        return out.isatty()
    except (AttributeError, ValueError):  # not a real file, or a closed one
        return False
