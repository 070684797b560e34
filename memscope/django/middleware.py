"""The middleware: sync and async, as Django's handler is.

A request is over when Django closes its response: its body has been sent, what the view made
for it is gone.  We are among what the response closes, so streamed responses are followed to
their end, and none is wrapped or changed.
"""

from __future__ import annotations

import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.apps import apps
from django.core.exceptions import MiddlewareNotUsed

from memscope.django import service
from memscope.django.urls import is_mounted, respond

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest, HttpResponseBase

    from memscope.web.engine import Engine
    from memscope.web.recorder import Visit

__all__ = ["MemscopeMiddleware", "visit_of"]

log = logging.getLogger("memscope.web")

VISIT = "_memscope_visit"
"""Attribute of a request that is more than counted, for the toolbar's panel."""


def visit_of(request: HttpRequest) -> Visit | None:
    """The visit of a request that is measured and in flight; else None."""
    ref: weakref.ref[Visit] | None = vars(request).get(VISIT)
    visit = ref() if ref is not None else None
    return visit if visit is not None and visit.sampled and not visit.is_over else None


class MemscopeMiddleware:
    """See the top of the file.  To be the first of MIDDLEWARE."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        engine = service.engine()
        if engine is None:
            raise MiddlewareNotUsed(
                'memscope is not enabled: DEBUG is off, and MEMSCOPE["ENABLED"] is not set'
            )
        if not apps.is_installed("memscope.django"):
            log.warning(
                'memscope.django.MemscopeMiddleware is used, but "memscope.django" is not in'
                " INSTALLED_APPS: there are no system checks and no manage.py memscope"
            )
        self.engine: Engine = engine
        self._passing = engine.passing
        self.get_response = get_response
        self._has_trigger = engine.settings.trigger_param is not None
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self.__acall__(request)
        passing, get_response = self._passing, self.get_response
        began = passing.begin(request.path_info)
        if began is None:
            return self._answer(request)
        try:
            response = get_response(request)
        except BaseException:
            _finish(self.engine, began, request, None)
            raise
        if getattr(response, "streaming", True):
            self._follow(began, request, response)
            return response
        # Its body is there; that it is being sent is nothing to wait for.
        match = request.resolver_match
        if match is None:
            _finish(self.engine, began, request, response.status_code)
        else:
            # As _finish() does, which would cost as much as all of this.
            status = response.status_code
            passing.end(began, request.method, None, match.route, match.func, status)
        return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request that does not pass by at once."""
        engine, get_response = self.engine, self.get_response
        visit = self._begin(request)
        if visit is None:
            response = respond(request) if self._is_ours(request) else None
            return get_response(request) if response is None else response
        if not isinstance(visit, float):
            setattr(request, VISIT, weakref.ref(visit))
        try:
            response = get_response(request)
        except BaseException:
            _finish(engine, visit, request, None)
            raise
        if isinstance(visit, float) and not getattr(response, "streaming", True):
            _finish(engine, visit, request, response.status_code)
        else:
            self._follow(visit, request, response)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        visit: Visit | float | None = self.engine.passing.begin(request.path_info)
        if visit is None:
            visit = self._begin(request)
        if visit is None:
            response = None
            if self._is_ours(request):
                # Not on the event loop: a page may take long.
                response = await sync_to_async(respond, thread_sensitive=False)(request)
            return await self.get_response(request) if response is None else response
        if not isinstance(visit, float):
            setattr(request, VISIT, weakref.ref(visit))
        try:
            response = await self.get_response(request)
        except BaseException:  # CancelledError too: the client is gone
            _finish(self.engine, visit, request, None)
            raise
        if isinstance(visit, float) and not getattr(response, "streaming", True):
            _finish(self.engine, visit, request, response.status_code)
        else:
            self._follow(visit, request, response)
        return response

    def _is_ours(self, request: HttpRequest) -> bool:
        return self.engine.serves(request.path_info) and is_mounted(request.path_info)

    def _begin(self, request: HttpRequest) -> Visit | float | None:
        if not self._has_trigger:
            return self.engine.begin(request.path_info, "", request)
        # The request itself may ask to be measured.
        call = partial(service.call_of, request)
        query = request.META.get("QUERY_STRING", "")
        return self.engine.begin(request.path_info, query, request, call)

    def _follow(
        self, visit: Visit | float, request: HttpRequest, response: HttpResponseBase
    ) -> None:
        engine = self.engine
        if not isinstance(visit, float) and visit.sampled:
            for name, value in engine.response_headers(visit):
                others = response.headers.get(name)
                response.headers[name] = f"{others}, {value}" if others else value
        closers = getattr(response, "_resource_closers", None)
        if closers is None:  # of what is no response, for instance: Django will say so
            _finish(engine, visit, request, getattr(response, "status_code", None))
        else:
            closers.append(_End(engine, visit, request, response.status_code))


def _finish(engine: Engine, visit: Visit | float, request: HttpRequest, status: int | None) -> None:
    match = request.resolver_match
    found = (None, None) if match is None else (match.route, match.func)
    route, view = service.read_rule(*found)
    engine.finish(visit, request.method or "", request.path_info, route, status, view, request)


class _End:
    """Ends a visit, when called.

    It is among what the response closes, and only that has it: of a response that is
    dropped, because another takes its place, nothing is left in flight.  It is of a class of
    its own, so that a response that is cached can be pickled with it.
    """

    __slots__ = ("engine", "request", "status", "visit")

    def __init__(
        self, engine: Engine, visit: Visit | float, request: HttpRequest, status: int
    ) -> None:
        self.engine = engine
        self.visit: Visit | float | None = visit
        self.request = request
        self.status = status

    def __call__(self) -> None:
        visit, self.visit = self.visit, None
        if visit is not None:
            _finish(self.engine, visit, self.request, self.status)

    def __del__(self) -> None:
        if self.visit is not None:
            self.engine.drop(self.visit)

    def __reduce__(self) -> tuple[Callable[[], Callable[[], None]], tuple[()]]:
        return (_nothing_to_do, ())


def _nothing() -> None:
    """What an unpickled response closes in our place."""


def _nothing_to_do() -> Callable[[], None]:
    return _nothing
