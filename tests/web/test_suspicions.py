"""A route that grows, and one that seems to."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from memscope.web.births import PATIENCE
from memscope.web.engine import Engine
from memscope.web.routes import Route

pytestmark = pytest.mark.usefixtures("traced")

KEPT: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # How long a look takes, and so when the next may be, is the machine's.
    monkeypatch.setattr("memscope.web.suspicions.APART", 0)
    yield
    KEPT.clear()


class LateServer:
    """Takes requests one after the other, and lets go of what it holds of one when the next has
    begun: as one with a thread for each does."""

    def __init__(self, **options: Any) -> None:
        engine = Engine.of({"enabled": True, "warmup": 0, **options}, server="test")
        assert engine is not None
        self.engine = engine
        self.last: Any = None

    def ask(self, path: str, holds: int, keeps: int = 0) -> None:
        visit = self.engine.begin(path, "", None)
        self.last = bytearray(holds)
        if keeps:
            KEPT.append(bytearray(keeps))
        self.engine.finish(visit, "GET", path, path, 200)

    def route(self, path: str) -> Route:
        route = self.engine.routes.get(f"GET {path}")
        assert route is not None
        return route

    def verdicts(self) -> dict[str, str]:
        return {route.name: route.trend().verdict for route in self.engine.routes}


def test_a_neighbour_of_a_leak_does_not_grow() -> None:
    server = LateServer()
    for _ in range(100):
        server.ask("/leaks", holds=1000, keeps=3000)
        server.ask("/after", holds=2000)
        server.ask("/more", holds=3000)
        assert server.route("/leaks").suspicion().verdict in ("too few", "growing")
        assert server.verdicts().get("GET /after") != "growing"
        assert server.verdicts().get("GET /more") != "growing"
    # The figures of the one are 2000 too low, those of the others 1000 too high.
    assert 500 < server.route("/leaks").bytes / 100 < 1500
    assert server.route("/leaks").trend().verdict == "growing"


def test_one_that_leaks_for_itself_grows_soon() -> None:
    server = LateServer()
    asked = 0
    while server.verdicts().get("GET /leaks") != "growing" and asked < 100:
        server.ask("/leaks", holds=1000, keeps=3000)
        server.ask("/other", holds=2000)
        asked += 1
    assert asked < 30
    assert not server.engine.is_off


def test_all_that_leak_grow() -> None:
    server = LateServer()
    for _ in range(60):
        for leaking in range(4):
            server.ask("/" + "abcd"[leaking], holds=1000, keeps=500 + 100 * leaking)
    assert list(server.verdicts().values()) == ["growing"] * 4
    assert not server.engine.recorder.marks_epochs


def test_a_rare_route_grows_too() -> None:
    """One whose requests are further apart than epochs are told apart."""
    server = LateServer()
    for number in range(2400):
        if number % 60 == 0:
            server.ask("/rare", holds=100, keeps=4000)
        else:
            server.ask("/often", holds=100)
    assert server.verdicts() == {"GET /rare": "growing", "GET /often": "steady"}


def test_looks_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memscope.web.suspicions.APART", 1e9)
    server = LateServer()
    for path in ("/first", "/second"):
        for _ in range(60):
            server.ask(path, holds=100, keeps=4000)
    assert server.verdicts() == {"GET /first": "growing", "GET /second": "too few"}


def test_a_route_that_is_asked_for_no_more() -> None:
    server = LateServer()
    while not server.engine.recorder.marks_epochs:
        server.ask("/leaks", holds=100, keeps=4000)
    server.engine.recorder.forget_last()
    asked = 0
    while server.engine.recorder.marks_epochs:
        server.ask("/often", holds=100)
        asked += 1
        assert asked < PATIENCE
    assert server.verdicts()["GET /leaks"] == "too few"
    for _ in range(20):
        server.ask("/leaks", holds=100, keeps=4000)
    assert server.route("/leaks").trend().verdict == "growing"


def test_routes_that_are_forgotten_are_under_suspicion_no_more() -> None:
    server = LateServer()
    while not server.engine.recorder.marks_epochs:
        server.ask("/leaks", holds=100, keeps=4000)
    server.engine.recorder.reset()
    for _ in range(3):
        server.ask("/often", holds=100)
    assert not server.engine.recorder.marks_epochs


def test_a_leak_report_has_the_epochs_for_itself() -> None:
    server = LateServer()
    while not server.engine.recorder.marks_epochs:
        server.ask("/leaks", holds=100, keeps=4000)
    assert server.engine.investigation.begin("a test", "GET /leaks")
    assert not server.engine.recorder.marks_epochs
    while server.engine.investigation.state == "running":
        server.ask("/leaks", holds=100, keeps=4000)
    assert server.engine.recorder.marks_epochs
    for _ in range(30):
        server.ask("/leaks", holds=100, keeps=4000)
    assert server.verdicts() == {"GET /leaks": "growing"}


def test_without_a_collector() -> None:
    server = LateServer()
    gc.disable()
    try:
        for _ in range(40):
            server.ask("/leaks", holds=1000, keeps=3000)
            server.ask("/after", holds=2000)
    finally:
        gc.enable()
    assert server.verdicts()["GET /leaks"] == "growing"


def test_what_is_frozen_stays_so() -> None:
    server = LateServer()
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        for _ in range(40):
            server.ask("/leaks", holds=1000, keeps=3000)
        assert gc.get_freeze_count() == count
    finally:
        gc.unfreeze()
    assert server.verdicts() == {"GET /leaks": "growing"}


@pytest.mark.parametrize(("leaks", "verdict"), [(True, "growing"), (False, "too few")])
def test_what_a_full_collection_frees_is_no_growth(leaks: bool, verdict: str) -> None:
    engine = LateServer().engine
    gc.collect()
    for _ in range(40):
        visit = engine.begin("/", "", None)
        ring: list[Any] = [bytearray(20_000)]
        ring.append(ring)
        if leaks:
            KEPT.append(ring)
        engine.finish(visit, method="GET", path="/", route="/", status=200)
        gc.collect(1)  # it is old now, and there is still a variable that has it
        del ring
    engine.recorder.settle()
    route = engine.routes.get("GET /")
    assert route is not None
    assert route.is_confirmed is leaks
    assert route.trend().verdict == verdict


def test_garbage_that_nobody_collects_is_growth() -> None:
    engine = LateServer().engine
    gc.disable()
    try:
        for _ in range(40):
            visit = engine.begin("/", "", None)
            ring: list[Any] = [bytearray(20_000)]
            ring.append(ring)
            engine.finish(visit, method="GET", path="/", route="/", status=200)
        engine.recorder.settle()
        route = engine.routes.get("GET /")
        assert route is not None
        assert route.trend().verdict == "growing"
    finally:
        gc.enable()
