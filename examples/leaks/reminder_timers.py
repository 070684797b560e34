"""Every basket starts a timer that sends a reminder in a day; paying does not cancel it.

``threading.Timer`` is a thread.  A day of baskets is a day of sleeping threads, and each
holds the basket it would remind of.
"""

from __future__ import annotations

import itertools
import threading

from examples.leaks._expected import Expected

DAY = 24 * 60 * 60.0


class Basket:
    def __init__(self, number: int) -> None:
        self.number = number
        self.items = [f"item {number}-{item}" for item in range(5)]
        self.paid = False
        self.reminder = threading.Timer(DAY, self.remind)  # leaks
        self.reminder.daemon = True
        self.reminder.start()

    def remind(self) -> None:
        if not self.paid:
            print(f"Dear customer, {len(self.items)} items are waiting")

    def pay(self, *, cancel: bool = False) -> None:
        self.paid = True
        if cancel:
            self.reminder.cancel()
            self.reminder.join()


_numbers = itertools.count(1)


def work() -> None:
    for number in itertools.islice(_numbers, 10):
        Basket(number).pay()  # leaks


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 10):
        Basket(number).pay(cancel=True)


def close() -> None:
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
            thread.join()


def leaked() -> int:
    return sum(isinstance(thread, threading.Timer) for thread in threading.enumerate())


EXPECTED = Expected(
    type=("Timer", "Basket"),
    kind="thread",
    holder=("module threading -> _active", "thread"),
    per_round=10,
)
