"""The shelf: the last snapshots, within bounds; those that nobody asked for go first."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from memscope import _memscope
from memscope.web import shelf as module
from memscope.web.shelf import MOST, Shelf

pytestmark = pytest.mark.usefixtures("traced")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    at = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: at[0])

    def move(seconds: float) -> None:
        at[0] += seconds

    return move


def labels(shelf: Shelf) -> list[str]:
    return [one.label for one in shelf]


def test_a_snapshot_with_its_classes() -> None:
    class Kept:
        pass

    shelf = Shelf()
    assert len(shelf) == 0
    first = shelf.take("before")
    kept = [Kept() for _ in range(100)]
    second = shelf.take("after")
    assert first is not None and second is not None
    name = f"{__name__}.test_a_snapshot_with_its_classes.<locals>.Kept"
    assert first.types.get(name) is None
    assert second.types[name][0] == len(kept)
    assert second.snapshot.total_size > first.snapshot.total_size
    assert second.nbytes > 0
    assert labels(shelf) == ["after", "before"]
    assert shelf.get(first.number) is first
    assert shelf.get(99) is None


def test_nothing_is_taken_when_nothing_is_traced() -> None:
    _memscope.stop()
    shelf = Shelf()
    assert shelf.take("one") is None
    assert len(shelf) == 0


def test_the_oldest_automatic_goes_first(clock: Callable[[float], None]) -> None:
    shelf = Shelf(most=3)
    shelf.take("a")
    clock(1000)
    shelf.take("b", automatic=True)
    shelf.take("c")
    shelf.take("d")
    assert labels(shelf) == ["d", "c", "a"]
    shelf.take("e")
    assert labels(shelf) == ["e", "d", "c"]
    clock(1000)
    shelf.take("f", automatic=True)  # it is the newest, so it stays
    assert labels(shelf) == ["f", "e", "d"]


def test_no_more_than_that_many() -> None:
    shelf = Shelf()
    for number in range(MOST + 3):
        shelf.take(str(number))
    assert len(shelf) == MOST
    assert labels(shelf)[0] == str(MOST + 2)


def test_bytes_are_bounded() -> None:
    shelf = Shelf(most_bytes=1)
    shelf.take("one")
    shelf.take("two")
    assert labels(shelf) == ["two"]


def test_those_nobody_asked_for_have_a_distance(clock: Callable[[float], None]) -> None:
    shelf = Shelf()
    assert shelf.take("slow", automatic=True) is not None
    assert shelf.take("slow", automatic=True) is None
    assert shelf.take("asked for") is not None
    clock(9)
    assert shelf.take("slow", automatic=True) is None
    clock(1000)
    assert shelf.take("slow", automatic=True) is not None


def test_forgotten() -> None:
    shelf = Shelf()
    taken = shelf.take("one")
    assert taken is not None
    assert shelf.forget(taken.number)
    assert not shelf.forget(taken.number)
    assert labels(shelf) == []
    again = shelf.take("two")
    assert again is not None and again.number != taken.number


def test_a_long_label_is_cut() -> None:
    taken = Shelf().take("x" * 10_000)
    assert taken is not None and len(taken.label) == module.LONGEST_LABEL


def test_many_threads() -> None:
    shelf = Shelf(most=4)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                taken = shelf.take("one")
                assert len(shelf) <= 4
                if taken is not None and taken.number % 3 == 0:
                    shelf.forget(taken.number)
                list(shelf)
        except BaseException as error:  # told below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    numbers = [one.number for one in shelf]
    assert numbers == sorted(set(numbers), reverse=True)


def test_a_child_does_not_wait_for_the_parents_threads() -> None:
    shelf = Shelf()
    shelf._lock.acquire()
    shelf.forked()
    assert shelf.take("in the child") is not None
