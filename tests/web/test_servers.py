"""Real servers under load: the same requests to the same server with memscope and without.

Every response is the same to the byte, but for the date.  What it costs is printed, and
nothing is asserted of times: the machine has other work to do.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import sys
import threading
import time
from collections import Counter
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.web.servers import ROOT, Response, Server, free_port, running, serve

WSGI, ASGI = "tests.web.apps.wsgi_site:app", "tests.web.apps.asgi_site:app"
TOKEN = {"X-Memscope-Token": "a-token-for-the-tests", "Host": "localhost"}
REQUESTS, CLIENTS = 304, 8

SERVERS = [
    ("gunicorn sync", WSGI),
    ("gunicorn sync 2", WSGI),
    ("gunicorn gthread", WSGI),
    ("gunicorn gthread 2", WSGI),
    ("gunicorn gthread 2 preload", WSGI),  # watched before it forks
    ("waitress", WSGI),
    ("wsgiref", WSGI),
    ("uvicorn", ASGI),
]

Asked = tuple[str, str, bytes | None, dict[str, str]]

KINDS: list[Asked] = [
    ("GET", "/plain", None, {}),
    ("GET", "/stream", None, {}),
    ("GET", "/file", None, {}),
    ("GET", "/file", None, {"Range": "bytes=100-4999"}),
    ("GET", "/file", None, {"Range": "bytes=-500"}),
    ("HEAD", "/plain", None, {}),
    ("HEAD", "/file", None, {}),
    ("GET", "/missing/17?a=b", None, {}),
    ("GET", "/error", None, {}),
    ("GET", "/raise", None, {}),
    ("POST", "/echo", b"hello " * 50, {"Content-Type": "text/x-test"}),
    ("POST", "/echo", b"", {}),
    ("POST", "/echo", bytes(range(256)) * 2000, {"Content-Type": "application/octet-stream"}),
    ("GET", "/big", None, {}),
    ("GET", "/written", None, {}),
    ("GET", "/later", None, {}),
    ("GET", "/_memscope/", None, {}),  # of an outsider
    ("POST", "/_memscope/do/gc/collect", b"a=1", {}),
    ("OPTIONS", "/plain", None, {}),
]


def kind_of(number: int) -> int:
    return number % len(KINDS)


def comparable(response: Response) -> Response:
    """Without what differs from one moment to the next."""
    headers = tuple((name, value) for name, value in response.headers if name.lower() != "date")
    return response._replace(headers=headers)


class Load:
    """All requests by some clients at a time; what came back."""

    def __init__(self, server: Server) -> None:
        self.responses: dict[int, Response] = {}
        self.seconds: dict[int, float] = {}
        self.failures: list[str] = []
        threads = [
            threading.Thread(target=self._client, args=(server, range(first, REQUESTS, CLIENTS)))
            for first in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _client(self, server: Server, numbers: range) -> None:
        for number in numbers:
            began = time.perf_counter()
            try:
                response = server.ask(*KINDS[kind_of(number)])
            except Exception as error:
                self.failures.append(f"{number}: {KINDS[kind_of(number)][:2]}: {error!r}")
            else:
                self.seconds[number] = time.perf_counter() - began
                self.responses[number] = comparable(response)


def quartiles(seconds: list[float]) -> str:
    first, median, third = statistics.quantiles(seconds, n=4)
    return f"{median * 1e3:.2f} ms ({first * 1e3:.2f}-{third * 1e3:.2f})"


@pytest.mark.parametrize(("kind", "target"), SERVERS, ids=[kind for kind, _ in SERVERS])
def test_no_byte_of_any_response_changes(kind: str, target: str) -> None:
    with serve(kind, target) as bare_server:
        first = Load(bare_server)
        again = [
            comparable(bare_server.ask(*KINDS[kind_of(number)])) for number in range(len(KINDS))
        ]
    with serve(kind, target, env={"MEMSCOPE_ENABLED": "1"}) as server:
        watched = Load(server)
        routes = [
            json.loads(server.get("/_memscope/routes.json", TOKEN).body) for _ in range(8)
        ]  # fmt: skip
        output = server.output()
    assert (first.failures, watched.failures) == ([], [])
    assert len(watched.responses) == REQUESTS
    for number in range(REQUESTS):
        expected = again[kind_of(number)]
        # The server alone answers a request always alike; else there is nothing to compare.
        assert first.responses[number] == expected, KINDS[kind_of(number)]
        assert watched.responses[number] == expected, KINDS[kind_of(number)]
    assert "memscope failed" not in output
    pages = sum("/_memscope" in KINDS[kind_of(number)][1] for number in range(REQUESTS))
    if " 2" in kind:
        assert 0 < seen_by(routes) <= REQUESTS - pages
    else:
        assert seen_by(routes) == REQUESTS - pages
    print(
        f"\n{kind}: {REQUESTS} requests, {CLIENTS} clients: {quartiles([*first.seconds.values()])}"
        f" without, {quartiles([*watched.seconds.values()])} with memscope"
    )


def seen_by(answers: list[dict[str, Any]]) -> int:
    """Requests that the workers which answered have counted."""
    workers = {answer["worker"]["pid"]: answer["routes"] for answer in answers}
    return sum(route["requests"] for routes in workers.values() for route in routes)


def test_a_websocket_of_uvicorn_is_the_same() -> None:
    said: dict[str, list[str | bytes]] = {}
    texts = ["abc", "", "\N{SNOWMAN}" * 100, "x" * 60_000]
    for enabled in ("0", "1"):
        with serve("uvicorn", ASGI, env={"MEMSCOPE_ENABLED": enabled}) as server:
            said[enabled] = []
            with connect(f"ws://127.0.0.1:{server.port}/ws") as socket:
                for text in texts:
                    socket.send(text)
                    said[enabled].append(socket.recv())
            assert server.get("/plain").status == 200
            assert "Traceback" not in server.output()
    assert said["0"] == said["1"] == [text[::-1] for text in texts]


@pytest.mark.parametrize("kind", ["gunicorn sync", "uvicorn"])
def test_routes_and_their_requests(kind: str) -> None:
    target = dict(SERVERS)[kind]
    with serve(kind, target, env={"MEMSCOPE_ENABLED": "1"}) as server:
        for method, path, body, headers in KINDS:
            server.ask(method, path, body, headers)
        data = json.loads(server.get("/_memscope/routes.json", TOKEN).body)
    counted: Counter[str] = Counter()
    for route in data["routes"]:
        counted[route["name"]] += route["requests"]
    assert counted["GET /file"] == 3
    assert counted["POST /echo"] == 3
    assert counted["HEAD /plain"] == 1
    assert counted["GET (no route)"] == 2
    assert sum(counted.values()) == len(KINDS) - 2  # not those to the pages


def test_the_fastapi_example_and_its_background_task() -> None:
    """As its docstring says: some orders, a leak report begun on the page, more orders."""
    source = ROOT / "examples" / "fastapi_app" / "app.py"
    orders = iter(range(1, 1000))
    mix = random.Random(3)

    def work(times: int) -> None:
        for number in itertools.islice(orders, times):
            for _ in range(mix.randrange(1, 4)):
                assert server.get("/").status == 200
            if mix.random() < 0.5:
                assert json.loads(server.get("/search/la").body) == ["lamp"]
            assert server.ask("POST", f"/orders/{number}").status == 200

    port = free_port()
    run = [sys.executable, "-m", "uvicorn", "--app-dir", str(source.parent), "app:app"]
    env = {"MEMSCOPE_TOKEN": TOKEN["X-Memscope-Token"]}
    with running([*run, f"--port={port}", "--no-access-log"], port, env=env) as server:
        work(25)
        assert server.ask("POST", "/_memscope/do/leaks/begin", b"", TOKEN).status == 303
        work(30)
        data = json.loads(server.get("/_memscope/leaks.json", TOKEN).body)
        output = server.output()
    assert data["investigation"]["state"] == "done"
    [leak] = data["report"]["leaks"]
    [line] = [
        number
        for number, text in enumerate(source.read_text().splitlines(), 1)
        if "= Receipt(" in text
    ]
    assert [route["name"] for route in leak["routes"]] == ["POST /orders/{order}"]
    assert leak["type_name"] == "app.Receipt"
    assert (leak["site"]["function"], leak["site"]["line"]) == ("send_receipt", line)
    assert leak["site"]["file"].endswith("fastapi_app/app.py")
    assert leak["holder"] == "module app -> _unsent"
    assert leak["kind"] == "unbounded-cache"
    told = [text for text in output.splitlines() if text.startswith("POST /orders/{order}: ")]
    assert len(told) == 1
    assert f"app.py:{line}, held by module app -> _unsent" in told[0]
