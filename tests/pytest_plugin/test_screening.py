"""What is collected before memory is weighed: all that matters, and no more."""

from __future__ import annotations

import contextlib
import gc
import os
import textwrap
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memscope import _memscope
from memscope.pytest_plugin import screening
from tests.pytest_plugin.conftest import Inner


class Ring:
    """Garbage for the collector alone, once nobody has it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def sweeper() -> Iterator[screening.Sweeper]:
    _memscope.start()
    gc.collect()
    try:
        yield screening.Sweeper()
    finally:
        _memscope.stop()


def make_old(ring: Ring) -> weakref.ref[Ring]:
    """Garbage that the collector's work has made old."""
    while not any(one is ring for one in gc.get_objects(generation=2)):
        # Objects of the program make it work.
        many: list[Any] = [Ring() for _ in range(5000)]
        del many
    return weakref.ref(ring)


def test_young_garbage_goes_without_a_full_collection(sweeper: screening.Sweeper) -> None:
    gone = weakref.ref(Ring())
    assert sweeper.sweep() is False
    assert gone() is None


def test_names_that_were_looked_up_do_not_count(sweeper: screening.Sweeper) -> None:
    sweeper.sweep()
    before = _memscope.get_traced_memory()[0]
    # All at once, or each would lie where one before it lay, and take its place in the cache too.
    names = [f"a name that is looked up once, of {number}" for number in range(2000)]
    for name in names:
        getattr(Ring, name, None)
    del names, name
    assert _memscope.get_traced_memory()[0] > before + 10_000
    sweeper.sweep()
    assert _memscope.get_traced_memory()[0] < before + 10_000


def test_old_garbage_goes_when_the_collector_made_it(sweeper: screening.Sweeper) -> None:
    sweeper.sweep()
    gone = make_old(Ring())
    assert gone() is not None
    assert sweeper.sweep() is True
    assert gone() is None


def test_older_garbage_is_left_alone(sweeper: screening.Sweeper) -> None:
    older = make_old(Ring())
    younger = screening.Sweeper()
    assert younger.sweep() is False
    assert older() is not None


def test_what_left_nothing_needs_no_full_collection(sweeper: screening.Sweeper) -> None:
    sweeper.sweep()
    # The collector works, and finds what it looks at alive, or dead; no more lives than before.
    for _ in range(30):
        many: list[Any] = [[] for _ in range(5000)]
        del many
    gc.collect(1)
    assert sweeper.sweep() is False


def test_of_a_program_that_froze_its_objects_all_is_collected(sweeper: screening.Sweeper) -> None:
    gc.freeze()
    try:
        assert sweeper.sweep() is True
    finally:
        gc.unfreeze()


def test_what_is_replaced_when_it_is_old_is_collected_exactly(
    sweeper: screening.Sweeper,
) -> None:
    held = [Ring()]
    older = make_old(Ring())
    with sweeper.exactly():
        assert gc.get_freeze_count() > 1000
        for _ in range(3):
            before, held[0] = weakref.ref(held[0]), Ring()
            sweeper.sweep()
        assert before() is None
        assert older() is not None
    assert gc.get_freeze_count() < 1000
    gc.collect()
    assert older() is None


def test_what_a_program_froze_stays_frozen(sweeper: screening.Sweeper) -> None:
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        with sweeper.exactly():
            gone = weakref.ref(Ring())
            sweeper.sweep()
            assert gone() is None
        assert count - 1000 < gc.get_freeze_count() <= count  # some have died
    finally:
        gc.unfreeze()


def test_a_program_that_collects_for_itself(sweeper: screening.Sweeper) -> None:
    gone = weakref.ref(Ring())
    gc.disable()
    try:
        assert sweeper.sweep() is False
        assert gone() is not None
    finally:
        gc.enable()


SUITE = """
import gc

class Ring:
    def __init__(self):
        self.me = self
        self.it = bytearray(1000)

KEPT, OLDER = [], []

def grow_old():
    while not any(type(one) is Ring for one in gc.get_objects(generation=2)):
        many = [[] for _ in range(20_000)]

def test_old_garbage():
    ring = Ring()
    grow_old()

def test_a_leak_beside_older_garbage_that_goes():
    # As much as it leaves was garbage of a run before, and goes with this one.
    KEPT.append(bytearray(2000))
    if OLDER:
        OLDER.clear()
        gc.collect()
    else:
        OLDER.extend(Ring() for _ in range(50))
"""


def test_old_garbage_is_no_leak_and_hides_none(inner: Inner) -> None:
    inner.judge(textwrap.dedent(SUITE))
    assert inner.verdicts == {
        "test_old_garbage": "clean",
        "test_a_leak_beside_older_garbage_that_goes": "leaks",
    }
    assert inner.tests["test_old_garbage"]["runs"] == 4


GARBAGE = """
import gc
import pytest

class Ring:
    def __init__(self):
        self.me = self
        self.it = bytearray(100_000)

KEPT = []

@pytest.mark.parametrize("number", range(5))
def test_garbage(number):
    ring = Ring()

@pytest.mark.parametrize("number", range(1))
def test_a_leak_of_less_than_others_leave_as_garbage(number):
    KEPT.append(bytearray(50_000))

@pytest.mark.parametrize("number", range(5))
def test_old_garbage(number):
    ring = Ring()
    while not any(one is ring for one in gc.get_objects(generation=2)):
        many = [[] for _ in range(20_000)]

@pytest.mark.parametrize("number", range(1))
def test_a_leak_while_older_garbage_goes(number):
    KEPT.append(bytearray(50_000))
    gc.collect()
"""


def test_garbage_hides_no_leak(inner: Inner) -> None:
    """Neither what clean tests leave of it, nor what goes while a test runs."""
    inner.judge(textwrap.dedent(GARBAGE))
    verdicts = {name.partition("[")[0]: verdict for name, verdict in inner.verdicts.items()}
    assert verdicts == {
        "test_garbage": "clean",
        "test_a_leak_of_less_than_others_leave_as_garbage": "leaks",
        "test_old_garbage": "clean",
        "test_a_leak_while_older_garbage_goes": "leaks",
    }


# -- open files


def files_are_those_in_use() -> bool:
    """By trying each, as far as tests open any."""
    used = set()
    for number in range(300):
        with contextlib.suppress(OSError):
            os.fstat(number)
            used.add(str(number))
    return {number for number in screening.leftovers().files if int(number) < 300} == used


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=30))
def test_open_files_are_those_in_use(steps: list[tuple[bool, int]]) -> None:
    opened: list[int] = []
    try:
        for opens, which in steps:
            if opens:
                opened.append(os.open(os.devnull, os.O_RDONLY))
            elif opened:
                os.close(opened.pop(which % len(opened)))
            assert files_are_those_in_use()
    finally:
        for number in opened:
            os.close(number)


def test_one_file_in_the_place_of_another_is_seen() -> None:
    first, second = (os.open(os.devnull, os.O_RDONLY) for _ in range(2))
    before = screening.leftovers()
    third = os.open(os.devnull, os.O_RDONLY)
    os.close(first)
    try:
        left = screening.leftovers().since(before)
        assert left.files == {str(third)}
        assert left.names() == [f"file {os.path.realpath(os.devnull)} is still open"]
        assert not screening.leftovers().since(screening.leftovers())
    finally:
        os.close(second)
        os.close(third)


def test_the_lowest_descriptor_may_be_closed() -> None:
    saved = os.dup(0)
    try:
        screening.leftovers()
        os.close(0)
        assert files_are_those_in_use()
        assert files_are_those_in_use()
    finally:
        os.dup2(saved, 0)
        os.close(saved)
    assert files_are_those_in_use()
