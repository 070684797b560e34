"""Names for what the program has, that cannot be guessed: what links carry instead of addresses.

A handle is 128 random bits and stands for a key of plain data in this table: a class's name, a
route.  It says nothing by itself, nothing a visitor sends is ever turned into an address, and
a handle that is not in the table is nothing.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Handles"]

MOST = 2000
SECONDS = 3600.0
"""For which a handle lives after it was last made or looked up."""

PLAIN = (str, int, float, bool, bytes, type(None))


class Handles:
    """The last so many.  Any thread may call it."""

    def __init__(self, most: int = MOST, seconds: float = SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._keys: OrderedDict[str, tuple[Hashable, Hashable, float]] = OrderedDict()
        """Each key, as it is and with its types, and when it was last used: in that order."""
        self._handles: dict[Hashable, str] = {}
        self.forked()

    def forked(self) -> None:
        """This is another process: no thread of the parent holds the lock here."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._keys)

    def of(self, key: Hashable, /) -> str:
        """The handle of *key*, the same as long as it lives."""
        if not _is_plain(key):
            # It would be kept alive, and its class's __hash__ and __eq__ would run.
            raise TypeError(f"a handle stands for plain data, not for a {type(key).__name__}")
        typed = _typed(key)
        now = time.monotonic()
        with self._lock:
            self._expire(now)
            handle = self._handles.get(typed)
            if handle is None:
                handle = self._handles[typed] = secrets.token_urlsafe(16)
            self._keys[handle] = (key, typed, now)
            self._keys.move_to_end(handle)
            while len(self._keys) > self._most:
                self._drop_oldest()
            return handle

    def find(self, handle: str, /) -> Any:
        """What a handle stands for; None if it is none, or no more."""
        now = time.monotonic()
        with self._lock:
            self._expire(now)
            found = self._keys.get(handle)
            if found is None:
                return None
            self._keys[handle] = (*found[:2], now)
            self._keys.move_to_end(handle)
            return found[0]

    def _expire(self, now: float) -> None:
        while self._keys and now - next(iter(self._keys.values()))[2] > self._seconds:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, (_, typed, _) = self._keys.popitem(last=False)
        del self._handles[typed]


def _is_plain(key: Any) -> bool:
    if type(key) is tuple:
        return all(map(_is_plain, key))
    return type(key) in PLAIN


def _typed(key: Any) -> Hashable:
    """A key that differs from what is only equal to it: 1, 1.0, True."""
    return tuple(map(_typed, key)) if type(key) is tuple else (type(key), key)
