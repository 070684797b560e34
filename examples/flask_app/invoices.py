"""Invoices in Flask.  Two of its pages are honest about memory; one is not.

    flask --app invoices run --debug

Ask for /invoices/1 some dozen times, and look at http://127.0.0.1:5000/_memscope/ (the log
says with which token).
"""

from __future__ import annotations

import functools
import itertools

from flask import Flask, g, jsonify
from flask.typing import ResponseReturnValue

from memscope.flask import Memscope

app = Flask(__name__)
app.config["MEMSCOPE_DASHBOARD"] = True
Memscope(app)

_requests = itertools.count(1)
_rendered: dict[tuple[int, int], str] = {}


@app.before_request
def number_the_request() -> None:
    g.request_number = next(_requests)


@app.get("/")
def home() -> ResponseReturnValue:
    return "Invoices"


@functools.lru_cache(maxsize=100)
def tax(cents: int) -> int:
    return cents * 19 // 100


@app.get("/tax/<int:cents>")
def show_tax(cents: int) -> ResponseReturnValue:
    return jsonify(cents=cents, tax=tax(cents))


@app.get("/invoices/<int:number>")
def invoice(number: int) -> ResponseReturnValue:
    """A page, "cached" by what it shows.  It shows the number of the request too, so no page is
    ever found again."""
    key = (number, g.request_number)
    if key not in _rendered:
        _rendered[key] = "".join(f"<p>Item {item} of {key}" for item in range(60))  # leaks
    return _rendered[key]
