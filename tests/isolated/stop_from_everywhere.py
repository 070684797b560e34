"""stop(), start() and take_snapshot() called from callbacks in mid-allocation."""

import gc
import sys
import weakref
from typing import Any

from _support import exercise, m, quick_start


def cycle() -> None:
    m.take_snapshot()
    m.stop()
    quick_start(3)


class Node:
    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        cycle()


def traced(frame: Any, event: str, argument: Any) -> Any:
    sys.settrace(None)
    cycle()
    sys.settrace(traced)
    return traced


quick_start(2)
gc.set_threshold(50)
for _ in range(200):
    Node()
    exercise(2)
gc.set_threshold(700)

for _ in range(200):
    node = Node()
    reference = weakref.ref(node, lambda _: cycle())
    del node
gc.collect()

gc.callbacks.append(lambda phase, info: cycle())
for _ in range(50):
    gc.collect(0)
    gc.collect()
gc.callbacks.clear()

sys.settrace(traced)
exercise(3)
sys.settrace(None)


class Index:
    def __index__(self) -> int:
        m.stop()
        quick_start(7)
        return 4


m.stop()
m.start(Index())
assert m.is_tracing()


def audit(event: str, arguments: Any) -> None:
    if enabled and event == "object.__getattr__":
        cycle()


enabled = True
sys.addaudithook(audit)
for _ in range(50):
    exercise.__code__  # noqa: B018
enabled = False
m.stop()
exercise()
