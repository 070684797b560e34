"""A client of a service under watch: asks for pages until there is a leak report, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.web.servers import Response, Server

__all__ = ["TOKEN", "leak_report", "leaking_lines", "page", "routes_of"]

TOKEN = "a-token-of-the-tests-0123456789"
ENVIRONMENT = {"MEMSCOPE_TOKEN": TOKEN}
MOST_REQUESTS = 400


def page(server: Server, path: str) -> Any:
    """The data of a page."""
    response = server.get(f"/_memscope/{path}.json", {"X-Memscope-Token": TOKEN})
    assert response.status == 200, response
    return json.loads(response.body)


def act(server: Server, action: str) -> Response:
    form = {
        "X-Memscope-Token": TOKEN,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return server.ask("POST", f"/_memscope/do/{action}", b"", form)


def leak_report(server: Server, paths: Sequence[str]) -> Any:
    """Ask for *paths* in turn, and have what they leave behind reported."""
    for path in paths * 4:
        assert server.get(path).status == 200, path
    assert act(server, "leaks/begin").status == 303
    for number in range(MOST_REQUESTS):
        path = paths[number % len(paths)]
        assert server.get(path).status == 200, path
        if number % 10 == 9:
            data = page(server, "leaks")
            if data["report"] is not None:
                return data["report"]
            assert data["investigation"]["state"] == "running", data["investigation"]
    raise AssertionError(f"no report after {MOST_REQUESTS} requests: {data['investigation']}")


def routes_of(server: Server) -> dict[str, Any]:
    return {route["name"]: route for route in page(server, "routes")["routes"]}


def leaking_lines(path: Path) -> set[int]:
    """Those that say so."""
    lines = path.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# leaks")}
