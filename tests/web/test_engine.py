from __future__ import annotations

import logging
import os
import re
import sys
import threading
from typing import Any

import pytest

from memscope.web.engine import Engine
from memscope.web.http import Call
from memscope.web.recorder import Visit
from memscope.web.settings import SettingsError

pytestmark = pytest.mark.usefixtures("traced")

KEPT: list[Any] = []


def engine_of(**options: Any) -> Engine:
    engine = Engine.of({"enabled": True, **options}, server="test")
    assert engine is not None
    return engine


def request(engine: Engine, path: str = "/", size: int = 0, **about: Any) -> Visit | float | None:
    visit = engine.begin(path, "", about.get("source"))
    if size:
        KEPT.append(bytearray(size))
    known = {"method": "GET", "path": path, "route": None, "status": 200, **about}
    if visit is not None:
        engine.finish(visit, **known)
    return visit


def test_not_enabled_is_no_engine() -> None:
    assert Engine.of({}, server="test") is None
    assert Engine.of({"enabled": False}, server="test", debug=True) is None
    assert Engine.of({}, server="test", debug=True) is not None


def test_a_wrong_option_is_told() -> None:
    with pytest.raises(SettingsError, match=r"evry is no option of memscope; did you mean every\?"):
        Engine.of({"evry": 3}, server="test")


def test_names_of_routes() -> None:
    engine = engine_of()
    request(engine, "/users/17")
    request(engine, "/users/18", route="/users/<int:id>")
    request(engine, "/nowhere", status=404)
    request(engine, "/nowhere/2", status=404, route="")
    request(engine, "/x", method="HEAD", route="/x")
    names = {route.name: route.requests for route in engine.routes}
    assert names == {
        "GET /users/{}": 1, "GET /users/<int:id>": 1, "GET (no route)": 2, "HEAD /x": 1
    }  # fmt: skip


def test_group_by() -> None:
    engine = engine_of(group_by=lambda source: source["tenant"])
    request(engine, "/a", source={"tenant": "acme"})
    assert [route.name for route in engine.routes] == ["GET acme"]


def test_excluded_paths_are_let_through() -> None:
    engine = engine_of(exclude_paths=["^/static/", "(?i)/ADMIN", r"^/(a|b)\1$"])
    for path in ("/static/x.css", "/admin/", "/aa"):
        assert engine.begin(path, "", None) is None
    for path in ("/my/static/x", "/ab", "/"):
        assert engine.begin(path, "", None) is not None


def test_sampler_wins() -> None:
    engine = engine_of(sampler=lambda source: source == "yes", every=1)
    for answer in ("yes", "no"):
        visit = engine.begin("/", "", answer)
        assert visit is not None
        assert visit.sampled is (answer == "yes")


def test_errors_are_counted() -> None:
    engine = engine_of()
    for status in (200, 404, 500, 503, None):
        request(engine, route="/", status=status)
    (route,) = engine.routes
    assert (route.requests, route.errors) == (5, 3)


@pytest.mark.parametrize(
    "patterns",
    [
        [],
        ["^/a", "^/b$"],
        ["/b$", "^/a|x", "^(?:/c|/d)$"],
        ["(a)(b)", "(?i)^/AB", "^/a", "b"],
    ],
)
def test_paths_are_excluded_as_each_pattern_says(patterns: list[str]) -> None:
    engine = engine_of(every=1000, exclude_paths=patterns, dashboard=True, token="x" * 32)
    engine.passing.count()
    mount = engine.settings.mount
    own = [mount, f"{mount}/", f"{mount}/types", f"/x{mount}", f"{mount}s"]
    for path in ["/", "/a", "/b", "/b/", "/xb", "/ax", "/c", "/cd", "/d", "/ab", "/AB", "/x", *own]:
        excluded = any(re.search(pattern, path) for pattern in patterns)
        excluded = excluded or path in own[:3]
        assert (engine.passing.begin(path) is None) == excluded, path
        assert (engine.begin(path, "", None) is None) == excluded, path
        assert (engine.passing.begin(path) is None) == excluded, path


def test_our_own_failure_is_logged_once_and_ends_us(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of()
    monkeypatch.setattr(engine.recorder, "begin", lambda sampled: 1 / 0)
    for _ in range(3):
        assert request(engine) is None
    errors = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert [one.getMessage() for one in errors] == [
        "memscope failed at the beginning of a request and is off until the process restarts"
    ]
    assert engine.is_off


def test_requests_that_are_not_measured_are_counted() -> None:
    engine = engine_of(every=1000, exclude_paths=["^/none"])
    request(engine)  # the first is measured
    engine.recorder.settle()
    passing = engine.begin("/", "", None)
    assert isinstance(passing, float)
    assert engine.recorder.in_flight == 1
    engine.finish(passing, "GET", "/", "/named", 500, view=engine_of)
    assert request(engine, "/none") is None
    route = engine.routes.get("GET /named")
    assert route is not None
    assert (route.requests, route.errors, route.measured) == (1, 1, 0)
    assert 0 < route.seconds == route.longest < 10
    assert route.endpoint is not None
    assert route.endpoint.qualname == "engine_of"
    dropped = engine.begin("/", "", None)
    assert dropped is not None
    engine.drop(dropped)
    assert engine.recorder.in_flight == 0


def test_a_request_is_not_measured_while_another_passes_by() -> None:
    turns = iter([False, True, False, True])
    engine = engine_of(sampler=lambda source: next(turns), warmup=0)
    passing = engine.begin("/", "", None)
    assert isinstance(passing, float)
    request(engine, route="/beside", size=100_000)
    engine.finish(passing, "GET", "/", "/", 200)
    request(engine, route="/", size=100_000)
    request(engine, route="/alone", size=100_000)
    engine.recorder.settle()
    beside, alone = engine.routes.get("GET /beside"), engine.routes.get("GET /alone")
    assert beside is not None
    assert alone is not None
    assert (beside.measured, beside.shared, beside.bytes) == (0, 1, 0)
    assert (alone.measured, alone.shared) == (1, 0)
    assert 100_000 < alone.bytes < 105_000


def test_every_request_of_many_threads_is_counted() -> None:
    engine = engine_of(every=7)
    switching = sys.getswitchinterval()

    def ask(number: int) -> None:
        for _ in range(500):
            request(engine, route=f"/{number % 3}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    assert not engine.is_off
    assert (engine.recorder.in_flight, engine.recorder.begun) == (0, 4000)
    assert sum(route.requests for route in engine.routes) == 4000


def test_log_threshold(caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_of(log_threshold="50 kB")
    for size in (0, 100_000, 0):
        request(engine, route="/upload", size=size)
    engine.recorder.settle()
    texts = [one.getMessage() for one in caplog.records if one.name == "memscope.requests"]
    assert len(texts) == 1
    assert texts[0].startswith("GET /upload retains 9")


def test_on_report(caplog: pytest.LogCaptureFixture) -> None:
    told: list[dict[str, Any]] = []
    engine = engine_of(on_report=told.append)
    request(engine, route="/", size=100_000)
    engine.recorder.settle()
    (record,) = told
    assert (record["kind"], record["route"], record["requests"]) == ("request", "GET /", 1)
    assert record["retained"] > 90_000

    def fails(data: dict[str, Any]) -> None:
        raise RuntimeError

    engine = engine_of(on_report=fails)
    for _ in range(3):
        request(engine)
    engine.recorder.settle()
    assert not engine.is_off
    assert len([one for one in caplog.records if "on_report failed" in one.getMessage()]) == 1


def test_headers_are_numbers_and_off_by_default() -> None:
    visit = engine_of().begin("/", "", None)
    assert engine_of().response_headers(visit) == []
    engine = engine_of(header=True)
    visit = engine.begin("/", "", None)
    KEPT.append(bytearray(100_000))
    headers = dict(engine.response_headers(visit))
    assert headers.keys() == {"Server-Timing", "X-Memscope-Retained"}
    assert 90_000 < int(headers["X-Memscope-Retained"]) < 120_000
    assert headers["Server-Timing"].startswith('memscope;desc="+9')
    other = engine.begin("/", "", None)
    assert engine.response_headers(visit) == engine.response_headers(other) == []


def test_without_pages_no_path_is_ours() -> None:
    assert not engine_of().serves("/_memscope/")


def test_our_paths() -> None:
    engine = engine_of(dashboard=True, token="t" * 20, url_prefix="/debug/mem")
    for path in ("/debug/mem", "/debug/mem/", "/debug/mem/types"):
        assert engine.serves(path)
        assert engine.begin(path, "", None) is None
    for path in ("/debug/memory", "/x/debug/mem", "/"):
        assert not engine.serves(path)


def test_a_trigger_needs_access(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"dashboard": True, "token": "t" * 20, "trigger_param": "memscope"}
    engine = engine_of(**options, every=10**9)
    assert engine.dashboard is not None
    request(engine)
    allowed = False
    monkeypatch.setattr(engine.dashboard, "access", type("A", (), {"allows": lambda *_: allowed})())
    call = Call("GET", "")
    for query, sampled in (("memscope=1", False), ("a=memscope", False), ("", False)):
        visit = engine.begin("/", query, None, lambda: call)
        assert visit is not None
        assert visit.sampled is sampled
    allowed = True
    for query, sampled in (("memscope=1", True), ("memscope", True), ("a=memscope", False)):
        visit = engine.begin("/", query, None, lambda: call)
        assert visit is not None
        assert (visit.sampled, visit.keeps_snapshot) == (sampled, sampled)


def test_a_slow_request_keeps_a_snapshot() -> None:
    engine = engine_of(slow_threshold=0.0)
    assert engine.shelf is not None
    for _ in range(3):
        request(engine, route="/slow")
    (taken,) = engine.shelf  # the others came too soon after it
    assert taken.label.startswith("GET /slow, which took 0.0")
    assert taken.is_automatic
    assert engine_of().shelf is None


def test_a_triggered_request_keeps_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(dashboard=True, token="t" * 20, trigger_param="memscope")
    assert engine.dashboard is not None
    assert engine.shelf is not None
    monkeypatch.setattr(engine.dashboard, "access", type("A", (), {"allows": lambda *_: True})())
    visit = engine.begin("/", "memscope=1", None, lambda: Call("GET", ""))
    engine.finish(visit, method="GET", path="/", route="/", status=200)
    assert [taken.label for taken in engine.shelf] == ["asked for with GET /"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_in_a_child_of_fork_it_works() -> None:
    engine = engine_of(dashboard=True, token="t" * 20)
    visit = engine.begin("/", "", None)
    child = os.fork()
    if not child:
        failed = 1
        try:
            for _ in range(5):
                request(engine, route="/child")
            engine.recorder.settle()
            route = engine.routes.get("GET /child")
            good = route is not None and route.measured == 3 and engine.pid == os.getpid()
            failed = not (good and engine.recorder.in_flight == 0 and not engine.is_off)
        finally:
            os._exit(failed)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    engine.finish(visit, method="GET", path="/", route="/", status=200)
    assert engine.routes.get("GET /child") is None


def test_what_a_leak_report_takes_is_no_requests() -> None:
    engine = Engine.of({"enabled": True, "warmup": 0}, server="WSGI")
    assert engine is not None
    for number in range(60):
        if number == 20:
            assert engine.investigation.begin("a test", "GET /plain")
        one = engine.begin("/plain", "", None)
        engine.finish(one, method="GET", path="/plain", route="/plain", status=200)
    assert engine.investigation.state == "done"
    [route] = engine.routes
    assert route.requests == 60
    assert route.measured == 60 - 1 - 6, "not the last one, nor those before the six walks"
    assert max(abs(size) for size in list(route.retained)[5:]) < 2000
