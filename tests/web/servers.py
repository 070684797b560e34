"""Real servers on loopback, each in a process of its own.

    with serve("waitress", "tests.web.apps.wsgi_site:app") as server:
        response = server.get("/plain")

The application is named as servers name it.  The process is gone when the block ends, and what
it printed is ``server.output()``.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

# Frameworks make headers of sets.
FIXED = {"PYTHONHASHSEED": "0"}

ROOT = Path(__file__).resolve().parent.parent.parent

WSGIREF = """\
import importlib, socketserver, sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64
class Handler(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass
module, name = sys.argv[1].split(":")
app = getattr(importlib.import_module(module), name)
make_server("127.0.0.1", int(sys.argv[2]), app, Server, Handler).serve_forever()
"""


def command(kind: str, target: str, port: int) -> list[str]:
    """What starts a server; *kind*: "gunicorn sync 2 preload" has two workers."""
    name, *rest = kind.split()
    address = f"127.0.0.1:{port}"
    if name == "gunicorn":
        worker, processes = rest[0], rest[1] if len(rest) > 1 else "1"
        threads = ["--threads", "4"] if worker == "gthread" else []
        more = [*threads, *(f"--{option}" for option in rest[2:])]
        run = ["-m", "gunicorn", "-b", address, "-k", worker, "-w", processes, *more, target]
    elif name == "uvicorn":
        run = [
            *("-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port)),
            *("--no-access-log", "--ws", "websockets-sansio", target),
        ]
    elif name == "waitress":
        run = ["-m", "waitress", f"--listen={address}", "--threads=4", target]
    elif name == "wsgiref":
        run = ["-c", WSGIREF, target, str(port)]
    else:
        raise ValueError(f"no server is called {name}")
    return [sys.executable, *run]


class Response(NamedTuple):
    """All of a response."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return found[0] if found else None


class Server:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        connection = self.connection()
        try:
            connection.request(method, path, body, dict(headers or {}))
            got = connection.getresponse()
            return Response(got.status, got.reason, tuple(got.getheaders()), got.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Response:
        return self.ask("GET", path, headers=headers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    run: list[str], port: int, *, env: Mapping[str, str] | None = None, timeout: float = 60
) -> Iterator[Server]:
    """Any command that serves *port*, until the block ends."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **FIXED,
        **(env or {}),
    }
    with tempfile.TemporaryDirectory(prefix="memscope-server-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                run,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=environment,
                start_new_session=True,  # workers are stopped with their parent
            )
        server = Server(process, port, log)
        try:
            _wait(server, timeout)
            yield server
        finally:
            _stop(process)


@contextlib.contextmanager
def serve(kind: str, target: str, **options: object) -> Iterator[Server]:
    """A server of this kind, until the block ends."""
    port = free_port()
    with running(command(kind, target, port), port, **options) as server:  # type: ignore[arg-type]
        yield server


def _wait(server: Server, timeout: float) -> None:
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended at once:\n{server.output()}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server does not answer:\n{server.output()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
