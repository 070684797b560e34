"""Every quote is cached for good: ``lru_cache(maxsize=None)``, and the key holds the minute.

A quote for the minute that is past is never asked for again.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

from examples.leaks._expected import Expected


@dataclass(frozen=True)
class Quote:
    product: str
    minute: int
    cents: int


def compute(product: str, minute: int) -> Quote:
    return Quote(product, minute, 900 + minute * 7 % 200)  # leaks


@functools.lru_cache(maxsize=None)  # noqa: UP033  (as people wrote it, and still do)
def quote(product: str, minute: int) -> Quote:
    return compute(product, minute)


@functools.lru_cache(maxsize=64)
def quote_bounded(product: str, minute: int) -> Quote:
    return compute(product, minute)


_minutes = itertools.count()


def work() -> None:
    for minute in itertools.islice(_minutes, 40):
        for product in ("kettle", "lamp", "kettle", "lamp"):
            assert quote(product, minute).cents >= 900


def work_fixed() -> None:
    for minute in itertools.islice(_minutes, 40):
        for product in ("kettle", "lamp", "kettle", "lamp"):
            assert quote_bounded(product, minute).cents >= 900


def leaked() -> int:
    return quote.cache_info().currsize


EXPECTED = Expected(
    type="Quote",
    kind="unbounded-cache",
    holder="module examples.leaks.price_quotes -> quote",
    per_round=80,
)
