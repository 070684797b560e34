"""A table of plain strings, as aligned text for a terminal or a file, or as HTML.

It knows nothing of memory: report.py decides what the cells say.  A row may
carry an aside, here a source line, which stands beside the last column where
there is room to read it and otherwise on a line of its own.

Whatever a cell holds, a terminal sees printable characters only and a browser
sees text only: file names and source lines may come from a file somebody sent.
"""

from __future__ import annotations

import os
import sys
from typing import IO, Literal, NamedTuple

__all__ = ["Column", "Row", "Table", "clip", "printable"]

GAP = "  "
MIN_TEXT = 24
"""Characters below which a clipped column or aside no longer says anything."""

RESET = "\x1b[0m"
STYLES = {"bold": "\x1b[1m", "dim": "\x1b[2m"}

Style = Literal["", "bold", "dim"]


class Column(NamedTuple):
    """The head of a column, and to which side its cells go."""

    title: str
    align: Literal["left", "right"] = "right"


class Row(NamedTuple):
    """One cell per column."""

    cells: tuple[str, ...]
    aside: str = ""
    style: Style = ""


class Table(NamedTuple):
    """A titled table with notes under it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    aside: str = ""
    """The title of what stands beside the last column."""

    def text(self, width: int | None = None, colour: bool = False) -> str:
        """The table as lines without a last newline.

        With *width*, lines are clipped to that many characters, though the
        numbers are always whole and the last column keeps a minimum.
        """
        head = Row(tuple(column.title for column in self.columns), self.aside, "bold")
        rows = [
            Row(tuple(map(printable, row.cells)), printable(row.aside), row.style)
            for row in (head, *self.rows)
        ]
        widths = [max(map(len, cells)) for cells in zip(*(row.cells for row in rows), strict=True)]
        aside = max(len(row.aside) for row in rows)
        beside = True
        under = widths[0] + len(GAP)  # where an aside begins that has its own line
        if width is not None:
            room = max(width - sum(widths[:-1]) - len(GAP) * (len(widths) - 1), MIN_TEXT)
            beside = widths[-1] + len(GAP) + min(aside, MIN_TEXT) <= room
            widths[-1] = min(widths[-1], room)
            aside = room - len(GAP) - widths[-1] if beside else width - under

        def paint(text: str, style: Style) -> str:
            return f"{STYLES[style]}{text}{RESET}" if colour and style and text else text

        lines = [paint(clip(printable(self.title), width), "bold"), ""]
        for row in rows:
            cells = []
            for cell, column, space in zip(row.cells, self.columns, widths, strict=True):
                left = column.align == "left"
                short = clip(cell, space, keep_end=left)
                cells.append(short.ljust(space) if left else short.rjust(space))
            line = paint(GAP.join(cells), row.style)
            if row.aside and (beside or row.style != "bold"):
                line += GAP if beside else "\n" + " " * under
                line += paint(clip(row.aside, aside), "bold" if row.style == "bold" else "dim")
            lines += [part.rstrip() for part in line.split("\n")]
        if self.notes:
            lines.append("")
            lines += [paint(line, "dim") for note in self.notes for line in _wrap(note, width)]
        return "\n".join(lines)

    def html(self) -> str:
        """The table as one HTML element with inline styles and no script."""
        from html import escape

        def cell(tag: str, text: str, align: str, style: Style = "") -> str:
            look = f"text-align: {align}; white-space: pre"
            look += "; font-weight: bold" if style == "bold" else ""
            return f'<{tag} style="{look}">{escape(printable(text))}</{tag}>'

        columns = [*self.columns, *[Column(self.aside, "left")] * bool(self.aside)]
        head = "".join(cell("th", column.title, column.align) for column in columns)
        body = ""
        for row in self.rows:
            texts = [*row.cells, row.aside]
            cells = (
                cell("td", text, column.align, row.style)
                for text, column in zip(texts, columns, strict=False)
            )
            body += f"<tr>{''.join(cells)}</tr>"
        notes = "".join(f"<p>{escape(printable(note))}</p>" for note in self.notes)
        caption = f'<caption style="white-space: nowrap">{escape(printable(self.title))}</caption>'
        return (
            f"<div><table>{caption}<thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{notes}</div>"
        )

    def show(self, file: IO[str] | None = None) -> None:
        """Print to *file* (None: sys.stdout): to its width and in colour if it is a terminal."""
        out = sys.stdout if file is None else file
        width = terminal_width(out)
        text = self.text(width, colour=width is not None and wants_colour())
        encoding = getattr(out, "encoding", None)
        if encoding:
            # A source line may hold characters that the terminal's encoding does not.
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        print(text, file=out)


def terminal_width(file: IO[str]) -> int | None:
    """Columns of the terminal behind *file*; None where there is no terminal."""
    try:
        if not file.isatty():
            return None
        columns = os.environ.get("COLUMNS", "")
        if columns.isdecimal() and int(columns) > 0:
            return int(columns)
        return os.get_terminal_size(file.fileno()).columns or 80
    except (AttributeError, OSError, ValueError):
        return None


def wants_colour() -> bool:
    """False when the user said so: NO_COLOR set to anything, or a dumb terminal."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """*text* on one line, every character that is not printable spelt as an escape."""
    if text.isprintable():
        return text
    return "".join(
        " " if char == "\t" else char if char.isprintable() else ascii(char)[1:-1] for char in text
    )


def clip(text: str, width: int | None, *, keep_end: bool = False) -> str:
    """*text* cut to *width* characters, with dots where something was cut; None: not cut."""
    if width is None or len(text) <= width:
        return text
    kept = max(width - 3, 0)
    return f"...{text[len(text) - kept :]}" if keep_end else f"{text[:kept]}..."


def _wrap(text: str, width: int | None) -> list[str]:
    from textwrap import wrap

    return wrap(printable(text), max(width or 100, MIN_TEXT))
