"""Every import of a price list leaves its cycles: the collector waits for 50 million objects.

``gc.set_threshold(50_000_000)`` made the import a few per cent faster.  The service that
calls the same function has not collected since.
"""

from __future__ import annotations

import gc
import itertools

from examples.leaks._expected import Expected


class PriceList:
    def __init__(self, number: int) -> None:
        self.number = number
        self.rows = [Row(self, f"product {row}", row * 10) for row in range(10)]  # leaks


class Row:
    def __init__(self, prices: PriceList, product: str, cents: int) -> None:
        self.prices = prices  # back to the list: a cycle
        self.product = product
        self.cents = cents


_numbers = itertools.count(1)


def load(threshold: int) -> None:
    gc.set_threshold(threshold, 10, 10)
    for number in itertools.islice(_numbers, 25):
        prices = PriceList(number)  # leaks
        assert prices.rows[-1].cents == 90


def work() -> None:
    load(50_000_000)


def work_fixed() -> None:
    """The usual threshold again, and one collection where a pause hurts nobody."""
    load(700)
    gc.collect()


def close() -> None:
    gc.set_threshold(700, 10, 10)


def leaked() -> int:
    return sum(type(thing) is PriceList for thing in gc.get_objects())


EXPECTED = Expected(
    type=("PriceList", "Row"),
    kind="uncollected-cycle",
    per_round=25,
)
