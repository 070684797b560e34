"""Events are collected, and written when there are 250 of them: every third round or so.

Seen over two rounds, the list only grows.
"""

from __future__ import annotations

import itertools

LIMIT = 250


class Event:
    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"view {number}"


_batch: list[Event] = []
_written = 0
_numbers = itertools.count(1)


def record(number: int) -> None:
    global _written
    _batch.append(Event(number))
    if len(_batch) >= LIMIT:
        _written += len(_batch)
        _batch.clear()


def work() -> None:
    for number in itertools.islice(_numbers, 90):
        record(number)


def size() -> int:
    return len(_batch)
