"""Every request connects a function to ``request_finished``, to log its own duration.

Signals of Flask (blinker's) are global: a receiver connected for "this request" is called
after all requests that follow, and is held by the signal.
"""

from __future__ import annotations

import itertools
from typing import Any

from flask import Flask, g, request_finished

from examples.leaks._expected import Expected

app = Flask(__name__)
_clock = itertools.count()
_durations: dict[str, int] = {}


@app.get("/stock/<int:product>")
def stock(product: int) -> str:
    started, page = next(_clock), f"/stock/{product}"

    def log_duration(sender: Flask, **_: Any) -> None:  # leaks
        _durations[page] = next(_clock) - started

    request_finished.connect(log_duration, app, weak=False)
    return f"{product % 7} left"


@app.get("/stock-fixed/<int:product>")
def stock_fixed(product: int) -> str:
    g.started = next(_clock)
    return f"{product % 7} left"


@app.after_request
def log_duration_once(response: Any) -> Any:
    """One function for all requests; what belongs to the request is in ``g``."""
    if "started" in g:
        _durations["/stock-fixed"] = next(_clock) - g.started
    return response


def ask(page: str) -> None:
    client = app.test_client()
    for product in range(20):
        assert client.get(f"{page}/{product}").status_code == 200


def work() -> None:
    ask("/stock")


def work_fixed() -> None:
    ask("/stock-fixed")


def leaked() -> int:
    return len(request_finished.receivers)


EXPECTED = Expected(
    type="function",
    kind="callback",
    holder="request_finished -> receivers",
    per_round=20,
)
