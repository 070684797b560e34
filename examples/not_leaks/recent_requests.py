"""The last thousand requests are kept for the debug page, in a ``deque(maxlen=1000)``.

It takes many rounds until it is full; that it will be full is written in it.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import NamedTuple

LIMIT = 1000


class Visit(NamedTuple):
    path: str
    status: int


_recent: deque[Visit] = deque(maxlen=LIMIT)
_numbers = itertools.count(1)


def handle(number: int) -> int:
    visit = Visit(f"/products/{number}", 200)
    _recent.append(visit)
    return visit.status


def work() -> None:
    for number in itertools.islice(_numbers, 90):
        assert handle(number) == 200


def size() -> int:
    return len(_recent)
