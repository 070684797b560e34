"""Each page's data: plain, true, and without what a visitor must not see."""

from __future__ import annotations

import gc
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memscope import _memscope
from memscope.web import views
from memscope.web.asked import Asked, Unknown
from memscope.web.handles import Handles


def load_demo() -> Any:
    spec = importlib.util.spec_from_file_location(
        "demo_app", Path(__file__).with_name("demo_app.py")
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo_app"] = module  # so that what it holds is held by a module
    spec.loader.exec_module(module)
    return module


class Site:
    """A service, and its pages without HTTP."""

    def __init__(self) -> None:
        gc.collect()  # what other tests left is no garbage of the routes
        self.demo = load_demo()
        self.service = self.demo.Service(token="a-token-of-the-tests")
        self.engine = self.service.engine
        self.handles = Handles()

    def get(self, page: str, argument: str = "", **query: str) -> dict[str, Any]:
        data = views.PAGES[page](self.engine, Asked(query, self.handles, argument))
        # What does not survive JSON is no plain data.
        assert json.loads(json.dumps(data, allow_nan=False)) is not None
        assert data["schema"] == 1
        assert data["worker"]["pid"] == self.engine.pid
        return data

    def post(self, action: str, **form: str) -> str:
        return views.ACTIONS[action].run(self.engine, Asked({}, self.handles), form)

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.service.work()
            self.engine.timeline.tick(at_once=True)

    def route(self, part: str) -> dict[str, Any]:
        return next(row for row in self.get("routes")["routes"] if part in row["name"])

    def type(self, name: str) -> dict[str, Any]:
        return next(row for row in self.get("types", q=name)["types"] if row["name"].endswith(name))


@pytest.fixture
def site() -> Iterator[Site]:
    yield Site()
    _memscope.stop()
    del sys.modules["demo_app"]


def test_the_overview(site: Site) -> None:
    empty = site.get("overview")
    assert empty["recent"] == [] and empty["growing_routes"] == []
    site.tick(60)
    data = site.get("")
    assert data["page"] == "overview"
    assert data["memory"]["rss"] > 1 << 20
    assert data["memory"]["traced"] > 0 and data["is_tracing"]
    assert len(data["timeline"]) >= 60
    assert data["timeline"][-1]["objects"] == data["objects"] > 1000
    assert [len(data["gc"][name]) for name in ("counts", "thresholds", "generations")] == [3, 3, 3]
    assert data["requests"]["begun"] == site.service.number
    assert data["requests"]["in_flight"] == 0
    growing = {route["name"] for route in data["growing_routes"]}
    assert "GET /login/<int:user>" in growing
    assert "demo_app.Session" in {one["name"] for one in data["growing_classes"]}
    assert data["recent"] and len(data["recent"]) <= views.MOST_RECENT
    assert site.handles.find(data["recent"][0]["handle"])[0] == "route"
    assert data["cost"]["seconds"] > 0 and data["cost"]["bytes"] > 0


def test_types_what_only_goes_up_first(site: Site) -> None:
    site.tick(12)
    data = site.get("types")
    ups = [row["only_up"] for row in data["types"]]
    assert ups == sorted(ups, reverse=True)
    assert data["only_up"] == sum(ups) >= 1
    session = site.type("demo_app.Session")
    assert session["only_up"] and session["growth"] >= 11
    assert session["min"] <= session["now"] == session["max"] == session["values"][-1]
    assert session["bytes"] > 0
    assert data["points"] >= 12 and data["span_seconds"] >= 0
    assert not [row for row in data["types"] if row["name"].startswith("memscope.")]


def test_types_are_filtered(site: Site) -> None:
    site.tick(2)
    data = site.get("types", q="demo_APP.sess")
    assert [row["name"] for row in data["types"]] == ["demo_app.Session"]
    assert data["fitting"] == 1 < data["classes"]
    assert site.get("types", q="[a-z].*")["types"] == []


def test_who_holds_the_objects_of_a_class(site: Site) -> None:
    site.tick(6)
    handle = site.type("demo_app.Session")["handle"]
    before = site.get("types", handle)
    assert before["page"] == "type" and before["held"] is None
    assert len(before["times"]) == len(before["values"])
    assert site.post("types/paths", handle=handle) == f"types/{handle}"
    held = site.get("types", handle)["held"]
    assert held["count"] == 6 and held["bytes"] > 0
    assert held["age_seconds"] >= 0 and held["seconds"] > 0
    (path,) = held["paths"]
    assert path["count"] == 6
    assert path["text"].startswith("module demo_app -> SESSIONS -> [key]")
    last = path["steps"][-1]
    assert last["type_name"] == "demo_app.Session" and last["count"] == 6
    assert last["site"].startswith("tests/web/demo_app.py:")
    # It is kept: another look at the page does not walk the heap again.
    assert site.get("types", handle)["held"]["found"] == held["found"]


def test_a_class_whose_objects_are_gone(site: Site) -> None:
    site.tick(3)
    handle = site.type("demo_app.Session")["handle"]
    site.demo.SESSIONS.clear()
    site.post("types/paths", handle=handle)
    held = site.get("types", handle)["held"]
    assert held["count"] == 0 and held["paths"] == [] and "no objects" in held["note"]


def test_routes(site: Site) -> None:
    site.tick(60)
    data = site.get("routes")
    login, orders = site.route("/login"), site.route("/orders")
    assert login["requests"] == 60 and login["measured"] == 58
    assert login["verdict"] == "growing" and login["per_request"] > 500
    assert data["routes"][0]["verdict"] == "growing"
    assert login["bytes"] > orders["bytes"]
    assert len(login["kept"]) == 59 and login["kept"][0] == 0
    assert login["kept"][-1] == login["bytes"]
    assert site.route("/broken")["errors"] == 60
    assert 0 < login["mean_seconds"] <= login["longest_seconds"]
    assert [row["name"] for row in site.get("routes", q="LOGIN")["routes"]] == [login["name"]]


def test_one_route(site: Site) -> None:
    site.tick(5)
    one = site.get("routes", site.route("/login")["handle"])
    assert one["page"] == "route"
    assert len(one["retained"]) == 3
    assert one["endpoint"]["file"] == "tests/web/demo_app.py"
    assert one["endpoint"]["function"] == "login" and one["endpoint"]["line"] > 0
    assert one["leaks"] == []
    handle = one["handle"]
    assert site.post("routes/reset") == "routes"
    assert site.get("routes")["routes"] == []
    with pytest.raises(Unknown):
        site.get("routes", handle)


def test_requests_during_a_page_are_not_measured(site: Site) -> None:
    site.tick(5)
    before = site.route("/search")
    site.engine.recorder.disturb()
    site.service.ask("/search", 3)
    site.engine.recorder.calm()
    site.service.ask("/search")
    after = site.route("/search")
    assert after["shared"] == before["shared"] + 3
    assert after["requests"] == before["requests"] + 4


def test_what_is_remembered_of_requests_is_not_theirs(site: Site) -> None:
    """A route that keeps nothing is steady from the first request on."""
    site.service.ask("/search", 200)  # its cache is full then
    for _ in range(2):  # caches of the interpreter
        site.engine.recent.clear()
        site.post("routes/reset")
        site.service.ask("/orders/<int:order>", 45)
    assert len(site.engine.recent) >= 40
    orders = site.route("/orders")
    assert orders["verdict"] == "steady"
    assert orders["per_request"] < 32


def test_a_leak_report(site: Site) -> None:
    site.tick(3)
    assert site.get("leaks")["report"] is None
    handle = next(row["handle"] for row in site.get("leaks")["routes"] if "/login" in row["name"])
    assert site.post("leaks/begin", route=handle) == "leaks"
    site.tick(2)
    running = site.get("leaks")["investigation"]
    assert running["state"] == "running" and running["route"] == "GET /login/<int:user>"
    assert running["rounds_needed"] == 5 and 0 < running["requests_left"] <= 4
    site.tick(25)
    data = site.get("leaks")
    assert data["investigation"]["state"] == "done"
    report = data["report"]
    assert report["rounds"] == 5 and report["total_bytes"] > 0
    leak = next(one for one in report["leaks"] if "SESSIONS" in one["holder"])
    assert [route["name"] for route in leak["routes"]] == ["GET /login/<int:user>"]
    assert "traceback" in leak["attributed_because"]
    assert leak["site"]["file"] == "tests/web/demo_app.py"
    assert leak["path"]["steps"][0]["description"] == "module demo_app"
    assert leak["advice"] and leak["verdict"] and leak["evidence"] and leak["traceback"]
    one = site.get("routes", site.route("/login")["handle"])
    assert [leak["number"] for leak in one["leaks"]]
    assert one["leaks"][0]["attributed_because"]


def test_a_leak_report_is_ended(site: Site) -> None:
    site.tick(3)
    site.post("leaks/begin")
    site.tick(1)
    site.post("leaks/cancel")
    assert site.get("leaks")["investigation"]["state"] == "none"
    site.post("leaks/begin")
    site.tick(1)
    for _ in range(3):
        site.tick(1)
        site.post("leaks/finish")
    data = site.get("leaks")
    assert data["investigation"]["state"] == "done" and data["report"]["rounds"] >= 3


def test_allocations(site: Site) -> None:
    site.tick(5)
    data = site.get("allocations")
    places = {(one["file"], one["line"]): one for one in data["places"]}
    basket = places["tests/web/demo_app.py", 29]
    assert basket["blocks"] >= 5 * 12 and basket["bytes"] > 0
    assert data["total_bytes"] >= sum(one["bytes"] for one in data["places"])
    assert 0 < sum(one["share"] for one in data["places"]) <= 1.0001
    assert data["own_bytes"] > 0
    assert not [one for one in data["places"] if one["file"].startswith("memscope/")]
    sizes = [one["bytes"] for one in data["places"]]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("key", ["lineno", "filename", "function", "traceback", "no such key"])
def test_allocations_by(site: Site, key: str) -> None:
    site.tick(5)
    data = site.get("allocations", by=key, q="demo_app")
    assert data["by"] == (key if key != "no such key" else "lineno")
    assert data["places"]
    place = data["places"][0]
    assert (place["line"] == 0) == (key in ("filename", "function"))
    assert bool(place["name"]) == (key == "function")
    assert bool(place["callers"]) == (key == "traceback")


def test_allocations_since_a_snapshot(site: Site) -> None:
    site.tick(5)
    assert site.post("snapshots/take", label="before") == "snapshots"
    (taken,) = site.get("snapshots")["snapshots"]
    assert taken["label"] == "before" and taken["bytes"] > 0 and not taken["automatic"]
    site.service.ask("/login/<int:user>", 10)
    data = site.get("allocations", since=taken["handle"], q="demo_app.py:29")
    assert data["since_label"] == "before"
    # Twelve texts, the list and what it points to; some may come from free lists.
    assert next(one["blocks_diff"] // 10 for one in data["places"]) in (12, 13, 14)
    with pytest.raises(Unknown):
        site.get("allocations", since="guessed")


def test_allocations_are_counted_once_for_a_while(site: Site) -> None:
    site.tick(2)
    first = site.get("allocations")
    site.service.ask("/login/<int:user>", 10)
    again = site.get("allocations")
    assert again["found"] == first["found"]
    assert again["total_blocks"] == first["total_blocks"]


def test_two_snapshots_compared(site: Site) -> None:
    site.tick(3)
    site.post("snapshots/take", label="one")
    site.service.ask("/login/<int:user>", 20)
    site.post("snapshots/take")
    newer, older = site.get("snapshots")["snapshots"]
    assert newer["label"] == "Taken on the page"
    data = site.get("snapshots", "compare", older=older["handle"], newer=newer["handle"])
    assert data["page"] == "compared"
    assert data["bytes_diff"] == newer["bytes"] - older["bytes"] > 0
    place = next(one for one in data["places"] if one["line"] == 29)
    assert place["blocks_diff"] // 20 in (12, 13, 14)
    session = next(one for one in data["types"] if one["name"] == "demo_app.Session")
    assert session["objects_diff"] == 20
    # Whichever way round they are given.
    turned = site.get("snapshots", "compare", older=newer["handle"], newer=older["handle"])
    assert turned["bytes_diff"] == data["bytes_diff"]
    site.post("snapshots/forget", handle=older["handle"])
    assert len(site.get("snapshots")["snapshots"]) == 1
    with pytest.raises(Unknown):
        site.get("snapshots", "compare", older=older["handle"], newer=newer["handle"])


def test_pages_without_tracing(site: Site) -> None:
    site.tick(3)
    _memscope.stop()
    try:
        assert site.get("allocations")["places"] == []
        assert not site.get("snapshots")["is_tracing"]
        assert not site.get("overview")["is_tracing"]
        site.post("snapshots/take")
        assert site.get("snapshots")["snapshots"] == []
    finally:
        _memscope.start()


def test_collecting(site: Site) -> None:
    points = len(site.engine.timeline.points())
    assert site.post("gc/collect") == ""
    assert len(site.engine.timeline.points()) == points + 1


@pytest.mark.parametrize("page", sorted(views.PAGES))
def test_what_is_not_there(site: Site, page: str) -> None:
    with pytest.raises(Unknown) as caught:
        site.get(page, "nothing-of-the-kind")
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("action", ["types/paths", "snapshots/forget", "leaks/begin"])
def test_actions_on_what_is_not_there(site: Site, action: str) -> None:
    with pytest.raises(Unknown):
        site.post(action, handle="guessed", route="guessed")


def test_what_is_heavy() -> None:
    heavy = {name for name, action in views.ACTIONS.items() if action.heavy}
    assert heavy == {"types/paths", "gc/collect", "leaks/finish"}
    assert set(views.ACTIONS) == heavy | {
        "snapshots/take", "snapshots/forget", "leaks/begin", "leaks/cancel", "routes/reset",
    }  # fmt: skip


def everything(site: Site) -> Iterator[dict[str, Any]]:
    """The data of every page, with something on it."""
    site.tick(60)
    site.post("snapshots/take", label="one")
    site.post("leaks/begin")
    site.tick(20)
    site.post("snapshots/take", label="two")
    for page in views.PAGES:
        yield site.get(page)
    handle = site.type("demo_app.Session")["handle"]
    site.post("types/paths", handle=handle)
    yield site.get("types", handle)
    yield site.get("routes", site.route("/login")["handle"])
    newer, older = site.get("snapshots")["snapshots"]
    yield site.get("snapshots", "compare", older=older["handle"], newer=newer["handle"])
    yield site.get("allocations", since=older["handle"], by="traceback")


def names_in(value: Any) -> set[str]:
    """Of all fields, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(names_in, value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*map(names_in, value))
    return set()


def test_nothing_is_shown_that_must_not_be(site: Site) -> None:
    pages = 0
    for data in everything(site):
        pages += 1
        text = json.dumps(data)
        # Keys and values of the program's dicts and objects.
        assert "token-" not in text, data["page"]
        assert "item 3 of" not in text
        # Source text.
        assert "SESSIONS[key]" not in text and "class Session" not in text

        assert not {"address", "node", "source", "repr"} & names_in(data), data["page"]
    assert pages == len(views.PAGES) + 4


def test_looking_changes_nothing(site: Site) -> None:
    """No page keeps what it looked at, nor goes on growing by being looked at."""
    site.tick(4)

    def traced_after(times: int) -> int:
        for _ in range(times):
            for page in views.PAGES:
                site.get(page)
        gc.collect()
        return _memscope.get_traced_memory()[0]

    before = traced_after(20)
    assert traced_after(40) - before < 4000
