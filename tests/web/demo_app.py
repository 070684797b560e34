"""A WSGI application with some routes, of which some leak, to look at the pages with.

    python tests/web/demo_app.py [PORT]

serves it on 127.0.0.1 with wsgiref, and prints the URL of the pages.  While it is looked at,
``--work`` asks for the routes again and again.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from memscope.web.engine import Engine
from memscope.wsgi import MemscopeMiddleware

SESSIONS: dict[str, Session] = {}
CACHE: dict[int, str] = {}
HISTORY: list[bytes] = []
CACHE_LIMIT = 60


class Session:
    def __init__(self, user: str) -> None:
        self.user = user
        self.basket = [f"item {number} of {user}" for number in range(12)]


HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked=2'>\"&'"
Hostile = type(HOSTILE, (), {"__module__": f"evil.{HOSTILE}"})
KEPT: list[object] = []


class Order:
    def __init__(self, number: int) -> None:
        self.lines = [number] * 8


def login(number: int) -> str:
    key = f"token-{number:08d}"
    SESSIONS[key] = Session(key)
    return "logged in"


def search(number: int) -> str:
    CACHE[number % CACHE_LIMIT] = f"result {number} " * 20
    return CACHE[number % CACHE_LIMIT]


def order(number: int) -> str:
    orders = [Order(one) for one in range(50)]
    return f"{len(orders)} orders"


def export(number: int) -> str:
    HISTORY.append(bytes(4000))
    return "exported"


def hostile(number: int) -> str:
    KEPT.append(Hostile())
    return "done"


def broken(number: int) -> str:
    raise RuntimeError("as asked")


VIEWS: dict[str, Callable[[int], str]] = {
    "/login/<int:user>": login,
    "/search": search,
    "/orders/<int:order>": order,
    "/export.csv": export,
    "/broken": broken,
    f"/hostile/{HOSTILE}": hostile,
}


class Service:
    """The views, asked through an engine as an adapter would; and the pages."""

    def __init__(self, **options: Any) -> None:
        given = {"enabled": True, "debug": True, "dashboard": True, "warmup": 2, **options}
        engine = Engine.of(given, server="WSGI")
        assert engine is not None
        self.engine = engine
        self.number = 0
        self.middleware = MemscopeMiddleware.with_engine(application, engine)

    def ask(self, route: str, times: int = 1) -> None:
        for _ in range(times):
            self.number += 1
            view = VIEWS[route]
            visit = self.engine.begin(route, "", None)
            status: int | None = 200
            try:
                view(self.number)
            except RuntimeError:
                status = None
            self.engine.finish(
                visit, method="GET", path=route, route=route, status=status, view=view
            )

    def work(self, times: int = 1) -> None:
        for _ in range(times):
            self.ask("/login/<int:user>")
            self.ask("/search", 2)
            self.ask("/orders/<int:order>")
            self.ask(f"/hostile/{HOSTILE}")
            if self.number % 3 == 0:
                self.ask("/export.csv")
        self.ask("/broken")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return self.middleware(environ, start_response)


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """/login/17 and so on."""
    path = environ["PATH_INFO"]
    route = next((one for one in VIEWS if path.startswith(one.split("<")[0].rstrip("/"))), "")
    environ["memscope.route"] = route
    if not route:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not here\n"]
    environ["memscope.view"] = VIEWS[route]
    number = path.rpartition("/")[2]
    text = VIEWS[route](int(number) if number.isdigit() else 0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


TOKEN = "a-token-of-the-demonstration"


def main() -> None:
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    arguments = [one for one in sys.argv[1:] if one.isdigit()]
    service = Service(token=TOKEN)
    port = int(arguments[0]) if arguments else 0
    server = make_server("127.0.0.1", port, service, Server, Quiet)
    prefix = service.engine.settings.url_prefix
    print(f"http://127.0.0.1:{server.server_port}{prefix}?token={TOKEN}", flush=True)
    if "--work" in sys.argv:

        def work() -> None:
            while True:
                service.work()
                time.sleep(0.3)

        threading.Thread(target=work, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
