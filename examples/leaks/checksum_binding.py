"""Every checksum leaves a bytes object that no Python variable ever held.

The binding says that the C function returns a pointer (``c_void_p``).  It returns a new
reference to a Python object, and then it is the caller who has to give it back.
"""

from __future__ import annotations

import ctypes
import itertools

from examples.leaks._expected import Expected

SIZE = 512

# As in a hand-written binding: the type of the result is wrong, and nothing complains.
_make = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t)(
    ("PyBytes_FromStringAndSize", ctypes.pythonapi)
)
_make_fixed = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t)(
    ("PyBytes_FromStringAndSize", ctypes.pythonapi)
)
_calls = itertools.count(1)
_made = 0


def checksum(call: int) -> int:
    global _made
    address = _make(None, SIZE)  # leaks
    _made += 1
    return (address or call) & 0xFFFF


def checksum_fixed(call: int) -> int:
    return len(_make_fixed(None, SIZE)) + call & 0xFFFF


def work() -> None:
    for call in itertools.islice(_calls, 100):
        checksum(call)


def work_fixed() -> None:
    for call in itertools.islice(_calls, 100):
        checksum_fixed(call)


def leaked() -> int:
    """Calls: nothing in Python can count what they left (sys.getallocatedblocks() does)."""
    return _made


EXPECTED = Expected(
    type="bytes",
    kind="c-reference",
    per_round=100,
)
