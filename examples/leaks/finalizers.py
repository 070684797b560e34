"""Every export registers ``weakref.finalize(app, export.delete)``: for when the app ends.

``finalize`` keeps the function and its arguments in a registry until the object dies.  The
app does not die; the exports should have, and wait in the registry.
"""

from __future__ import annotations

import itertools
import weakref

from examples.leaks._expected import Expected


class App:
    name = "shop"


class Export:
    def __init__(self, number: int) -> None:
        self.number = number
        self.rows = [f"{number};{row}" for row in range(10)]

    def delete(self) -> None:
        self.rows.clear()


_app = App()
_numbers = itertools.count(1)


def export(number: int, *, detach: bool = False) -> int:
    made = Export(number)  # leaks
    finalizer = weakref.finalize(_app, made.delete)  # leaks
    count = len(made.rows)
    if detach:
        finalizer()  # deletes now, and is forgotten
    return count


def work() -> None:
    for number in itertools.islice(_numbers, 60):
        assert export(number) == 10


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 60):
        assert export(number, detach=True) == 10


def leaked() -> int:
    return weakref.getweakrefcount(_app)


EXPECTED = Expected(
    type=("Export", "method", "_Info"),
    kind=("weakref-callback", "callback"),
    holder=("finalize -> _registry", "module weakref"),
    per_round=60,
)
