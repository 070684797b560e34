"""Every order gets a logger of its own, ``getLogger(f"shop.order.{number}")``.

Loggers are never removed: ``logging`` keeps each name it was ever asked for.  A number belongs
into the message, or into a LoggerAdapter.
"""

from __future__ import annotations

import itertools
import logging

from examples.leaks._expected import Expected

_orders = itertools.count(1)


def pay(number: int) -> None:
    logger = logging.getLogger(f"shop.order.{number}")  # leaks
    logger.debug("paid")


def pay_fixed(number: int) -> None:
    logger = logging.LoggerAdapter(logging.getLogger("shop.order"), {"order": number})
    logger.debug("paid")


def work() -> None:
    for number in itertools.islice(_orders, 60):
        pay(number)


def work_fixed() -> None:
    for number in itertools.islice(_orders, 60):
        pay_fixed(number)


def leaked() -> int:
    return sum(name.startswith("shop.order.") for name in logging.root.manager.loggerDict)


EXPECTED = Expected(
    type="Logger",
    kind="logging-handler",
    holder="loggerDict",
    per_round=60,
)
