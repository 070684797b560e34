"""The Django adapter: requests of every kind, followed to their end; settings, checks, command,
pages, panel; and real servers.

The tests in this process share one Django, which is set up once; an engine of its own is made
for each by overriding MEMSCOPE.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.web.django_project.settings")

import django
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings

from memscope import _memscope
from memscope.web.engine import Engine
from tests.conftest import ROOT, RunPython
from tests.web.driving import ENVIRONMENT, leak_report, leaking_lines, routes_of
from tests.web.servers import free_port, running, serve

django.setup()

from memscope.django import MemscopeMiddleware, checks, service  # noqa: E402
from tests.web.django_project import views  # noqa: E402

HERE = Path(__file__).resolve().parent
VIEWS = str(HERE / "django_project" / "views.py")
OURS = "memscope.django.MemscopeMiddleware"
TOOLBAR = "debug_toolbar.middleware.DebugToolbarMiddleware"

Start = Callable[..., Engine]


@pytest.fixture
def start() -> Iterator[Start]:
    """start(*middleware, debug=..., EVERY=...): the project, from new; its engine."""
    with contextlib.ExitStack() as stack:

        def begin(*middleware: str, debug: bool = True, **options: Any) -> Engine:
            stack.enter_context(
                override_settings(
                    DEBUG=debug, MIDDLEWARE=list(middleware) or [OURS], MEMSCOPE=options
                )
            )
            engine = service.engine()
            assert engine is not None
            if options == CORE:
                engine.passing.count()
            return engine

        views.KEPT.clear()
        views.EVENTS.clear()
        yield begin
        views.KEPT.clear()
    if _memscope.is_tracing():
        _memscope.stop()


PASSING = {"SAMPLER": lambda request: False}
"""Options with which no request is measured."""

CORE = {"EVERY": 4242}
"""Options with which no request is measured but the first, and that is over: so it passes by in the
core."""


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def routes(engine: Engine) -> dict[str, int]:
    """The routes that were seen, and how many requests of each."""
    return {route.name: route.requests for route in engine.routes}


# -- routes


@pytest.mark.parametrize(
    ("path", "name"),
    {
        "/": "GET /",
        "/plain/": "GET /plain/",
        "/keeps/7/": "GET /keeps/<int:number>/",
        "/old/7/": "GET /old/(?P<number>[0-9]+)/",
        "/shop/riga/": "GET /shop/<slug:town>/",
        "/shop/riga/items/7/": "GET /shop/<slug:town>/items/<int:number>/",
        "/shop/riga/shelf/top": "GET /shop/<slug:town>/shelf/<str:name>",
        "/wrapped/": "GET /wrapped/",
        "/missing/": "GET /missing/",
        "/fails/": "GET /fails/",
        "/awaits/": "GET /awaits/",
        "/no-such-page": "GET (no route)",
    }.items(),
)
@pytest.mark.parametrize("options", [{}, CORE], ids=["measured", "core"])
def test_a_route_is_the_template_of_its_url(
    start: Start, client: Client, options: dict[str, Any], path: str, name: str
) -> None:
    engine = start(**options)
    client.get(path)
    assert routes(engine) == {name: 1}
    assert engine.recorder.in_flight == 0


@pytest.mark.parametrize(
    ("path", "qualname"),
    {
        "/plain/": "plain",
        "/wrapped/": "wrapped",
        "/shop/riga/shelf/top": "Shelf",
        "/async-shelf/": "AsyncShelf",
        "/cached/": "cached",
        "/awaits/": "awaits",
    }.items(),
)
def test_the_view_behind_decorators_and_classes(
    start: Start, client: Client, path: str, qualname: str
) -> None:
    engine = start()
    client.get(path)
    [route] = engine.routes
    assert route.endpoint is not None
    assert (route.endpoint.filename, route.endpoint.qualname) == (VIEWS, qualname)


def test_methods_are_routes_of_their_own(start: Start, client: Client) -> None:
    engine = start()
    assert client.post("/shop/riga/shelf/top").status_code == 201
    client.get("/shop/riga/shelf/top")
    client.generic("BREW", "/plain/")
    assert set(routes(engine)) == {
        "POST /shop/<slug:town>/shelf/<str:name>",
        "GET /shop/<slug:town>/shelf/<str:name>",
        "OTHER /plain/",
    }


def test_a_middleware_that_answers_itself_has_no_route(start: Start, client: Client) -> None:
    """However many paths it redirects."""
    engine = start(OURS, "django.middleware.security.SecurityMiddleware")
    with override_settings(SECURE_SSL_REDIRECT=True):
        client = Client()
        for number in range(3):
            assert client.get(f"/page-{number}").status_code == 301
    assert routes(engine) == {"GET (no route)": 3}


def test_excluded_paths(start: Start, client: Client) -> None:
    engine = start()
    assert client.get("/health").content == b"<html><body>plain</body></html>"
    assert routes(engine) == {}


# -- when a request is over


def ended(engine: Engine) -> list[str]:
    """Has the end of each request noted in EVENTS; they are those that happened."""
    finish = engine.recorder.finish

    def noted(*args: Any, **kwargs: Any) -> Any:
        views.EVENTS.append("over")
        return finish(*args, **kwargs)

    engine.recorder.finish = noted  # type: ignore[method-assign]
    return views.EVENTS


def test_a_response_is_over_when_it_is_closed(start: Start) -> None:
    engine = start()
    events = ended(engine)
    middleware = MemscopeMiddleware(lambda request: HttpResponse("body"))
    response = middleware(RequestFactory().get("/plain/"))
    assert isinstance(response, HttpResponse)
    assert events == []
    assert engine.recorder.in_flight == 1
    response.close()
    assert events == ["over"]
    assert engine.recorder.in_flight == 0


def test_a_stream_is_over_when_it_was_sent(start: Start, client: Client) -> None:
    engine = start()
    events = ended(engine)
    response = client.get("/streamed/")
    assert response.streaming
    assert events == []
    assert b"".join(response) == b"one two"  # type: ignore[call-overload]
    assert events == ["streamed", "over"]


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_a_stream_that_nobody_reads_is_over_when_it_is_closed(
    start: Start, client: Client, options: dict[str, Any]
) -> None:
    engine = start(**options)
    response = client.get("/streamed/")
    assert engine.recorder.in_flight == 1
    response.close()
    assert engine.recorder.in_flight == 0
    assert routes(engine) == {"GET /streamed/": 1}


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_files_are_sent_as_files(start: Start, client: Client, options: dict[str, Any]) -> None:
    engine = start(**options)
    response = client.get("/file/")
    assert b"".join(response) == b"x" * 5000  # type: ignore[call-overload]
    assert response.headers["Content-Length"] == "5000"
    assert routes(engine) == {"GET /file/": 1}
    assert engine.recorder.in_flight == 0


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_a_view_that_raises(start: Start, client: Client, options: dict[str, Any]) -> None:
    engine = start(**options)
    assert client.get("/fails/").status_code == 500
    assert client.get("/afails/").status_code == 500
    assert {route.name: route.errors for route in engine.routes} == {
        "GET /fails/": 1,
        "GET /afails/": 1,
    }


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_what_a_handler_raises_passes(start: Start, options: dict[str, Any]) -> None:
    engine = start(**options)

    def fails(request: HttpRequest) -> HttpResponse:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MemscopeMiddleware(fails)(RequestFactory().get("/plain/"))
    assert engine.recorder.in_flight == 0
    assert [route.errors for route in engine.routes] == [1]


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_what_is_no_response_is_left_to_django(start: Start, options: dict[str, Any]) -> None:
    """Of a middleware that forgot to return it."""
    engine = start(**options)
    assert MemscopeMiddleware(lambda request: None)(RequestFactory().get("/plain/")) is None
    assert engine.recorder.in_flight == 0


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_a_response_that_is_dropped_does_not_hang(
    start: Start, client: Client, options: dict[str, Any]
) -> None:
    """A middleware before ours makes another response of it and closes only that."""
    conditional = "django.middleware.http.ConditionalGetMiddleware"
    engine = start(conditional, OURS, **options)
    etag = client.get("/plain/").headers["ETag"]
    assert client.get("/plain/", headers={"If-None-Match": etag}).status_code == 304
    client.get("/wrapped/")
    assert engine.recorder.in_flight == 0


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_a_response_can_be_cached_with_what_it_closes(
    start: Start, client: Client, options: dict[str, Any]
) -> None:
    start(
        "django.middleware.cache.UpdateCacheMiddleware",
        OURS,
        "django.middleware.cache.FetchFromCacheMiddleware",
        **options,
    )
    caches["default"].clear()
    bodies = {client.get("/computed/").content for _ in range(3)}
    assert bodies == {b"x" * 500}
    assert views.EVENTS == ["computed"]


def test_a_pickled_response_ends_nothing(start: Start) -> None:
    engine = start()
    middleware = MemscopeMiddleware(lambda request: HttpResponse("body"))
    response = middleware(RequestFactory().get("/plain/"))
    assert isinstance(response, HttpResponse)
    copy = pickle.loads(pickle.dumps(response))
    copy.close()
    assert engine.recorder.in_flight == 1
    response.close()


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_compressed_by_a_middleware_before_ours(
    start: Start, client: Client, options: dict[str, Any]
) -> None:
    engine = start("django.middleware.gzip.GZipMiddleware", OURS, **options)
    response = client.get("/streamed/", headers={"Accept-Encoding": "gzip"})
    import gzip

    assert gzip.decompress(b"".join(response)) == b"one two"  # type: ignore[call-overload]
    assert routes(engine) == {"GET /streamed/": 1}
    assert engine.recorder.in_flight == 0


def test_responses_are_the_same_without_us(start: Start, client: Client) -> None:
    paths = ["/", "/plain/", "/no-such-page", "/shop/riga/shelf/top", "/computed/", "/awaits/"]
    start()

    def answers() -> list[Any]:
        return [
            (found.status_code, dict(found.headers), found.content)
            for found in map(Client(raise_request_exception=False).get, paths)
        ]

    with_us = answers()
    with override_settings(MIDDLEWARE=[]):
        assert answers() == with_us


def test_a_response_is_freed_at_once(start: Start) -> None:
    """That it knows its request, and we both, makes no cycle."""
    import gc
    import weakref

    engine = start()
    middleware = MemscopeMiddleware(lambda request: HttpResponse("body"))
    gc.disable()
    try:
        response = middleware(RequestFactory().get("/plain/"))
        assert isinstance(response, HttpResponse)
        ref = weakref.ref(response)
        response.close()
        del response
        assert ref() is None
    finally:
        gc.enable()
    assert engine.recorder.in_flight == 0


# -- what is measured


def test_a_view_that_keeps_something_grows(start: Start) -> None:
    engine = start()
    handler = WSGIHandler()  # the test client keeps some of each request itself
    for _ in range(40):
        ask_wsgi(handler, "/keeps/7/")
        ask_wsgi(handler, "/plain/")
    keeps, plain = engine.routes
    assert keeps.trend().verdict == "growing"
    assert 1800 < keeps.trend().per_request < 2800
    assert plain.trend().verdict != "growing"


def test_a_request_of_a_project_with_users_leaves_nothing(start: Start) -> None:
    """It is in a cycle with its user, whom nobody asked for."""
    engine = start(OURS, *LOGIN_REQUIRED[:2])
    handler = WSGIHandler()
    for _ in range(80):
        ask_wsgi(handler, "/plain/")
    [route] = engine.routes
    assert route.trend().verdict != "growing"
    assert all(abs(size) < 200 for size in list(route.retained)[-20:]), list(route.retained)


def ask_wsgi(handler: WSGIHandler, path: str) -> bytes:
    """The body of a path, as a server asks for it."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }
    response = handler(environ, lambda *_: None)
    body = b"".join(response)
    response.close()
    return body


def test_header(start: Start, client: Client) -> None:
    start(HEADER=True)
    response = client.get("/keeps/7/")
    assert response.headers["Server-Timing"].startswith("memscope;desc=")
    assert int(response.headers["X-Memscope-Retained"]) > 2000


def test_header_beside_the_toolbar(start: Start) -> None:
    start(OURS, TOOLBAR, HEADER=True)
    timing = Client().get("/plain/").headers["Server-Timing"]
    assert "SQLPanel" in timing
    assert "memscope;desc=" in timing


def test_every(start: Start, client: Client) -> None:
    engine = start(EVERY=3, WARMUP=0)
    for _ in range(9):
        client.get("/plain/")
    client.get("/health")
    [route] = engine.routes
    assert (route.requests, route.measured) == (9, 3)


def test_functions_of_the_project_get_its_request(start: Start, client: Client) -> None:
    seen: list[Any] = []
    engine = start(
        SAMPLER=lambda request: seen.append(request) or True,
        GROUP_BY=lambda request: f"group of {request.path}",
    )
    client.get("/plain/")
    assert isinstance(seen[0], HttpRequest)
    assert routes(engine) == {"GET group of /plain/": 1}


def test_a_trigger_is_for_those_who_may_see_the_pages(start: Start) -> None:
    engine = start(EVERY=1000, DASHBOARD=True, TOKEN=TOKEN, TRIGGER_PARAM="memscope")
    for headers in ({}, {}, {"x-memscope-token": TOKEN}):
        visitor(**headers).get("/plain/?memscope=1")
    assert engine.shelf is not None
    assert len(engine.shelf) == 1
    start(EVERY=1000, DASHBOARD=True, TOKEN=TOKEN)
    visitor(**{"x-memscope-token": TOKEN}).get("/plain/?memscope=1")
    assert len(engine.shelf) == 1


# -- async


def test_async_requests(start: Start) -> None:
    engine = start()
    client = AsyncClient(raise_request_exception=False)

    async def ask() -> None:
        for path in ("/awaits/", "/plain/", "/afails/", "/no-such-page", "/async-shelf/"):
            await client.get(path)

    asyncio.run(ask())
    assert routes(engine) == {
        "GET /awaits/": 1,
        "GET /plain/": 1,
        "GET /afails/": 1,
        "GET (no route)": 1,
        "GET /async-shelf/": 1,
    }
    assert engine.recorder.in_flight == 0


def test_async_middleware_stays_on_the_loop(start: Start) -> None:
    """The handler adapts a middleware that is not both."""
    from asgiref.sync import iscoroutinefunction

    start()

    async def get_response(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    assert iscoroutinefunction(MemscopeMiddleware(get_response))
    assert not iscoroutinefunction(MemscopeMiddleware(lambda request: HttpResponse()))
    assert MemscopeMiddleware.async_capable
    assert MemscopeMiddleware.sync_capable


def scope_of(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


async def ask_asgi(path: str, leaves: Callable[[], bool] = lambda: False) -> bytes:
    """The body of a path, through Django's own handler; the client leaves when *leaves*."""
    body = b""
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while not leaves():
            await asyncio.sleep(0.001)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal body
        body += message.get("body", b"")

    await ASGIHandler()(scope_of(path), receive, send)
    return body


def test_asgi_stream(start: Start) -> None:
    engine = start()
    events = ended(engine)
    assert asyncio.run(ask_asgi("/astreamed/")) == b"one two"
    assert events == ["streamed", "over"]
    assert routes(engine) == {"GET /astreamed/": 1}
    assert engine.recorder.in_flight == 0


def test_asgi_client_that_leaves(start: Start) -> None:
    engine = start()
    asyncio.run(ask_asgi("/never/", lambda: "waiting" in views.EVENTS))
    assert engine.recorder.in_flight == 0
    assert {route.name: route.errors for route in engine.routes} == {"GET /never/": 1}


def test_asgi_concurrent_requests_are_not_told_apart(start: Start) -> None:
    engine = start()

    async def ask() -> None:
        await asyncio.gather(ask_asgi("/awaits/"), ask_asgi("/astreamed/"))

    asyncio.run(ask())
    assert routes(engine) == {"GET /awaits/": 1, "GET /astreamed/": 1}
    assert engine.recorder.in_flight == 0


# -- enabled or not


def test_off_without_debug() -> None:
    with override_settings(DEBUG=False), pytest.raises(MiddlewareNotUsed):
        MemscopeMiddleware(lambda request: HttpResponse())
    with override_settings(DEBUG=False, MIDDLEWARE=[OURS]):
        assert Client().get("/plain/").status_code == 200
    assert not _memscope.is_tracing()


def test_off_where_it_is_said() -> None:
    with override_settings(DEBUG=True, MEMSCOPE={"ENABLED": False}):
        with pytest.raises(MiddlewareNotUsed):
            MemscopeMiddleware(lambda request: HttpResponse())
    assert not _memscope.is_tracing()


def test_on_where_it_is_said(start: Start, client: Client) -> None:
    engine = start(debug=False, ENABLED=True)
    client.get("/plain/")
    assert routes(engine) == {"GET /plain/": 1}


def test_one_engine_for_all_handlers(start: Start) -> None:
    engine = start()
    Client().get("/plain/")
    Client().get("/plain/")
    asyncio.run(AsyncClient().get("/plain/"))
    assert routes(engine) == {"GET /plain/": 3}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"EVRY": 3}, 'MEMSCOPE["EVRY"] is no option of memscope; did you mean MEMSCOPE["EVERY"]?'),
        ({"EVERY": 0}, 'MEMSCOPE["EVERY"] must be a whole number'),
        ({"every": 3}, "capital letters"),
        ({3: 3}, "capital letters"),
        (["EVERY"], "must be a dictionary"),
        ({"SAMPLER": "no.such.function"}, 'MEMSCOPE["SAMPLER"] must be a function, or where to'),
        ({"DASHBOARD": True, "ENABLED": True}, 'MEMSCOPE["DASHBOARD"] is on and'),
    ],
)
def test_mistakes_are_told_by_the_checks_and_at_the_start(options: Any, text: str) -> None:
    with override_settings(DEBUG=False, MEMSCOPE=options):
        [error] = checks.check_settings(None)
        assert error.id == "memscope.E001"
        assert text in error.msg
        with pytest.raises(ImproperlyConfigured) as raised:
            MemscopeMiddleware(lambda request: HttpResponse())
        assert text in str(raised.value)
    assert not _memscope.is_tracing()


def sample_nothing(request: HttpRequest) -> bool:
    return False


def test_functions_by_their_path(start: Start, client: Client) -> None:
    sys.modules["sampling_of_a_test"] = sys.modules[__name__]
    engine = start(SAMPLER="sampling_of_a_test.sample_nothing")
    del sys.modules["sampling_of_a_test"]
    assert engine.settings.sampler is sample_nothing


# -- checks


def ids(**settings: Any) -> list[str]:
    with override_settings(**{"DEBUG": True, "MEMSCOPE": {}, **settings}):
        found = [
            *checks.check_settings(None), *checks.check_middleware(None), *checks.check_urls(None)
        ]  # fmt: skip
        return [message.id for message in found]


def test_checks_find_nothing_in_what_is_right() -> None:
    assert ids(MIDDLEWARE=[OURS], MEMSCOPE={"DASHBOARD": True}) == []
    assert ids(MIDDLEWARE=[OURS, TOOLBAR]) == []
    assert ids(MIDDLEWARE=["django.middleware.security.SecurityMiddleware", OURS]) == []
    token = "a token that somebody has set"
    shown = {"ENABLED": True, "DASHBOARD": True, "TOKEN": token.replace(" ", "-")}
    assert ids(DEBUG=False, MIDDLEWARE=[OURS], MEMSCOPE=shown) == []


def test_check_of_an_app_without_its_middleware() -> None:
    without_panel = {"DEBUG_TOOLBAR_PANELS": []}
    assert ids(MIDDLEWARE=[], **without_panel) == ["memscope.W001"]
    assert ids(MIDDLEWARE=[]) == ["memscope.W001", "memscope.W004"]
    assert ids(MIDDLEWARE=[], DEBUG=False) == [], "it is not enabled"


@pytest.mark.parametrize("other", checks.REPLACING[:4])
def test_check_of_the_order(other: str) -> None:
    assert ids(MIDDLEWARE=[other, OURS]) == ["memscope.W002"]
    assert ids(MIDDLEWARE=[OURS, other]) == []


def test_check_of_the_urls() -> None:
    elsewhere = {"DASHBOARD": True, "URL_PREFIX": "/elsewhere/"}
    assert ids(MIDDLEWARE=[OURS], MEMSCOPE=elsewhere) == ["memscope.W003"]
    assert ids(MIDDLEWARE=[OURS], MEMSCOPE={"URL_PREFIX": "/elsewhere/"}) == []


def test_checks_run_with_those_of_the_project() -> None:
    with override_settings(DEBUG=True, MIDDLEWARE=[], MEMSCOPE={"EVRY": 1}):
        with pytest.raises(Exception, match=r"memscope\.E001"):
            call_command("check")


def test_middleware_without_the_app_is_logged(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    start()
    apps = [app for app in django.conf.settings.INSTALLED_APPS if app != "memscope.django"]
    with override_settings(INSTALLED_APPS=apps):
        MemscopeMiddleware(lambda request: HttpResponse())
    assert "not in INSTALLED_APPS" in caplog.text


# -- the command


def command(*arguments: str) -> tuple[str, int]:
    """(what it prints, its exit status)"""
    out = io.StringIO()
    try:
        call_command("memscope", *arguments, stdout=out)
    except SystemExit as ended:
        return out.getvalue(), int(ended.code or 0)
    except CommandError as error:
        return str(error), error.returncode
    return out.getvalue(), 0


def test_command_says_what_is_on() -> None:
    shown = {"DASHBOARD": True, "EVERY": 5, "TOKEN": "not-to-be-printed-anywhere"}
    with override_settings(DEBUG=True, MIDDLEWARE=["x.y", OURS], MEMSCOPE=shown):
        text, status = command()
        data = json.loads(command("--json")[0])
    assert status == 0
    assert "memscope is enabled; DEBUG is on" in text
    assert "number 2 of MIDDLEWARE" in text
    assert "Its pages are at /_memscope/" in text
    assert "  * EVERY             5\n" in text
    assert "    WARMUP            2\n" in text
    assert "not-to-be-printed-anywhere" not in text + json.dumps(data)
    assert data["settings"]["TOKEN"] == {"value": "(set)", "given": True}
    assert data["pages"] == "/_memscope/"


def test_command_says_what_is_off_and_wrong() -> None:
    with override_settings(DEBUG=False, MIDDLEWARE=[]):
        text, status = command()
        assert status == 0
        assert "memscope is not enabled; DEBUG is off" in text
        assert "not in MIDDLEWARE" in text
    with override_settings(DEBUG=True, MEMSCOPE={"EVRY": 1}):
        text, status = command()
        assert status == 1
        assert 'memscope.E001: MEMSCOPE["EVRY"] is no option' in text


def test_command_wants_a_path_that_is_there() -> None:
    with override_settings(DEBUG=True, MIDDLEWARE=[]):
        text, status = command("check-route", "/no-such-page")
        assert status == 2
        assert "GET /no-such-page is answered with 404" in text
        text, status = command("check-route", "plain/")
        assert status == 2
        assert "begins with a slash" in text


# -- the toolbar's panel


def stats_of_last(client: Client) -> tuple[dict[str, Any], str]:
    """What the panel has in the toolbar's store of the last request, and how it looks."""
    from debug_toolbar.store import get_store

    store = get_store()
    request_id = list(store.request_ids())[-1]
    stats = store.panel(request_id, "MemoryPanel")
    shown = client.get(
        "/__debug__/render_panel/", {"request_id": request_id, "panel_id": "MemoryPanel"}
    )
    assert shown.status_code == 200
    return stats, shown.json()["content"]


def test_panel(start: Start) -> None:
    engine = start(OURS, TOOLBAR)
    client = Client()
    for _ in range(30):
        client.get("/keeps/7/")
    stats, content = stats_of_last(client)
    assert stats["route"] == "GET /keeps/<int:number>/"
    assert stats["retained"] > 2007
    assert stats["requests"] == 29, "those before it"
    assert stats["verdict"] == "growing"
    assert stats["resident"] > 2**20
    assert stats["pid"] == engine.pid == os.getpid()
    assert "GET /keeps/&lt;int:number&gt;/" in content
    assert "growing: each span of requests left more behind" in content
    page = client.get("/plain/").content.decode()
    assert "Memory" in page
    assert "by this request" in page


def test_panel_has_texts_and_numbers_only(start: Start) -> None:
    start(OURS, TOOLBAR)
    client = Client()
    client.get("/plain/")
    stats, _ = stats_of_last(client)
    assert {type(value) for value in stats.values()} <= {str, int, type(None)}


def test_panel_of_what_is_not_measured(start: Start) -> None:
    start(OURS, TOOLBAR, EVERY=1000)
    client = Client()
    client.get("/plain/")
    assert stats_of_last(client)[0]["retained"] is not None
    client.get("/plain/")
    stats, content = stats_of_last(client)
    assert (stats["retained"], stats["why"]) == (None, "not sampled")
    assert "not sampled" in content


def test_panel_without_the_middleware(start: Start) -> None:
    with override_settings(DEBUG=True, MIDDLEWARE=[TOOLBAR]):
        client = Client()
        client.get("/plain/")
        stats, content = stats_of_last(client)
    assert stats == {"why": "memscope is not enabled"}
    assert "memscope is not enabled" in content


def test_panel_of_async_requests(start: Start) -> None:
    start(OURS, TOOLBAR)
    asyncio.run(AsyncClient(REMOTE_ADDR="127.0.0.1").get("/awaits/"))
    with override_settings(MIDDLEWARE=[]):
        stats, _ = stats_of_last(Client())
    assert stats["route"] == "GET /awaits/"
    assert isinstance(stats["retained"], int)


# -- the pages

TOKEN = "a-token-that-somebody-has-set"
LOGIN_REQUIRED = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
)
COMMON = "django.middleware.common.CommonMiddleware"


def visitor(**headers: str) -> Client:
    """The developer's browser."""
    return Client(headers={"host": "localhost", **headers}, raise_request_exception=False)


def logged_in(path: str = "/_memscope/") -> Client:
    client = visitor()
    response = client.get(f"{path}?token={TOKEN}")
    assert response.status_code == 303
    assert TOKEN not in response.headers["Location"]
    return client


@pytest.mark.parametrize("middleware", [(OURS,), (OURS, COMMON), (COMMON, OURS)])
def test_pages_of_who_has_the_token(start: Start, middleware: tuple[str, ...]) -> None:
    start(*middleware, DASHBOARD=True, TOKEN=TOKEN)
    client = logged_in()
    response = client.get("/_memscope/routes.json")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json()["schema"] == 1
    cookie = next(iter(client.cookies.values()))
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (
        True, "Strict", "/_memscope",
    )  # fmt: skip
    head = client.head("/_memscope/routes.json")
    assert (head.status_code, head.content) == (200, b"")


PATHS = ["/_memscope", "/_memscope/", "/_memscope/routes", "/_memscope/routes/", "/_memscope/x/y"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "middleware", [(OURS,), (OURS, COMMON), (COMMON, OURS), (COMMON, *LOGIN_REQUIRED, OURS)]
)
def test_outsiders_see_what_any_path_answers(
    start: Start, middleware: tuple[str, ...], path: str
) -> None:
    """No redirect to add a slash, none to log in; the project's own page."""
    start(*middleware, debug=False, ENABLED=True, DASHBOARD=True, TOKEN=TOKEN)
    for method in ("get", "post", "head", "put"):
        ours = getattr(visitor(), method)(path)
        other = getattr(visitor(), method)("/no-such-page")
        assert (ours.status_code, ours.content, dict(ours.headers)) == (
            404, other.content, dict(other.headers),
        )  # fmt: skip


def test_pages_are_asked_for_by_post_with_a_token_of_ours(start: Start) -> None:
    """Django's own check of forms is not in the way, ours is."""
    csrf = "django.middleware.csrf.CsrfViewMiddleware"
    start(csrf, OURS, DASHBOARD=True, TOKEN=TOKEN)
    client = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    client.get(f"/_memscope/?token={TOKEN}")
    form = "application/x-www-form-urlencoded"
    assert client.post("/_memscope/do/routes/reset", content_type=form).status_code == 403
    token = {"x-memscope-token": TOKEN}
    done = client.post("/_memscope/do/routes/reset", content_type=form, headers=token)
    assert done.status_code == 303


def test_a_body_that_is_too_long(start: Start) -> None:
    start(DASHBOARD=True, TOKEN=TOKEN)
    form = "application/x-www-form-urlencoded"
    body = b"x" * 70_000
    client = logged_in()
    assert client.post("/_memscope/do/gc/collect", body, content_type=form).status_code == 413
    outsider = visitor()
    assert outsider.post("/_memscope/do/gc/collect", body, content_type=form).status_code == 404


def test_a_body_that_is_not_for_us_is_the_projects(start: Start) -> None:
    """A pattern of the project's own answers outsiders there."""
    start(DASHBOARD=True, TOKEN=TOKEN)
    form = "application/x-www-form-urlencoded"
    answer = visitor().post("/_memscope/do/anything", b"a=1", content_type=form)
    assert (answer.status_code, answer.content) == (200, b"a=1")
    ours = logged_in().post("/_memscope/do/anything", b"a=1", content_type=form)
    assert ours.status_code == 404
    assert ours.content != b"a=1"


def test_pages_through_asgi(start: Start) -> None:
    start(DASHBOARD=True, TOKEN=TOKEN, ALLOWED_HOSTS=["testserver"])

    async def status(**headers: str) -> int:
        found = await AsyncClient().get("/_memscope/routes.json", headers=headers)
        return found.status_code

    assert asyncio.run(status(**{"x-memscope-token": TOKEN})) == 200
    assert asyncio.run(status()) == 404


def test_pages_are_not_among_the_toolbars_requests(start: Start) -> None:
    engine = start(OURS, TOOLBAR, DASHBOARD=True, TOKEN=TOKEN)
    from debug_toolbar.store import get_store

    client = logged_in()
    before = list(get_store().request_ids())
    assert client.get("/_memscope/routes.json").status_code == 200
    assert list(get_store().request_ids()) == before
    assert routes(engine) == {}


def test_no_pages_unless_they_are_asked_for(start: Start) -> None:
    start()
    for path in PATHS:
        assert visitor().get(path).status_code == 404
    with override_settings(DEBUG=True, MIDDLEWARE=[]):
        assert visitor().get("/_memscope/").status_code == 404


def test_no_pages_where_no_url_leads_to_them(start: Start) -> None:
    start(DASHBOARD=True, TOKEN=TOKEN)
    with override_settings(ROOT_URLCONF="tests.web.django_project.urls_without_pages"):
        token = {"x-memscope-token": TOKEN}
        assert visitor(**token).get("/_memscope/").status_code == 404


def test_pages_have_a_name() -> None:
    from django.urls import reverse

    assert reverse("memscope") == "/_memscope"


def test_prefix() -> None:
    from memscope.django import memscope_urls

    def matches(path: str) -> bool:
        [pattern] = memscope_urls()
        assert pattern.resolve(path) is None, "it is there for the middleware only"
        return pattern.pattern.match(path) is not None

    assert matches("_memscope/types/x")
    assert matches("_memscope")
    assert not matches("_memscopes")
    with override_settings(MEMSCOPE={"URL_PREFIX": "/inner/memory/"}):
        assert matches("inner/memory/types")
        assert not matches("_memscope/types")
    with override_settings(MEMSCOPE={"URL_PREFIX": "nonsense"}):
        assert matches("_memscope/types"), "the checks say what is wrong"


# -- known holders

KNOWN = """
import json, os
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.web.django_project.settings"
os.environ["MEMSCOPE_TEST_MIDDLEWARE"] = json.dumps(
    ["memscope.django.MemscopeMiddleware", "debug_toolbar.middleware.DebugToolbarMiddleware"]
)
import django
django.setup()
from django.db import connection
from django.test import Client
import memscope
from tests.web.django_project import views

client = Client()

def ask(path):
    def work():
        for _ in range(4):
            assert client.get(path).status_code == 200
    return work

def query():
    with connection.cursor() as cursor:
        for number in range(50):
            cursor.execute("select %s", [number])

report = memscope.diagnose(ask("/queries/"))
assert not report, report
labels = {one.what: one.why for one in report.not_leaks}
assert labels["module debug_toolbar.store -> MemoryStore -> ._request_store"] == "a debugging tool"

report = memscope.diagnose(query)
assert not report, report
assert any(one.what.endswith(".queries_log") for one in report.not_leaks), report

[leak] = memscope.diagnose(ask("/keeps/7/")).leaks
assert leak.holder == "module tests.web.django_project.views -> KEPT", leak
"""


def test_queries_and_the_toolbar_are_no_leaks(run_python: RunPython) -> None:
    run_python(KNOWN, timeout=120)


# -- real servers

EXAMPLE = ROOT / "examples" / "django_app"


@pytest.fixture
def example(tmp_path: Path) -> dict[str, str]:
    """The environment of the example project, with a database of its own."""
    env = {
        **ENVIRONMENT,
        "DJANGO_SETTINGS_MODULE": "orders.settings",  # not that of these tests
        "ORDERS_DATABASE": str(tmp_path / "orders.sqlite3"),
    }
    manage(env, "migrate", "-v0")
    return env


def manage(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "manage.py"), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def check_report_of_example(report: Any) -> None:
    # What is in flight while the heap is walked may be told as well; that is not looked at here.
    leaks = [leak for leak in report["leaks"] if leak["holder"].startswith("module orders.")]
    assert leaks, report["leaks"]
    for leak in leaks:
        assert [route["name"] for route in leak["routes"]] == [
            "GET /customers/<int:customer>/orders/"
        ]
        assert leak["site"]["file"] == "examples/django_app/orders/views.py"
        assert leak["site"]["line"] in leaking_lines(EXAMPLE / "orders" / "views.py")
        assert leak["holder"].startswith("module orders.views -> _listings")
        # Both are right: the rows are kept, by the queries that fetched them.
        assert leak["type_name"] in ("django.db.models.query.QuerySet", "orders.models.Order")
        assert leak["kind"] == "unbounded-cache"


PATHS_OF_EXAMPLE = ["/", "/articles/", "/orders/3/", "/customers/1/orders/", "/customers/2/orders/"]


@pytest.mark.parametrize("reloads", [False, True])
def test_runserver(example: dict[str, str], reloads: bool) -> None:
    """The example of the README, as it is: the report names the route, the line, the holder."""
    port = free_port()
    run = [sys.executable, str(EXAMPLE / "manage.py"), "runserver", str(port)]
    with running(run if reloads else [*run, "--noreload"], port, env=example) as server:
        check_report_of_example(leak_report(server, PATHS_OF_EXAMPLE))
        assert server.get("/_memscope/").status == 404, "of who has no token"


def test_trends_of_a_real_server(example: dict[str, str]) -> None:
    port = free_port()
    run = [sys.executable, str(EXAMPLE / "manage.py"), "runserver", str(port), "--noreload"]
    with running(run, port, env=example) as server:
        for number in range(50 * len(PATHS_OF_EXAMPLE)):
            assert server.get(PATHS_OF_EXAMPLE[number % len(PATHS_OF_EXAMPLE)]).status == 200
        found = routes_of(server)
        # A thread ends while the request after its own begins, and takes its connection to the
        # database along: of single routes that says little, of all together it does not.
        assert set(found) == {
            *("GET /", "GET /articles/", "GET /orders/<int:number>/"),
            "GET /customers/<int:customer>/orders/",
        }
        assert sum(route["measured"] for route in found.values()) > 100
        assert sum(route["bytes"] for route in found.values()) > 100_000


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn sync", "gunicorn gthread"])
def test_servers_of_others(example: dict[str, str], kind: str) -> None:
    target = "orders.asgi:application" if kind == "uvicorn" else "orders.wsgi:application"
    env = {**example, "PYTHONPATH": os.pathsep.join([str(ROOT), str(EXAMPLE)])}
    with serve(kind, target, env=env) as server:
        check_report_of_example(leak_report(server, PATHS_OF_EXAMPLE))


def test_check_route_of_the_example(example: dict[str, str]) -> None:
    leaks = manage(example, "memscope", "check-route", "/customers/1/orders/", "--rounds", "4")
    assert leaks.returncode == 1, leaks.stderr
    assert "4 rounds of 4 requests, answered with 200" in leaks.stdout
    [line] = re.findall(r"allocated at +[\w/]*orders/views.py:(\d+) in", leaks.stdout)
    assert int(line) in leaking_lines(EXAMPLE / "orders" / "views.py")
    honest = manage(example, "memscope", "check-route", "/articles/", "--json")
    assert honest.returncode == 0, honest.stdout
    data = json.loads(honest.stdout)
    assert data["statuses"] == [200]
    assert data["report"]["leaks"] == []
    missing = manage(example, "memscope", "check-route", "/nothing/")
    assert missing.returncode == 2
    assert "answered with 404" in missing.stderr


def test_checks_of_the_example(example: dict[str, str]) -> None:
    done = manage(example, "check", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr
    changes = manage(example, "makemigrations", "--check", "--dry-run")
    assert changes.returncode == 0, changes.stdout


def test_a_project_where_it_is_off_imports_no_engine(run_python: RunPython) -> None:
    run_python(
        """
import sys, django
from django.test import Client
django.setup()
assert Client().get("/plain/").status_code == 200
assert "memscope.django.middleware" in sys.modules
assert not {"memscope.web.engine", "memscope.web.recorder", "memscope.leaks"} & {*sys.modules}
""",
        env={
            "DJANGO_SETTINGS_MODULE": "tests.web.django_project.settings",
            "MEMSCOPE_TEST_DEBUG": "0",
        },
    )
