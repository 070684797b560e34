"""Every order of an old client warns, with the order's number in the text of the warning.

Python remembers each different warning of a module, to show it only once.  With a number
in it, each is different.  A service that logs warnings fills ``__warningregistry__``.
"""

from __future__ import annotations

import itertools
import logging
import warnings

from examples.leaks._expected import Expected

_orders = itertools.count(1)

logging.captureWarnings(True)
logging.getLogger("py.warnings").addHandler(logging.NullHandler())
logging.getLogger("py.warnings").propagate = False


def accept(order: int, currency: str | None) -> str:
    if currency is None:
        warnings.warn(f"order {order}: no currency, taking EUR", stacklevel=1)  # leaks
    return currency or "EUR"


def accept_fixed(order: int, currency: str | None) -> str:
    """One text for all; what differs goes to the log, where it belongs."""
    if currency is None:
        warnings.warn("an order without currency: taking EUR", stacklevel=1)
        logging.getLogger(__name__).debug("order %d: no currency", order)
    return currency or "EUR"


def work() -> None:
    for order in itertools.islice(_orders, 60):
        accept(order, None)


def work_fixed() -> None:
    for order in itertools.islice(_orders, 60):
        accept_fixed(order, None)


def leaked() -> int:
    return sum("no currency" in str(key) for key in globals().get("__warningregistry__", ()))


EXPECTED = Expected(
    type=("str", "tuple"),
    kind=("growing-container", "unbounded-cache"),
    holder="module examples.leaks.warning_per_order -> __warningregistry__",
    per_round=60,
)
