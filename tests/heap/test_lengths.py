"""How much containers hold, against len() and a loop."""

from __future__ import annotations

import gc
import itertools
import struct
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memscope import _memscope


class MyList(list[Any]):
    """With a length of its own, which is not to be asked."""

    def __len__(self) -> int:
        raise AssertionError("code of the program ran")


class MyDict(dict[Any, Any]):
    pass


class MyDeque(deque[Any]):
    pass


class Thing:
    pass


ONE = Thing()
KINDS = {
    "list": list,
    "dict": lambda items: dict(enumerate(items)),
    "set": lambda items: {(number, item) for number, item in enumerate(items)},
    "deque": deque,
    "OrderedDict": lambda items: OrderedDict(enumerate(items)),
    "defaultdict": lambda items: defaultdict(list, enumerate(items)),
    "Counter": lambda items: Counter(enumerate(items)),
    "subclass of list": MyList,
    "subclass of dict": lambda items: MyDict(enumerate(items)),
    "subclass of deque": MyDeque,
}


def lengths() -> dict[int, int]:
    found = _memscope.gc_lengths()
    return dict(struct.iter_unpack("QQ", found))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_entries_of_each_kind(kind: str, count: int) -> None:
    made = KINDS[kind]([ONE] * count)  # type: ignore[operator]
    if gc.is_tracked(made):
        assert lengths()[id(made)] == count
    else:
        assert not count or kind in ("dict", "Counter")


@pytest.mark.parametrize("other", [(ONE,), frozenset([ONE]), ONE, Thing, len])
def test_what_cannot_grow_is_left_out(other: object) -> None:
    assert id(other) not in lengths()


def test_a_class_that_is_only_called_deque() -> None:
    def length(self: object) -> int:
        raise AssertionError("code of the program ran")

    made = type("collections.deque", (), {"__len__": length})()
    assert id(made) not in lengths()


@pytest.fixture(params=["lists", "frozen"])
def heap(request: Any) -> Iterator[list[list[Any]]]:
    """So large that the collector's lists are walked in pieces."""
    made = [[ONE] * (number % 50) for number in range(30_000)]
    gc.collect()
    if request.param == "frozen":
        gc.freeze()
    yield made
    gc.unfreeze()


def test_all_of_them_by_ascending_address(heap: list[list[Any]]) -> None:
    found = _memscope.gc_lengths()
    addresses = [address for address, _ in struct.iter_unpack("QQ", found)]
    # A dict that is the value of two others is there twice.
    assert all(one <= other for one, other in itertools.pairwise(addresses))
    entries = dict(struct.iter_unpack("QQ", found))
    assert [entries[id(one)] for one in heap] == [len(one) for one in heap]


def test_the_longest_rise(heap: list[list[Any]]) -> None:
    before = _memscope.gc_lengths()
    heap[100].extend([ONE] * 500)
    heap[20_000].extend([ONE] * 700)
    heap[49].clear()
    new = [ONE] * 900
    assert _memscope.longest_rise(_memscope.gc_lengths(), before) == 700
    del new


@pytest.mark.parametrize("kind", KINDS)
def test_younger_ones_are_left_out(kind: str) -> None:
    make = KINDS[kind]
    untraced = make([ONE])
    _memscope.start()
    try:
        older = make([ONE])
        epoch = _memscope.advance_epoch()
        # More than a free list has: an object from there has an old block.
        younger = [make([ONE]) for _ in range(200)]
        there = dict(struct.iter_unpack("QQ", _memscope.gc_lengths(epoch)))
        assert {id(untraced), id(older)} <= there.keys()
        assert sum(id(one) in there for one in younger) <= 80
        assert {id(one) for one in younger} <= lengths().keys()
        _memscope.stop()
        assert len(_memscope.gc_lengths(epoch)) // 16 > len(there)
    finally:
        _memscope.stop()


@pytest.mark.parametrize("epoch", [-1, 1 << 64, "1", 1.5])
def test_what_is_no_epoch(epoch: Any) -> None:
    with pytest.raises((OverflowError, TypeError)):
        _memscope.gc_lengths(epoch)


@pytest.mark.parametrize("kind", [dict, OrderedDict, MyDict])
@pytest.mark.parametrize("many", [1, 7, 1000])
def test_dicts_that_are_values(kind: type[dict[Any, Any]], many: int) -> None:
    inner: list[dict[str, int]] = [{"a": 1, "b": number} for number in range(many)]
    assert any(map(gc.is_tracked, inner)) is (sys.version_info >= (3, 14))
    outer = kind(enumerate(inner))
    inner[-1]["c"] = inner[-1]["d"] = 5
    found = lengths()
    assert [found[id(one)] for one in inner] == [2] * (many - 1) + [4]
    assert found[id(outer)] == many


def pack(entries: dict[int, int]) -> bytes:
    return b"".join(struct.pack("QQ", *one) for one in sorted(entries.items()))


ENTRIES = st.dictionaries(st.integers(1, 40), st.integers(0, 9))


@given(ENTRIES, ENTRIES)
def test_the_longest_rise_of_any(current: dict[int, int], old: dict[int, int]) -> None:
    rises = [current[address] - old[address] for address in current.keys() & old.keys()]
    assert _memscope.longest_rise(pack(current), pack(old)) == max([*rises, 0])


@pytest.mark.parametrize("pair", [(b"", b"1234"), (b"12345678" * 3, b""), (b"1", b"1")])
def test_what_are_no_lengths(pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="16 bytes each"):
        _memscope.longest_rise(*pair)
