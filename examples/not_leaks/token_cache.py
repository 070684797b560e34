"""Access tokens are kept until they expire, after two hundred requests' time.

Each round brings new tokens, and takes as many old ones away.
"""

from __future__ import annotations

import itertools

TIME_TO_LIVE = 200
LIMIT = TIME_TO_LIVE + 1


class Token:
    def __init__(self, user: int, expires: int) -> None:
        self.user = user
        self.expires = expires


_clock = itertools.count()
_tokens: dict[str, Token] = {}


def expire(now: int) -> None:
    """Tokens are in the order in which they were given out: the first ones expire first."""
    for key in list(itertools.takewhile(lambda key: _tokens[key].expires <= now, _tokens)):
        del _tokens[key]


def sign_in() -> str:
    now = next(_clock)
    expire(now)
    key = f"token-{now:08x}"
    _tokens[key] = Token(now, now + TIME_TO_LIVE)
    return key


def work() -> None:
    for _ in range(90):
        assert sign_in() in _tokens


def size() -> int:
    return len(_tokens)
