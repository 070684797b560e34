"""Every event stays in the batch of all batches: ``def collect(event, batch=[])``.

It was to give each caller a new list.  It gives all of them the same one.
"""

from __future__ import annotations

import itertools

from examples.leaks._expected import Expected


class Event:
    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.properties = {"page": f"/products/{number}", "ms": number % 300}


def collect(event: Event, batch: list[Event] = []) -> list[Event]:  # noqa: B006
    batch.append(event)
    return batch


def collect_fixed(event: Event, batch: list[Event] | None = None) -> list[Event]:
    batch = [] if batch is None else batch
    batch.append(event)
    return batch


_numbers = itertools.count(1)


def work() -> None:
    for number in itertools.islice(_numbers, 100):
        event = Event(number, "view")  # leaks
        assert collect(event)[-1] is event


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 100):
        event = Event(number, "view")
        assert collect_fixed(event) == [event]


def leaked() -> int:
    assert collect.__defaults__ is not None
    return len(collect.__defaults__[0])


EXPECTED = Expected(
    type="Event",
    kind="default-argument",
    holder="module examples.leaks.batched_events -> collect -> __defaults__",
    per_round=100,
)
