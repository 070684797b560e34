"""What may leave the process over HTTP: plain data, without what says too much.

The views leave that out already.  This is the second look, at all of it, so that a view that
forgets shows nothing either: source text, addresses and the numbers of nodes, keys of the
program's dicts.  What is no plain data is refused, not turned into text: that would run the
program's code.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from memscope.web.asked import hide_keys

__all__ = ["redacted"]

NEVER = frozenset(["source", "address", "node"])
LONGEST_TEXT = 4000
MOST_VALUES = 200_000
DEEPEST = 40


def redacted(data: dict[str, Any]) -> dict[str, Any]:
    """A copy of *data*.  Raises TypeError for what is no plain data, ValueError for too much."""
    found = _Redaction().of(data, 0)
    assert isinstance(found, dict)
    return found


class _Redaction:
    def __init__(self) -> None:
        self._left = MOST_VALUES

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise ValueError("a page has more data than anybody reads")
        kind = type(value)
        if kind is str:
            return _text(value)
        if value is None or kind is bool or kind is int:
            return value
        if kind is float:
            return value if isfinite(value) else None
        if kind is dict:
            return {
                _key(name): self.of(inner, depth + 1)
                for name, inner in value.items()
                if name not in NEVER
            }
        if issubclass(kind, (list, tuple)):  # named tuples too
            return [self.of(inner, depth + 1) for inner in value]
        raise TypeError(f"a page's data holds a {kind.__name__}, which is no plain data")


def _key(name: Any) -> str:
    if type(name) is not str:
        raise TypeError(f"a page's data has a {type(name).__name__} as a key")
    return name[:LONGEST_TEXT]


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}..."
    return hide_keys(text) if "[" in text else text
