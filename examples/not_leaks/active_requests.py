"""Requests under way are in a dict by their number, and go when they are answered.

Keys and values are new all the time; how many there are is not.
"""

from __future__ import annotations

import itertools

LIMIT = 50


class Active:
    def __init__(self, number: int) -> None:
        self.number = number
        self.state = f"request {number}: waiting for the database"


_active: dict[int, Active] = {}
_numbers = itertools.count(1)


def work() -> None:
    for number in itertools.islice(_numbers, 100):
        _active[number] = Active(number)
        if len(_active) > LIMIT - 1:
            del _active[number - LIMIT + 1]


def size() -> int:
    return len(_active)
