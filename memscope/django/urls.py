"""Where our pages are: one view for all of them, for the urlpatterns of the project.

The middleware answers them before anything else in the project sees the request, if it comes
first, as it should: a page that asks every other second whether there is news would fill the
toolbar's history.  This view is for where it does not come first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.http import Http404, HttpResponse
from django.urls import Resolver404, re_path, resolve
from django.views.decorators.csrf import csrf_exempt

from memscope.django import options, service
from memscope.web.http import MOST_BODY

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.urls import URLPattern

__all__ = ["is_mounted", "memscope_urls", "pages", "respond"]


def memscope_urls() -> list[URLPattern]:
    """Patterns to add to the urlpatterns of the project's own URLconf.

        urlpatterns = [...] + memscope_urls()

    Where the dashboard is not enabled they answer 404.  The prefix is MEMSCOPE["URL_PREFIX"].
    """
    mount = options.mount()
    # Also without a slash behind it, which CommonMiddleware would redirect: to anybody.
    return [re_path(rf"^{re.escape(mount.lstrip('/'))}(?:/.*)?\Z", pages, name="memscope")]


# Our own check is stricter, and asks for a token of our own.
@csrf_exempt
def pages(request: HttpRequest) -> HttpResponse:
    """All of our pages."""
    engine = service.current()
    if engine is None or not engine.serves(request.path_info):
        raise Http404
    return respond(request)


# LoginRequiredMiddleware would redirect, and so tell that there is something.
pages.login_required = False


def is_mounted(path: str) -> bool:
    """Whether the project's URLconf has our view at *path*, and no other before it."""
    try:
        return resolve(path).func is pages
    except Resolver404:
        return False


def respond(request: HttpRequest) -> HttpResponse:
    """The answer of the engine to a request to one of our pages."""
    engine = service.current()
    assert engine is not None
    assert engine.dashboard is not None
    call = service.call_of(request)
    if not engine.dashboard.access.allows(call):
        # The project's own page: the same as of any other path.
        raise Http404
    body = b""
    if request.method not in ("GET", "HEAD"):
        body = request.read(MOST_BODY + 1)
        if len(body) > MOST_BODY:
            return HttpResponse(status=413)
        call = service.call_of(request, body)
    answer = engine.answer(call)
    response = HttpResponse(answer.body, status=answer.status)
    for name in list(response.headers):
        del response.headers[name]
    for name, value in answer.headers:
        if name.lower() == "set-cookie":
            response.cookies.load(value)
        else:
            response.headers[name] = value
    response.headers["Content-Length"] = str(len(answer.body))
    if request.method == "HEAD":
        response.content = b""
    return response
