"""What takes long is found once, and again when that is due."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from memscope.web import kept as module
from memscope.web.kept import Kept


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    at = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: at[0])

    def move(seconds: float) -> None:
        at[0] += seconds

    return move


def test_found_again_when_due(clock: Callable[[float], None]) -> None:
    kept, numbers = Kept(), count()
    assert kept.last("a") is None
    assert kept.of("a", lambda: next(numbers)).value == 0
    clock(1.9)
    assert kept.of("a", lambda: next(numbers)).value == 0
    clock(0.2)
    assert kept.of("a", lambda: next(numbers)).value == 1
    assert kept.renew("a", lambda: next(numbers)).value == 2
    last = kept.last("a")
    assert last is not None and last.value == 2


def test_what_took_long_stays_long(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = count(0, 2)
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(steps)))
    kept, numbers = Kept(), count()
    assert kept.of("a", lambda: next(numbers)).seconds == 2
    clock(99)
    assert kept.of("a", lambda: next(numbers)).value == 0
    clock(2)
    assert kept.of("a", lambda: next(numbers)).value == 1


def test_only_the_last_results_are_kept() -> None:
    kept = Kept(most=2)
    for name in "abc":
        kept.of(name, dict)
    assert kept.last("a") is None
    assert kept.last("b") is not None and kept.last("c") is not None


def test_a_child_knows_nothing() -> None:
    kept = Kept()
    kept.of("a", lambda: 1)
    kept._lock.acquire()
    kept.forked()
    assert kept.last("a") is None


def test_a_failure_is_not_kept() -> None:
    kept = Kept()
    with pytest.raises(ZeroDivisionError):
        kept.of("a", lambda: 1 // 0)
    assert kept.last("a") is None
