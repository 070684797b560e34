"""Which slow request made the process grow?

A WSGI middleware: after each request that takes longer than a limit it takes a snapshot, and
compares it with that of the slow request before.  If they differ by more than a threshold, the
lines are logged.  Fast requests cost two looks at the clock.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults

import memscope
from examples.leaks import raw_uploads as service

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

log = logging.getLogger("slow_requests")


class SlowRequests:
    """Wraps a WSGI application: ``app.wsgi_app = SlowRequests(app.wsgi_app)`` in Flask."""

    def __init__(self, app: Application, seconds: float, threshold: int) -> None:
        self.app = app
        self.seconds = seconds
        self.threshold = threshold
        self.last: memscope.Snapshot | None = None
        memscope.start()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        began = time.perf_counter()
        try:
            return self.app(environ, start_response)
        finally:
            elapsed = time.perf_counter() - began
            if elapsed >= self.seconds:
                self.compare(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", elapsed)

    def compare(self, request: str, elapsed: float) -> None:
        now = memscope.take_snapshot()
        grown = now.total_size - self.last.total_size if self.last else 0
        if self.last and grown > self.threshold:
            table = io.StringIO()
            now.compare_to(self.last, "lineno").show(limit=3, file=table)
            log.warning("%s took %.2f s; grown since the last slow request:", request, elapsed)
            log.warning("%s", table.getvalue())
        self.last = now


def shop(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/upload":
        service.work()  # leaks
        time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    app = SlowRequests(shop, seconds=0.05, threshold=50_000)
    for path in ("/", "/upload", "/", "/", "/upload"):
        environ: dict[str, Any] = {"PATH_INFO": path}
        setup_testing_defaults(environ)
        list(app(environ, lambda status, headers: None))
    memscope.stop()


if __name__ == "__main__":
    main()
