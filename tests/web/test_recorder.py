from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from memscope import _memscope
from memscope.web.recorder import Record, Recorder, Visit
from memscope.web.routes import Route, Routes

KEPT: list[Any] = []
SIZE = 100_000
SLACK = 8000
"""Bytes that the recorder's own tables may add to a request of a test."""


@pytest.fixture(autouse=True)
def nothing_kept() -> Any:
    KEPT.clear()
    yield
    KEPT.clear()


def keep() -> None:
    KEPT.append(bytearray(SIZE))


def churn() -> None:
    [bytearray(SIZE) for _ in range(5)]


def cycle() -> None:
    ring: list[Any] = [bytearray(SIZE)]
    ring.append(ring)


def visit(recorder: Recorder, name: str, work: Callable[[], None], sampled: bool = True) -> None:
    one = recorder.begin(sampled)
    work()
    over(recorder, one, name)


def begun(recorder: Recorder) -> Visit:
    one = recorder.begin(True)
    assert isinstance(one, Visit)
    return one


def over(recorder: Recorder, one: Visit | float, name: str = "/") -> None:
    if isinstance(one, float):
        recorder.passing.drop()
    else:
        recorder.finish(one, "GET", name)


def made(**options: Any) -> tuple[Recorder, list[Record]]:
    records: list[Record] = []
    return Recorder(Routes(10, 50), on_record=records.append, **options), records


def route_of(recorder: Recorder, name: str) -> Route:
    route = recorder.routes.get(f"GET {name}")
    assert route is not None
    return route


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(("work", "bytes_each"), [(keep, SIZE), (churn, 0), (cycle, 0)])
def test_what_a_request_retains(work: Callable[[], None], bytes_each: int) -> None:
    recorder, records = made(warmup=2)
    for _ in range(12):
        visit(recorder, "/", work)
    recorder.settle()
    route = route_of(recorder, "/")
    assert (route.requests, route.measured, route.shared) == (12, 10, 0)
    assert abs(route.bytes - 10 * bytes_each) < SLACK
    assert list(route.retained)[-1] == pytest.approx(bytes_each, abs=SLACK)
    assert [record.requests for record in records] == [1] * 12


@pytest.mark.usefixtures("traced")
def test_what_the_server_lets_go_of_after_the_request_is_not_retained() -> None:
    recorder, _ = made()
    held = []
    for _ in range(10):
        one = begun(recorder)
        held.append(bytearray(SIZE))
        recorder.finish(one, "GET", "/")
        held.clear()
    recorder.settle()
    assert abs(route_of(recorder, "/").bytes) < SLACK


@pytest.mark.usefixtures("traced")
def test_what_grows_while_nothing_is_in_flight_for_long_is_no_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memscope.web.recorder.NEAR", -1.0)
    recorder, _ = made()
    for _ in range(10):
        visit(recorder, "/", churn)
        keep()
    recorder.settle()
    assert abs(route_of(recorder, "/").bytes) < SLACK


@pytest.mark.usefixtures("traced")
def test_requests_of_one_route_at_once_share_evenly() -> None:
    recorder, records = made()
    for _ in range(5):
        first, second = begun(recorder), begun(recorder)
        keep()
        recorder.finish(first, "GET", "/")
        keep()
        recorder.finish(second, "GET", "/")
    recorder.settle()
    route = route_of(recorder, "/")
    assert (route.measured, route.shared) == (10, 0)
    assert route.bytes == pytest.approx(10 * SIZE, abs=SLACK)
    assert all(abs(each - SIZE) < SLACK for each in route.retained)
    assert [record.requests for record in records] == [2] * 5


@pytest.mark.usefixtures("traced")
def test_requests_of_several_routes_at_once_cannot_be_told_apart() -> None:
    recorder, records = made()
    for _ in range(5):
        first, second = begun(recorder), begun(recorder)
        keep()
        recorder.finish(first, "GET", "/a")
        recorder.finish(second, "GET", "/b")
    recorder.settle()
    for name in ("/a", "/b"):
        route = route_of(recorder, name)
        assert (route.measured, route.shared, route.bytes) == (0, 5, 0)
    assert recorder.mixed_requests == 10
    assert recorder.mixed_bytes == pytest.approx(5 * SIZE, abs=SLACK)
    assert {record.retained for record in records} == {None}


@pytest.mark.usefixtures("traced")
def test_a_request_that_is_not_measured_is_counted_and_spoils_the_span() -> None:
    recorder, records = made()
    visit(recorder, "/", keep, sampled=False)
    plain = recorder.begin(False)
    assert isinstance(plain, float)
    assert recorder.in_flight == 1
    visit(recorder, "/", keep, sampled=True)
    recorder.passing.drop()
    recorder.settle()
    assert (recorder.begun, recorder.in_flight) == (3, 0)
    route = route_of(recorder, "/")
    assert (route.requests, route.measured, route.shared) == (1, 0, 1)
    assert records == []


@pytest.mark.usefixtures("traced")
def test_a_request_that_is_not_measured_and_begins_in_a_span_spoils_it_too() -> None:
    recorder, records = made()
    one = begun(recorder)
    plain = recorder.begin(False)
    assert not isinstance(plain, float)
    over(recorder, plain, "/plain")
    over(recorder, one)
    recorder.settle()
    assert (recorder.begun, recorder.in_flight) == (2, 0)
    assert (route_of(recorder, "/").shared, route_of(recorder, "/plain").shared) == (1, 1)
    assert [record.retained for record in records] == [None]


def test_one_that_passed_by_since_before_a_fork_is_not_counted_twice() -> None:
    recorder, _ = made()
    recorder.begin(False)
    recorder.forked()
    assert recorder.in_flight == 0
    recorder.passing.drop()
    assert recorder.in_flight == 0
    recorder.begin(False)
    assert recorder.in_flight == 1


def test_every() -> None:
    recorder, _ = made(every=3)
    sampled = []
    for _ in range(7):
        sampled.append(recorder.next_is_sampled())
        visit(recorder, "/", churn, sampled=False)
    assert sampled == [True, False, False, True, False, False, True]


def test_without_tracing_requests_are_counted_only() -> None:
    recorder, records = made()
    for _ in range(3):
        visit(recorder, "/", keep)
    recorder.settle()
    assert (route_of(recorder, "/").requests, records) == (3, [])


@pytest.mark.usefixtures("traced")
def test_tracing_that_stops_in_the_middle() -> None:
    recorder, records = made()
    one = begun(recorder)
    _memscope.stop()
    recorder.finish(one, "GET", "/")
    visit(recorder, "/", keep)
    assert (route_of(recorder, "/").requests, records) == (2, [])


@pytest.mark.usefixtures("traced")
def test_the_end_is_told_once() -> None:
    recorder, _ = made()
    one = begun(recorder)
    assert recorder.finish(one, "GET", "/", failed=True) is not None
    assert recorder.finish(one, "GET", "/", failed=True) is None
    assert (route_of(recorder, "/").requests, route_of(recorder, "/").errors) == (1, 1)
    assert recorder.in_flight == 0


@pytest.mark.usefixtures("traced")
def test_a_request_that_is_dropped_is_over() -> None:
    recorder, _ = made()
    dropped = begun(recorder)
    assert recorder.in_flight == 1
    del dropped
    gc.collect()
    for _ in range(5):
        visit(recorder, "/", keep)
    recorder.settle()
    assert recorder.in_flight == 0
    assert route_of(recorder, "/").measured == 5


@pytest.mark.usefixtures("traced")
def test_what_was_in_flight_at_a_fork_is_not_in_flight_in_the_child() -> None:
    recorder, _ = made()
    of_parent = begun(recorder)
    recorder.forked()
    visit(recorder, "/", keep)
    recorder.finish(of_parent, "GET", "/")
    visit(recorder, "/", keep)
    recorder.settle()
    assert (recorder.in_flight, route_of(recorder, "/").measured) == (0, 2)


@pytest.mark.usefixtures("traced")
def test_threads() -> None:
    recorder, records = made()

    def client(name: str) -> None:
        for _ in range(200):
            visit(recorder, name, churn)

    threads = [threading.Thread(target=client, args=(f"/{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.settle()
    routes = list(recorder.routes)
    assert [route.requests for route in routes] == [200] * 4
    assert recorder.in_flight == 0
    assert sum(record.requests for record in records) <= 800
    assert all(route.measured + route.shared <= 200 for route in routes)


@pytest.mark.usefixtures("traced")
def test_reset_forgets_the_routes_and_what_is_in_flight_is_not_measured() -> None:
    recorder, records = made()
    visit(recorder, "/old", keep)
    one = begun(recorder)
    recorder.reset()
    keep()
    recorder.finish(one, "GET", "/new")
    recorder.settle()
    assert [route.name for route in recorder.routes] == ["GET /new"]
    assert route_of(recorder, "/new").measured == 0
    assert len(records) == 1


@pytest.mark.usefixtures("traced")
def test_retained_so_far() -> None:
    recorder, _ = made()
    one = begun(recorder)
    keep()
    assert recorder.retained_so_far(one) == pytest.approx(SIZE, abs=SLACK)
    other = begun(recorder)
    assert recorder.retained_so_far(one) is None
    for each in (one, other):
        recorder.finish(each, "GET", "/")


class Ring:
    """Garbage of the kind that only a collection finds, and that it was made for nothing."""

    def __init__(self) -> None:
        self.itself = self
        self.data = bytearray(3000)


@pytest.mark.parametrize("is_prepared", [True, False])
def test_a_request_in_a_cycle_is_not_retained(traced: None, is_prepared: bool) -> None:
    """Although it is alive when it ends, and is made by the framework before it begins."""
    routes = Routes(10, 100)
    recorder = Recorder(routes)
    for _ in range(60):
        if is_prepared:
            recorder.prepare()
        early = Ring() if is_prepared else None
        one = begun(recorder)
        request = Ring()
        recorder.finish(one, "GET", "/")
        del request, early
    recorder.settle()
    [route] = routes
    assert all(abs(size) < 200 for size in list(route.retained)[-20:-1])


def test_garbage_of_requests_that_are_not_measured_is_nobodys(traced: None) -> None:
    routes = Routes(10, 100)
    recorder = Recorder(routes, every=5)
    for _ in range(100):
        recorder.prepare()
        one = recorder.begin(recorder.next_is_sampled())
        request = Ring()
        over(recorder, one)
        del request
    recorder.settle()
    [route] = routes
    assert route.measured == 20
    assert all(abs(size) < 500 for size in list(route.retained)[-15:])


@pytest.mark.usefixtures("traced")
def test_a_request_that_ends_in_a_collection_within_the_recorder() -> None:
    """The collector closes a response that was dropped, while this thread holds the lock."""
    recorder, _ = made()
    dropped = begun(recorder)
    with recorder._lock:
        assert recorder.finish(dropped, "GET", "/dropped") is None
    for _ in range(5):
        visit(recorder, "/", keep)
    recorder.settle()
    assert recorder.in_flight == 0
    assert route_of(recorder, "/").measured == 5


@pytest.mark.usefixtures("traced")
def test_what_one_request_leaves_to_be_freed_in_the_next_adds_up() -> None:
    """As a server does that ends a thread while the next one begins."""
    recorder, _ = made()
    of_threads: list[Any] = []
    for number in range(20):
        of_threads.append(bytearray(SIZE))  # before it begins
        one = begun(recorder)
        if len(of_threads) > 1:
            del of_threads[0]  # the thread of the one before
        recorder.finish(one, "GET", f"/{number % 2}")
    recorder.settle()
    total = sum(route_of(recorder, f"/{number}").bytes for number in range(2))
    assert abs(total) < 2 * SIZE


@pytest.mark.usefixtures("traced")
def test_what_is_done_between_requests_is_left_out() -> None:
    recorder, _ = made()
    for _ in range(5):
        visit(recorder, "/", churn)
        with recorder.left_out():
            keep()
    recorder.settle()
    assert abs(route_of(recorder, "/").bytes) < SLACK
