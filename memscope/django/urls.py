"""Where our pages are: a pattern for the urlpatterns of the project, which the middleware asks.

The pattern matches for the middleware only.  To everybody else there is nothing: a URL that
matched would have the middlewares of the project add a slash to it, ask who is logged in, and so
tell an outsider that it is there, and the toolbar would show each of its requests.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpResponse
from django.urls import Resolver404, URLPattern, resolve
from django.urls.resolvers import RegexPattern

from memscope.django import options, service
from memscope.web.http import MOST_BODY

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["is_mounted", "memscope_urls", "respond"]

_asking: ContextVar[bool] = ContextVar("memscope asks", default=False)


class Mount(URLPattern):
    """Matches while the middleware asks."""

    def resolve(self, path: str) -> Any:
        return super().resolve(path) if _asking.get() else None


def memscope_urls() -> list[URLPattern]:
    """Patterns to add to the urlpatterns of the project's own URLconf.

        urlpatterns = [...] + memscope_urls()

    The prefix is MEMSCOPE["URL_PREFIX"].  The pages are there if the dashboard is enabled.
    """
    mount = options.mount()
    pattern = RegexPattern(rf"^{re.escape(mount.lstrip('/'))}(?:/.*)?\Z", is_endpoint=True)
    return [Mount(pattern, pages, name="memscope")]


def pages(request: HttpRequest) -> HttpResponse:
    """Stands for our pages in the urlpatterns; the middleware answers them."""
    raise Http404


def is_mounted(path: str) -> bool:
    """Whether the project's URLconf has our pages at *path*, and nothing before them."""
    token = _asking.set(True)
    try:
        return resolve(path).func is pages
    except Resolver404:
        return False
    finally:
        _asking.reset(token)


def respond(request: HttpRequest) -> HttpResponse | None:
    """One of our pages; None for who may not see it, and gets what the project says."""
    from memscope.web.dashboard import NOT_FOUND

    call = service.call_of(request)
    if call.method not in ("GET", "HEAD"):
        # The body is left to the project, unless it is for us.
        if not service.is_visitor(call):
            return None
        call = service.call_of(request, request.read(MOST_BODY + 1))
    answer = service.answer(call)
    if answer.headers is NOT_FOUND.headers:
        return None
    response = HttpResponse(answer.body, status=answer.status)
    del response.headers["Content-Type"]
    if request.method != "HEAD":
        response.headers["Content-Length"] = str(len(answer.body))
    for name, value in answer.headers:
        if name == "Set-Cookie":
            response.cookies.load(value)
        else:
            response.headers[name] = value
    return response
