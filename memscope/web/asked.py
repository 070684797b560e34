"""What a page is asked for, and what every page's data has in common.

The data of a page is its .json: numbers in bytes, objects and seconds, names, and handles that
stand for what the program has.  What a visitor must not see is left out here, so that
no way of showing the data can show it: values (keys of dicts are shown as such only), source
text, addresses.
"""

from __future__ import annotations

import platform
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memscope.web.engine import Engine
    from memscope.web.timeline import ClassSeries

__all__ = [
    "SCHEMA",
    "Action",
    "Asked",
    "Handles",
    "Unknown",
    "View",
    "common",
    "contains",
    "hide_keys",
    "series_data",
    "thinned",
]

SCHEMA = 1
"""Version of the plain data; raised when a field changes its meaning or goes."""

LONGEST_FILTER = 200


class Handles(Protocol):
    """Names for things of the program that cannot be guessed."""

    def of(self, key: Any, /) -> str: ...
    def find(self, handle: str, /) -> Any: ...


class Unknown(LookupError):  # noqa: N818 -- an answer, not a fault
    """What was asked for is not there, or not any more.  The text says what."""


class Asked(NamedTuple):
    """What a visitor asked a page for."""

    query: dict[str, str]
    """The first value of each parameter."""
    handles: Handles
    argument: str = ""
    """What follows the name of the page in the path."""

    def find(self, kind: str, handle: str) -> Any:
        """What of the *kind* a handle stands for.  Raises Unknown."""
        key = self.handles.find(handle) if handle else None
        if type(key) is not tuple or len(key) != 2 or key[0] != kind:
            raise Unknown(
                f"This {kind} is not known, or was shown too long ago."
                " Go back to the list and choose it again."
            )
        return key[1]

    def handle(self, kind: str, what: Any) -> str:
        """The handle that stands for *what*."""
        return self.handles.of((kind, what))

    @property
    def filter(self) -> str:
        """The text that names must contain."""
        return self.query.get("q", "")[:LONGEST_FILTER].strip()


View: TypeAlias = "Callable[[Engine, Asked], dict[str, Any]]"


class Action(NamedTuple):
    """Something that a visitor may have done."""

    name: str
    heavy: bool
    """Whether it stops the process for a while, so that only one is done at a time."""
    run: Callable[[Engine, Asked, dict[str, str]], str]
    """Does it, with the fields of a form, and returns the page to go to.  Raises Unknown."""


def common(engine: Engine, page: str) -> dict[str, Any]:
    """What the data of every page begins with."""
    now = time.time()
    return {
        "schema": SCHEMA,
        "page": page,
        "time": now,
        "worker": {
            "pid": engine.pid,
            "started": engine.started,
            "seconds": max(now - engine.started, 0.0),
            "server": engine.server,
            "python": platform.python_version(),
        },
        "off": engine.is_off,
        "notes": list(engine.notes),
    }


def contains(name: str, text: str) -> bool:
    """Whether a filter lets a name through: substring, whatever the case."""
    return text.casefold() in name.casefold()


def series_data(asked: Asked, one: ClassSeries) -> dict[str, Any]:
    """A class over the last minutes."""
    return {
        "name": one.name,
        "handle": asked.handle("class", one.name),
        "min": min(one.values, default=0),
        "now": one.values[-1] if one.values else 0,
        "max": max(one.values, default=0),
        "growth": one.growth,
        "bytes": one.bytes,
        "only_up": one.rises > 0,
        "rises": one.rises,
        "values": list(one.values),
    }


def thinned(values: Sequence[int], most: int) -> list[int]:
    """Not more than *most* of them, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    last = len(values) - 1
    return [values[at * last // (most - 1)] for at in range(most)]


QUOTED = r"""b?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
KEY = re.compile(
    rf"""\[(?:
        {QUOTED}(?:\.\.\.)?                                       # a text
        | \((?:[^'"()] | {QUOTED} | \((?:[^'"()] | {QUOTED})*\))*\)   # a tuple
        | (?!\d{{1,4}}\])[-+\d.einfajJ()]+                          # a number; not a position
    )\]""",
    re.VERBOSE,
)
OPEN = re.compile(r"""\[(?:\(|b?['"]).*""", re.DOTALL)
VARIABLE = re.compile(r"((?:__globals__|__dict__) -> )\['([^\W\d]\w*)'\]")


def hide_keys(text: str) -> str:
    """A path or a sentence without the keys of the program's dicts: they are its data.

    The names of variables and attributes stay, which the interpreter has in dicts too.
    """
    text = VARIABLE.sub(r"\1\2", text)
    text = KEY.sub("[key]", text)
    # What remains was cut short in the middle of a key.
    return OPEN.sub("[key]...", text)
