"""Containers that C code is still filling, objects that nobody has initialised, weakrefs dying."""

import array
import collections
import ctypes
import functools
import gc
import io
import itertools
import struct
import sys
import weakref
from collections.abc import Iterator
from typing import Any

from _heap import Graph, question


class Thing:
    pass


def looking(count: int) -> Iterator[Any]:
    for number in range(count):
        question(Graph.take(), number)
        # Released at once: a tuple under construction may have one reference only.
        Graph.take(keep=True).types()
        yield number, [number]


for build in (tuple, list, dict, set, frozenset, collections.deque, collections.OrderedDict):
    pairs = ((row[0], 1) for row in looking(5))
    assert len(build(pairs)) == 5  # type: ignore[operator]
assert [*looking(3), *looking(2)]
assert len((*looking(3), 1)) == 4
assert "".join(str(row[0]) for row in looking(3)) == "012"
assert len(list(zip(looking(3), looking(3)))) == 3
assert len(array.array("q", (row[0] for row in looking(3)))) == 3


class Looking(int):
    """Looks around while others sort, hash, compare and copy."""

    def __lt__(self, other: object) -> bool:
        Graph.take(keep=True)
        return int(self) < int(other)  # type: ignore[call-overload, no-any-return]

    def __hash__(self) -> int:
        Graph.take()
        return 1

    def __eq__(self, other: object) -> bool:
        Graph.take()
        return self is other


assert [int(n) for n in sorted(map(Looking, range(6, 0, -1)))] == [1, 2, 3, 4, 5, 6]
assert len({Looking(i): i for i in range(6)}) == 6
assert len({Looking(i) for i in range(6)}) == 6
numbers = [Looking(i) for i in range(5)]
numbers.sort(reverse=True)


@functools.lru_cache(2)
def cached(value: object) -> object:
    return Graph.take() and value


for i in range(5):
    cached(Looking(i))

# Made by __new__ alone.
classes: list[Any] = [
    struct.Struct, io.BytesIO, io.StringIO, io.TextIOWrapper, io.BufferedReader, io.FileIO,
    collections.deque, collections.OrderedDict, collections.defaultdict, functools.partial,
    ctypes.c_int, ctypes.Structure, Exception, OSError, StopIteration, property, staticmethod,
    classmethod, super, Thing, type(sys),
]  # fmt: skip
bare: list[Any] = []
for cls in classes:
    try:
        bare.append(cls.__new__(cls))
    except TypeError:
        pass  # wants arguments
for name in ("zip", "map", "filter", "enumerate", "reversed", "memoryview"):
    try:
        bare.append(getattr(__builtins__, name).__new__(getattr(__builtins__, name)))
    except TypeError:
        pass
question(Graph.take(), *bare)
question(Graph.take(keep=True), *bare)
del bare

# Weak references and proxies to what is going.
targets = [Thing() for _ in range(1000)]
weak: list[Any] = [weakref.ref(each) for each in targets]
weak += [weakref.proxy(each, lambda _: None) for each in targets]
table: Any = weakref.WeakValueDictionary(enumerate(targets))
keys: Any = weakref.WeakKeyDictionary((each, 1) for each in targets)
plain = Graph.take()
kept = Graph.take(keep=True)
while targets:
    del targets[-100:]
    question(Graph.take(), weak, table, keys)
    assert sum(obj is None for obj in plain.objects(plain.find(weak))) == 0
assert len(table) == 1000, "kept"
del kept
gc.collect()
assert len(table) == len(keys) == 0
question(plain, weak, table)

assert len(list(itertools.islice(looking(9), 2))) == 2
