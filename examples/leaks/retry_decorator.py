"""Every failed attempt is remembered in a variable of the ``@retry`` decorator.

The list lives in a closure: no module and no class has it, so that it is in nobody's
debugger view, and it is as old as the function that is decorated.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

from examples.leaks._expected import Expected


class Attempt:
    def __init__(self, number: int, reason: str) -> None:
        self.number = number
        self.reason = reason


def retry(*, remember: int | None) -> Callable[[Callable[[int], str]], Callable[[int], str]]:
    def decorate(function: Callable[[int], str]) -> Callable[[int], str]:
        attempts: list[Attempt] = []

        @functools.wraps(function)
        def attempt(number: int) -> str:
            try:
                return function(number)
            except ConnectionError as error:
                attempts.append(Attempt(number, str(error)))  # leaks
                if remember is not None:
                    del attempts[:-remember]
                return f"gave up after {attempts[-1].reason}"

        return attempt

    return decorate


def call_stock_service(number: int) -> str:
    raise ConnectionError(f"no route to stock service ({number})")


stock = retry(remember=None)(call_stock_service)
stock_fixed = retry(remember=3)(call_stock_service)
_numbers = itertools.count(1)


def work() -> None:
    for number in itertools.islice(_numbers, 80):
        stock(number)


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 80):
        stock_fixed(number)


def leaked() -> int:
    cells = getattr(stock, "__closure__")  # noqa: B009  (mypy knows no closure of a Callable)
    return sum(len(cell.cell_contents) for cell in cells if isinstance(cell.cell_contents, list))


EXPECTED = Expected(
    type="Attempt",
    kind="closure",
    holder="module examples.leaks.retry_decorator -> stock",
    per_round=80,
)
