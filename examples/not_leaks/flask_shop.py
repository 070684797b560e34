"""A small shop in Flask that keeps nothing: what it warms up are Flask's and Python's caches.

Templates, URL rules, parsed URLs, cookies: all of it is filled by the first requests.
"""

from __future__ import annotations

import itertools

from flask import Flask, g, render_template_string, request, session

app = Flask(__name__)
app.secret_key = "not a secret"

PAGE = "{% for product in products %}<li>{{ product }}</li>{% endfor %} for {{ name }}"
LIMIT = 400

_numbers = itertools.count(1)


@app.before_request
def who() -> None:
    session["visits"] = session.get("visits", 0) + 1
    g.name = request.args.get("name", "nobody")


@app.get("/")
def home() -> str:
    return render_template_string(PAGE, products=["kettle", "lamp"], name=g.name)


@app.get("/products/<int:number>")
def product(number: int) -> dict[str, int]:
    return {"number": number, "cents": number * 7 % 1000}


def work() -> None:
    client = app.test_client()
    for number in itertools.islice(_numbers, 15):
        assert client.get(f"/?name=visitor-{number}").status_code == 200
        assert client.get(f"/products/{number}").status_code == 200
        assert client.get(f"/nothing/{number}").status_code == 404


def size() -> int:
    """Templates that Jinja keeps."""
    return len(app.jinja_env.cache or ())
