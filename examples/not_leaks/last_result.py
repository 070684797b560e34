"""The result of the last report is kept for the dashboard; each one replaces the one before.

Reports differ in length, so that what is kept is sometimes more and sometimes less.
"""

from __future__ import annotations

import itertools


class Row:
    def __init__(self, product: int, cents: int) -> None:
        self.product = product
        self.cents = cents


LIMIT = 130

last_result: list[Row] = []
_reports = itertools.count(1)


def report(number: int) -> list[Row]:
    return [Row(product, product * number) for product in range(80 + number * 37 % 50)]


def work() -> None:
    global last_result
    for number in itertools.islice(_reports, 5):
        last_result = report(number)


def size() -> int:
    return len(last_result)
