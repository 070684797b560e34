"""A hook that ran Python code would release the GIL in the middle of a dict operation."""

import sys
from collections.abc import Callable

from _support import deadline, m, threads

shared: dict[object, object] = {}


def write(stopped: Callable[[], bool]) -> None:
    while not stopped():
        for i in range(300):
            shared[i, "key"] = [i] * (i % 50)
        for i in range(0, 300, 2):
            shared.pop((i, "key"), None)


def read(stopped: Callable[[], bool]) -> None:
    while not stopped():
        for i in range(300):
            value = shared.get((i, "key"))
            assert value is None or value == [i] * (i % 50)


sys.setswitchinterval(1e-6)
m.start(25)
with threads(3, write), threads(3, read):
    for _ in deadline(2):
        m.get_object_traceback(shared)
m.stop()
