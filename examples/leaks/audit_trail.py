"""Every paid order leaves an entry in a list that nobody reads any more.

The auditors' export reads the database since spring.  The list it used to read stayed, and
so does everything that is put in it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from examples.leaks._expected import Expected


@dataclass
class AuditEntry:
    order: int
    cents: int
    note: str


_audit_trail: list[AuditEntry] = []
_orders = itertools.count(1000)


def pay(order: int, cents: int) -> str:
    entry = AuditEntry(order, cents, f"order {order} paid by card")  # leaks
    _audit_trail.append(entry)
    return f"Thank you: {entry.cents / 100:.2f}"


def export() -> int:
    """What the nightly job did: hand the entries over, and forget them."""
    exported = len(_audit_trail)
    _audit_trail.clear()
    return exported


def work() -> None:
    for order in itertools.islice(_orders, 100):
        pay(order, order % 90 * 100)


def work_fixed() -> None:
    work()
    export()


def leaked() -> int:
    return len(_audit_trail)


EXPECTED = Expected(
    type="AuditEntry",
    kind="growing-container",
    holder="module examples.leaks.audit_trail -> _audit_trail",
    per_round=100,
)
