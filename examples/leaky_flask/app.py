"""A small shop in Flask.  Four of its pages are honest about memory; one is not.

flask --app app run          (or, from the project's root: make demo)
"""

from __future__ import annotations

import functools
import itertools
import math
import sqlite3

from flask import Flask, Response, g, jsonify, render_template, request

COLOURS = "red", "green", "blue"
THINGS = "kettle lamp clock chair drawer mirror carpet candle vase shelf".split()
PRODUCTS = [
    f"{size} {colour} {thing}"
    for size in ("small", "large")
    for colour in COLOURS
    for thing in THINGS
]

app = Flask(__name__)

_request_numbers = itertools.count()
_fragments: dict[tuple[int, int], str] = {}


def open_catalogue() -> sqlite3.Connection:
    """The catalogue: an SQLite database of its own for each request."""
    database = sqlite3.connect(":memory:")
    database.execute("create table product (name text primary key, price real)")
    prices = [(name, 5 + 7.5 * number) for number, name in enumerate(PRODUCTS)]
    database.executemany("insert into product values (?, ?)", prices)
    return database


@app.before_request
def number_the_request() -> None:
    g.number = next(_request_numbers)


@app.get("/")
def home() -> str:
    return render_template("home.html", products=PRODUCTS)


@app.get("/search")
def search() -> Response:
    pattern = f"%{request.args.get('q', '')}%"
    query = "select name, price from product where name like ? order by price"
    with open_catalogue() as database:
        found = database.execute(query, (pattern,)).fetchall()
    database.close()
    return jsonify([{"name": name, "price": price} for name, price in found])


@functools.lru_cache(maxsize=256)
def shipping_cost(kilometres: int) -> float:
    return round(4 + 1.5 * math.sqrt(kilometres), 2)


@app.get("/shipping/<int:kilometres>")
def shipping(kilometres: int) -> Response:
    return jsonify(kilometres=kilometres, cost=shipping_cost(kilometres))


@app.post("/echo")
def echo() -> Response:
    return jsonify(received=len(request.get_data()))


def recommend(customer: int, product: str) -> str:
    match = hash((customer, product)) % 100
    return f'<li><a href="/search?q={product}">{product}</a>: a {match} % match for you</li>\n'


@app.get("/recommendations/<int:customer>")
def recommendations(customer: int) -> str:
    """A fragment of a page, "cached".  The key holds the number of the request, so no
    entry is ever found again, and none is ever removed."""
    key = (customer, g.number)
    if key not in _fragments:
        _fragments[key] = "".join(recommend(customer, product) for product in PRODUCTS)
    return _fragments[key]
