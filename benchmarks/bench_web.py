"""What the middleware adds to a request: WSGI, ASGI, Flask and Django, measured and not, and Dozer.

python -m benchmarks.bench_web [--quick]

The application does next to nothing, and the "server" is a few lines in the same process, so
that what is measured is the middleware.  Those of Flask, Django and Starlette are real, with one
view: caches are as cold as a framework leaves them.  Each round times a few requests of the bare
application and of the wrapped one in turn, in one process and with tracing in the same state; a
figure is the median of the differences, in microseconds of CPU time.  What tracing itself costs
the application depends on what it allocates; see bench_trace.
"""

import argparse
import importlib
import io
import itertools
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks._harness import (
    ChildError,
    Figure,
    MissingError,
    Options,
    Report,
    Sample,
    Table,
    main,
    progress,
    rotated,
    run_child,
)

NEVER = 1_000_000_000

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "disabled": ("not enabled", {"enabled": False}),
    "told": ("not measured, route told by the framework", {"enabled": True, "every": NEVER}),
    "plain": ("not measured, route is the path", {"enabled": True, "every": NEVER}),
    "numbered": ("not measured, route made of a path", {"enabled": True, "every": NEVER}),
    "new": ("not measured, each of a path of its own", {"enabled": True, "every": NEVER}),
    "sampled": ("measured", {"enabled": True, "every": 1}),
}
PATHS = {"numbered": "/orders/81724/lines/3", "new": "/orders/{}"}
LIMITS = {"disabled": 0.5, "told": 5.0, "plain": 5.0, "numbered": 5.0, "new": 5.0}
MANY, FEW = 400, 20
"""Requests that are timed at once.  Few of what takes long: what else runs on the machine comes and
goes, and is the less in a difference the closer two times are to each other."""

AT_ONCE = 60
"""So many of these times are one round."""

FRAMEWORKS = ("flask", "django", "starlette")
NAMES = {
    "wsgi": "WSGI",
    "asgi": "ASGI",
    "flask": "Flask",
    "django": "Django",
    "starlette": "Starlette",
}

Once = Callable[[], None]


def wsgi_once(app: Any, path: str) -> Once:
    """A function that serves one request as a WSGI server does.

    A path with {} is another one each time.
    """
    numbers = itertools.count() if "{}" in path else None

    def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
        pass

    base = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SCRIPT_NAME": ""}
    base |= {"wsgi.url_scheme": "http", "HTTP_HOST": "localhost", "SERVER_NAME": "localhost"}
    base |= {"SERVER_PORT": "80", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr}
    base |= {"wsgi.multiprocess": ""}  # Dozer looks whether it is true

    def once() -> None:
        environ = base.copy()
        if numbers is not None:
            environ["PATH_INFO"] = path.format(next(numbers))
        result = app(environ, start_response)
        for _ in result:
            pass
        close = getattr(result, "close", None)
        if close is not None:
            close()

    return once


def wsgi_application(told: bool) -> Any:
    """An application, or what a framework makes of it."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if told:
            environ["memscope.route"] = "/orders/<int:order>"
            environ["memscope.view"] = app
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    return app


def asgi_once(app: Any, path: str) -> Once:
    """A function that serves one request as an ASGI server does, without an event loop; *path*
    as for wsgi_once()."""
    numbers = itertools.count() if "{}" in path else None

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    base = {"type": "http", "method": "GET", "path": path, "root_path": "", "query_string": b""}
    base |= {"headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "scheme": "http"}

    def once() -> None:
        scope = base.copy()
        if numbers is not None:
            scope["path"] = path.format(next(numbers))
        try:
            app(scope, receive, send).send(None)
        except StopIteration:
            return
        raise RuntimeError("the application waited")

    return once


class Route:
    """Of a framework: as much as the middleware reads."""

    def __init__(self) -> None:
        self.path = "/orders/{order}"
        self.endpoint = asgi_application


def asgi_application(told: bool) -> Any:
    """An application, or what a framework makes of it."""
    route = Route()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if told:
            scope.update(route=route, endpoint=app, path_params={"order": "17"})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    return app


def flask_pair(options: dict[str, Any], path: str) -> list[Once]:
    """A Flask application, bare and wrapped by the extension."""
    import flask

    from memscope.flask import Memscope

    apps = [flask.Flask("orders") for _ in range(2)]
    for app in apps:
        app.add_url_rule("/orders/<name>", view_func=lambda name: "hello", endpoint="order")
    app.config.update({f"MEMSCOPE_{name.upper()}": value for name, value in options.items()})
    Memscope(app)
    return [wsgi_once(app, path) for app in apps]


def django_pair(options: dict[str, Any], path: str) -> list[Once]:
    """A Django project, with a middleware that does nothing and with ours in its place."""
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.test import override_settings
    from django.urls import path as route

    settings.configure(
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["memscope.django"],
        ROOT_URLCONF=(route("orders/<name>", lambda request, name: HttpResponse("hello")),),
        MEMSCOPE={name.upper(): value for name, value in options.items()},
    )
    django.setup()
    handlers = []
    for middleware in (f"{__name__}.does_nothing", "memscope.django.MemscopeMiddleware"):
        with override_settings(MIDDLEWARE=[middleware]):
            handlers.append(WSGIHandler())
    return [wsgi_once(handler, path) for handler in handlers]


def starlette_pair(options: dict[str, Any], path: str) -> list[Once]:
    """A Starlette application, bare and wrapped."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route as StarletteRoute

    from memscope.asgi import MemscopeMiddleware

    async def order(request: Any) -> Any:
        return PlainTextResponse("hello")

    app = Starlette(routes=[StarletteRoute("/orders/{name}", order)])
    return [asgi_once(one, path) for one in (app, MemscopeMiddleware(app, **options))]


def does_nothing(get_response: Any) -> Any:
    """A middleware of Django's."""
    return get_response


def microseconds(once: Once, requests: int) -> float:
    began = time.process_time()
    for _ in range(requests):
        once()
    return (time.process_time() - began) / requests * 1e6


def pair_of(interface: str, way: str) -> list[Once]:
    """The bare application, and the wrapped one."""
    path = PATHS.get(way, "/orders/lines")
    if interface == "flask":
        return flask_pair(WAYS[way][1], path)
    if interface == "django":
        return django_pair(WAYS[way][1], path)
    if interface == "starlette":
        return starlette_pair(WAYS[way][1], path)
    module, name = f"memscope.{interface}", "MemscopeMiddleware"
    options: dict[str, Any] = {}
    if way == "dozer":
        module, name = "dozer", "Dozer"
    else:
        options = WAYS[way][1]
    middleware = getattr(importlib.import_module(module), name)
    told = way in ("told", "new", "sampled")
    application, once_of = (
        (wsgi_application, wsgi_once) if interface == "wsgi" else (asgi_application, asgi_once)
    )
    bare = application(told)
    return [once_of(app, path) for app in (bare, middleware(bare, **options))]


def measure(interface: str, way: str, rounds: int) -> list[tuple[float, float]]:
    """(bare, wrapped) microseconds of each round; a child calls this."""
    pair = pair_of(interface, way)
    requests = FEW if way == "sampled" or interface in FRAMEWORKS else MANY
    for once in pair:
        microseconds(once, 100)
    found = []
    for number in range(rounds * AT_ONCE):
        times = [0.0, 0.0]
        for at in (0, 1) if number % 2 else (1, 0):
            times[at] = microseconds(pair[at], requests)
        found.append((times[0], times[1]))
    return found


def dozer_pass(objects: int) -> float:
    """Milliseconds of what Dozer's thread does every five seconds; a child calls this."""
    from dozer import Dozer

    kept = [[number] for number in range(objects)]
    dozer = Dozer(wsgi_application(False))
    began = time.thread_time()
    dozer.tick()
    took = (time.thread_time() - began) * 1e3
    del kept
    return took


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Run it all."""
    children, rounds = (2, 3) if options.quick else (5, 10)
    report = Report()
    cells = [(interface, way) for interface in ("wsgi", "asgi") for way in WAYS]
    cells += [(interface, way) for interface in FRAMEWORKS for way in ("told", "new", "sampled")]
    cells.append(("wsgi", "dozer"))
    names = [" ".join(cell) for cell in cells]
    pairs: dict[str, list[list[float]]] = {name: [] for name in names}
    missing = ""
    for turn in range(children):
        for name in rotated(names, turn):
            interface, way = name.split()
            progress(f"{interface}, {way}")
            try:
                pairs[name] += run_child(
                    options, measure, interface=interface, way=way, rounds=rounds
                )
            except ChildError as error:
                if way != "dozer":
                    raise
                missing = str(error).strip().splitlines()[-1]
    for interface in ("wsgi", "asgi", *FRAMEWORKS):
        report.tables.append(table_of(interface, pairs, report))
    if missing:
        report.skipped.append(f"Dozer: {missing}")
    else:
        try:
            took = float(run_child(options, dozer_pass, objects=300_000))
        except (ChildError, MissingError) as error:
            report.skipped.append(f"Dozer's pass: {error}")
        else:
            report.tables[0].notes.append(
                f"Dozer's thread looks at all objects every five seconds: {took:.0f} ms with"
                " 300,000 lists, during which nothing else runs."
            )
    report.raw["web"] = pairs
    return report


def table_of(interface: str, pairs: dict[str, list[list[float]]], report: Report) -> Table:
    """The rows of one interface; its figures go to the report."""
    table = Table(
        f"{NAMES[interface]}: microseconds added to a request",
        ["", "added (quartiles)", "the bare application"],
    )
    titles = {way: title for way, (title, _) in WAYS.items()}
    if interface == "wsgi":
        titles["dozer"] = "Dozer"
    dozer = Sample(tuple(b - a for a, b in pairs["wsgi dozer"])) if pairs["wsgi dozer"] else None
    for way, title in titles.items():
        found = pairs.get(f"{interface} {way}")
        if not found:
            continue
        added = Sample(tuple(wrapped - bare for bare, wrapped in found))
        first, third = added.quartiles
        bare = Sample(tuple(bare for bare, _ in found))
        table.rows.append(
            [title, f"{added.median:.2f} ({first:.2f}-{third:.2f})", f"{bare.median:.2f}"]
        )
        if way in LIMITS:
            peers = {"dozer": dozer.median} if dozer and interface == "wsgi" else {}
            name = f"{NAMES[interface]}, {title}: added to a request"
            report.figures.append(
                Figure(name, added.median, LIMITS[way], "at most", "us", peers)
            )  # fmt: skip
    return table


def arguments(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


if __name__ == "__main__":
    sys.exit(
        main("What the middleware adds to a request.", benchmark, arguments, results="Middleware")
    )
