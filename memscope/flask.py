"""Flask: which view leaks what.

    Memscope(app)                       or, with an application factory,
    memscope = Memscope()
    memscope.init_app(app)

The settings are MEMSCOPE_ENABLED, MEMSCOPE_EVERY and so on in app.config.  Whether it is enabled
is decided when the first request comes, because app.run(debug=True) sets the debug flag that
late, and so that nothing is traced in the process of "flask run --debug" that only restarts the
other.

It is the WSGI middleware around app.wsgi_app, so that errors, streamed responses and what a
before_request function answers are covered.  The route is told by the request that Flask leaves
in the environ until the response begins; where none begins, by the signal that says why.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flask import got_request_exception, request

from memscope.web.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Flask

    from memscope.web.engine import Engine
    from memscope.wsgi import MemscopeMiddleware

__all__ = ["Memscope"]

PREFIX = "MEMSCOPE_"
RULE_AT = ("werkzeug.request", "url_rule")
"""Where a request is in the environ, and what of it says the route."""

Environ = dict[str, Any]


class Memscope:
    """The extension.  One object may serve several applications; each has an engine of its own:
    ``app.extensions["memscope"].engine``."""

    def __init__(self, app: Flask | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Watch *app*.  Raises SettingsError for what is wrong in app.config already."""
        if "memscope" in app.extensions:
            return
        _settings(app, debug=True)  # whether a token is needed is not known yet
        watched = Watched(app)
        app.extensions["memscope"] = watched
        app.wsgi_app = watched  # type: ignore[method-assign]


class Watched:
    """One application under watch; until its first request in the place of its wsgi_app."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._wsgi_app = app.wsgi_app
        self._views = app.view_functions
        self._middleware: MemscopeMiddleware | None = None
        self._lock = threading.Lock()
        got_request_exception.connect(self._failed, app)

    @property
    def engine(self) -> Engine | None:
        """None before the first request, or if it is not enabled."""
        return self._middleware.engine if self._middleware is not None else None

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        middleware = self._middleware
        if middleware is None:
            middleware = self._begun()
        return middleware(environ, start_response)

    def _begun(self) -> MemscopeMiddleware:
        from memscope.web.engine import Engine
        from memscope.wsgi import MemscopeMiddleware

        with self._lock:
            if self._middleware is None:
                app = self._app
                settings = _settings(app, debug=app.debug)
                engine = Engine(settings, "Flask") if settings.enabled else None
                if engine is not None:
                    engine.read_rule = self._read_rule
                self._middleware = MemscopeMiddleware.with_engine(self._wsgi_app, engine, RULE_AT)
                if app.wsgi_app is self:
                    app.wsgi_app = self._middleware.answer  # type: ignore[assignment, method-assign]
            return self._middleware

    def _failed(self, app: Flask, **_: Any) -> None:
        """A view has failed; in debug mode the exception goes on to the server."""
        environ = request.environ
        environ["memscope.route"], environ["memscope.view"] = self._read_rule(request.url_rule)

    def _read_rule(self, rule: Any, view: Any = None) -> tuple[str, Any]:
        """The template and the view of a request; ("", None) if no URL matched."""
        if rule is None:
            return "", None
        if isinstance(rule, str):  # of one that failed, see above
            return rule, view
        return rule.rule, self._views.get(rule.endpoint)


def spelled(name: str) -> str:
    """An option as the user writes it."""
    return PREFIX + name.upper()


def _settings(app: Flask, *, debug: bool) -> Settings:
    options = {}
    for name, value in app.config.items():
        if isinstance(name, str) and name.upper().startswith(PREFIX):
            if name != name.upper():
                raise SettingsError(f"{name} is written {name.upper()} in app.config")
            options[name.removeprefix(PREFIX).lower()] = value
    return Settings.of(options, debug=debug, spelled=spelled)
