from __future__ import annotations

import functools
import re
import sys
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given as over
from hypothesis import strategies as st

from memscope.leak_report import Site
from memscope.web.routes import OTHERS, Ring, Routes, endpoint_of, template


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "/"),
        ("", "/"),
        ("/users", "/users"),
        ("/users/17", "/users/{}"),
        ("/users/17/posts/4/", "/users/{}/posts/{}/"),
        ("/v1/items", "/v1/items"),
        ("/a/6f9619ff-8b86-d011-b42d-00c04fc964ff", "/a/{}"),
        ("/a/deadbeefdeadbeef", "/a/{}"),
        ("/a/" + "x" * 40, "/a/{}"),
        ("/invoice/2024-0001.pdf", "/invoice/{}"),
        ("/mail/me@example.org", "/mail/{}"),
        ("/1/2/3/4/5/6/7/8/9/10", "/{}/{}/{}/{}/{}/{}/{}/..."),
    ],
)
def test_template(path: str, name: str) -> None:
    assert template(path) == name


@over(st.text())
def test_a_template_is_bounded(path: str) -> None:
    assert len(template("/" + path)) <= 9 * 41


@over(st.lists(st.integers(-(2**60), 2**60)), st.integers(1, 20))
def test_a_ring_is_the_end_of_the_list(values: list[int], size: int) -> None:
    ring = Ring(size)
    for value in values:
        ring.append(value)
    assert list(ring) == values[-size:]
    assert ring.count == min(len(values), size)


def test_routes_beyond_the_bound_are_one() -> None:
    routes = Routes(3, 20)
    for number in range(50_000):
        routes.seen("GET", f"/{number}")
    assert {route.name for route in routes} == {"GET /0", "GET /1", "GET /2", OTHERS}
    assert routes.dropped == 49_997
    others = routes.get(OTHERS)
    assert others is not None
    assert others.requests == 49_997


def test_methods_are_bounded() -> None:
    routes = Routes(100, 20)
    for number in range(1000):
        routes.seen(f"X{number}", "/")
    routes.seen("PUT", "/")
    assert {route.name for route in routes} == {"OTHER /", "PUT /"}


def test_a_long_name_is_cut_and_is_one_route() -> None:
    routes = Routes(100, 20)
    for _ in range(3):
        assert routes.seen("GET", "/" + "a" * 5000).requests
    (route,) = routes
    assert (len(route.name), route.requests) == (200, 3)


def view(request: object) -> None:
    def inside() -> None: ...


class View:
    def get(self) -> None: ...

    def __call__(self) -> None: ...

    @classmethod
    def as_view(cls) -> Any:
        def view() -> None: ...

        view.view_class = cls  # type: ignore[attr-defined]
        return view


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: object) -> object:
        return function(*args)

    return wrapper


@pytest.mark.parametrize(
    "given",
    [view, decorated(view), decorated(decorated(view)), functools.partial(view, 1)],
)
def test_endpoint_of_a_function(given: Any) -> None:
    endpoint = endpoint_of(given)
    assert endpoint is not None
    assert endpoint[:3] == (__file__, view.__code__.co_firstlineno, "view")
    assert endpoint.covers(Site(__file__, 1, "view"))
    assert endpoint.covers(Site(__file__, 1, "view.<locals>.inside"))
    assert not endpoint.covers(Site(__file__, 1, "viewer"))
    assert not endpoint.covers(Site("other.py", 1, "view"))


@pytest.mark.parametrize("given", [View, View.as_view()])
def test_endpoint_of_a_class(given: Any) -> None:
    endpoint = endpoint_of(given)
    assert endpoint is not None
    assert endpoint.covers(Site(__file__, 1, "View.get"))
    assert not endpoint.covers(Site(__file__, 1, "Viewer.get"))


def test_endpoint_of_methods_and_objects() -> None:
    for thing, name in ((View().get, "View.get"), (View(), "View.__call__")):
        endpoint = endpoint_of(thing)
        assert endpoint is not None
        assert endpoint.qualname == name


def test_no_endpoint() -> None:
    ring = decorated(view)
    ring.__wrapped__ = ring
    for thing in (len, 3, None, object(), type("Empty", (), {}), ring):
        assert endpoint_of(thing) is None


def test_a_view_runs_no_code_to_be_found() -> None:
    class Hostile:
        def __getattribute__(self, name: str) -> Any:
            sys.exit(f"ran for {name}")

        def __call__(self) -> None: ...

    endpoint = endpoint_of(Hostile())
    assert endpoint is not None
    assert endpoint.qualname.endswith("Hostile.__call__")

    class Untrue:
        def __bool__(self) -> bool:
            sys.exit("ran to be true")

        def __call__(self) -> None: ...

    def decorated() -> None: ...

    decorated.__wrapped__ = Untrue()  # type: ignore[attr-defined]
    endpoint = endpoint_of(decorated)
    assert endpoint is not None
    assert endpoint.qualname.endswith("Untrue.__call__")


def test_an_attribute_that_happens_to_be_called_cls_is_no_view() -> None:
    def view() -> None: ...

    view.cls = "wide"  # type: ignore[attr-defined]
    endpoint = endpoint_of(view)
    assert endpoint is not None
    assert endpoint.qualname.endswith("view")


def test_covering_is_by_the_newest_frame_that_a_route_has() -> None:
    routes = Routes(10, 20)
    for name, code in (("/outer", "outer"), ("/inner", "inner")):
        namespace: dict[str, Any] = {}
        exec(compile(f"def {code}(): ...", "app.py", "exec"), namespace)
        routes.seen("GET", name).endpoint = endpoint_of(namespace[code])
    traceback = (Site("lib.py", 1, "make"), Site("app.py", 1, "inner"), Site("app.py", 1, "outer"))
    assert [route.name for route in routes.covering(traceback)] == ["GET /inner"]
    assert routes.covering(traceback[:1]) == ()


def slow_template(path: str) -> str:
    """Segment by segment."""
    identifier = re.compile(r"\d+|[0-9a-fA-F-]{16,}|[^/]{40,}|[^/]*\d{3,}[^/]*|[^/]*[%@=][^/]*")
    segments = path[:2000].split("/")
    named = ["{}" if identifier.fullmatch(segment) else segment for segment in segments]
    if len(named) > 8:
        named = [*named[:8], "..."]
    return "/".join(named) or "/"


@over(st.text("ab-/_.~1%@=é\n", max_size=60))
@example("/" + "a" * 15)
@example("/" + "a" * 16)
@example("/a" * 7)
@example("/a" * 8)
@example("/" + "x" * 40)
@example("/1" * 5000)
@example("\n")
def test_a_template_is_made_segment_by_segment(path: str) -> None:
    assert template(path) == slow_template(path)
