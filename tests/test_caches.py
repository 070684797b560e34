"""What the interpreter keeps for itself, emptied."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from memscope import _memscope
from memscope.caches import empty_caches, empty_free_lists


@pytest.fixture
def traced() -> Iterator[None]:
    _memscope.start()
    yield
    _memscope.stop()


def live_bytes() -> int:
    return _memscope.get_traced_memory()[0]


@pytest.mark.usefixtures("traced")
def test_free_lists_are_emptied() -> None:
    before = live_bytes()
    many: list[Any] = [[] for _ in range(60)]
    del many
    assert live_bytes() - before > 60 * 40
    assert empty_caches()
    assert live_bytes() - before < 1000


class Things:
    """Whose attributes are looked up by names that are made anew."""


@pytest.mark.usefixtures("traced")
def test_names_that_were_looked_up_are_let_go() -> None:
    empty_caches()
    before = live_bytes()
    # All at once, or each would lie where one before it lay, and take its place in the cache too.
    names = [f"an attribute that is never there, of {number}" for number in range(2000)]
    for name in names:
        getattr(Things, name, None)
    del names, name
    assert empty_free_lists()
    assert live_bytes() - before > 10_000
    empty_caches()
    assert live_bytes() - before < 1000


def test_no_object_is_collected() -> None:
    """Nor any moved to an older generation than a collection of the young would."""
    gc.collect()
    ring: list[Any] = []
    ring.append(ring)
    at = id(ring)
    del ring
    assert empty_caches()
    assert gc.get_freeze_count() == 0
    assert any(id(one) == at for one in gc.get_objects())


def test_what_the_program_has_frozen_stays_frozen() -> None:
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        assert not empty_caches()
        assert gc.get_freeze_count() == count
    finally:
        gc.unfreeze()
