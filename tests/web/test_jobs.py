from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from memscope.web import jobs
from memscope.web.jobs import Busy, Jobs, TooLarge


class Clock:
    """Set forward by what pretends to take long."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = time = monotonic


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(jobs, "time", clock)
    Jobs.forked()
    yield clock
    Jobs.forked()


def working(clock: Clock, seconds: float, result: Any = None) -> Any:
    def work() -> Any:
        clock.now += seconds
        return result

    return work


def test_the_result_is_given(clock: Clock) -> None:
    one = Jobs()
    assert one.last is None
    assert one.run("walk", working(clock, 2, "found")) == "found"
    assert one.last is not None
    assert (one.last.name, one.last.seconds, one.last.time) == ("walk", 2, 1002)


def test_one_at_a_time_in_the_process() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        assert may_end.wait(30)
        return "done"

    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(Jobs().run("walk", work)))
    thread.start()
    assert begun.wait(30)
    for one in (Jobs(), Jobs()):  # of another middleware
        with pytest.raises(Busy) as caught:
            one.run("walk", lambda: pytest.fail("two at a time"))
        assert caught.value.retry_after == 1
    may_end.set()
    thread.join()
    assert results == ["done"]
    assert Jobs().run("walk", lambda: "again") == "again"


def test_a_job_inside_a_job_is_refused_not_waited_for() -> None:
    one = Jobs()
    with pytest.raises(Busy):
        one.run("outer", lambda: one.run("inner", lambda: None))


def test_the_pause_is_five_times_the_cost(clock: Clock) -> None:
    one = Jobs()
    one.run("walk", working(clock, 3))
    with pytest.raises(Busy, match=r"stopped the process for 3\.0 s.*in 15 s") as caught:
        one.run("walk", lambda: pytest.fail("too early"))
    assert caught.value.retry_after == 15
    clock.now += 14.5
    with pytest.raises(Busy) as caught:
        Jobs().run("other", lambda: pytest.fail("too early"))
    assert caught.value.retry_after == 1
    clock.now += 0.5
    assert one.run("walk", lambda: "now") == "now"


def test_the_pause_has_an_end(clock: Clock) -> None:
    one = Jobs()
    one.run("walk", working(clock, 3600))
    clock.now += 300
    assert one.run("walk", lambda: "now") == "now"


def test_what_fails_costs_as_well(clock: Clock) -> None:
    def fail() -> None:
        clock.now += 2
        raise KeyError("x")

    one = Jobs()
    with pytest.raises(KeyError):
        one.run("walk", fail)
    with pytest.raises(Busy) as caught:
        one.run("walk", fail)
    assert caught.value.retry_after == 10


def test_refused_costs_nothing(clock: Clock) -> None:
    one = Jobs()
    one.run("walk", working(clock, 1))
    for _ in range(10):
        with pytest.raises(Busy):
            one.run("walk", lambda: None)
    clock.now += 5
    one.run("walk", lambda: None)


def test_a_large_heap_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: 40_000_001)
    with pytest.raises(TooLarge, match=r"has 40,000,001 blocks.*take_heap_snapshot\(\)"):
        Jobs().run("walk", lambda: pytest.fail("walked"))
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: 40_000_000)
    assert Jobs().run("walk", lambda: 1) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_what_runs_in_the_parent_does_not_block_a_child(run_python: Any) -> None:
    run_python(
        """
import os, threading
from memscope.web.jobs import Jobs
begun, may_end = threading.Event(), threading.Event()
def work():
    begun.set()
    may_end.wait(30)
thread = threading.Thread(target=lambda: Jobs().run("walk", work))
thread.start()
begun.wait(30)
child = os.fork()
if not child:
    os._exit(0 if Jobs().run("walk", lambda: "here") == "here" else 1)
status = os.waitpid(child, 0)[1]
may_end.set()
thread.join()
assert status == 0, status
"""
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_job_that_forks(run_python: Any) -> None:
    run_python(
        """
import os
from memscope.web.jobs import Jobs
child = Jobs().run("forks", os.fork)
if not child:
    os._exit(0 if Jobs._running.acquire(blocking=False) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    )
