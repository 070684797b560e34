"""What an ASGI application retains, by route: a middleware.

    app = MemscopeMiddleware(app, enabled=True)                     any application
    app.add_middleware(MemscopeMiddleware, enabled=True)            Starlette, FastAPI
    app.asgi_app = MemscopeMiddleware(app.asgi_app, enabled=True)   Quart

Litestar makes a middleware for each route, so there the application is wrapped.

A request is over when the application returns, background tasks included; how long it took
is told until its last byte is given to the server.  Messages are handed on as they come.
Lifespan and websockets are none of our business.  Works in any event loop: nothing here waits
but for the application and the server.

Which route it was stands in the scope afterwards: Starlette, FastAPI and Litestar write it
there.  A middleware in between that gives a copy of the scope to the application hides it;
then, as in Quart, routes are made of paths (see memscope.web.routes).
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from memscope.web.engine import Engine
from memscope.web.http import MOST_BODY, Answer, Call
from memscope.web.routes import template

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from memscope.web.recorder import Visit

    # Each framework has types of its own for these.
    Scope = Any
    Message = Any
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["MemscopeMiddleware"]

FINAL = frozenset(["http.response.body", "http.response.pathsend", "http.response.zerocopysend"])
"""Messages of which one is the last of the body."""


class MemscopeMiddleware:
    """Wraps an ASGI application; options are those of memscope.web.settings."""

    def __init__(self, app: Application | None = None, /, **options: Any) -> None:
        """Raises SettingsError if an option is wrong."""
        # By position, as Starlette's types want it; older ones give it by name.
        self.app: Application = options.pop("app") if app is None else app
        self.engine = engine = Engine.of(options, server="ASGI")
        self._has_trigger = engine is not None and engine.settings.trigger_param is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        engine = self.engine
        if engine is None or scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        # What the middleware itself was given: routers change the scope in place.
        root: str = scope.get("root_path", "")
        if root:
            path = _below(root, path)
        began = engine.passing.begin(path)
        visit = self._begin(engine, scope, path) if began is None else began
        if visit is None:
            if not engine.serves(path) or not await _is_answered(
                engine, scope, receive, send, path
            ):
                await self.app(scope, receive, send)
            return
        # The core's does the same for a request of which nothing is measured.
        noted = _Response(engine, visit, send) if began is None else engine.passing.asgi(send)
        try:
            await self.app(scope, receive, noted)
        except GeneratorExit:
            # Thrown away, perhaps by the collector, where no lock may be waited for.
            engine.drop(visit)
            raise
        except BaseException as error:
            # To be cancelled is no failure of the application.
            status = None if isinstance(error, Exception) else noted.status
            _finish(engine, visit, scope, path, root, status, noted.answered)
            raise
        _finish(engine, visit, scope, path, root, noted.status, noted.answered)

    def _begin(self, engine: Engine, scope: Scope, path: str) -> Visit | float | None:
        if not self._has_trigger:
            return engine.begin(path, "", scope)
        ask = partial(_call, engine, scope, path)
        return engine.begin(path, _query(scope), scope, ask)


class _Response:
    """What is seen of one response."""

    __slots__ = ("_engine", "_send", "_visit", "answered", "status")

    def __init__(self, engine: Engine, visit: Visit | float, send: Send) -> None:
        self._engine = engine
        self._visit = visit
        self._send = send
        self.status: int | None = None
        self.answered = 0.0
        """When its last byte was given to the server."""

    def __call__(self, message: Message) -> Awaitable[None]:
        """The send() that the application gets."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message.get("status")
            if not isinstance(self._visit, float):
                message = self._with_headers(message, self._visit)
        elif kind in FINAL and not message.get("more_body"):
            self.answered = perf_counter()
        send = self._send
        return send(message)

    def _with_headers(self, message: Message, visit: Visit) -> Message:
        more = self._engine.response_headers(visit)
        if not more:
            return message
        added = [(name.lower().encode(), value.encode()) for name, value in more]
        return {**message, "headers": [*message.get("headers", ()), *added]}


def _finish(
    engine: Engine,
    visit: Visit | float,
    scope: Scope,
    path: str,
    root: str,
    status: int | None,
    answered: float,
) -> None:
    """The request is over."""
    route = None
    view = scope.get("endpoint")
    if view is not None or "route_handler" in scope or "route" in scope:
        try:
            route = route_of(scope, root, status)
            if view is None:
                view = view_of(scope)
        except Exception:
            # An object of a framework that is not as we know them.
            route = None
    method = scope.get("method", "")
    if isinstance(visit, float) and engine.passing.is_quick:
        engine.passing.end(visit, method, path, route, view, status, answered)
    else:
        engine.finish(visit, method, path, route, status, view, scope, answered)


def route_of(scope: Scope, root: str, status: int | None) -> str | None:
    """The template of the URL that a framework left in the scope; None if there is none.

    *root*: the root path that the middleware itself was given.
    """
    found = scope.get("path_template")  # Litestar
    if isinstance(found, str):
        return found
    fastapi = scope.get("fastapi")
    effective = fastapi.get("effective_route_context") if fastapi is not None else None
    if effective is not None:
        found = effective.path  # of an included router, with its prefix
    else:
        route = scope.get("route")
        if route is None:
            return None
        if "endpoint" in vars(route):
            found = route.path
        else:
            # Of a mounted application that has no routes, only the mount is told.
            if status == 404:
                return ""
            found = "/{path:path}"
    if not isinstance(found, str):
        return None
    under = scope.get("root_path", "")
    if under == root:
        return found
    mounted = under[len(root) :]
    values = {
        str(value): f"{{{name}}}"
        for name, value in scope.get("path_params", {}).items()
        if type(value) in (str, int)
    }
    named = [values.get(part) or template(part) for part in mounted.split("/") if part]
    return "".join(f"/{part}" for part in named) + found


def view_of(scope: Scope) -> Any:
    """The function or class that answered; None if no framework told it."""
    handler = scope.get("route_handler")  # Litestar
    return scope.get("endpoint") if handler is None else handler.fn


def _below(root: str, path: str) -> str:
    """The path below where this middleware is mounted."""
    if path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :] or "/"
    return path


def _query(scope: Scope) -> str:
    query: bytes = scope.get("query_string", b"")
    return query.decode("latin-1")


# Our own pages


async def _is_answered(
    engine: Engine, scope: Scope, receive: Receive, send: Send, path: str
) -> bool:
    """False: for who asks there is nothing, so the application answers as if without us.

    Also what takes long is done here and in no other thread: a walk of the heap holds the
    interpreter's lock, so the loop would stand still all the same.
    """
    from dataclasses import replace

    from memscope.web.dashboard import NOT_FOUND

    assert engine.dashboard is not None
    call = _call(engine, scope, path)
    if call.method not in ("GET", "HEAD"):
        # The body is left to the application, unless it is for us.
        if engine.dashboard.access.visitor(call, is_page=False) is None:
            return False
        call = replace(call, body=await _read_body(receive))
    answer = engine.answer(call)
    if answer.headers is NOT_FOUND.headers:
        return False
    await _send_answer(answer, call.method, send)
    return True


async def _send_answer(answer: Answer, method: str, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
    if method != "HEAD":
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


async def _read_body(receive: Receive) -> bytes:
    """The body; of one that is too long as much as shows that it is."""
    body = b""
    while len(body) <= MOST_BODY:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):  # a disconnect has none
            break
    return body


def _call(engine: Engine, scope: Scope, path: str) -> Call:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    mount = engine.settings.mount
    client = scope.get("client")
    return Call(
        method=scope["method"],
        path=path[len(mount) + 1 :],
        query=_query(scope),
        headers=headers,
        remote_addr=client[0] if client else "",
        scheme=scope.get("scheme", "http"),
        root=scope.get("root_path", "") + mount,
        source=scope,
    )
