"""The ASGI middleware: nothing of a response changes, and each request ends once."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import anyio
import pytest

from memscope import _memscope
from memscope.asgi import MemscopeMiddleware
from memscope.web.engine import Engine
from memscope.web.settings import SettingsError

pytestmark = pytest.mark.usefixtures("traced")

TOKEN = "a-token-for-the-tests"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain")],
}
END = {"type": "http.response.body", "body": b"plain"}

Message = dict[str, Any]


def scope_of(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
        "method": method, "scheme": "http", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 80), **more,
    }  # fmt: skip


class Got:
    """One request, as a server sees it."""

    def __init__(self, *chunks: bytes) -> None:
        self.sent: list[Message] = []
        self.incoming: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": at < len(chunks) - 1}
            for at, chunk in enumerate(chunks or (b"",))
        ]
        self.is_complete = anyio.Event()

    async def receive(self) -> Message:
        if self.incoming:
            return self.incoming.pop(0)
        await self.is_complete.wait()  # a server tells of a disconnect once it has the response
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.is_complete.set()

    async def call(self, app: Any, path: str = "/", method: str = "GET", **more: Any) -> Got:
        await app(scope_of(path, method, **more), self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


PASSING = {"sampler": lambda request: False}
"""Options with which no request is measured."""

CORE = {"every": 4242}
"""Options with which no request is measured but the first, and that is over: so it passes by in the
core."""


def ask(app: Any, path: str = "/", method: str = "GET", *chunks: bytes, **more: Any) -> Got:
    return asyncio.run(Got(*chunks).call(app, path, method, **more))


def watch(app: Any, **options: Any) -> tuple[MemscopeMiddleware, Engine]:
    middleware = MemscopeMiddleware(app, enabled=True, **options)
    assert middleware.engine is not None
    if options == CORE:
        middleware.engine.passing.count()
    return middleware, middleware.engine


def requests(engine: Engine) -> dict[str, int]:
    return {route.name: route.requests for route in engine.routes}


async def plain(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(END)


# What is none of our business


def test_what_is_not_enabled_is_not_there() -> None:
    _memscope.stop()
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    middleware = MemscopeMiddleware(app)
    assert middleware.engine is None
    assert asyncio.iscoroutinefunction(middleware.__call__)  # by which servers know ASGI 3
    given = scope_of(), Got().receive, Got().send
    asyncio.run(middleware(*given))
    assert [one is other for one, other in zip(seen, given)] == [True] * 3
    assert not _memscope.is_tracing()


def test_a_wrong_option_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match="no option of memscope; did you mean every"):
        MemscopeMiddleware(plain, enabled=True, evry=1)


def test_the_application_may_be_named() -> None:
    assert ask(MemscopeMiddleware(app=plain, enabled=True)).body == b"plain"
    with pytest.raises(SettingsError, match="app is no option of memscope"):
        MemscopeMiddleware(plain, app=plain)


@pytest.mark.parametrize("kind", ["lifespan", "websocket", "something new"])
def test_other_scopes_pass_untouched(kind: str) -> None:
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    middleware, engine = watch(app, dashboard=True, token=TOKEN, header=True)
    scope = {"type": kind, "path": "/_memscope/", "headers": []}
    before = dict(scope)
    given = scope, Got().receive, Got().send
    asyncio.run(middleware(*given))
    assert [one is other for one, other in zip(seen, given)] == [True] * 3
    assert scope == before
    assert requests(engine) == {}


def test_excluded_paths_are_let_through() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(send)
        await plain(scope, receive, send)

    middleware, engine = watch(app, exclude_paths=["^/internal/"])
    got = Got()
    asyncio.run(got.call(middleware, "/internal/x"))
    assert seen == [got.send]
    assert requests(engine) == {}


# The response


def test_messages_are_handed_on_as_they_are_and_as_they_come() -> None:
    events: list[str] = []
    messages = [
        START,
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.debug", "info": {}},
        {"type": "http.response.body", "body": b"b", "more_body": True},
        {"type": "http.response.body", "body": b"", "more_body": False},
        {"type": "http.response.trailers", "headers": []},
    ]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == {"type": "http.request", "body": b"x", "more_body": True}
        assert await receive() == {"type": "http.request", "body": b"y", "more_body": False}
        for number, message in enumerate(messages):
            events.append(f"app {number}")
            await send(message)

    class Noting(Got):
        async def send(self, message: Message) -> None:
            events.append("server")
            await super().send(message)

    middleware, engine = watch(app)
    got = Noting(b"x", b"y")
    asyncio.run(got.call(middleware))
    assert [one is other for one, other in zip(got.sent, messages)] == [True] * len(messages)
    assert events == [word for at in range(6) for word in (f"app {at}", "server")]
    assert requests(engine) == {"GET /": 1}


def test_what_the_server_raises_reaches_the_application() -> None:
    caught: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in (START, END):
            try:
                await send(message)
            except OSError as error:
                caught.append(str(error))
        raise LookupError("in the application")

    async def send(message: Message) -> None:
        raise OSError(message["type"])

    middleware, engine = watch(app)
    with pytest.raises(LookupError, match="in the application"):
        asyncio.run(middleware(scope_of(), Got().receive, send))
    assert caught == ["http.response.start", "http.response.body"]
    assert [route.errors for route in engine.routes] == [1]


@pytest.mark.parametrize("error", [LookupError("as asked"), KeyboardInterrupt(), SystemExit(2)])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_an_exception_is_raised_untouched(
    error: BaseException, when: str, options: dict[str, Any]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if when == "after":
            await plain(scope, receive, send)
        raise error

    middleware, engine = watch(app, **options)
    with pytest.raises(type(error)) as caught:
        ask(middleware)
    assert caught.value is error
    assert caught.value.__context__ is None
    is_failure = when == "before" or isinstance(error, Exception)
    assert [(route.requests, route.errors) for route in engine.routes] == [(1, is_failure)]
    assert engine.recorder.in_flight == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_a_cancelled_request_is_over(backend: str, options: dict[str, Any]) -> None:
    cleaned: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.append(True)

    async def main() -> None:
        with anyio.move_on_after(0.05) as cancelled:
            await Got().call(middleware, "/slow")
        assert cancelled.cancelled_caught

    middleware, engine = watch(app, **options)
    anyio.run(main, backend=backend)
    assert cleaned == [True]
    assert [(route.name, route.errors) for route in engine.routes] == [("GET /slow", 0)]
    assert engine.recorder.in_flight == 0


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_a_request_that_is_thrown_away_is_not_in_flight(options: dict[str, Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Pause()

    class Pause:
        def __await__(self) -> Any:
            yield

    middleware, engine = watch(app, **options)
    waiting = middleware(scope_of(), Got().receive, Got().send)
    waiting.send(None)  # type: ignore[attr-defined]
    assert engine.recorder.in_flight == 1
    waiting.close()  # type: ignore[attr-defined]
    del waiting
    middleware.app = plain
    ask(middleware)  # the next one that begins finds it
    assert engine.recorder.in_flight == 0
    assert requests(engine) == {"GET /": 1}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_any_event_loop(backend: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await anyio.sleep(0)
        await plain(scope, receive, send)

    async def main() -> Got:
        await Got().call(middleware, "/_memscope/", "POST")
        return await Got().call(middleware)

    middleware, engine = watch(app, header=True, dashboard=True, token=TOKEN)
    got = anyio.run(main, backend=backend)
    assert got.body == b"plain"
    assert requests(engine) == {"GET /": 1}


def test_a_request_lasts_until_its_background_work_is_done_and_answers_before() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await plain(scope, receive, send)
        in_background.append(engine.recorder.in_flight)
        await asyncio.sleep(0.2)
        kept.append(bytearray(30_000))

    in_background: list[int] = []
    kept: list[bytearray] = []
    records: list[dict[str, Any]] = []
    middleware, engine = watch(app, warmup=0, on_report=records.append)
    ask(middleware)
    engine.recorder.settle()
    assert in_background == [1]
    [record] = records
    assert record["retained"] > 28_000  # the event loop lets go of something
    assert record["seconds"] < 0.2


def test_headers_of_its_own_only_when_asked_for() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        kept.append(bytearray(50_000))
        await plain(scope, receive, send)

    kept: list[bytearray] = []
    middleware, _ = watch(app, header=True, every=2)
    first, second = ask(middleware), ask(middleware)
    assert 50_000 <= int(first.headers[b"x-memscope-retained"]) < 70_000
    assert first.headers[b"server-timing"].startswith(b"memscope;desc=")
    assert first.headers[b"content-type"] == b"text/plain"
    assert second.sent == [START, END]
    assert len(START["headers"]) == 1  # type: ignore[arg-type]


# More than one at a time


def test_two_routes_at_once_are_not_told_apart() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.02)
        await plain(scope, receive, send)

    async def main() -> None:
        await asyncio.gather(*(Got().call(middleware, path) for path in ("/a", "/b", "/a")))
        await Got().call(middleware, "/a")

    middleware, engine = watch(app, warmup=0)
    asyncio.run(main())
    engine.recorder.settle()
    assert {(route.name, route.shared, route.measured) for route in engine.routes} == {
        ("GET /a", 2, 1), ("GET /b", 1, 0)
    }  # fmt: skip
    assert engine.recorder.mixed_requests == 3


def test_requests_of_one_route_at_once_are_its() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.02)
        kept.append(bytearray(10_000))
        await plain(scope, receive, send)

    async def main() -> None:
        for _ in range(2):
            await asyncio.gather(*(Got().call(middleware, "/a") for _ in range(4)))

    kept: list[bytearray] = []
    middleware, engine = watch(app, warmup=0)
    asyncio.run(main())
    engine.recorder.settle()
    [route] = engine.routes
    assert (route.measured, route.shared) == (8, 0)
    assert 9_000 < route.bytes / 8 < 12_000  # the tasks of the first are gone


# What is told


async def hello(request: Any) -> Any:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("hello")


def test_routes_of_starlette() -> None:
    from starlette.applications import Starlette
    from starlette.endpoints import HTTPEndpoint
    from starlette.middleware import Middleware
    from starlette.routing import Mount, Route

    class Class(HTTPEndpoint):
        async def get(self, request: Any) -> Any:
            return await hello(request)

    inner = Starlette(routes=[Route("/b/{c:int}", hello)])
    app = Starlette(
        routes=[
            Route("/a/{x}", hello),
            Route("/class", Class),
            Mount("/tenants/{tenant}", routes=[Route("/n/{y}", hello)]),
            Mount("/inner", app=inner),
            Mount("/files", app=plain),
            Mount("/own/{thing}", app=MemscopeMiddleware(inner, enabled=False)),
        ],
        middleware=[Middleware(MemscopeMiddleware, enabled=True)],
    )
    ask(app, "/a/1")
    engine = only_engine()
    for path in ("/a/2", "/class", "/tenants/acme/n/2", "/inner/b/3", "/inner/none", "/files/x/y",
                 "/nowhere", "/own/7/b/1"):  # fmt: skip
        ask(app, path)
    ask(app, "/proxied/tenants/17/n/2", root_path="/proxied")
    assert requests(engine) == {
        "GET /a/{x}": 2, "GET /class": 1, "GET /tenants/{tenant}/n/{y}": 2,
        "GET /inner/b/{c:int}": 1, "GET (no route)": 2, "GET /files/{path:path}": 1,
        "GET /own/{thing}/b/{c:int}": 1,
    }  # fmt: skip
    assert told(engine, "GET /a/{x}") == "hello"
    assert told(engine, "GET /class").endswith("Class")


def test_routes_of_fastapi() -> None:
    from fastapi import APIRouter, FastAPI

    app, inner, router, sub = FastAPI(), APIRouter(), APIRouter(prefix="/r"), FastAPI()
    inner.add_api_route("/deep/{d}", deep)
    router.add_api_route("/z/{q}", deep)
    router.include_router(inner, prefix="/two")
    app.include_router(router, prefix="/api/{v}")
    app.add_api_route("/top/{d}", deep, methods=["GET", "POST"])
    sub.add_api_route("/s/{d}", deep)
    app.mount("/sub", sub)
    app.add_middleware(MemscopeMiddleware, enabled=True)
    ask(app, "/top/1")
    engine = only_engine()
    for path in ("/api/1/r/z/3?", "/api/1/r/two/deep/3", "/sub/s/2", "/docs", "/x", "/sub/x"):
        ask(app, path)
    ask(app, "/top/1", "POST")
    ask(app, "/top/1", "PUT")
    assert requests(engine) == {
        "GET /top/{d}": 1, "GET /api/{v}/r/z/{q}": 1, "GET /api/{v}/r/two/deep/{d}": 1,
        "GET /sub/s/{d}": 1, "GET /docs": 1, "GET (no route)": 2,
        "POST /top/{d}": 1, "PUT /top/{d}": 1,
    }  # fmt: skip
    assert told(engine, "GET /api/{v}/r/two/deep/{d}") == "deep"


async def deep(d: str = "") -> str:
    return d


def test_routes_of_litestar() -> None:
    from litestar import Litestar, Router, get

    @get("/users/{name:str}")
    async def user(name: str) -> str:
        return name

    @get("/w", sync_to_thread=False)
    def under(x: int) -> str:
        return str(x)

    middleware, engine = watch(
        Litestar([user, Router("/pre/{x:int}", route_handlers=[under])], openapi_config=None)
    )  # fmt: skip
    for path in ("/users/bob", "/users/eve/", "/pre/3/w", "/nope"):
        ask(middleware, path)
    assert requests(engine) == {
        "GET /users/{name}": 2, "GET /pre/{x}/w": 1, "GET (no route)": 1
    }  # fmt: skip
    assert told(engine, "GET /users/{name}").endswith("user")


def test_routes_of_quart_are_paths() -> None:
    from quart import Quart

    app = Quart(__name__)

    @app.get("/users/<int:number>")
    async def user(number: int) -> str:
        return str(number)

    middleware, engine = watch(app.asgi_app)
    app.asgi_app = middleware  # type: ignore[method-assign]
    for path in ("/users/17", "/users/18", "/nope"):
        ask(app, path, http_version="1.1")
    assert requests(engine) == {"GET /users/{}": 2, "GET (no route)": 1}


def test_a_scope_of_things_that_are_not_as_we_know_them() -> None:
    class Strange:
        __slots__ = ()

    def app(**said: Any) -> Any:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            scope.update(said)
            await plain(scope, receive, send)

        return application

    for said in ({"route": Strange()}, {"route": 3, "endpoint": 4}, {"route_handler": None},
                 {"fastapi": 3, "route": plain}, {"path_template": 3, "route_handler": Strange()},
                 {"route": Strange, "path_params": 3, "root_path": "/x"}):  # fmt: skip
        middleware, engine = watch(app(**said))
        ask(middleware, "/a/17")
        assert not engine.is_off
        assert requests(engine) == {"GET /a/{}": 1}


def test_hostile_headers_change_nothing() -> None:
    middleware, engine = watch(plain, dashboard=True, token=TOKEN, trigger_param="memscope")
    hostile: dict[str, Any] = {
        "headers": [
            (b"host", b"\xff\x00"), (b"Host", b"evil"), (b"\xff", b"\xff"), (b"", b""),
            (b"x-memscope-token", b"\xff" * 9000), (b"cookie", b"memscope=" + b"a;" * 5000),
        ],
        "query_string": b"memscope=1&" + b"%" * 999 + b"\xff", "client": None,
    }  # fmt: skip
    for method, path in (("GET", "/a"), ("GET", "/_memscope/"), ("POST", "/_memscope/do/x")):
        assert ask(middleware, path, method, **hostile).sent == [START, END]
    assert requests(engine) == {"GET /a": 1}
    assert not engine.is_off


# Our own failure


@pytest.mark.parametrize("where", ["begin", "finish", "retained_so_far"])
def test_our_own_failure_is_logged_once_and_never_told(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken inside")

    middleware, engine = watch(plain, header=where == "retained_so_far")
    monkeypatch.setattr(engine.recorder, where, fail)
    with caplog.at_level(logging.ERROR, "memscope.web"):
        for _ in range(5):
            assert ask(middleware).sent == [START, END]
    assert len(caplog.records) == 1
    assert "is off" in caplog.text
    assert "broken inside" in caplog.text


# Our own pages


def with_token(*more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"localhost"), (b"x-memscope-token", TOKEN.encode()), *more]


def called(path: str, method: str = "GET", *chunks: bytes, **more: Any) -> Any:
    """The call that the pages get, of one request."""
    middleware, engine = watch(plain, dashboard=True, token=TOKEN)
    assert engine.dashboard is not None
    calls = []

    def answer(call: Any) -> Any:
        calls.append(call)
        return real(call)

    real, engine.dashboard.answer = engine.dashboard.answer, answer  # type: ignore[method-assign]
    ask(middleware, path, method, *chunks, **{"headers": with_token(), **more})
    [call] = calls
    return call


def test_a_call_is_what_was_asked() -> None:
    headers = with_token((b"X-Twice", b"a"), (b"x-twice", b"\xe9"))
    call = called(
        "/shop/_memscope/types.json", root_path="/shop", query_string=b"a=%20b",
        headers=headers, scheme="https", client=("10.0.0.1", 3),
    )  # fmt: skip
    assert (call.method, call.path, call.query) == ("GET", "types.json", "a=%20b")
    assert (call.root, call.scheme, call.remote_addr) == ("/shop/_memscope", "https", "10.0.0.1")
    assert call.headers["x-twice"] == "a, \xe9"
    assert call.source["path"] == "/shop/_memscope/types.json"
    assert called("/_memscope", client=None).remote_addr == ""
    assert called("/_memscope").path == ""
    assert called("/_memscope/x", root_path="/other").root == "/other/_memscope"


def test_a_body_is_read_so_far() -> None:
    post = "/_memscope/do/gc/collect", "POST"
    assert called(*post, b"a=1&", b"b=2").body == b"a=1&b=2"
    assert called(*post).body == b""
    long = called(*post, *[bytes(50_000)] * 40)
    assert len(long.body) == 100_000  # two messages, and no more


def test_too_long_a_body_is_413() -> None:
    middleware, _ = watch(plain, dashboard=True, token=TOKEN)
    got = ask(
        middleware, "/_memscope/do/gc/collect", "POST", bytes(70_000), headers=with_token()
    )  # fmt: skip
    assert got.status == 413


def test_a_visitor_who_leaves_while_sending() -> None:
    middleware, engine = watch(plain, dashboard=True, token=TOKEN)
    got = Got()
    got.incoming = [
        {"type": "http.request", "body": b"csrf", "more_body": True},
        {"type": "http.disconnect"},
    ]
    asyncio.run(got.call(middleware, "/_memscope/do/gc/collect", "POST", headers=with_token()))
    assert not engine.is_off


def test_outsiders_see_the_application_and_its_body_is_not_read() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "status": 404})
        await send({"type": "http.response.body", "body": (await receive())["body"]})

    middleware, engine = watch(app, dashboard=True, token=TOKEN)
    for method, path in (
        ("GET", "/_memscope/"), ("HEAD", "/_memscope/"), ("GET", "/_memscope"),
        ("POST", "/_memscope/do/gc/collect"), ("PUT", "/_memscope/x"),
    ):  # fmt: skip
        got, bare = ask(middleware, path, method, b"body"), ask(app, path, method, b"body")
        assert got.sent == bare.sent
        assert got.body == b"body"
    assert requests(engine) == {}
    ask(middleware, "/_memscopes")
    assert requests(engine) == {"GET (no route)": 1}


def test_who_knows_the_token_gets_the_pages() -> None:
    middleware, _ = watch(plain, dashboard=True, token=TOKEN)
    for method in ("GET", "HEAD"):
        got = ask(middleware, "/_memscope/memscope.js", method, headers=with_token())
        assert got.status == 200
        assert [message["type"] for message in got.sent] == [
            "http.response.start", "http.response.body"
        ]  # fmt: skip
        assert all(name == name.lower() for name, _ in got.sent[0]["headers"])
        if method == "GET":
            assert int(got.headers[b"content-length"]) == len(got.body) > 0
        else:
            assert (got.body, b"content-length" in got.headers) == (b"", False)
    got = ask(middleware, "/_memscope/", query_string=f"token={TOKEN}".encode())
    assert got.status == 303


def test_a_trigger_is_for_those_who_may_see_the_pages() -> None:
    middleware, engine = watch(
        plain, dashboard=True, token=TOKEN, trigger_param="memscope", every=1000
    )  # fmt: skip
    assert engine.shelf is not None
    ask(middleware)  # the first is measured
    ask(middleware, query_string=b"memscope=1")
    assert len(list(engine.shelf)) == 0
    ask(middleware, query_string=b"memscope=1", headers=with_token())
    assert len(list(engine.shelf)) == 1


def only_engine() -> Engine:
    """The engine that the last application made of its middleware."""
    gc.collect()
    found = [one for one in gc.get_objects() if type(one) is Engine and one.server == "ASGI"]
    return max(found, key=lambda engine: engine.started)


def told(engine: Engine, name: str) -> str:
    route = engine.routes.get(name)
    assert route is not None
    assert route.endpoint is not None
    return route.endpoint.qualname
