"""Templates are compiled when they are first shown, and kept.  There are forty of them.

No page is new after the first round: the cache fills once.
"""

from __future__ import annotations

import itertools
from string import Template

_compiled: dict[str, Template] = {}
_requests = itertools.count()

LIMIT = 40


def template(name: str) -> Template:
    if name not in _compiled:
        _compiled[name] = Template(f"<h1>{name}</h1><p>Dear $customer</p>")
    return _compiled[name]


def work() -> None:
    for number in itertools.islice(_requests, 100):
        page = template(f"page-{number % LIMIT}.html").substitute(customer=f"customer {number}")
        assert page.startswith("<h1>")


def size() -> int:
    return len(_compiled)
