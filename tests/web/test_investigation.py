from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from memscope.leak_report import Leak, Site
from memscope.web.investigation import (
    ALONE,
    AS_MANY,
    IN_TRACEBACK,
    NO_REQUEST,
    REQUESTS_OF_ANY,
    ROUNDS,
    UNKNOWN,
    attribute,
)
from memscope.web.routes import Routes, endpoint_of


def leak(per_round: tuple[int, ...], traceback: tuple[Site, ...] = ()) -> Leak:
    return Leak(
        "growing-container", "", "", "Session", sum(per_round), 0, 0, per_round,
        traceback=traceback,
    )  # fmt: skip


def routes_of(*names: str) -> Routes:
    routes = Routes(10, 20)
    for name in names:
        namespace: dict[str, Any] = {}
        exec(compile(f"def {name}(): ...", "app.py", "exec"), namespace)
        routes.seen("GET", f"/{name}").endpoint = endpoint_of(namespace[name])
    return routes


def rounds(**requests: list[int]) -> list[Counter[str]]:
    columns = {f"GET /{name}": numbers for name, numbers in requests.items()}
    length = len(next(iter(columns.values())))
    return [
        Counter({name: numbers[at] for name, numbers in columns.items() if numbers[at]})
        for at in range(length)
    ]


def test_the_code_of_a_route_is_in_the_traceback() -> None:
    traceback = (Site("lib.py", 3, "make"), Site("app.py", 1, "b"))
    counts = rounds(a=[1, 1, 1], b=[1, 1, 1])
    found = attribute(leak((1, 1, 1), traceback), routes_of("a", "b"), counts)
    assert found == (("GET /b",), IN_TRACEBACK)


def test_of_two_routes_of_one_view_that_which_was_requested() -> None:
    routes = routes_of("a")
    route = routes.get("GET /a")
    assert route is not None
    routes.seen("POST", "/a").endpoint = route.endpoint
    traceback = (Site("app.py", 1, "a"),)
    assert attribute(leak((1,), traceback), routes, rounds(a=[4])).routes == ("GET /a",)
    both = attribute(leak((1,), traceback), routes, [Counter()])
    assert both.routes == ("GET /a", "POST /a")


def test_no_other_route_was_requested_while_it_grew() -> None:
    counts = rounds(a=[4, 0, 4, 0, 4], b=[0, 4, 0, 4, 0])
    found = attribute(leak((3, 0, 3, 0, 3)), routes_of("a", "b"), counts)
    assert found == (("GET /a",), ALONE)


def test_it_grew_with_the_requests_of_one_route() -> None:
    counts = rounds(a=[4, 4, 4, 4, 4], b=[1, 3, 2, 5, 1])
    for factor in (1, 3):
        born = tuple(factor * number for number in (1, 3, 2, 5, 1))
        assert attribute(leak(born), routes_of("a", "b"), counts) == (("GET /b",), AS_MANY)


def test_what_cannot_be_told_is_not_guessed() -> None:
    counts = rounds(a=[4, 4, 4], b=[4, 4, 4])
    found = attribute(leak((4, 4, 4)), routes_of("a", "b"), counts)
    assert found == (("GET /a", "GET /b"), UNKNOWN)
    counts = rounds(a=[4, 3, 4], b=[2, 5, 1])
    assert attribute(leak((9, 2, 7)), routes_of("a", "b"), counts).why == UNKNOWN


def test_nothing_was_requested() -> None:
    assert attribute(leak((1, 1)), routes_of("a"), [Counter(), Counter()]) == ((), NO_REQUEST)


PROGRAM = """
import json, sys
from memscope.web.engine import Engine

options = {"enabled": True, **json.loads(sys.argv[1])}
engine = Engine.of(options, server="test")
SESSIONS, QUEUE = {}, []

class Session: pass

def log_in(number):
    SESSIONS[f"user {number}"] = Session()  # leaks

def later(number):
    QUEUE.append(bytearray(3000))

def nothing(number):
    ring = []; ring.append(ring)

def request(view, number, background=None):
    visit = engine.begin("/" + view.__name__, "", None)
    view(number)
    if background: background(number)
    engine.finish(visit, method="GET", path="/", route="/" + view.__name__, status=200, view=view)

for number in range(int(sys.argv[2])):
    if len(sys.argv) > 3:
        engine.investigation.begin("asked for") if number == 40 else None
    request(log_in, number)
    for _ in range(number % 3):
        request(nothing, number, later)
investigation = engine.investigation
print(json.dumps({
    "state": investigation.state, "because": investigation.because, "error": investigation.error,
    "leaks": [[leak.headline, *known] for leak, known in zip(
        investigation.report.leaks if investigation.report else [], investigation.attributions)],
    "of": {route.name: [why for _, why in route.leaks] for route in engine.routes},
    "trends": {route.name: route.trend().verdict for route in engine.routes},
}))
"""


def told(run_python: Any, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    import json

    program = tmp_path / "app.py"
    program.write_text(PROGRAM)
    found: dict[str, Any] = json.loads(run_python(program, *arguments).stdout)
    return found


def test_a_route_that_grows_is_investigated_by_itself(run_python: Any, tmp_path: Path) -> None:
    found = told(run_python, tmp_path, '{"report_threshold": "20 kB"}', "120")
    assert found["error"] == ""
    assert found["state"] == "done"
    assert found["because"] in {f"{route} keeps growing" for route in found["trends"]}
    assert found["trends"]["GET /nothing"] == "growing"
    by_type = {headline.split(" ")[1].strip(","): rest for headline, *rest in found["leaks"]}
    assert by_type["Session"] == [["GET /log_in"], IN_TRACEBACK]
    assert by_type["bytearray"] == [["GET /nothing"], AS_MANY]
    assert found["of"] == {"GET /log_in": [IN_TRACEBACK], "GET /nothing": [AS_MANY]}


def test_below_the_threshold_or_without_one_nothing_is_begun(
    run_python: Any, tmp_path: Path
) -> None:
    for threshold in ('"1 GB"', "null"):
        found = told(run_python, tmp_path, f'{{"report_threshold": {threshold}}}', "60")
        assert (found["state"], found["leaks"]) == ("none", [])


def test_on_demand(run_python: Any, tmp_path: Path) -> None:
    found = told(run_python, tmp_path, '{"report_threshold": null}', "160", "asked")
    assert (found["state"], found["because"]) == ("done", "asked for")
    assert any("Session" in headline for headline, *_ in found["leaks"])


def test_one_of_many_requests_measured_is_enough(run_python: Any, tmp_path: Path) -> None:
    needed = str(40 + (ROUNDS + 2) * REQUESTS_OF_ANY)
    found = told(run_python, tmp_path, '{"report_threshold": null, "every": 1000}', needed, "asked")
    assert found["state"] == "done"
