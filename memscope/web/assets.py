"""The files that pages load: one style sheet, one script."""

from __future__ import annotations

from functools import cache
from importlib import resources

from memscope.page_style import STYLE

__all__ = ["KINDS", "asset"]

KINDS = {
    "memscope.css": "text/css; charset=utf-8",
    "memscope.js": "text/javascript; charset=utf-8",
}
"""Name -> media type."""


@cache
def asset(name: str) -> bytes:
    """A file of KINDS.  The style begins with that of a leak report's page, which has the
    colours."""
    if name not in KINDS:
        raise KeyError(name)
    data = resources.files("memscope.web").joinpath("static", name).read_bytes()
    return STYLE.encode() + data if name.endswith(".css") else data
