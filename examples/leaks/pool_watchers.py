"""Every request asks to be told when the connection pool goes, by a weak reference with a callback.

The reference is weak.  Its callback is not: it holds the request, and the list of references
holds the callback, for as long as the pool lives, which is always.
"""

from __future__ import annotations

import functools
import itertools
import weakref

from examples.leaks._expected import Expected


class Pool:
    def __init__(self) -> None:
        self.watchers: list[weakref.ref[Pool]] = []


class Request:
    def __init__(self, number: int) -> None:
        self.number = number
        self.headers = {"x-request-id": f"{number:08x}", "accept": "text/html"}


_pool = Pool()
_numbers = itertools.count(1)
_broken: list[int] = []


def on_pool_gone(request: Request, pool: weakref.ref[Pool]) -> None:
    _broken.append(request.number)


def handle(number: int, *, forget: bool = False) -> int:
    request = Request(number)  # leaks
    watcher = weakref.ref(_pool, functools.partial(on_pool_gone, request))  # leaks
    _pool.watchers.append(watcher)
    if forget:
        _pool.watchers.remove(watcher)
    return len(request.headers)


def work() -> None:
    for number in itertools.islice(_numbers, 70):
        assert handle(number) == 2


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 70):
        assert handle(number, forget=True) == 2


def leaked() -> int:
    return len(_pool.watchers)


EXPECTED = Expected(
    type=("Request", "ReferenceType", "weakref", "partial"),
    kind="weakref-callback",
    holder="module examples.leaks.pool_watchers -> _pool -> watchers",
    per_round=70,
)
