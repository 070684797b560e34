"""Every request to /offers/<customer> stores a rendered fragment that is never found again.

The cache key holds the request id, which the tracing middleware made part of ``g``.
"""

from __future__ import annotations

import itertools

from flask import Flask, g, request

from examples.leaks._expected import Expected

app = Flask(__name__)

_fragments: dict[tuple[int, int | None], str] = {}
_request_ids = itertools.count(1)


@app.before_request
def trace() -> None:
    g.request_id = next(_request_ids)


def render(customer: int) -> str:
    return "".join(f"<li>offer {offer} for {customer}</li>" for offer in range(40))  # leaks


@app.get("/offers/<int:customer>")
def offers(customer: int) -> str:
    per_customer = "v" in request.args
    key = (customer, None if per_customer else g.request_id)
    if key not in _fragments:
        _fragments[key] = render(customer)
    return _fragments[key]


def ask(query: str) -> None:
    client = app.test_client()
    for customer in range(50):
        assert client.get(f"/offers/{customer}{query}").status_code == 200


def work() -> None:
    ask("")


def work_fixed() -> None:
    """The key is what the fragment depends on: one entry for each customer."""
    ask("?v=2")


def leaked() -> int:
    return sum(request_id is not None for _, request_id in _fragments)


EXPECTED = Expected(
    type="str",
    kind="unbounded-cache",
    holder="module examples.leaks.flask_fragments -> _fragments",
    per_round=50,
)
