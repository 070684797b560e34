"""The WSGI middleware: nothing of a response changes, and each request ends once."""

from __future__ import annotations

import gc
import io
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from memscope import _memscope
from memscope.web.engine import Engine
from memscope.web.settings import SettingsError
from memscope.wsgi import MemscopeMiddleware

pytestmark = pytest.mark.usefixtures("traced")

TOKEN = "a-token-for-the-tests"
HEADERS = [("Content-Type", "text/plain")]


class Got:
    """A response, as a server sees it."""

    def __init__(self) -> None:
        self.starts: list[tuple[Any, ...]] = []
        self.written: list[bytes] = []
        self.result: Any = None
        self.body = b""

    def start_response(self, *arguments: Any) -> Callable[[bytes], object]:
        self.starts.append(arguments)
        return self.written.append

    @property
    def status(self) -> str:
        return self.starts[-1][0]

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.starts[-1][1])


def environ_of(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    environ["REMOTE_ADDR"] = "127.0.0.1"
    environ["SCRIPT_NAME"] = ""
    environ["HTTP_HOST"] = "localhost"
    environ.update(more)
    return environ


PASSING = {"sampler": lambda request: False}
"""Options with which no request is measured."""

CORE = {"every": 4242}
"""Options with which no request is measured but the first, and that is over: so it passes by in the
core."""


def ask(app: Any, path: str = "/", method: str = "GET", **more: Any) -> Got:
    """Serve one request as a server does."""
    got = Got()
    got.result = app(environ_of(path, method, **more), got.start_response)
    try:
        got.body = b"".join(got.result)
    finally:
        if hasattr(got.result, "close"):
            got.result.close()
    return got


def watch(app: Any, **options: Any) -> tuple[MemscopeMiddleware, Engine]:
    middleware = MemscopeMiddleware(app, enabled=True, **options)
    assert middleware.engine is not None
    if options == CORE:
        middleware.engine.passing.count()
    return middleware, middleware.engine


def requests(engine: Engine) -> dict[str, int]:
    return {route.name: route.requests for route in engine.routes}


def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", HEADERS)
    return [b"plain"]


class Chunks:
    """An iterable with close(), which counts."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


def returning(result: Any) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", HEADERS)
        return result

    return app


# Not enabled


def test_what_is_not_enabled_is_not_there() -> None:
    _memscope.stop()
    result = [b"x"]
    middleware = MemscopeMiddleware(returning(result))
    assert middleware.engine is None
    got = Got()
    assert middleware(environ_of(), got.start_response) is result
    assert not _memscope.is_tracing()


def test_a_wrong_option_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match=r"^every must be a whole number .*, not 0$"):
        MemscopeMiddleware(plain, enabled=True, every=0)


# The response


@pytest.mark.parametrize(
    "result",
    [[b"one"], [b"one", b"two"], (), (b"x",), [b""]],
    ids=["1", "2", "0", "tuple", "empty"],
)
def test_a_list_stays_one(result: Any) -> None:
    middleware, engine = watch(returning(result))
    got = Got()
    body = middleware(environ_of(), got.start_response)
    assert len(body) == len(result)  # type: ignore[arg-type]
    assert list(body) == list(result)
    assert list(body) == list(result)  # what can be read twice can be
    assert got.starts == [("200 OK", HEADERS)]
    assert got.starts[0][1] is HEADERS
    assert requests(engine) == {}
    body.close()  # type: ignore[attr-defined]
    body.close()  # type: ignore[attr-defined]
    assert requests(engine) == {"GET /": 1}


def test_a_length_is_kept_and_none_is_made() -> None:
    class Sized(Chunks):
        def __len__(self) -> int:
            return len(self.chunks)

    middleware, _ = watch(returning(Sized(b"a", b"b")))
    assert len(ask(middleware).result) == 0  # closed
    body = middleware(environ_of(), Got().start_response)
    assert len(body) == 2  # type: ignore[arg-type]
    body.close()  # type: ignore[attr-defined]
    middleware, _ = watch(returning(Chunks(b"a")))
    body = middleware(environ_of(), Got().start_response)
    assert not hasattr(body, "__len__")
    body.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_what_the_application_returned_is_closed_once(options: dict[str, Any]) -> None:
    chunks = Chunks(b"a", b"b")
    middleware, engine = watch(returning(chunks), **options)
    got = ask(middleware)
    assert (got.body, chunks.closed) == (b"ab", 1)
    got.result.close()
    assert chunks.closed == 1
    assert requests(engine) == {"GET /": 1}


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_an_early_disconnect_closes(options: dict[str, Any]) -> None:
    events: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        try:
            yield b"first"
            yield b"second"
        except GeneratorExit:
            events.append("exit")
            raise
        finally:
            events.append("done")

    middleware, engine = watch(app, **options)
    got = Got()
    body = middleware(environ_of(), got.start_response)
    iterator = iter(body)
    assert next(iterator) == b"first"
    assert events == []
    body.close()  # type: ignore[attr-defined]
    assert events == ["exit", "done"]
    assert [(route.requests, route.errors) for route in engine.routes] == [(1, 0)]


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_dropping_the_iterator_does_not_close_what_it_came_from(options: dict[str, Any]) -> None:
    class Iterating(Chunks):
        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            return b"a"

    chunks = Iterating()
    middleware, _ = watch(returning(chunks), **options)
    body = middleware(environ_of(), Got().start_response)
    iterator = iter(body)
    next(iterator)
    del iterator
    assert chunks.closed == 0
    body.close()  # type: ignore[attr-defined]
    assert chunks.closed == 1


def test_streaming_is_not_buffered() -> None:
    made: list[int] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        for number in range(3):
            made.append(number)
            yield b"%d" % number

    middleware, _ = watch(app)
    got = Got()
    body = middleware(environ_of(), got.start_response)
    assert got.starts == []  # a generator has not begun
    for number, chunk in enumerate(body):
        assert (chunk, made) == (b"%d" % number, list(range(number + 1)))
    body.close()  # type: ignore[attr-defined]


def test_write_is_the_servers() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", HEADERS)
        write(b"written")
        return [b"returned"]

    middleware, _ = watch(app)
    got = ask(middleware)
    assert (got.written, got.body) == ([b"written"], b"returned")


def test_exc_info_is_passed_through() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", HEADERS)
        try:
            raise ValueError("half-way")
        except ValueError:
            start_response("500 Sorry", HEADERS, sys.exc_info())
        start_response("500 Sorry", HEADERS, exc_info=None)
        return [b"sorry"]

    middleware, engine = watch(app)
    got = ask(middleware)
    assert [len(start) for start in got.starts] == [2, 3, 2]
    assert got.starts[1][2][0] is ValueError
    assert [route.errors for route in engine.routes] == [1]


def test_what_the_server_raises_reaches_the_application() -> None:
    caught: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            start_response("200 OK", HEADERS)
        except AssertionError as error:
            caught.append(str(error))
            raise
        return []

    def start_response(*_: Any) -> None:
        raise AssertionError("headers already set")

    middleware, engine = watch(app)
    with pytest.raises(AssertionError, match="already set"):
        middleware(environ_of(), start_response)
    assert caught == ["headers already set"]
    assert [route.errors for route in engine.routes] == [1]


class Oops(Exception):
    pass


class Hidden:
    """Not to be asked for anything."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)


@pytest.mark.parametrize("error", [Oops("as asked"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_an_exception_is_raised_untouched(error: BaseException, options: dict[str, Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise error

    middleware, engine = watch(app, **options)
    with pytest.raises(type(error)) as caught:
        middleware(environ_of("/broken"), Got().start_response)
    assert caught.value is error
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert [(route.name, route.errors) for route in engine.routes] == [("GET /broken", 1)]
    assert engine.recorder.in_flight == 0


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_what_cannot_be_looked_at_is_in_flight_no_more(options: dict[str, Any]) -> None:
    class Hostile:
        def __getattribute__(self, name: str) -> Any:
            raise Oops(name)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", HEADERS)
        return Hostile()

    middleware, engine = watch(app, **options)
    with pytest.raises(Oops):
        middleware(environ_of("/hostile"), Got().start_response).close()  # type: ignore[attr-defined]
    assert engine.recorder.in_flight == 0
    assert [(route.name, route.errors) for route in engine.routes] == [("GET /hostile", 1)]


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
@pytest.mark.parametrize("told", [["/x"], 3, b"/x"])
def test_a_route_that_is_no_text_is_made_one(told: Any, options: dict[str, Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["memscope.route"] = told
        return plain(environ, start_response)

    middleware, engine = watch(app, **options)
    ask(middleware)
    assert not engine.is_off
    assert requests(engine) == {f"GET {told}": 1}


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_an_exception_while_streaming_is_an_error_of_the_route(options: dict[str, Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        yield b"a"
        raise Oops("late")

    middleware, engine = watch(app, **options)
    with pytest.raises(Oops, match="late"):
        ask(middleware)
    assert [(route.requests, route.errors) for route in engine.routes] == [(1, 1)]


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_an_exception_of_close_is_raised_and_the_request_over(options: dict[str, Any]) -> None:
    class Closing(Chunks):
        def close(self) -> None:
            super().close()
            raise Oops("in close")

    chunks = Closing(b"a")
    middleware, engine = watch(returning(chunks), **options)
    body = middleware(environ_of(), Got().start_response)
    with pytest.raises(Oops, match="in close"):
        body.close()  # type: ignore[attr-defined]
    body.close()  # type: ignore[attr-defined]
    assert chunks.closed == 1
    assert [(route.requests, route.errors) for route in engine.routes] == [(1, 1)]


@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_a_file_of_the_server_is_handed_on_untouched(options: dict[str, Any]) -> None:
    given: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("206 Partial Content", HEADERS)
        given.append(environ["wsgi.file_wrapper"](io.BytesIO(b"file")))
        return given[-1]

    middleware, engine = watch(app, **options)
    environ = environ_of("/file")
    environ["wsgi.file_wrapper"] = FileWrapper
    result = middleware(environ, Got().start_response)
    assert result is given[0]
    assert requests(engine) == {"GET /file": 1}
    # A server whose wrapper is a function does not recognise it by its type.
    environ = environ_of("/file")
    environ["wsgi.file_wrapper"] = lambda file: FileWrapper(file)
    result = middleware(environ, Got().start_response)
    assert b"".join(result) == b"file"
    result.close()  # type: ignore[attr-defined]
    assert given[1].filelike.closed
    assert requests(engine) == {"GET /file": 2}


@pytest.mark.parametrize(
    "body", ["list", "generator", "closing", "head"],
)  # fmt: skip
def test_it_keeps_to_the_standard(body: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", HEADERS if body != "head" else [("Content-Type", "text/plain")])
        environ["wsgi.input"].read(1)
        if body == "generator":
            return (chunk for chunk in (b"a", b"b"))
        return Chunks(b"a", b"b") if body == "closing" else [b"ab"] if body == "list" else []

    middleware, engine = watch(validator(app), header=True)
    method = "HEAD" if body == "head" else "GET"
    got = ask(validator(middleware), method=method)
    assert got.body == (b"" if body == "head" else b"ab")
    assert requests(engine) == {f"{method} /": 1}


def test_our_pages_keep_to_the_standard() -> None:
    middleware, _ = watch(plain, dashboard=True, token=TOKEN)
    for method, path in (("GET", "/_memscope/memscope.css"), ("HEAD", "/_memscope/memscope.css")):
        got = ask(validator(middleware), path, method, HTTP_X_MEMSCOPE_TOKEN=TOKEN)
        assert got.status == "200 OK"
        assert got.headers["Content-Type"].startswith("text/css")
        assert bool(got.body) == (method == "GET")


# What is told


def test_routes_of_paths_and_of_frameworks() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/none":
            environ["memscope.route"] = ""
        if environ["PATH_INFO"].startswith("/told"):
            environ["memscope.route"] = "/told/<name>"
            environ["memscope.view"] = plain
        environ["PATH_INFO"] = "/changed by a dispatcher"
        start_response("404 Not Found" if "missing" in environ["HTTP_X"] else "200 OK", HEADERS)
        return []

    middleware, engine = watch(app)
    for path in ("/items/17", "/items/18", "/told/a", "/none", ""):
        ask(middleware, path, HTTP_X="")
    ask(middleware, "/nowhere", HTTP_X="missing")
    ask(middleware, "/told/b", HTTP_X="missing", REQUEST_METHOD="BREW")
    assert requests(engine) == {
        "GET /items/{}": 2, "GET /told/<name>": 1, "GET (no route)": 2, "GET /": 1,
        "OTHER /told/<name>": 1,
    }  # fmt: skip
    told = engine.routes.get("GET /told/<name>")
    assert told is not None
    assert told.endpoint is not None
    assert told.endpoint.qualname == "plain"


def test_a_path_is_utf_8() -> None:
    middleware, engine = watch(plain)
    ask(middleware, "/caf\N{LATIN SMALL LETTER E WITH ACUTE}".encode().decode("latin-1"))
    ask(middleware, "/\xff")
    ask(middleware, "/\N{SNOWMAN}")  # of a server that does not keep to the standard
    assert set(requests(engine)) == {
        "GET /caf\N{LATIN SMALL LETTER E WITH ACUTE}", "GET /\N{REPLACEMENT CHARACTER}", "GET /?"
    }  # fmt: skip


@pytest.mark.parametrize("status", ["", "abc", "20", None, b"200 OK", 200])
@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_what_is_no_status_is_passed_on(status: Any, options: dict[str, Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, HEADERS)
        return [b"x"]

    middleware, engine = watch(app, **options)
    assert ask(middleware).starts == [(status, HEADERS)]
    assert not engine.is_off
    assert engine.recorder.in_flight == 0


def test_hostile_headers_change_nothing() -> None:
    middleware, engine = watch(plain, dashboard=True, token=TOKEN, trigger_param="memscope")
    hostile = {
        "HTTP_MEMSCOPE_ROUTE": "/forged", "HTTP_MEMSCOPE.ROUTE": "/forged", "HTTP_": "x",
        "HTTP_HOST": "\x00\xff", "HTTP_X_MEMSCOPE_TOKEN": "\xff" * 9000, "CONTENT_LENGTH": "-1",
        "HTTP_COOKIE": "memscope=" + "a;" * 5000, "QUERY_STRING": "memscope=1&" + "%" * 999,
    }  # fmt: skip
    assert ask(middleware, "/a", **hostile).body == b"plain"
    assert ask(middleware, "/_memscope/", **hostile).body == b"plain"
    assert ask(middleware, "/_memscope/do/gc/collect", "POST", **hostile).body == b"plain"
    assert requests(engine) == {"GET /a": 1}
    assert not engine.is_off


def test_headers_of_its_own_only_when_asked_for() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        kept.append(bytearray(50_000))
        start_response("200 OK", HEADERS)
        return [b""]

    kept: list[bytearray] = []
    middleware, _ = watch(app, header=True, every=2)
    first, second = ask(middleware), ask(middleware)
    assert 50_000 <= int(first.headers["X-Memscope-Retained"]) < 60_000
    assert first.headers["Server-Timing"].startswith("memscope;desc=")
    assert second.headers == dict(HEADERS)
    assert HEADERS == [("Content-Type", "text/plain")]


def test_what_a_request_leaves_behind_is_its_routes() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/leak":
            kept.append(bytearray(10_000))
        start_response("200 OK", HEADERS)
        return [bytes(100_000)]

    kept: list[bytearray] = []
    middleware, engine = watch(app, warmup=0)
    for _ in range(5):
        for path in ("/leak", "/clean"):
            ask(middleware, path)
    engine.recorder.settle()
    per_request = {route.name: route.bytes / route.measured for route in engine.routes}
    assert 10_000 <= per_request["GET /leak"] < 12_000
    assert abs(per_request["GET /clean"]) < 1000


def test_one_of_n_and_a_sampler() -> None:
    middleware, engine = watch(plain, every=3, warmup=0)
    for _ in range(9):
        ask(middleware)
    engine.recorder.settle()
    assert [(route.requests, route.measured) for route in engine.routes] == [(9, 3)]
    middleware, engine = watch(
        plain, sampler=lambda environ: environ["HTTP_X"] == "1", warmup=0
    )  # fmt: skip
    for number in range(4):
        ask(middleware, HTTP_X=str(number))
    engine.recorder.settle()
    assert [(route.requests, route.measured) for route in engine.routes] == [(4, 1)]


def test_excluded_paths_are_let_through() -> None:
    result = [b"x"]
    middleware, engine = watch(returning(result), exclude_paths=["^/internal/"])
    assert middleware(environ_of("/internal/x"), Got().start_response) is result
    assert requests(engine) == {}


# More than one at a time


def test_two_routes_at_once_are_not_told_apart() -> None:
    inside = threading.Barrier(2, timeout=30)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        inside.wait()
        start_response("200 OK", HEADERS)
        inside.wait()
        return [b"x"]

    middleware, engine = watch(app, warmup=0)
    threads = [threading.Thread(target=ask, args=(middleware, path)) for path in ("/a", "/b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.recorder.settle()
    assert {(route.name, route.shared, route.measured) for route in engine.routes} == {
        ("GET /a", 1, 0), ("GET /b", 1, 0)
    }  # fmt: skip
    assert engine.recorder.mixed_requests == 2


def test_the_request_lasts_until_the_body_is_closed() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        yield b"a"

    middleware, engine = watch(app, warmup=0)
    first = middleware(environ_of("/a"), Got().start_response)
    second = middleware(environ_of("/b"), Got().start_response)
    assert engine.recorder.in_flight == 2
    for body in (first, second):
        assert list(body) == [b"a"]
        body.close()  # type: ignore[attr-defined]
    assert engine.recorder.in_flight == 0
    engine.recorder.settle()
    assert engine.recorder.mixed_requests == 2


@pytest.mark.parametrize("kind", ["list", "generator"])
@pytest.mark.parametrize("options", [{}, PASSING, CORE], ids=["measured", "passing", "core"])
def test_a_server_that_never_closes(kind: str, options: dict[str, Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)
        return [b"x"] if kind == "list" else (chunk for chunk in [b"x"])

    middleware, engine = watch(app, **options)
    for _ in range(3):
        body = middleware(environ_of(), Got().start_response)
        assert list(body) == [b"x"]
        del body
    gc.collect()
    ask(middleware)
    assert engine.recorder.in_flight == 0


@pytest.mark.parametrize("kind", ["list", "generator"])
def test_nothing_of_a_response_is_in_a_cycle(kind: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if kind == "list":
            start_response("200 OK", HEADERS)
            return [b"x"]

        def generate() -> Iterator[bytes]:
            start_response("200 OK", HEADERS)
            yield b"x"
            yield b"y"

        return generate()

    middleware, _ = watch(app)
    gc.collect()
    gc.disable()
    try:
        for body in ("dropped", "closed"):
            got, marked = Got(), Got()
            environ = environ_of(marked=marked)
            got.result = middleware(environ, got.start_response)
            of_environ = weakref.ref(marked)
            del environ, marked
            for _ in got.result:
                break
            if body == "closed":
                got.result.close()  # what a server may hold in an object holds nothing of it
                assert of_environ() is None
            else:
                del got.result
            kept = weakref.ref(got)
            del got
            assert kept() is None
    finally:
        gc.enable()


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
            got = ask(middleware)
            assert (got.body, got.starts) == (b"plain", [("200 OK", HEADERS)])
    assert len(caplog.records) == 1
    assert "is off" in caplog.text
    assert "broken inside" in caplog.text


# Our own pages


class Reading:
    """A body that says how much was asked for."""

    def __init__(self, body: bytes) -> None:
        self._file = io.BytesIO(body)
        self.most = 0

    def read(self, size: int = -1) -> bytes:
        self.most += size if size >= 0 else 1 << 60
        return self._file.read(size)


def called(**more: Any) -> Any:
    """The call that the pages get, of one request."""
    middleware, engine = watch(plain, dashboard=True, token=TOKEN)
    assert engine.dashboard is not None
    calls = []

    def answer(call: Any) -> Any:
        calls.append(call)
        return real(call)

    real, engine.dashboard.answer = engine.dashboard.answer, answer  # type: ignore[method-assign]
    ask(middleware, **{"path": "/_memscope/", "HTTP_X_MEMSCOPE_TOKEN": TOKEN, **more})
    return calls[0] if calls else None


def test_a_call_is_what_was_asked() -> None:
    call = called(
        path="/_memscope/types.json", SCRIPT_NAME="/shop", QUERY_STRING="a=%20b",
        HTTP_X_FORWARDED_FOR="10.0.0.1", REMOTE_ADDR="127.0.0.7", CONTENT_TYPE="x/y",
        **{"wsgi.url_scheme": "https"},
    )  # fmt: skip
    assert (call.method, call.path, call.query) == ("GET", "types.json", "a=%20b")
    assert (call.root, call.scheme, call.remote_addr) == ("/shop/_memscope", "https", "127.0.0.7")
    assert call.headers["x-forwarded-for"] == "10.0.0.1"
    assert call.headers["content-type"] == "x/y"
    assert call.source["PATH_INFO"] == "/_memscope/types.json"
    assert call.body == b""
    assert called(REMOTE_ADDR="") is not None  # a Unix socket: the access check says no


@pytest.mark.parametrize(
    ("sent", "length", "got"),
    [
        (b"a=1", "3", b"a=1"), (b"a=1", "2", b"a="), (b"a=1", "9", b"a=1"), (b"a=1", "", b""),
        (b"a=1", "-1", b""), (b"a=1", "x", b""), (b"a=1", "\N{SUPERSCRIPT TWO}", b""),
        (bytes(1 << 20), str(1 << 20), bytes((64 << 10) + 1)),
        (bytes(1 << 20), "9" * 5000, bytes((64 << 10) + 1)),
    ],
)  # fmt: skip
def test_a_body_is_read_so_far(sent: bytes, length: str, got: bytes) -> None:
    reading = Reading(sent)
    more = {"wsgi.input": reading, "CONTENT_LENGTH": length}
    call = called(path="/_memscope/do/gc/collect", method="POST", **more)
    assert call.body == got
    assert reading.most <= (64 << 10) + 1 + len(got)


def test_a_chunked_body_is_read_where_the_server_ends_it() -> None:
    more = {"wsgi.input": Reading(b"a=1"), "wsgi.input_terminated": True}
    assert called(path="/_memscope/do/x", method="POST", **more).body == b"a=1"


def test_too_long_a_body_is_413() -> None:
    middleware, _ = watch(plain, dashboard=True, token=TOKEN)
    more = {"wsgi.input": Reading(bytes(1 << 20)), "CONTENT_LENGTH": str(1 << 20)}
    got = ask(
        middleware, "/_memscope/do/gc/collect", "POST", HTTP_X_MEMSCOPE_TOKEN=TOKEN, **more
    )  # fmt: skip
    assert got.status == "413 " + got.status.partition(" ")[2]


def test_outsiders_see_the_application_and_its_body_is_not_read() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("404 Not Found", HEADERS)
        return [b"the application's 404 ", environ["wsgi.input"].read()]

    middleware, engine = watch(app, dashboard=True, token=TOKEN)
    for method, path in (
        ("GET", "/_memscope/"), ("HEAD", "/_memscope/"), ("GET", "/_memscope"),
        ("POST", "/_memscope/do/gc/collect"), ("PUT", "/_memscope/x"),
    ):  # fmt: skip
        sent = {"CONTENT_LENGTH": "4"}
        got = ask(middleware, path, method, **{"wsgi.input": Reading(b"body")}, **sent)
        bare = ask(app, path, method, **{"wsgi.input": Reading(b"body")}, **sent)
        assert (got.starts, got.body) == (bare.starts, bare.body)
        assert got.body.endswith(b"body")
    assert requests(engine) == {}
    assert ask(middleware, "/_memscopes").status == "404 Not Found"
    assert requests(engine) == {"GET (no route)": 1}


def test_without_the_dashboard_its_paths_are_the_applications() -> None:
    middleware, engine = watch(plain)
    assert ask(middleware, "/_memscope/").body == b"plain"
    assert requests(engine) == {"GET /_memscope/": 1}


def test_who_knows_the_token_gets_the_pages() -> None:
    middleware, _ = watch(plain, dashboard=True, token=TOKEN)
    got = ask(middleware, "/_memscope/memscope.js", HTTP_X_MEMSCOPE_TOKEN=TOKEN)
    assert got.status == "200 OK"
    assert int(got.headers["Content-Length"]) == len(got.body) > 0
    got = ask(middleware, "/_memscope/", QUERY_STRING=f"token={TOKEN}")
    assert got.status == "303 See Other"


def test_a_trigger_is_for_those_who_may_see_the_pages() -> None:
    middleware, engine = watch(
        plain, dashboard=True, token=TOKEN, trigger_param="memscope", every=1000
    )  # fmt: skip
    assert engine.shelf is not None
    ask(middleware)  # the first is measured
    ask(middleware, QUERY_STRING="memscope=1")
    assert len(list(engine.shelf)) == 0
    ask(middleware, QUERY_STRING="memscope=1", HTTP_X_MEMSCOPE_TOKEN=TOKEN)
    assert len(list(engine.shelf)) == 1
