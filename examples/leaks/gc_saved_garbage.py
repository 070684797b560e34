"""Every cycle that the collector finds is put into ``gc.garbage``: a debug flag was left on.

``gc.set_debug(gc.DEBUG_LEAK)`` came with a snippet for finding leaks.  It contains
DEBUG_SAVEALL, which keeps what would have been freed.
"""

from __future__ import annotations

import gc
import itertools

from examples.leaks._expected import Expected


class Order:
    def __init__(self, number: int) -> None:
        self.number = number
        self.lines = [Line(self, number * 10 + line) for line in range(3)]  # leaks


class Line:
    def __init__(self, order: Order, product: int) -> None:
        self.order = order
        self.product = product


_numbers = itertools.count(1)


def serve(debug: int) -> None:
    gc.set_debug(debug)  # DEBUG_LEAK prints each of them, too: without that here
    for number in itertools.islice(_numbers, 30):
        order = Order(number)  # leaks
        assert len(order.lines) == 3
    del order
    gc.collect()


def work() -> None:
    serve(gc.DEBUG_SAVEALL)


def work_fixed() -> None:
    serve(0)


def close() -> None:
    gc.set_debug(0)
    gc.garbage.clear()


def leaked() -> int:
    return sum(type(thing) is Order for thing in gc.garbage)


EXPECTED = Expected(
    type=("Order", "Line"),
    kind="uncollected-cycle",
    holder=("module gc -> garbage", "gc.garbage"),
    per_round=30,
)
