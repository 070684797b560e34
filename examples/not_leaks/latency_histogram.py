"""Latencies are counted by route, status and size; there are 240 combinations of them.

A rare combination may be seen late.  New keys become fewer and fewer (the collector of
coupons knows it): that is filling up, not growing with the traffic.
"""

from __future__ import annotations

import random
from collections import Counter

ROUTES = ("/", "/search", "/basket", "/checkout", "/orders", "/login")
STATUSES = (200, 301, 404, 500)
LIMIT = len(ROUTES) * len(STATUSES) * 10

_histogram: Counter[str] = Counter()
_random = random.Random(20_260_713)


def observe(route: str, status: int, milliseconds: float) -> None:
    bucket = min(9, int(milliseconds / 10))
    _histogram[f"{route} {status} {bucket * 10} ms"] += 1


def work() -> None:
    for _ in range(200):
        observe(_random.choice(ROUTES), _random.choice(STATUSES), _random.uniform(0, 100))


def size() -> int:
    return len(_histogram)
