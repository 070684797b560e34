"""Graphs taken in gc.callbacks, in __del__ and in weakref callbacks, while garbage is cleared."""

import gc
import weakref
from typing import Any

from _heap import Graph, question

taken: list[str] = []


def take(where: str, *sample: object) -> None:
    taken.append(where)
    for keep in (False, True):
        graph = Graph.take(keep=keep)
        question(graph, *sample)


class Node:
    def __init__(self, *held: object) -> None:
        self.me = self
        self.held = held
        self.payload = {"a": [1], "b": (2, held)}


class Dying(Node):
    def __del__(self) -> None:
        take("__del__", self, self.held, self.payload)


class Slotted:
    __slots__ = ("left", "other", "right")

    def __del__(self) -> None:
        # Some of its slots are empty by now.
        take("slots", self)


class Returning(Node):
    back: list[Any] = []

    def __del__(self) -> None:
        take("back", self)
        self.back.append(self)


def garbage() -> None:
    node = Node([Node() for _ in range(10)])
    dying = Dying(node, Returning(node))
    node.dying = dying  # type: ignore[attr-defined]
    weak = [weakref.ref(node, lambda _: take("weakref", weak)) for _ in range(2)]
    weakref.finalize(dying, take, "finalize")
    slotted = Slotted()
    slotted.other = slotted
    kept_weak.append(weak)
    del node, dying, slotted


def callback(phase: str, info: dict[str, int]) -> None:
    take(phase, info)


kept_weak: list[Any] = []
gc.callbacks.append(callback)
for _ in range(3):
    garbage()
    gc.collect()
    Returning.back.clear()
gc.callbacks.remove(callback)
assert set(taken) >= {"start", "stop", "__del__", "slots", "back", "weakref", "finalize"}, taken

# Not by the collector: a chain of objects that drop each other, each looking around.
taken.clear()
chain: Any = None
for _ in range(20):
    chain = Dying(chain)
    chain.me = None
chain = None
assert taken.count("__del__") == 20


# Locals of a frame that is ending.
def ending() -> None:
    first, second = Dying(), Dying()
    first.me = second.me = None  # type: ignore[assignment]
    third = [first, second]
    del first
    second = third  # type: ignore[assignment]


for _ in range(3):
    ending()
assert taken.count("__del__") == 26


# Of a generator that is closed, of a coroutine that never ran, of a dict that is cleared.
def generator() -> Any:
    inside = Dying()
    inside.me = None  # type: ignore[assignment]
    try:
        yield inside
    finally:
        take("closing", inside)


started = generator()
next(started)
del started
assert taken[-2:] == ["closing", "__del__"], taken[-3:]
space = {n: Dying() for n in range(5)}
for value in space.values():
    value.me = None  # type: ignore[assignment]
del value
space.clear()
assert taken.count("__del__") == 32
