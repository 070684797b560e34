"""The programs that are traced.

Each workload is a ``prepare`` function: it builds the input and returns the
function that is timed.  Whatever a run allocates is dead when it returns, unless
the workload says otherwise, so that frees are timed with allocations.
"""

import hashlib
import importlib
import itertools
import json
import random
import sys
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Run = Callable[[], None]


@dataclass(frozen=True)
class Workload:
    """A named program.

    Attributes:
        name: Row title in the tables.
        about: What it does, one line.
        prepare: Builds the input, with the tool already on; returns the timed run.
        kernel: Counts in the geometric mean of the allocation-heavy kernels.
        pinned: Runs on one core; false where threads should meet on several.
        needs: Module without which it cannot run, or None.
    """

    name: str
    about: str
    prepare: Callable[[], Run]
    kernel: bool = True
    pinned: bool = True
    needs: str | None = None


def _keep(count: int = 300_000) -> Run:
    def run() -> None:
        kept: list[object] = [None] * count
        for i in range(count):
            kept[i] = object()

    return run


def _churn(count: int = 300_000) -> Run:
    """Replace half of a heap whose free blocks are scattered.

    The heap is built in order and half of it is replaced twice at random, so that
    neighbours in time are no longer neighbours in memory.  Nothing in it is tracked by
    the garbage collector, whose passes over a big heap would hide the allocator.
    """
    rng = random.Random(1)
    heap: list[object] = [None] * count

    def replace(indices: list[int]) -> None:
        third = len(indices) // 3
        for i in indices[:third]:
            heap[i] = object()
        for i in indices[third : 2 * third]:
            heap[i] = str(i)
        for i in indices[2 * third :]:
            heap[i] = i * 0.5

    def half() -> list[int]:
        return rng.sample(range(count), count // 2)

    replace(list(range(count)))
    replace(half())
    replace(half())
    picks = itertools.cycle([half() for _ in range(4)])
    return lambda: replace(next(picks))


def _strings(count: int = 500_000) -> Run:
    def run() -> None:
        kept: list[str | None] = [None] * count
        for i in range(count):
            kept[i] = str(i)

    return run


def _document(records: int) -> str:
    """A page of search results, as a web service would send it: about 0.6 KB a record."""
    rng = random.Random(2)
    words = [
        f"{a}{b}"
        for a in ("red", "old", "fast", "blue", "late")
        for b in ("fox", "tree", "car", "café")
    ]

    def text(length: int) -> str:
        return " ".join(rng.choices(words, k=length))

    results = [
        {
            "id": f"{rng.getrandbits(64):016x}",
            "title": text(6),
            "score": rng.random() * 100,
            "published": rng.random() < 0.9,
            "author": {
                "name": text(2),
                "email": f"user{i}@example.org",
                "followers": rng.randrange(10_000),
            },
            "tags": rng.sample(words, 4),
            "summary": text(20),
            "dimensions": [rng.randrange(4_000) for _ in range(4)],
            "parent": None,
        }
        for i in range(records)
    ]
    return json.dumps({"total": records, "took_ms": 12.5, "results": results})


def _json(records: int = 2_500) -> Run:
    text = _document(records)

    def run() -> None:
        json.loads(text)

    return run


def _grow(lists: int = 20_000, items: int = 24) -> Run:
    """Append to many lists in turn, so that most reallocs cannot grow in place."""

    def run() -> None:
        rows: list[list[None]] = [[] for _ in range(lists)]
        for _ in range(items):
            for row in rows:
                row.append(None)

    return run


class _Account:
    def __init__(self, number: int) -> None:
        self.number = number
        self.owner = f"owner {number}"
        self.flags = {"active": True, "number": number}
        self.history = [number]


def _instances(count: int = 50_000) -> Run:
    def run() -> None:
        accounts = [_Account(i) for i in range(count)]
        for account in accounts:
            account.history.append(account.number + 1)

    return run


class _Tree:
    __slots__ = ("left", "right")

    def __init__(self, depth: int) -> None:
        self.left: _Tree | None = _Tree(depth - 1) if depth else None
        self.right: _Tree | None = _Tree(depth - 1) if depth else None


def _trees(depth: int = 14) -> Run:
    """Allocate at every depth of a recursion: the stack is never twice the same."""

    def run() -> None:
        _Tree(depth)

    return run


def _stack_depth() -> int:
    """Number of Python frames of the caller's stack."""
    frame = sys._getframe(1)
    depth = 1
    while frame.f_back is not None:
        frame = frame.f_back
        depth += 1
    return depth


def _descend(frames: int, body: Run) -> None:
    if frames:
        _descend(frames - 1, body)
    else:
        body()


def at_depth(depth: int, body: Run) -> Run:
    """A run that calls ``body`` as the ``depth``-th Python frame of its thread.

    Raises:
        ValueError: When run: the stack is already deeper than that.
    """

    def run() -> None:
        missing = depth - _stack_depth() - 1
        if missing < 0:
            raise ValueError(f"the stack is {-missing} frames too deep for depth {depth}")
        if missing:
            _descend(missing - 1, body)
        else:
            body()

    return run


def _threads(threads: int = 4, rounds: int = 40) -> Run:
    """Each thread: make records in pure Python, then compress and hash without the GIL."""
    page = _document(60).encode()

    def work() -> None:
        for _ in range(rounds):
            records = [{"key": str(i), "value": [i, i + 1]} for i in range(400)]
            zlib.compress(page, 1)
            hashlib.sha256(page).hexdigest()
            records.clear()

    def run() -> None:
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return run


_PAGE = """<!doctype html>
<title>{{ title }}</title>
<ul>
{% for item in items -%}
  <li class="{{ loop.cycle('odd', 'even') }}">{{ item.title }}: {{ item.score|round(1) }}
  {%- if item.published %} <a href="/item/{{ item.id }}">{{ item.author.name }}</a>{% endif %}
  </li>
{%- endfor %}
</ul>
"""


def _flask(requests: int = 150) -> Run:
    """Requests to a Flask application through its WSGI entry, no sockets.

    One in three renders a page of 20 records, one returns JSON, one is redirected.
    """
    flask: Any = importlib.import_module("flask")
    test: Any = importlib.import_module("werkzeug.test")
    app = flask.Flask("benchmark")
    results = json.loads(_document(20))["results"]
    page = app.jinja_env.from_string(_PAGE)

    def show_page() -> Any:
        return page.render(title=flask.request.args["q"], items=results)

    def show_item(number: int) -> Any:
        return flask.jsonify(results[number % len(results)])

    def moved() -> Any:
        return flask.redirect(flask.url_for("show_page", q="moved"))

    app.add_url_rule("/", "show_page", show_page)
    app.add_url_rule("/item/<int:number>", "show_item", show_item)
    app.add_url_rule("/old", "moved", moved)
    environs = [test.create_environ(path) for path in ("/?q=fox", "/item/7", "/old?utm=1")]

    def start_response(status: str, headers: object, exc_info: object = None) -> None:
        if status[0] not in "23":
            raise RuntimeError(f"the application answered {status}")

    def run() -> None:
        for i in range(requests):
            body = app(dict(environs[i % 3]), start_response)
            for _ in body:
                pass
            body.close()

    return run


WORKLOADS = (
    Workload("keep", "keep 300k objects in a list", _keep),
    Workload("churn", "replace half of a churned heap of 300k", _churn),
    Workload("strings", "keep 500k strings", _strings),
    Workload("json", "json.loads of 1.4 MB", _json),
    Workload("grow", "append 24 items to each of 20k lists in turn", _grow),
    Workload("instances", "50k instances with attributes, a dict and a list", _instances),
    Workload("trees", "recursive constructor, 32k nodes, 15 levels", _trees),
    Workload("deep 20", "keep, 20 frames deep", lambda: at_depth(20, _keep())),
    Workload("depth 5", "keep, 5 frames deep", lambda: at_depth(5, _keep()), kernel=False),
    Workload("depth 300", "keep, 300 frames deep", lambda: at_depth(300, _keep()), kernel=False),
    Workload("threads", "4 threads: records, zlib, sha256", _threads, kernel=False, pinned=False),
    Workload("flask", "150 requests to a Flask application", _flask, kernel=False, needs="flask"),
)
"""In the order of the tables."""
