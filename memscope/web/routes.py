"""The routes of a service: what each retained, and which code answers it.

A route is a method and a template, "GET /users/<int:id>".  Frameworks tell the template;
of a plain WSGI or ASGI application the path is taken, with what looks like an identifier
replaced, and however many there are, they are bounded.
"""

from __future__ import annotations

import functools
import re
import types
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from memscope import naming
from memscope.table import printable
from memscope.web.trend import Trend, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from memscope.leak_report import Site
    from memscope.web.births import Births

__all__ = ["NO_ROUTE", "OTHERS", "Endpoint", "Ring", "Route", "Routes", "endpoint_of", "template"]

NO_ROUTE = "(no route)"
"""Stands for the template of requests that no route matched."""

OTHERS = "(other routes)"
"""Stands for the routes that came when there were too many."""

METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT".split())
MOST_NAME = 200
IDENTIFIER = re.compile(
    r"(?<![^/])(?:\d+|[0-9a-fA-F-]{16,}|[^/]{40,}|[^/]*\d{3,}[^/]*|[^/]*[%@=][^/]*)(?![^/])"
)
"""A whole segment of a path that looks like one."""

MOST_SEGMENTS = 8
PLAIN = re.compile(r"(?:/[A-Za-z_.~-]{0,15}+){1,7}")
"""Paths in which nothing looks like an identifier, and they are not long: most."""


def template(path: str) -> str:
    """A name for all paths that differ in what looks like an identifier only."""
    if PLAIN.fullmatch(path):
        return path
    named = IDENTIFIER.sub("{}", path[:2000])
    if named.count("/") >= MOST_SEGMENTS:
        named = "/".join([*named.split("/")[:MOST_SEGMENTS], "..."])
    return named or "/"


CLASSES = ("view_class", "cls")
"""Attributes of a function that hold the class it makes a view of: in Flask and Django, and in
Django's REST framework."""


class Endpoint(NamedTuple):
    """The function or class that answers a route."""

    filename: str
    lineno: int
    qualname: str
    is_class: bool

    def covers(self, site: Site) -> bool:
        """Whether a frame of a traceback is its, or of a function inside it."""
        if site.filename != self.filename:
            return False
        return site.function == self.qualname or site.function.startswith(
            f"{self.qualname}." if self.is_class else f"{self.qualname}.<locals>."
        )


def endpoint_of(view: Any) -> Endpoint | None:
    """Where the code of *view* is: a function, a method, a class, a decorated one.

    Reads only attributes that functions and types have by themselves, so nothing of the
    program runs.
    """
    for _ in range(20):  # a chain of decorators may be a ring
        kind = type(view)  # not isinstance(): it asks an object for its __class__
        if issubclass(kind, functools.partial):
            view = vars(functools.partial)["func"].__get__(view)
        elif kind is types.MethodType:
            view = view.__func__
        elif kind is types.FunctionType:
            known = vars(view)
            classes = [known[name] for name in CLASSES if issubclass(type(known.get(name)), type)]
            inner = classes[0] if classes else known.get("__wrapped__")
            if inner is None:
                code = view.__code__
                return Endpoint(code.co_filename, code.co_firstlineno, code.co_qualname, False)
            view = inner
        elif issubclass(kind, type):
            space = naming.namespace_of(view)
            codes = [one.__code__ for one in space.values() if type(one) is types.FunctionType]
            if not codes:
                return None
            first = min(codes, key=lambda code: code.co_firstlineno)
            name = vars(type)["__qualname__"].__get__(view)
            return Endpoint(first.co_filename, first.co_firstlineno, name, True)
        else:
            call = naming.namespace_of(kind).get("__call__")
            if type(call) is not types.FunctionType:
                return None
            view = call
    return None


class Ring:
    """The last so many numbers, in a block of memory that never grows."""

    __slots__ = ("_next", "_values", "count")

    def __init__(self, size: int) -> None:
        self._values = array("q", bytes(8 * size))
        self._next = 0
        self.count = 0

    def append(self, value: int) -> None:
        self._values[self._next] = value
        self._next = (self._next + 1) % len(self._values)
        self.count = min(self.count + 1, len(self._values))

    def clear(self) -> None:
        self._next = self.count = 0

    def __iter__(self) -> Iterator[int]:
        values, size = self._values, len(self._values)
        first = (self._next - self.count) % size
        return (values[(first + at) % size] for at in range(self.count))


class Route:
    """One route, and what its requests left behind.  Changed under the recorder's lock.

    But for what Routes.seen() counts, also of requests that take no lock: CPython switches threads
    at calls and at jumps backwards, so not between reading a number and writing it.
    """

    __slots__ = (
        "births", "blocks", "bytes", "endpoint", "errors", "is_confirmed", "last_seen", "leaks",
        "longest", "measured", "name", "reported_at", "requests", "retained", "seconds", "shared",
        "totals",
    )  # fmt: skip

    def __init__(self, name: str, records: int) -> None:
        self.name = name
        self.endpoint: Endpoint | None = None
        self.requests = 0
        """All of them."""
        self.measured = 0
        """Of which it is known what they retained."""
        self.shared = 0
        """That were in flight together with those of other routes."""
        self.errors = 0
        """Answered with 500 or more, or not at all."""
        self.seconds = 0.0
        self.longest = 0.0
        self.bytes = 0
        """Retained by those that were measured, warm-up left out."""
        self.blocks = 0
        self.retained = Ring(records)
        """Bytes that each retained."""
        self.totals = Ring(records)
        """What all requests of all routes had retained after each."""
        self.last_seen = 0.0
        """Of time.perf_counter()."""
        self.leaks: tuple[tuple[int, str], ...] = ()
        """Of the last leak report: the number of the leak, and why it is this route's."""
        self.reported_at = 0
        """Bytes it had retained when a report was last made because of it."""
        self.births: Births | None = None
        """Of its next requests, while it is under suspicion."""
        self.is_confirmed = False
        """What it seems to retain was allocated by its requests, and outlived a full collection."""

    def answered_by(self, view: Any) -> None:
        """The function or class that answered; None if that is not known."""
        if self.endpoint is None and view is not None:
            self.endpoint = endpoint_of(view)

    def trend(self) -> Trend:
        """What can be said of it; of growth, not before it is confirmed."""
        trend = self.suspicion()
        if trend.verdict == "growing" and not self.is_confirmed:
            return trend._replace(verdict="too few")
        return trend

    def suspicion(self) -> Trend:
        """What the figures say, among which garbage of older generations may be."""
        return judge(list(self.retained), list(self.totals))

    def begin_anew(self) -> None:
        """Forget what the requests seemed to retain."""
        self.retained.clear()
        self.totals.clear()


def _nothing() -> None:
    pass


class Routes:
    """All routes that were seen."""

    def __init__(self, most: int, records: int) -> None:
        self._most = most
        self._records = records
        self._routes: dict[str, Route] = {}
        self._known: dict[tuple[str, str], Route] = {}
        """By method and template, of those whose name is both as they are."""
        self.dropped = 0
        """Requests of routes that are not told apart."""
        self.before_reading: Callable[[], None] = _nothing
        """Called before somebody looks: requests may be over that are not counted yet."""

    def __len__(self) -> int:
        self.before_reading()
        return len(self._routes)

    def __iter__(self) -> Iterator[Route]:
        self.before_reading()
        return iter(tuple(self._routes.values()))

    def get(self, name: str) -> Route | None:
        self.before_reading()
        return self._routes.get(name)

    def seen(
        self,
        method: str,
        name: str,
        seconds: float = 0.0,
        failed: bool = False,
        now: float = 0.0,
        count: int = 1,
        longest: float = 0.0,
    ) -> Route:
        """The route of a request, or of *count* that took *seconds* together, which are counted.

        *longest*: the seconds of the longest, if they are several.
        """
        route = self._known.get((method, name))
        if route is None:
            route = self._other(method, name)
        route.requests += count
        route.last_seen = now
        route.seconds += seconds
        if (longest or seconds) > route.longest:
            route.longest = longest or seconds
        if failed:
            route.errors += count
        return route

    def _other(self, method: str, name: str) -> Route:
        """A route that is new, or one too many, or whose name was cut."""
        # A path may hold line breaks and worse, and names of routes are written to logs.
        key = printable(f"{method if method in METHODS else 'OTHER'} {name[:MOST_NAME]}")
        key = key[:MOST_NAME]
        route = self._routes.get(key)
        if route is None and len(self._routes) >= self._most:
            self.dropped += 1
            key = OTHERS
            route = self._routes.get(key)
        if route is None:
            # Another thread may be about to do the same.
            route = self._routes.setdefault(key, Route(key, self._records))
            if key == f"{method} {name}":
                self._known[method, name] = route
        return route

    def clear(self) -> None:
        self.before_reading()
        self._routes.clear()
        self._known.clear()
        self.dropped = 0

    def covering(self, traceback: Iterable[Site]) -> tuple[Route, ...]:
        """The routes whose code a traceback, newest first, went through."""
        routes = [route for route in self if route.endpoint is not None]
        for site in traceback:
            found = tuple(
                route for route in routes if route.endpoint and route.endpoint.covers(site)
            )
            if found:
                return found
        return ()
