"""A picture of objects and references: as data, as a file, on a terminal, in a notebook.

It does not know where its nodes come from.
"""

from __future__ import annotations

import json
import os
import sys
from typing import IO, TYPE_CHECKING, Any

from memscope import dot
from memscope.files import write_whole
from memscope.picture_dot import dot_text, mermaid_text
from memscope.picture_nodes import Edge, Node, fold, most_important
from memscope.picture_text import tree_text
from memscope.table import terminal_width, wants_colour

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memscope.files import PathLike

__all__ = ["Edge", "Node", "Picture", "Saved", "fold", "in_notebook"]

MOST, HARD_MOST = 150, 400
"""Nodes drawn unless the caller wants more; and at most.  Beyond, a layout takes minutes
and nobody can read it."""

SUFFIXES = (".svg", ".png", ".pdf", ".dot", ".json", ".txt", ".mmd")


def in_notebook() -> bool:
    """Whether what an expression gives is shown as a picture: in IPython, not in a terminal."""
    import builtins

    shell = getattr(builtins, "get_ipython", None)
    return shell is not None and "TerminalInteractiveShell" not in type(shell()).__name__


class Saved(str):
    """The name of the file that was written."""

    message: str
    """One sentence if it is not the file that was asked for, else ""."""

    def __new__(cls, path: str, message: str = "") -> Saved:
        saved = super().__new__(cls, path)
        saved.message = message
        return saved


class Picture:
    """Objects, what refers to what among them, and what was left out."""

    __slots__ = ("edges", "nodes", "notes", "title")

    def __init__(
        self,
        title: str,
        nodes: Iterable[Node],
        edges: Iterable[Edge],
        notes: Iterable[str] = (),
    ) -> None:
        """Raises ValueError if an edge begins or ends at no node, or two nodes have one id."""
        self.title = title
        self.nodes = tuple(nodes)
        self.edges = tuple(edges)
        self.notes = tuple(notes)
        known = {node.id for node in self.nodes}
        if len(known) < len(self.nodes):
            raise ValueError("two nodes have the same id")
        if any(edge.source not in known or edge.target not in known for edge in self.edges):
            raise ValueError("an edge begins or ends at a node that is not in the picture")

    def __repr__(self) -> str:
        return f"<Picture of {len(self.nodes)} nodes and {len(self.edges)} edges>"

    def folded(self, keep: int = 1) -> Picture:
        """With *keep* of the nodes that are alike, and the number of the others."""
        return Picture(self.title, *fold(self.nodes, self.edges, keep), self.notes)

    def capped(self, most: int) -> Picture:
        """With the *most* nodes that matter most; a note says how many are left out."""
        if len(self.nodes) <= most:
            return self
        kept = most_important(self.nodes, self.edges, most)
        left = [node for node in self.nodes if node.id not in kept]
        count = sum(node.count for node in left)
        return Picture(
            self.title,
            [node for node in self.nodes if node.id in kept],
            [edge for edge in self.edges if edge.source in kept and edge.target in kept],
            [*self.notes, f"{count:,} more objects are not drawn, to keep this readable."],
        )

    # -- as text

    def to_dot(self, most: int = MOST) -> str:
        """Graphviz's DOT language, of at most *most* nodes (and never more than 400)."""
        picture = self.capped(min(most, HARD_MOST))
        return dot_text(picture.title, picture.nodes, picture.edges, picture.notes)

    def to_mermaid(self, most: int = MOST) -> str:
        """A Mermaid flow chart, of at most *most* nodes."""
        picture = self.capped(min(most, HARD_MOST))
        return mermaid_text(picture.title, picture.nodes, picture.edges, picture.notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json, of all nodes."""
        return {
            "title": self.title,
            "notes": list(self.notes),
            "nodes": [node._asdict() for node in self.nodes],
            "edges": [edge._asdict() for edge in self.edges],
        }

    def text(
        self, width: int | None = None, colour: bool = False, *, ascii_only: bool = False
    ) -> str:
        """A tree of lines, roots first, clipped to *width* characters."""
        return tree_text(
            self.title,
            self.nodes,
            self.edges,
            self.notes,
            width=width,
            colour=colour,
            ascii_only=ascii_only,
        )

    def __str__(self) -> str:
        return self.text()

    def show(self, file: IO[str] | None = None) -> None:
        """Print the tree to *file* (None: sys.stdout)."""
        out = sys.stdout if file is None else file
        width = terminal_width(out)
        encoding = getattr(out, "encoding", None)
        print(
            self.text(
                width,
                colour=width is not None and wants_colour(),
                ascii_only=bool(encoding) and not str(encoding).lower().startswith("utf"),
            ),
            file=out,
        )

    # -- as a file

    def to_svg(self, most: int = MOST) -> str:
        """An SVG image.  Raises memscope.dot.DrawingError without Graphviz, or if it fails."""
        return dot.render(self.to_dot(most), "svg").decode()

    def save(self, path: PathLike, most: int = MOST) -> Saved:
        """Write the picture; the suffix of *path* says as what.  Returns what was written.

        Where Graphviz is not there or fails, the DOT text is written beside *path*
        instead, and ``.message`` of the result says why and what to do.  Raises
        ValueError for an unknown suffix, OSError.  Layout takes up to ten seconds.
        """
        name = os.fsdecode(path)
        base, suffix = os.path.splitext(name)
        suffix = suffix.lower()
        if suffix not in SUFFIXES:
            raise ValueError(
                f"cannot write a picture as {suffix or name!r}: the name must end in"
                f" {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
            )
        if suffix[1:] not in dot.FORMATS:
            write_whole(name, self._plain(suffix, most).encode(errors="backslashreplace"))
            return Saved(name)
        source = self.to_dot(most)
        try:
            write_whole(name, dot.render(source, suffix[1:]))
        except dot.DrawingError as error:
            other = f"{base}.dot"
            write_whole(other, source.encode())
            return Saved(
                other,
                f"{error}, so the graph was written as {other!r}: to get a picture,"
                f" {dot.HOW_TO_GET_ONE}.",
            )
        return Saved(name)

    def _plain(self, suffix: str, most: int) -> str:
        if suffix == ".dot":
            return self.to_dot(most)
        if suffix == ".mmd":
            return self.to_mermaid(most)
        if suffix == ".txt":
            return self.text() + "\n"
        return json.dumps(self.to_dict(), indent=1) + "\n"

    # -- in a notebook

    def _repr_svg_(self) -> str | None:
        try:
            return self.to_svg()
        except dot.DrawingError:
            return None

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.text())}</pre>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle = {"text/plain": self.text()}
        svg = self._repr_svg_()
        if svg is None:
            bundle["text/html"] = self._repr_html_()
        else:
            bundle["image/svg+xml"] = svg
        return bundle
