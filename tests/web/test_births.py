"""Blocks that are live, of the requests that allocated them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from memscope import _memscope
from memscope.web.births import LATER, REQUESTS, TOGETHER, Births

pytestmark = pytest.mark.usefixtures("traced")

KEPT: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    KEPT.clear()


def test_of_its_requests_only() -> None:
    """Bytes of what is still there, and was allocated in the spans that were added."""
    births = Births()
    for number in range(REQUESTS):
        _memscope.advance_epoch()
        KEPT.append(bytearray(10_000))  # somebody else's
        first = _memscope.advance_epoch()
        KEPT.append(bytearray(1000))
        KEPT.append(bytearray(500))
        del KEPT[-1]
        end = _memscope.advance_epoch()
        assert not births.is_ripe()
        births.add(first, end, 1)
        assert births.requests == number + 1
    for _ in range(LATER):
        assert not births.is_ripe()
        KEPT.append(bytearray(10_000))
        _memscope.advance_epoch()
    assert births.is_ripe()
    births.add(_memscope.get_epoch(), _memscope.advance_epoch(), 1)  # too late
    assert births.requests == REQUESTS
    assert 1000 <= births.per_request() < 1200


def test_none_but_within_what_is_told_apart() -> None:
    births = Births()
    first = _memscope.advance_epoch()
    KEPT.append(bytearray(1000))
    births.add(first, _memscope.advance_epoch(), 2)
    while _memscope.get_epoch() < first + TOGETHER:
        assert not births.is_ripe()
        _memscope.advance_epoch()
    assert births.is_ripe()
    assert 500 <= births.per_request() < 600


def test_nothing_comes() -> None:
    births = Births()
    while not births.is_ripe():
        _memscope.advance_epoch()
    assert births.requests == 0
