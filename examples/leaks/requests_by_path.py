"""Every new URL becomes a new label of the request counter.

/users/1, /users/2, ... are each a series of their own.  The route has a template,
"/users/<id>": that is what should be counted.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter

from examples.leaks._expected import Expected

_requests_by_path: Counter[str] = Counter()
_users = itertools.count(1)


def parse(request_line: str) -> str:
    return request_line.removeprefix("GET ").removesuffix(" HTTP/1.1")  # leaks


def route_of(path: str) -> str:
    return re.sub(r"/\d+", "/<id>", path)


def handle(request_line: str, *, by_route: bool = False) -> None:
    path = parse(request_line)
    _requests_by_path[route_of(path) if by_route else path] += 1


def work() -> None:
    for user in itertools.islice(_users, 120):
        handle(f"GET /users/{user}/orders HTTP/1.1")


def work_fixed() -> None:
    for user in itertools.islice(_users, 120):
        handle(f"GET /users/{user}/orders HTTP/1.1", by_route=True)


def leaked() -> int:
    return len(_requests_by_path) - ("/users/<id>/orders" in _requests_by_path)


EXPECTED = Expected(
    type="str",
    # A dict with a key for each request: by its shape a cache, by its purpose a container.
    kind=("growing-container", "unbounded-cache"),
    holder="module examples.leaks.requests_by_path -> _requests_by_path",
    per_round=120,
)
