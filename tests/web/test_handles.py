from __future__ import annotations

import base64
import threading
import time
from typing import Any

import pytest

from memscope.web import handles
from memscope.web.handles import Handles


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that a test sets forward: clock.now += seconds."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(handles, "time", clock)
    return clock


def test_there_and_back() -> None:
    table = Handles()
    keys: list[Any] = [
        ("class", "app.Session"),
        ("route", "GET /"),
        "x",
        1,
        b"x",
        None,
        (),
        (("a",),),
    ]
    names = [table.of(key) for key in keys]
    assert [table.find(name) for name in names] == keys
    assert [table.of(key) for key in keys] == names
    assert len(set(names)) == len(keys) == len(table)


def test_what_is_equal_is_not_the_same() -> None:
    table = Handles()
    names = [table.of(("n", key)) for key in (1, True, 1.0)]
    assert len(set(names)) == 3
    assert [type(table.find(name)[1]) for name in names] == [int, bool, float]


def test_handles_are_random_and_fit_into_a_path() -> None:
    names = [Handles().of("the same") for _ in range(200)]
    assert len(set(names)) == 200
    for name in names:
        assert len(base64.urlsafe_b64decode(name + "==")) == 16
        assert name.replace("-", "").replace("_", "").isalnum()


def test_what_is_no_handle_is_nothing() -> None:
    table = Handles()
    name = table.of("x")
    for wrong in (
        "",
        "x",
        name[:-1],
        name + "=",
        name.swapcase(),
        "0",
        str(id(name)),
        "\0",
        "\ud800",
    ):
        assert table.find(wrong) is None


class Hostile:
    def __hash__(self) -> int:
        raise AssertionError("a class of the program was asked for its hash")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a class of the program was asked what it is equal to")


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize("key", [Hostile(), ("class", Hostile()), Name("x"), ["x"], object])
def test_objects_of_the_program_are_refused(key: Any) -> None:
    with pytest.raises(TypeError, match="plain data"):
        Handles().of(key)


def test_bounded_the_longest_unused_go() -> None:
    table = Handles(most=100)
    kept = table.of("kept")
    first = table.of("first")
    for number in range(50_000):
        table.of(number)
        if number % 50 == 0:
            assert table.find(kept) == "kept"
    assert len(table) == len(table._handles) == 100
    assert table.find(first) is None
    assert table.of("first") != first


def test_expiry(clock: Any) -> None:
    table = Handles(seconds=3600)
    used, unused = table.of("used"), table.of("unused")
    clock.now += 3000
    assert table.find(used) == "used"
    clock.now += 3000
    assert table.find(unused) is None
    assert table.find(used) == "used"
    assert len(table) == 1
    clock.now += 3601
    assert table.of("used") != used
    assert table.find(used) is None


def test_threads() -> None:
    table = Handles(most=50)
    errors: list[BaseException] = []
    end = time.monotonic() + 0.5

    def use(seed: int) -> None:
        try:
            number = seed
            while time.monotonic() < end:
                number = (number * 7919 + 1) % 211
                found = table.find(table.of(("n", number)))
                assert found in (("n", number), None)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(table) == len(table._handles) <= 50
