"""Every lookup leaves 32 KiB that no Python tool sees: the C library's copy of a string.

``strdup`` returns memory that the caller has to free.  Python's own allocators have no part
in it: RSS climbs by three MiB for each hundred lookups, and tracemalloc shows nothing.
"""

from __future__ import annotations

import ctypes
import itertools

from examples.leaks._expected import Expected

libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_void_p
libc.strdup.argtypes = [ctypes.c_char_p]
libc.free.argtypes = [ctypes.c_void_p]

RECORD = b"x" * 32 * 1024

_numbers = itertools.count(1)
_live = 0


def lookup(number: int, *, free: bool = False) -> int:
    global _live
    found = libc.strdup(RECORD)
    _live += 1
    if free:
        libc.free(found)
        _live -= 1
    return number


def work() -> None:
    for number in itertools.islice(_numbers, 100):
        lookup(number)


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 100):
        lookup(number, free=True)


def leaked() -> int:
    return _live


EXPECTED = Expected(
    type=(),
    kind="native-memory",
    line=None,
    per_round=100,
)
