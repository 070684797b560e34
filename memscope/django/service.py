"""The engine of this process, which all handlers, the pages and the toolbar's panel share.

Django loads the middleware once for each handler, and every test client makes one.  So the
engine is not the middleware's own.  It is made when the first handler is, not when the app
is loaded: not by manage.py migrate, and not by the process of runserver that only restarts
the other.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started

from memscope.django import options
from memscope.web.http import Call
from memscope.web.settings import SettingsError

if TYPE_CHECKING:
    from django.http import HttpRequest

    from memscope.web.engine import Engine
    from memscope.web.http import Answer

__all__ = [
    "answer",
    "call_of",
    "changed",
    "current",
    "engine",
    "is_visitor",
    "read_rule",
    "template_of",
]

_lock = threading.Lock()
_engine: Engine | None = None
_is_decided = False


def engine() -> Engine | None:
    """The engine; None if memscope is not enabled.  Raises ImproperlyConfigured."""
    global _engine, _is_decided
    with _lock:
        if not _is_decided:
            try:
                settings = options.read()
                if settings.enabled:
                    from memscope.web.engine import Engine

                    _engine = Engine(settings, "Django")
                    _engine.read_rule = read_rule
                    if settings.every == 1:
                        # Else it would cost all requests more than it tells of a few.
                        request_started.connect(_prepare, dispatch_uid="memscope")
            except SettingsError as error:
                raise ImproperlyConfigured(str(error)) from error
            _is_decided = True
        return _engine


def _prepare(**_: Any) -> None:
    """A request begins, of which Django has made no object yet."""
    if _engine is not None:
        _engine.recorder.prepare()


def current() -> Engine | None:
    """The engine if a handler has asked for one."""
    return _engine


def changed(*, setting: str, **_: Any) -> None:
    """override_settings() in a test: the next handler decides anew."""
    global _engine, _is_decided
    if setting in ("MEMSCOPE", "DEBUG"):
        with _lock:
            _engine, _is_decided = None, False


# -- Django's requests in the engine's terms


def template_of(route: str | None) -> str:
    """Of what a pattern matches, with a slash in front."""
    route = route or ""
    if route[:1] == "^":
        route = route[1:].removesuffix("$")
    return route if route[:1] == "/" else f"/{route}"


def read_rule(route: str | None, view: Any) -> tuple[str, Any]:
    """The template and the view of a request; ("", None) if no URL matched."""
    return ("", None) if view is None else (template_of(route), view)


def call_of(request: HttpRequest, body: bytes = b"") -> Call:
    """What our pages and their access check ask for."""
    assert _engine is not None
    mount = _engine.settings.mount
    return Call(
        method=request.method or "",
        path=request.path_info[len(mount) :].lstrip("/"),
        query=request.META.get("QUERY_STRING", ""),
        headers={name.lower(): value for name, value in request.headers.items()},
        remote_addr=request.META.get("REMOTE_ADDR") or "",
        scheme=request.scheme or "http",
        root=request.path[: len(request.path) - len(request.path_info)] + mount,
        body=body,
        source=request,
    )


def is_visitor(call: Call) -> bool:
    """Whether somebody asks who may see our pages."""
    assert _engine is not None
    assert _engine.dashboard is not None
    return _engine.dashboard.access.visitor(call, is_page=False) is not None


def answer(call: Call) -> Answer:
    """Of one of our pages."""
    assert _engine is not None
    return _engine.answer(call)
