"""The Flask extension: when it is decided whether it is on, routes and views of every kind."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, abort, request, stream_with_context
from flask.views import MethodView
from werkzeug.test import create_environ, run_wsgi_app

from memscope import _memscope
from memscope.flask import Memscope, Watched
from memscope.web.engine import Engine
from memscope.web.settings import SettingsError
from tests.conftest import ROOT, RunPython
from tests.web.driving import ENVIRONMENT, leak_report, leaking_lines, routes_of
from tests.web.servers import free_port, running

TOKEN = "a-token-that-somebody-has-set"


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    if _memscope.is_tracing():
        _memscope.stop()


def make(**settings: Any) -> Flask:
    """An application with views of every kind, not yet under watch."""
    app = Flask(__name__)
    app.config.update({f"MEMSCOPE_{name}": value for name, value in settings.items()})
    kept: list[bytes] = []
    shop = Blueprint("shop", __name__, url_prefix="/shop/<town>")

    @app.get("/")
    def home() -> str:
        return "home"

    @app.get("/keeps/<int:number>")
    def keeps(number: int) -> str:
        kept.append(bytes(2000 + number))
        return "kept"

    @app.get("/fails")
    def fails() -> str:
        raise ValueError("a view fails")

    @app.get("/missing")
    def missing() -> str:
        abort(404)

    @app.get("/folder/")
    def folder() -> str:
        return "folder"

    @app.get("/streamed")
    def streamed() -> Response:
        @stream_with_context
        def parts() -> Iterator[str]:
            yield "one "
            yield request.path

        return Response(parts())

    @app.get("/awaits")
    async def awaits() -> str:
        await asyncio.sleep(0)
        return "awaited"

    @shop.get("/items/<int:number>")
    def item(town: str, number: int) -> str:
        return f"{number} in {town}"

    class Shelf(MethodView):
        def get(self, name: str) -> str:
            return name

        def delete(self, name: str) -> str:
            return name

    app.add_url_rule("/shelf/<name>", view_func=Shelf.as_view("shelf"))
    app.register_blueprint(shop)
    return app


def watched(**settings: Any) -> Flask:
    app = make(**{"ENABLED": True, **settings})
    Memscope(app)
    return app


def engine_of(app: Flask) -> Engine:
    known = app.extensions["memscope"]
    assert isinstance(known, Watched)
    assert known.engine is not None
    return known.engine


def ask(app: Flask, path: str, method: str = "GET", **options: Any) -> Any:
    """The answer, read to its end and closed, as a server does."""
    return app.test_client().open(path, method=method, buffered=True, **options)


def routes(app: Flask) -> dict[str, int]:
    return {route.name: route.requests for route in engine_of(app).routes}


# -- routes


@pytest.mark.parametrize(
    ("path", "name", "qualname"),
    [
        ("/", "GET /", "make.<locals>.home"),
        ("/keeps/7", "GET /keeps/<int:number>", "make.<locals>.keeps"),
        ("/shop/riga/items/7", "GET /shop/<town>/items/<int:number>", "make.<locals>.item"),
        ("/shelf/top", "GET /shelf/<name>", "make.<locals>.Shelf"),
        ("/missing", "GET /missing", "make.<locals>.missing"),
        ("/awaits", "GET /awaits", "make.<locals>.awaits"),
        ("/streamed", "GET /streamed", "make.<locals>.streamed"),
        ("/no-such-page", "GET (no route)", None),
        ("/folder", "GET (no route)", None),
    ],
)
@pytest.mark.parametrize("is_measured", [True, False], ids=["measured", "core"])
def test_routes(path: str, name: str, qualname: str | None, is_measured: bool) -> None:
    app = watched(EVERY=1 if is_measured else 1000)
    if not is_measured:
        for _ in range(2):
            ask(app, "/")
        engine_of(app).recorder.reset()
        assert engine_of(app).passing.is_open
    ask(app, path)
    [route] = engine_of(app).routes
    assert route.name == name
    assert route.requests == 1
    assert route.measured == 0
    if qualname is None:
        assert route.endpoint is None
    else:
        assert route.endpoint is not None
        assert (route.endpoint.filename, route.endpoint.qualname) == (__file__, qualname)
    assert engine_of(app).recorder.in_flight == 0


def test_methods() -> None:
    app = watched()
    ask(app, "/shelf/top")
    ask(app, "/shelf/top", "DELETE")
    assert ask(app, "/shelf/top", "PUT").status_code == 405
    assert routes(app) == {
        "GET /shelf/<name>": 1,
        "DELETE /shelf/<name>": 1,
        "PUT (no route)": 1,
    }


def test_what_answers_before_the_view() -> None:
    """No view runs, no after_request function either; the route is known all the same."""
    app = watched()
    app.before_request(lambda: ("not you", 403))
    assert ask(app, "/keeps/7").status_code == 403
    assert routes(app) == {"GET /keeps/<int:number>": 1}


def test_a_stream_is_over_when_it_was_sent() -> None:
    app = watched()
    response = app.test_client().get("/streamed")
    assert engine_of(app).recorder.in_flight == 1
    assert response.data == b"one /streamed"
    response.close()
    assert engine_of(app).recorder.in_flight == 0
    assert routes(app) == {"GET /streamed": 1}


def test_a_view_that_raises() -> None:
    app = watched()
    assert ask(app, "/fails").status_code == 500
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ValueError, match="a view fails"):
        ask(app, "/fails")
    [route] = engine_of(app).routes
    assert (route.name, route.requests, route.errors) == ("GET /fails", 2, 2)


def test_responses_are_the_same_without_us() -> None:
    plain, ours = make(), watched()
    for path in ("/", "/no-such-page", "/folder", "/streamed", "/shelf/top", "/awaits"):
        one, other = ask(plain, path), ask(ours, path)
        assert (one.status, list(one.headers), one.data) == (
            other.status, list(other.headers), other.data,
        )  # fmt: skip


def test_a_view_that_keeps_something_grows() -> None:
    app = watched()
    for _ in range(40):
        for path in ("/keeps/7", "/shelf/top"):
            # As a server does; the test client keeps some of each request itself.
            run_wsgi_app(app, create_environ(path), buffered=True)
    keeps, shelf = engine_of(app).routes
    assert keeps.trend().verdict == "growing"
    assert 1800 < keeps.trend().per_request < 2800
    assert shelf.trend().verdict != "growing"


# -- enabled or not


def test_off_without_debug() -> None:
    app = make()
    Memscope(app)
    assert ask(app, "/").data == b"home"
    assert app.extensions["memscope"].engine is None
    assert not _memscope.is_tracing()


def test_on_with_debug_that_is_set_late() -> None:
    """As app.run(debug=True) does."""
    app = make()
    Memscope(app)
    app.debug = True
    ask(app, "/")
    assert routes(app) == {"GET /": 1}


def test_off_in_debug_where_it_is_said() -> None:
    app = make(ENABLED=False)
    app.debug = True
    Memscope(app)
    ask(app, "/")
    assert app.extensions["memscope"].engine is None


def test_settings_that_come_after_init_app() -> None:
    app = make()
    Memscope(app)
    app.config["MEMSCOPE_ENABLED"] = True
    app.config["MEMSCOPE_EVERY"] = 7
    ask(app, "/")
    assert engine_of(app).settings.every == 7


def test_nothing_is_traced_before_the_first_request() -> None:
    """The process that only restarts the other imports the application too."""
    app = watched()
    assert app.extensions["memscope"].engine is None
    assert not _memscope.is_tracing()


def test_one_extension_for_the_applications_of_a_factory() -> None:
    extension = Memscope()
    apps = [make(ENABLED=True, EVERY=number + 1) for number in range(2)]
    for app in apps:
        extension.init_app(app)
        extension.init_app(app)
    ask(apps[0], "/")
    ask(apps[1], "/missing")
    assert routes(apps[0]) == {"GET /": 1}
    assert routes(apps[1]) == {"GET /missing": 1}
    assert [engine_of(app).settings.every for app in apps] == [1, 2]


def test_applications_that_are_dropped_are_freed() -> None:
    import gc
    import weakref

    app = watched()
    ask(app, "/")
    ref = weakref.ref(app)
    del app
    gc.collect()
    assert ref() is None


def test_one_application_inside_the_other() -> None:
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    outer, inner = watched(), watched()
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/inner": inner})  # type: ignore[method-assign]
    assert ask(outer, "/inner/keeps/7").data == b"kept"
    ask(outer, "/")
    assert routes(inner) == {"GET /keeps/<int:number>": 1}
    assert routes(outer) == {"GET /": 1}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("EVRY", 3, "MEMSCOPE_EVRY is no option of memscope; did you mean MEMSCOPE_EVERY?"),
        ("EVERY", 0, "MEMSCOPE_EVERY must be a whole number"),
        ("URL_PREFIX", "x", "MEMSCOPE_URL_PREFIX must be a path"),
    ],
)
def test_mistakes_are_told_at_once(name: str, value: Any, text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Memscope(make(**{name: value}))
    assert text in str(raised.value)


def test_names_in_small_letters_are_no_settings_of_flask() -> None:
    app = make()
    app.config["memscope_every"] = 3
    with pytest.raises(SettingsError, match="is written MEMSCOPE_EVERY"):
        Memscope(app)


def test_pages_without_debug_and_token_are_refused() -> None:
    """Before anything is answered."""
    app = watched(DASHBOARD=True)
    for _ in range(2):
        with pytest.raises(SettingsError, match="MEMSCOPE_DASHBOARD is on and"):
            ask(app, "/")
    assert not _memscope.is_tracing()


# -- the pages


def test_pages() -> None:
    app = watched(DASHBOARD=True, TOKEN=TOKEN)
    ask(app, "/keeps/7")
    path = "/_memscope/routes.json"
    outside = ask(app, path)
    other = ask(app, "/no-such-page")
    assert (outside.status, list(outside.headers), outside.data) == (
        other.status, list(other.headers), other.data,
    )  # fmt: skip
    answer = ask(app, path, headers={"X-Memscope-Token": TOKEN})
    assert answer.status_code == 200
    assert "GET /keeps/<int:number>" in str(answer.json)
    assert "/_memscope" not in "".join(routes(app))


def test_header() -> None:
    app = watched(HEADER=True)
    assert int(ask(app, "/keeps/7").headers["X-Memscope-Retained"]) > 2000


# -- known holders

DEBUGGER = """
import memscope
from flask import Flask
from werkzeug.debug import DebuggedApplication
from werkzeug.test import create_environ, run_wsgi_app

app = Flask(__name__)
app.config["PROPAGATE_EXCEPTIONS"] = True
kept = []

@app.get("/fails")
def fails():
    rows = [object() for _ in range(50)]
    raise ValueError("a view fails")

@app.get("/keeps")
def keeps():
    kept.append(bytearray(1000))
    return "kept"

def main(path):
    debugger = DebuggedApplication(app, evalex=True)

    def work():
        for _ in range(4):
            run_wsgi_app(debugger, create_environ(path), buffered=True)
    return memscope.diagnose(work)

report = main("/fails")
assert not report, report
assert any(one.why == "a debugging tool" for one in report.not_leaks), report
[leak] = main("/keeps").leaks
assert leak.holder == "module __main__ -> kept", leak
"""


def test_the_debugger_keeps_frames_and_that_is_no_leak(run_python: RunPython) -> None:
    """What the application keeps behind it, is one."""
    run_python(DEBUGGER)


# -- a real server

EXAMPLE = ROOT / "examples" / "flask_app" / "invoices.py"


@pytest.mark.parametrize("debug", [(), ("--debug",), ("--debug", "--no-reload")])
def test_flask_run(debug: tuple[str, ...]) -> None:
    """The example of the README, as it is: the report names the route, the line, the holder."""
    port = free_port()
    run = [sys.executable, "-m", "flask", "--app", str(EXAMPLE), "run", "--port", str(port), *debug]
    env = {**ENVIRONMENT, "MEMSCOPE_ENABLED": "1"}
    with running(run, port, env=ENVIRONMENT if debug else env) as server:
        paths = ["/", "/tax/700", "/tax/1900", "/invoices/1", "/invoices/2"]
        [leak] = leak_report(server, paths)["leaks"]
        assert [route["name"] for route in leak["routes"]] == ["GET /invoices/<int:number>"]
        assert leak["site"]["file"] == "examples/flask_app/invoices.py"
        assert leak["site"]["line"] in leaking_lines(EXAMPLE)
        assert leak["holder"] == "module invoices -> _rendered"
        assert (leak["type_name"], leak["kind"]) == ("str", "unbounded-cache")
        assert server.get("/_memscope/").status == 404, "of who has no token"


def test_trends_of_a_real_server() -> None:
    port = free_port()
    run = [sys.executable, "-m", "flask", "--app", str(EXAMPLE), "run", "--port", str(port)]
    with running(run, port, env={**ENVIRONMENT, "MEMSCOPE_ENABLED": "1"}) as server:
        found: dict[str, Any] = {}
        growing: set[str] = set()
        for number in range(1200):
            path = ("/", "/tax/700", "/invoices/1")[number % 3]
            assert server.get(path).status == 200
            if number % 100 == 99:
                found = routes_of(server)
                growing |= {name for name, route in found.items() if route["verdict"] == "growing"}
                if growing and number >= 299:
                    break
    assert set(found) == {"GET /", "GET /tax/<int:cents>", "GET /invoices/<int:number>"}
    # A thread ends while the request after its own begins: the figures of the others are blurred.
    assert growing == {"GET /invoices/<int:number>"}
    measured = sum(route["measured"] for route in found.values())
    shared = sum(route["shared"] for route in found.values())
    assert number - 9 <= measured + shared <= number + 1, "all but the warm-up, and the last"


def test_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Flask reads them: FLASK_ and the name, in JSON."""
    app = make()
    for name, value in {"ENABLED": "true", "EVERY": "7", "WARMUP": "0"}.items():
        monkeypatch.setenv(f"FLASK_MEMSCOPE_{name}", value)
    app.config.from_prefixed_env()
    Memscope(app)
    ask(app, "/")
    settings = engine_of(app).settings
    assert (settings.every, settings.warmup) == (7, 0)
