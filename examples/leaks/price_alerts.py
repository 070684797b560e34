"""Every request for a price subscribes to the feed; no request ever unsubscribes.

The feed holds a bound method, the method holds the request, the request holds the user's
basket.  Each tick is delivered to everyone who ever asked.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from examples.leaks._expected import Expected


class PriceFeed:
    def __init__(self) -> None:
        self._listeners: list[Callable[[int], None]] = []

    def subscribe(self, listener: Callable[[int], None]) -> None:
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[int], None]) -> None:
        self._listeners.remove(listener)

    def tick(self, cents: int) -> None:
        for listener in self._listeners:
            listener(cents)


class PriceRequest:
    def __init__(self, number: int) -> None:
        self.number = number
        self.basket = [f"item {number}-{item}" for item in range(6)]
        self.cents = 0

    def on_tick(self, cents: int) -> None:
        self.cents = cents


feed = PriceFeed()
_numbers = itertools.count(1)


def handle(number: int, *, unsubscribe: bool = False) -> int:
    request = PriceRequest(number)  # leaks
    feed.subscribe(request.on_tick)
    feed.tick(995 + number % 10)
    if unsubscribe:
        feed.unsubscribe(request.on_tick)
    return request.cents


def work() -> None:
    for number in itertools.islice(_numbers, 60):
        assert handle(number) >= 995


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 60):
        assert handle(number, unsubscribe=True) >= 995


def leaked() -> int:
    return len(feed._listeners)


EXPECTED = Expected(
    type="PriceRequest",
    kind="callback",
    holder="module examples.leaks.price_alerts -> feed -> _listeners",
    per_round=60,
)
