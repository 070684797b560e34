"""What a WSGI application retains, by route: a middleware.

    app = MemscopeMiddleware(app, enabled=True)

The application's response is the server's business and stays as it is.  In place of what the
application returned the server gets something of the same length, which yields the same and is
closed as that would be; when it is, the request is over.  A file that the server itself sends
is handed on untouched, and its request is over when the response begins; so is a list, if the
request is not measured: the whole body is there, and nothing of the application runs any more.

WSGI has no word for a route.  A framework, or the application, may tell its own:

    environ["memscope.route"]   the template of the URL; "" if none matched
    environ["memscope.view"]    the function or class that answers

Else routes are made of paths (see memscope.web.routes).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from memscope.web.engine import Engine
from memscope.web.http import MOST_BODY, Answer, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

    from memscope.web.recorder import Visit

    Environ = dict[str, Any]
    StartResponse = Callable[..., Any]
    Application = Callable[[Environ, StartResponse], Iterable[bytes]]

__all__ = ["MemscopeMiddleware"]


class MemscopeMiddleware:
    """Wraps a WSGI application; options are those of memscope.web.settings."""

    def __init__(self, app: Application, **options: Any) -> None:
        """Raises SettingsError if an option is wrong."""
        self._wrap(app, Engine.of(options, server="WSGI"))

    @classmethod
    def with_engine(
        cls,
        app: Application,
        engine: Engine | None,
        rule_at: tuple[str, str] | None = None,
    ) -> Self:
        """For adapters of frameworks, which have settings of their own.

        *rule_at*: a key of the environ, and the attribute of what is there that engine.read_rule()
        makes a route and a view of.
        """
        self = cls.__new__(cls)
        self._wrap(app, engine, rule_at)
        return self

    def _wrap(
        self, app: Application, engine: Engine | None, rule_at: tuple[str, str] | None = None
    ) -> None:
        self.app = app
        self.engine = engine
        self.rule_at = rule_at
        self.answer: Application = app
        """To be called in place of this object, which makes no difference."""
        if engine is not None:
            self.answer = engine.passing.wsgi(app, self._answer, rule_at)
        self._has_trigger = engine is not None and engine.settings.trigger_param is not None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return self.answer(environ, start_response)

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request that does not pass by in the core's way, which does the same as this."""
        app, engine = self.app, self.engine
        assert engine is not None
        path: str = environ.get("PATH_INFO") or "/"
        if not path.isascii():
            path = _decoded(path)
        if self._has_trigger:
            ask = partial(_call, engine, environ, path)
            visit = engine.begin(path, environ.get("QUERY_STRING", ""), environ, ask)
        else:
            visit = engine.begin(path, "", environ)
        if visit is None:
            answer = _answer(engine, environ, path) if engine.serves(path) else None
            if answer is None:
                return app(environ, start_response)
            return _send(answer, environ, start_response)
        response = _Response()
        response.middleware = self
        response.visit = visit
        response.environ = environ
        response.path = path
        response.start_response = start_response
        response.status = response.told = None
        try:
            result = app(environ, response.start)
            if type(result) is list or type(result) is tuple:
                if isinstance(visit, float):
                    response.finish()
                    return result
                response.chunks = result
                return response
            wrapper = environ.get("wsgi.file_wrapper")
            if isinstance(wrapper, type) and isinstance(result, wrapper):
                response.finish()
                return result
            return (_SizedBody if hasattr(result, "__len__") else _Body)(result, response)
        except BaseException:
            response.status = None
            response.finish()
            raise


class _Response:
    """What is seen of one response; and the body, if the application returned a list.

    Another body is apart, because a generator of the application holds start(): who held both
    would be part of a cycle.
    """

    __slots__ = (
        "chunks", "environ", "middleware", "path", "start_response", "status", "told", "visit",
    )  # fmt: skip
    # Filled by the middleware: an __init__() would cost each request more than all of them.
    middleware: MemscopeMiddleware
    visit: Visit | float
    environ: Environ | None
    path: str
    start_response: Any
    status: Any
    """None, too, if the application failed."""
    told: tuple[str | None, Any] | None
    """The route and the view."""
    chunks: list[bytes] | tuple[bytes, ...]

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """The start_response() that the application gets."""
        self.status = status
        middleware, start_response = self.middleware, self.start_response
        engine = middleware.engine
        assert engine is not None
        if middleware.rule_at is not None and self.environ is not None:
            assert engine.read_rule is not None
            key, attribute = middleware.rule_at
            rule = getattr(self.environ.get(key), attribute, None)
            self.told = engine.read_rule(rule, None)
        if not isinstance(self.visit, float):
            more = engine.response_headers(self.visit)
            if more:
                headers = [*headers, *more]
        if exc_info is None:
            return start_response(status, headers)
        try:
            return start_response(status, headers, exc_info)
        finally:
            exc_info = None  # this frame is in its traceback

    def finish(self) -> None:
        """The request is over; the first time counts."""
        environ = self.environ
        if environ is None:
            return
        self.environ = None
        told = self.told
        if told is None:
            told = environ.get("memscope.route"), environ.get("memscope.view")
        engine = self.middleware.engine
        assert engine is not None
        engine.finish(
            self.visit,
            environ.get("REQUEST_METHOD", "GET"),
            self.path,
            told[0],
            _code(self.status),
            told[1],
            environ,
        )

    def __len__(self) -> int:
        return len(self.chunks)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        # The server may hold us, and this is its method.
        self.start_response = None
        self.chunks = ()
        self.finish()


class _Body:
    """Stands for what the application returned, if that is no list."""

    __slots__ = ("_response", "_result")

    def __init__(self, result: Any, response: _Response) -> None:
        self._result = result
        self._response: _Response | None = response

    def __iter__(self) -> Iterator[bytes]:
        response = self._response
        try:
            # Not "yield from", which would close the application's iterator as well.
            for chunk in self._result:  # noqa: UP028
                yield chunk
        except Exception:
            if response is not None:
                response.status = None
            raise

    def close(self) -> None:
        result, self._result = self._result, ()
        response, self._response = self._response, None
        if response is None:
            return
        try:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        except BaseException:
            response.status = None
            raise
        finally:
            del result
            response.finish()

    def __del__(self) -> None:
        # Of a server that never closes what it was given.
        if self._response is not None:
            engine = self._response.middleware.engine
            assert engine is not None
            engine.drop(self._response.visit)


class _SizedBody(_Body):
    """Of what has a length: servers make a Content-Length of the only chunk."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._result)


CODES = {f"{status.value} {status.phrase}": status.value for status in HTTPStatus}


def _code(status: Any) -> int | None:
    """Of "200 OK"; None of what is no status: that the server tells to the application."""
    if not isinstance(status, str):
        return None
    code = CODES.get(status)
    if code is None and status[:3].isdecimal():
        code = int(status[:3])
    return code


def _decoded(path: str) -> str:
    """WSGI has bytes as texts of Latin-1."""
    return path.encode("latin-1", "replace").decode("utf-8", "replace")


# Our own pages


def _answer(engine: Engine, environ: Environ, path: str) -> Answer | None:
    """None: for who asks there is nothing, so the application answers as if without us."""
    from memscope.web.dashboard import NOT_FOUND

    assert engine.dashboard is not None
    call = _call(engine, environ, path)
    if call.method not in ("GET", "HEAD"):
        # The body is left to the application, unless it is for us.
        if engine.dashboard.access.visitor(call, is_page=False) is None:
            return None
        call = replace(call, body=_read_body(environ))
    answer = engine.answer(call)
    return None if answer.headers is NOT_FOUND.headers else answer


def _send(answer: Answer, environ: Environ, start_response: StartResponse) -> list[bytes]:
    headers = list(answer.headers)
    body = []
    if environ.get("REQUEST_METHOD") != "HEAD":
        headers.append(("Content-Length", str(len(answer.body))))
        body.append(answer.body)
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
    return body


def _read_body(environ: Environ) -> bytes:
    """The body; of one that is too long as much as shows that it is."""
    text = environ.get("CONTENT_LENGTH") or ""
    if text.isascii() and text.isdecimal():
        left = int(text[:20])
    else:
        left = MOST_BODY + 1 if environ.get("wsgi.input_terminated") else 0
    left = min(left, MOST_BODY + 1)
    parts = []
    while left > 0:
        part = environ["wsgi.input"].read(left)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _call(engine: Engine, environ: Environ, path: str, body: bytes = b"") -> Call:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    mount = engine.settings.mount
    return Call(
        method=environ.get("REQUEST_METHOD", "GET"),
        path=path[len(mount) + 1 :],
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        remote_addr=environ.get("REMOTE_ADDR") or "",
        scheme=environ.get("wsgi.url_scheme", "http"),
        root=environ.get("SCRIPT_NAME", "") + mount,
        body=body,
        source=environ,
    )
