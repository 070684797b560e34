"""Shipping costs are under ``lru_cache(maxsize=256)``: it grows for some rounds, and is full.

Every distance is new, so that an entry is added with each call; the oldest one goes.
"""

from __future__ import annotations

import functools
import itertools
import math

LIMIT = 256


@functools.lru_cache(maxsize=LIMIT)
def shipping_cost(metres: int) -> str:
    return f"{4 + 1.5 * math.sqrt(metres / 1000):.2f} EUR"


_distances = itertools.count(1000, 7)


def work() -> None:
    for metres in itertools.islice(_distances, 60):
        assert shipping_cost(metres).endswith("EUR")


def size() -> int:
    return shipping_cost.cache_info().currsize
