"""Tables: aligned, within the terminal, harmless whatever a cell holds."""

from __future__ import annotations

import io
import os
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memscope.table import Column, Row, Table, clip, printable, terminal_width

timeless = settings(deadline=None)  # others use this machine too

COLUMNS = (Column("Size"), Column("Line", "left"))


class Terminal(io.StringIO):
    """A file that says it is a terminal, without one behind it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def table(*rows: Row, **options: Any) -> Table:
    return Table("A title", COLUMNS, rows, **options)


PLAIN = table(
    Row(("1 B", "a.py:1"), "x = 1"),
    Row(("1000 B", "some/where/long.py:22"), "y = compute(x)"),
    Row(("1001 B", "total"), "", "bold"),
    aside="Source",
)


def test_text_is_aligned() -> None:
    assert PLAIN.text().splitlines() == [
        "A title",
        "",
        "  Size  Line                   Source",
        "   1 B  a.py:1                 x = 1",
        "1000 B  some/where/long.py:22  y = compute(x)",
        "1001 B  total",
    ]


def test_narrow_terminal_clips_the_aside_then_moves_it_under() -> None:
    long = table(Row(("1 B", "app.py:1"), "value = " + "x" * 60), aside="Source")
    assert long.text(50).splitlines()[2:] == [
        "Size  Line      Source",
        " 1 B  app.py:1  value = " + "x" * 23 + "...",
    ]
    assert long.text(36).splitlines()[2:] == [
        "Size  Line",
        " 1 B  app.py:1",
        "      value = " + "x" * 19 + "...",
    ]


@timeless
@given(
    st.lists(st.tuples(st.text(max_size=30), st.text(max_size=200), st.text(max_size=200))),
    st.integers(60, 200),
    st.text(max_size=200),
)
def test_no_line_is_wider_than_the_terminal(
    cells: list[tuple[str, str, str]], width: int, note: str
) -> None:
    # Numbers are never clipped, so they are short here.
    rows = [Row((str(len(number)), place), aside) for number, place, aside in cells]
    text = table(*rows, aside="Source", notes=(note,)).text(width)
    assert all(len(line) <= width for line in text.split("\n"))
    assert all(line == line.rstrip() for line in text.split("\n"))


@timeless
@given(st.text(), st.text(), st.text())
def test_nothing_unprintable_reaches_a_terminal(title: str, cell: str, aside: str) -> None:
    made = Table(title, COLUMNS, (Row(("1", cell), aside),), (cell,), "Source")
    assert all(line.isprintable() for line in made.text().split("\n"))
    coloured = made.text(100, colour=True)
    assert re.sub("\x1b\\[[0-9]+m", "", coloured).replace("\n", "").isprintable()


@timeless
@given(st.text(), st.text())
def test_html_is_escaped(cell: str, aside: str) -> None:
    hostile = f"<script>{cell}</td>"
    made = Table(hostile, COLUMNS, (Row(("1", hostile), aside),), (hostile,), "<b>Source")
    tags: list[str] = []
    texts: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            tags.append(tag)

        def handle_data(self, data: str) -> None:
            texts.append(data)

    reader = Reader()
    reader.feed(made.html())
    reader.close()
    assert set(tags) == {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
    assert "".join(texts).count(printable(hostile)) >= 3


def test_notes_are_wrapped() -> None:
    made = table(Row(("1", "a")), notes=("word " * 40,))
    lines = made.text(60).split("\n")
    assert lines[-5] == ""
    assert all(len(line) <= 60 for line in lines)


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "70")

    def shown(file: io.StringIO) -> str:
        PLAIN.show(file)
        return file.getvalue()

    assert shown(io.StringIO()) == PLAIN.text() + "\n"
    assert shown(Terminal()) == PLAIN.text(70, colour=True) + "\n"
    assert "\x1b[1m" in shown(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in shown(Terminal())


def test_terminal_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal_width(io.StringIO()) is None
    assert terminal_width(Terminal()) is None  # a StringIO has no file number
    monkeypatch.setattr(Terminal, "fileno", lambda self: 7)
    for columns, width in [(120, 120), (0, 80)]:  # a terminal on a pipe may say 0
        size = os.terminal_size((columns, 24))
        monkeypatch.setattr(os, "get_terminal_size", lambda fd, size=size: size)
        assert terminal_width(Terminal()) == width
    for text, width in [("33", 33), ("0", 80), ("wide", 80)]:
        monkeypatch.setenv("COLUMNS", text)
        assert terminal_width(Terminal()) == width


def test_show_writes_what_the_encoding_can(capsys: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding="ascii")
    table(Row(("1", "\u4e2d.py"))).show(file)
    file.flush()
    assert b"\\u4e2d.py" in buffer.getvalue()
    PLAIN.show()
    assert capsys.readouterr().out == PLAIN.text() + "\n"


def test_clip() -> None:
    assert clip("abcdefgh", None) == "abcdefgh"
    assert clip("abcdefgh", 8) == "abcdefgh"
    assert clip("abcdefgh", 6) == "abc..."
    assert clip("abcdefgh", 6, keep_end=True) == "...fgh"
    assert clip("abcdefgh", 3) == "..."
    assert clip("abcdefgh", 3, keep_end=True) == "..."


def test_printable() -> None:
    assert printable("plain \u4e2d") == "plain \u4e2d"
    assert printable("a\tb") == "a b"
    assert printable("\x1b[31m\n\udc80") == "\\x1b[31m\\n\\udc80"
