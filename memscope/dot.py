"""Graphviz: text in its DOT language, and the programs that make pictures of it.

What is quoted may come from anywhere: it stays one short line of text, and nothing
in it is markup, a link or the name of a file.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from memscope.table import clip, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "FORMATS",
    "HOW_TO_GET_ONE",
    "TEXT_MAX",
    "DrawingError",
    "is_here",
    "quoted",
    "quoted_lines",
    "render",
    "statement",
]

FORMATS = ("svg", "png", "pdf")

TEXT_MAX = 60
"""Characters of a line of a label: of more, the boxes get too wide to be laid out well."""

TIMEOUT = 10.0
"""Seconds.  Layout is worse than quadratic: what takes longer may well take an hour."""

HOW_TO_GET_ONE = (
    "install Graphviz (apt install graphviz, brew install graphviz)"
    " or python -m pip install 'pymemscope[graph]'"
)

# In a process of its own: a layout in ours could not be stopped, its memory would be
# in the heap that is being looked at, and its crash would be the program's.
PYGRAPHVIZ = (
    "import sys, pygraphviz\n"
    "graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())\n"
    "sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog='dot'))\n"
)


class DrawingError(Exception):
    """There is no engine to draw with, or it failed; says which."""


def quoted(text: str) -> str:
    """A quoted string of DOT."""
    return f'"{_escaped(text)}"'


def quoted_lines(lines: Iterable[str], *, left: bool = False) -> str:
    """A quoted label whose lines are set one below the other, centred or from the left."""
    end = "\\l" if left else "\\n"
    return '"' + "".join(_escaped(line) + end for line in lines) + '"'


def statement(subject: str, **attributes: str | float | None) -> str:
    """``subject [name=value, ...];``, without the attributes that are None.

    Strings must be quoted already: they are written as they are.
    """
    pairs = ", ".join(f"{name}={value}" for name, value in attributes.items() if value is not None)
    return f"{subject} [{pairs}];" if pairs else f"{subject};"


def is_here() -> bool:
    """Whether there is something to draw with."""
    return _engine("svg") is not None


def render(source: str, form: str) -> bytes:
    """The picture of *source* as ``svg``, ``png`` or ``pdf``.

    Takes up to ten seconds of another process.  Raises DrawingError.
    """
    import subprocess

    engine = _engine(form)
    if engine is None:
        raise DrawingError("Graphviz is not here")
    try:
        done = subprocess.run(
            engine,
            input=source.encode(),
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DrawingError(f"Graphviz took longer than {TIMEOUT:.0f} seconds") from None
    except OSError as error:
        raise DrawingError(f"Graphviz did not start: {error}") from error
    if done.returncode or not done.stdout:
        said = printable(done.stderr.decode(errors="replace").strip()[-200:])
        raise DrawingError(f"Graphviz failed (exit status {done.returncode}): {said}")
    return done.stdout


def _engine(form: str) -> list[str] | None:
    """The command that reads DOT and writes *form*."""
    from importlib.util import find_spec
    from shutil import which

    if dot := which("dot"):
        return [dot, f"-T{form}"]
    # In a program that embeds Python, this may be the program.
    is_python = os.path.basename(sys.executable or "").startswith("python")
    if is_python and "pygraphviz" not in sys.modules and find_spec("pygraphviz") is None:
        return None
    return [sys.executable, "-P", "-c", PYGRAPHVIZ, form] if is_python else None


def _escaped(text: str) -> str:
    text = clip(printable(text), TEXT_MAX)
    # Graphviz knows HTML's entities in every label.
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
