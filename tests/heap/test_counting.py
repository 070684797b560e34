"""Counting and listing what is tracked, against gc.get_objects() and a loop."""

from __future__ import annotations

import gc
import itertools
import random
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memscope import _memscope

CLASSES = [type(f"Class{number}", (), {}) for number in range(40)]
MINE = set(CLASSES)


HEAPS = ["new", "churned"]
if sys.version_info < (3, 14):  # since then frozen objects are shown as others are
    HEAPS.append("frozen")


@pytest.fixture(params=HEAPS)
def heap(request: Any) -> Iterator[list[Any]]:
    """Objects of many classes in containers so large that the lists are walked in pieces."""
    order = random.Random(3)
    objects = [order.choice(CLASSES)() for _ in range(30_000)]
    if request.param != "new":
        for number in order.sample(range(len(objects)), 15_000):
            objects[number] = order.choice(CLASSES)()
    by_number = dict(enumerate(objects))
    for obj in objects:
        obj.others = [order.choice(objects), obj]
    gc.collect()
    if request.param == "frozen":
        gc.freeze()
        objects += [CLASSES[0]() for _ in range(5_000)]
    yield objects
    gc.unfreeze()
    del by_number


def tracked(kind: type) -> list[Any]:
    return [obj for obj in gc.get_objects() if type(obj) is kind]


def test_classes_are_counted_in_the_order_they_are_met(heap: list[Any]) -> None:
    rows = [(kind, count) for kind, count, _ in _memscope.gc_types() if kind in MINE]
    assert rows == list(Counter(type(obj) for obj in gc.get_objects() if type(obj) in MINE).items())


def test_everything_is_counted(heap: list[Any]) -> None:
    for sizes in (False, True):
        total = sum(count for _, count, _ in _memscope.gc_types(sizes=sizes))
        assert abs(total - len(gc.get_objects())) < 100


def test_bytes_are_added_up(heap: list[Any]) -> None:
    found = {kind: size for kind, _, size in _memscope.gc_types(sizes=True)}
    for kind in CLASSES[:3]:
        assert found.get(kind, 0) == sum(map(_memscope.size_of, tracked(kind)))


def test_objects_of_a_class_in_their_order(heap: list[Any]) -> None:
    for kinds in (CLASSES[:1], CLASSES[:5], [complex]):
        found = _memscope.gc_objects(kinds)
        expected = [obj for obj in gc.get_objects() if type(obj) in kinds]
        assert len(found) == len(expected)
        assert all(one is other for one, other in zip(found, expected, strict=True))


def test_objects_at_addresses(heap: list[Any]) -> None:
    wanted = tracked(CLASSES[0])[:50]
    found = _memscope.gc_at([*map(id, wanted), 8, -1, 1 << 70])
    assert sorted(map(id, found)) == sorted(map(id, wanted))


def test_addresses_ascend(heap: list[Any]) -> None:
    for kind, ids in _memscope.gc_ids():
        numbers = struct.unpack(f"{len(ids) // 8}Q", ids)
        assert all(one < other for one, other in itertools.pairwise(numbers))
        if kind in MINE:
            assert numbers == tuple(sorted(map(id, tracked(kind))))


THINGS: list[Any] = [*(kind() for kind in CLASSES[:6]), [], {}, 5, "text", None]


@given(st.lists(st.sampled_from(range(len(THINGS))), max_size=60), st.booleans())
def test_among_given_objects(chosen: list[int], as_tuple: bool) -> None:
    objects = [THINGS[number] for number in chosen]
    given_objects = tuple(objects) if as_tuple else objects
    counted = [(kind, count) for kind, count, _ in _memscope.gc_types(given_objects)]
    assert counted == list(Counter(map(type, objects)).items())
    kinds = [CLASSES[0], list]
    found = _memscope.gc_objects(kinds, given_objects)
    expected = [obj for obj in objects if type(obj) in kinds]
    assert list(map(id, found)) == list(map(id, expected))


def test_what_nothing_refers_to() -> None:
    alone, held = CLASSES[0](), CLASSES[0]()
    keeper = [held]
    objects = [alone, held]
    found = _memscope.gc_unreferenced(objects)
    # Variables of a running function are in no object, and the list that is asked about
    # does not count.
    assert list(map(id, found)) == [id(alone)]
    assert keeper == [held]


@pytest.mark.parametrize("bad", [5, "text", {1: 2}])
def test_what_is_no_list(bad: Any) -> None:
    for call in (
        lambda: _memscope.gc_types(bad),
        lambda: _memscope.gc_objects([list], bad),
        lambda: _memscope.gc_unreferenced(bad),
    ):
        with pytest.raises(TypeError, match="must be a list or a tuple"):
            call()
