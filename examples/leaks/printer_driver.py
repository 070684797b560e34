"""Every label that is printed stays: our C driver takes a reference and does not give it back.

No Python object refers to the label, ``gc.get_referrers`` is empty, and still its reference
count is one too high.  (ctypes plays the driver here.)
"""

from __future__ import annotations

import ctypes
import itertools
import sys

from examples.leaks._expected import Expected


class Label:
    def __init__(self, order: int) -> None:
        self.order = order
        self.lines = [f"order {order}", "handle with care"]


def driver_print(label: Label) -> int:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(label))  # "in use by the driver"
    return len(label.lines)


def driver_print_fixed(label: Label) -> int:
    printed = driver_print(label)
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(label))
    return printed


_orders = itertools.count(1)


def work() -> None:
    for order in itertools.islice(_orders, 80):
        label = Label(order)  # leaks
        assert driver_print(label) == 2


def work_fixed() -> None:
    for order in itertools.islice(_orders, 80):
        label = Label(order)
        assert driver_print_fixed(label) == 2


def leaked() -> int:
    """Each instance refers to its class."""
    return sys.getrefcount(Label)


EXPECTED = Expected(
    type="Label",
    kind="c-reference",
    per_round=80,
)
