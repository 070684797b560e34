"""Every request calls ``get_logger()``, and every call adds one more handler to the same logger.

It shows as lines that are logged twice, then three times, and then as memory.
"""

from __future__ import annotations

import io
import itertools
import logging

from examples.leaks._expected import Expected

_requests = itertools.count(1)


def get_logger(name: str) -> logging.Logger:
    logger = logging.getLogger(name)
    handler = logging.StreamHandler(io.StringIO())  # leaks
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    return logger


def get_logger_once(name: str) -> logging.Logger:
    logger = logging.getLogger(name)
    return logger if logger.handlers else get_logger(name)


def handle(number: int) -> None:
    get_logger("shop.checkout").debug("request %d", number)


def handle_fixed(number: int) -> None:
    get_logger_once("shop.basket").debug("request %d", number)


def work() -> None:
    for number in itertools.islice(_requests, 20):
        handle(number)


def work_fixed() -> None:
    for number in itertools.islice(_requests, 20):
        handle_fixed(number)


def close() -> None:
    logging.getLogger("shop.checkout").handlers.clear()


def leaked() -> int:
    basket = logging.getLogger("shop.basket").handlers
    return len(logging.getLogger("shop.checkout").handlers) + max(0, len(basket) - 1)


EXPECTED = Expected(
    type="StreamHandler",
    kind="logging-handler",
    holder="handlers",
    per_round=20,
)
