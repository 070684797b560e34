"""Every invoice that was ever added up is still there: ``@functools.cache`` on a method.

The cache belongs to the class, and its keys hold ``self``.  It keeps not the totals, which
are small, but the invoices with all their lines.
"""

from __future__ import annotations

import functools
import itertools

from examples.leaks._expected import Expected

Lines = list[tuple[str, int]]


class Invoice:
    def __init__(self, number: int, lines: Lines) -> None:
        self.number = number
        self.lines = lines

    @functools.cache  # noqa: B019  (the linter knows this one)
    def total(self) -> int:
        return sum(cents for _, cents in self.lines)


class FixedInvoice(Invoice):
    @functools.cached_property
    def cached_total(self) -> int:
        """Kept in the instance, and gone with it."""
        return sum(cents for _, cents in self.lines)


_numbers = itertools.count(1)


def lines_of(number: int) -> Lines:
    return [(f"item {number}-{line}", line * 100) for line in range(8)]


def work() -> None:
    for number in itertools.islice(_numbers, 70):
        invoice = Invoice(number, lines_of(number))  # leaks
        assert invoice.total() == invoice.total() == 2800


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 70):
        invoice = FixedInvoice(number, lines_of(number))
        assert invoice.cached_total == invoice.cached_total == 2800


def leaked() -> int:
    return Invoice.total.cache_info().currsize


EXPECTED = Expected(
    type="Invoice",
    kind="method-cache",
    holder="Invoice -> total",
    per_round=70,
)
