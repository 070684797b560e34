"""Every User-Agent header is parsed once: the parser is under ``functools.cache``.

Browsers have a few hundred user agents.  Apps put a session id into theirs, and crawlers
whatever they like: what comes from outside is not a finite set.
"""

from __future__ import annotations

import functools
import itertools

from examples.leaks._expected import Expected


class UserAgent:
    __slots__ = ("application", "header", "version")

    def __init__(self, header: str) -> None:
        self.header = header
        self.application, _, rest = header.partition("/")
        self.version = tuple(int(part) for part in rest.split(" ")[0].split("."))


@functools.cache
def parse_user_agent(header: str) -> UserAgent:
    return UserAgent(header)  # leaks


_sessions = itertools.count(1)


def handle(header: str) -> bool:
    return parse_user_agent(header).version >= (4, 0)


def handle_fixed(header: str) -> bool:
    """Only what decides the answer is the key: a finite set."""
    return parse_user_agent(header.partition(" ")[0]).version >= (4, 0)


def work() -> None:
    for session in itertools.islice(_sessions, 100):
        assert handle(f"ShopApp/4.{session % 3} (session {session:08x})")


def work_fixed() -> None:
    for session in itertools.islice(_sessions, 100):
        assert handle_fixed(f"ShopApp/4.{session % 3} (session {session:08x})")


def leaked() -> int:
    return max(0, parse_user_agent.cache_info().currsize - 3)


EXPECTED = Expected(
    type="UserAgent",
    kind="unbounded-cache",
    holder="module examples.leaks.user_agents -> parse_user_agent",
    per_round=100,
)
