"""A request to memscope's own pages, and the answer: what adapters translate from and to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MOST_BODY", "Answer", "Call"]

MOST_BODY = 64 * 1024
"""Bytes of a body that an adapter reads; it answers a longer one with 413."""


@dataclass(frozen=True)
class Call:
    """A request to a page of ours."""

    method: str
    path: str
    """Below the prefix, without a slash in front: "", "types", "routes.json"."""
    query: str = ""
    """As it was sent, percent-encoded."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in small letters; of one sent twice, the values joined by ", "."""
    remote_addr: str = ""
    """Of the connection, not of a header; "" for a Unix socket."""
    scheme: str = "http"
    root: str = ""
    """Path up to and with the prefix, without its last slash: what links begin with."""
    body: bytes = b""
    source: Any = None
    """The framework's own request."""


@dataclass(frozen=True)
class Answer:
    """What to send back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
