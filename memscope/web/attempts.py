"""Who guessed wrong how often, and how long each must wait: the back-off after wrong tokens.

Three guesses are free; after each one more, that address waits twice as long as before, up
to five minutes.  The same wrong guess again tells its sender nothing new and does not count: a
page that refreshes itself with the cookie of yesterday is no attack.

Bounded: when as many addresses as fit are waiting, all others share one place.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass

__all__ = ["Attempts"]

FREE = 3
LONGEST_WAIT = 300.0
FORGOTTEN = 3600.0
"""Seconds after which somebody who guessed wrong begins anew."""

MOST = 256
OTHERS = ""


@dataclass(slots=True)
class Guesses:
    count: int
    until: float
    """Of time.monotonic(): no guess is looked at before."""
    last: bytes
    time: float


class Attempts:
    """Any thread may call it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._guesses: dict[str, Guesses] = {}
        self.forked()

    def forked(self) -> None:
        """This is another process: no thread of the parent holds the lock here."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._guesses)

    def wait(self, who: str) -> float:
        """Seconds until the next guess of *who* is looked at."""
        with self._lock:
            known = self._guesses.get(self._place(who))
            return max(known.until - time.monotonic(), 0.0) if known is not None else 0.0

    def failed(self, who: str, guess: bytes) -> float:
        """*who* guessed wrong; for how many seconds they have to wait now."""
        digest = hashlib.sha256(guess).digest()
        now = time.monotonic()
        with self._lock:
            place = self._place(who)
            known = self._guesses.get(place)
            if known is None or now - known.time > FORGOTTEN:
                known = self._guesses[place] = Guesses(0, 0.0, b"", now)
            if known.last == digest:
                return 0.0
            known.count += 1
            known.last, known.time = digest, now
            if known.count <= FREE:
                return 0.0
            seconds = min(2.0 ** min(known.count - FREE - 1, 30), LONGEST_WAIT)
            known.until = now + seconds
            return seconds

    def succeeded(self, who: str) -> None:
        """*who* guessed right."""
        with self._lock:
            self._guesses.pop(who, None)

    def _place(self, who: str) -> str:
        """Under the lock: where the guesses of *who* are, or will be, counted."""
        if who in self._guesses:
            return who
        if len(self._guesses) >= self._most:
            now = time.monotonic()
            for name, known in tuple(self._guesses.items()):
                if now - known.time > FORGOTTEN:
                    del self._guesses[name]
        return who if len(self._guesses) < self._most else OTHERS
