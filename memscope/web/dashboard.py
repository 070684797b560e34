"""From a request to one of our pages to the answer.

    access      who may not see the pages is told that there are none, in the same bytes
                whatever the reason, the method and the path
    views       the data of a page, which is looked through once more (redaction)
    pages       the data as HTML, or as JSON

GET and HEAD change nothing.  POST to do/<action> does, with the form of a page of ours or
with the token itself; then the browser is sent to a page.  Whatever goes wrong here is an
answer without detail, and is logged once.
"""

from __future__ import annotations

import json
import logging
import os
import weakref
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from memscope.web.access import MOST_PARAMETERS, READS, Access, location, parameters_of
from memscope.web.asked import SCHEMA, Asked, Unknown
from memscope.web.assets import KINDS, asset
from memscope.web.handles import Handles
from memscope.web.http import MOST_BODY, Answer, Call
from memscope.web.jobs import Busy, Jobs, TooLarge
from memscope.web.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memscope.web.access import Visitor
    from memscope.web.context import Context
    from memscope.web.engine import Engine

__all__ = ["NOT_FOUND", "STATUSES", "Dashboard"]

log = logging.getLogger("memscope.web")

STATUSES = frozenset([200, 303, 403, 404, 405, 413, 415, 429, 500, 503])
"""Of all answers there are."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), usb=()"),
)
"""Of every answer."""

TEXT, HTML, JSON = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"
FORM = "application/x-www-form-urlencoded"

MOST_TOLD = 50
LONGEST_PATH = 200
LONGEST_VALUE = 200
ARGUMENT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
"""What handles are made of, and names of pages."""


def _answer(status: int, kind: str, body: bytes, *headers: tuple[str, str]) -> Answer:
    return Answer(status, (("Content-Type", kind), *HEADERS, *headers), body)


NO_PAGE = "There is no such page."
FAILED = "memscope failed here. The log of the program says how."

NOT_FOUND = _answer(404, TEXT, b"Not Found\n")
"""What everybody gets who may not see the pages.  No other answer has these very headers, so that
an adapter can tell, and hand the request on to the application, as if there were no pages."""


class Refused(Exception):  # noqa: N818 -- an answer, not a failure
    """To a visitor: the status, a sentence, more headers."""


class Place(NamedTuple):
    """What a path names."""

    kind: str
    """ "page", "data" (the JSON of a page), "file" or "action"."""
    name: str
    argument: str = ""

    @classmethod
    def of(cls, path: str) -> Place | None:
        """None: nothing of ours can be there."""
        if len(path) > LONGEST_PATH:
            return None
        if path in KINDS:
            return cls("file", path)
        kind = "page"
        if path.endswith(".json"):
            kind, path = "data", path.removesuffix(".json")
            if not path:
                return None
        name, slash, rest = path.partition("/")
        if name == "do" and kind == "page":
            return cls("action", rest)
        if not ARGUMENT.issuperset(name + rest) or (slash and not (name and rest)):
            return None
        return cls(kind, name, rest)


class Dashboard:
    """Of one engine.  Any thread may call it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.access = Access(engine.settings)
        self.handles = Handles()
        self.jobs = Jobs()
        self._told: set[str] = set()
        if hasattr(os, "register_at_fork"):
            self_or_none = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _forked(self_or_none()))

    def answer(self, call: Call) -> Answer:
        """Never raises."""
        answer = NOT_FOUND
        try:
            place = Place.of(call.path)
            is_page = place is None or place.kind == "page"
            visitor = self.access.visitor(call, is_page=is_page and call.method in READS)
            if visitor is not None:
                answer = self._for_visitor(call, place, visitor)
        except Exception:
            self._tell("to answer")
        return Answer(answer.status, answer.headers, b"") if call.method == "HEAD" else answer

    def _for_visitor(self, call: Call, place: Place | None, visitor: Visitor) -> Answer:
        if visitor.go_to:
            cookie = [("Set-Cookie", visitor.cookie)] if visitor.cookie else []
            return _answer(303, TEXT, b"", ("Location", visitor.go_to), *cookie)
        try:
            if place is None:
                raise Refused(404, NO_PAGE)
            methods = ("POST",) if place.kind == "action" else READS
            if call.method not in methods:
                allowed = ", ".join(methods)
                raise Refused(405, f"Only {allowed} can be used here.", ("Allow", allowed))
            if len(call.body) > MOST_BODY:
                raise Refused(413, "That is more than a form of these pages sends.")
            if place.kind == "file":
                return _answer(200, KINDS[place.name], asset(place.name))
            if place.kind == "action":
                return self._act(call, place, visitor)
            return self._page(call, place, visitor)
        except Refused as refused:
            return _refusal(call, place, *refused.args)
        except Unknown as unknown:
            return _refusal(call, place, 404, str(unknown))
        except Busy as busy:
            return _refusal(call, place, 429, str(busy), ("Retry-After", str(busy.retry_after)))
        except TooLarge as large:
            return _refusal(call, place, 503, str(large))
        except Exception:
            self._tell(f"to answer {call.method} {place.name if place is not None else ''}")
            return _refusal(call, place, 500, FAILED)

    def _page(self, call: Call, place: Place, visitor: Visitor) -> Answer:
        from memscope.web import pages, views

        view = views.PAGES.get(place.name)
        if view is None:
            raise Refused(404, NO_PAGE)
        asked = self._asked(parameters_of(call.query), place.argument)
        data = redacted(view(self._engine, asked))
        if place.kind == "data":
            return _answer(200, JSON, _json({"schema": SCHEMA, **data}))
        context = _context(call)._replace(
            csrf=visitor.csrf, path=call.path, query=urlencode(asked.query, errors="replace")
        )
        html = pages.render(place.name or "overview", data, context)
        return _answer(200, HTML, html.encode("utf-8", "replace"))

    def _act(self, call: Call, place: Place, visitor: Visitor) -> Answer:
        from memscope.web import views

        action = views.ACTIONS.get(place.name)
        if action is None:
            raise Refused(404, NO_PAGE)
        if call.headers.get("content-type", FORM).partition(";")[0].strip().lower() != FORM:
            raise Refused(415, f"An action is asked for with {FORM}.")
        form = _first_values(_form_parameters(call.body))
        given = form.pop("csrf", "") or call.headers.get("x-memscope-csrf", "")
        if not visitor.has_token and not self.access.is_csrf(visitor, given):
            raise Refused(403, "This form is not of one of these pages, or too old: load it anew.")
        asked = self._asked(parameters_of(call.query), "")

        def run() -> str:
            return action.run(self._engine, asked, form)

        page = self.jobs.run(action.name, run) if action.heavy else run()
        path, _, query = page.partition("?")
        go_to = location(call.root, path, parameters_of(query))
        return _answer(303, TEXT, b"", ("Location", go_to))

    def _asked(self, parameters: Iterable[tuple[str, str]], argument: str) -> Asked:
        return Asked(_first_values(parameters), self.handles, argument)

    def _tell(self, what: str) -> None:
        """Log the exception at hand, unless the like was logged before."""
        if what not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(what)
            log.exception("memscope failed %s; told once", what)


def _refusal(
    call: Call, place: Place | None, status: int, sentence: str, *headers: tuple[str, str]
) -> Answer:
    """Tell a visitor in a sentence why there is no page."""
    if place is not None and place.kind == "data":
        return _answer(status, JSON, _json({"schema": SCHEMA, "error": sentence}), *headers)
    from memscope.web import pages
    from memscope.web.markup import tag

    title = HTTPStatus(status).phrase
    main = tag("main", tag("h1", title), tag("p", sentence, class_="lead"), id="main", tabindex=-1)
    html = pages.frame(title, _context(call), main, "none of the tabs")
    return _answer(status, HTML, html.encode("utf-8", "replace"), *headers)


def _context(call: Call) -> Context:
    from memscope.web.context import Context

    return Context(root=location(call.root, "").rstrip("/"))


def _json(data: dict[str, Any]) -> bytes:
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    # Nothing in it is a tag, for whoever takes it for HTML.
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("ascii")


def _first_values(parameters: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parameters:
        found.setdefault(name[:LONGEST_VALUE], value[:LONGEST_VALUE])
    return found


def _form_parameters(body: bytes) -> list[tuple[str, str]]:
    parts = body.decode("ascii", "replace").split("&", MOST_PARAMETERS)[:MOST_PARAMETERS]
    return parse_qsl("&".join(parts), keep_blank_values=True)


def _forked(dashboard: Dashboard | None) -> None:
    if dashboard is not None:
        dashboard.access.forked()
        dashboard.handles.forked()
