"""Views of every kind."""

from __future__ import annotations

import asyncio
import functools
import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from django.db import connection
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.views import View
from django.views.decorators.cache import cache_page

KEPT: list[bytes] = []
EVENTS: list[str] = []
"""What happened, in order, for tests of when a request is over."""


def plain(request: HttpRequest, town: str = "") -> HttpResponse:
    return HttpResponse("<html><body>plain</body></html>")


def keeps(request: HttpRequest, number: int, town: str = "") -> HttpResponse:
    KEPT.append(bytes(2000 + int(number)))  # leaks
    return HttpResponse("kept")


def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body)


def fails(request: HttpRequest) -> HttpResponse:
    raise ValueError("a view fails")


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404


def decorated(function: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> HttpResponse:
        return function(*args, **kwargs)

    return wrapper


@decorated
def wrapped(request: HttpRequest) -> HttpResponse:
    return HttpResponse("wrapped")


class Shelf(View):
    def get(self, request: HttpRequest, name: str, town: str) -> HttpResponse:
        return HttpResponse(name)

    def post(self, request: HttpRequest, name: str, town: str) -> HttpResponse:
        return HttpResponse(name, status=201)


class AsyncShelf(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return HttpResponse("async shelf")


def streamed(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        yield b"one "
        EVENTS.append("streamed")
        yield b"two"

    return StreamingHttpResponse(parts())


async def astreamed(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        await asyncio.sleep(0)
        EVENTS.append("streamed")
        yield b"two"

    return StreamingHttpResponse(parts())


async def awaits(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse("awaited")


async def afails(request: HttpRequest) -> HttpResponse:
    raise ValueError("a coroutine fails")


async def never(request: HttpRequest) -> HttpResponse:
    EVENTS.append("waiting")
    await asyncio.Event().wait()
    raise AssertionError


def file(request: HttpRequest) -> HttpResponseBase:
    return FileResponse(io.BytesIO(b"x" * 5000), filename="x.bin")


@cache_page(60)
def cached(request: HttpRequest) -> HttpResponse:
    EVENTS.append("computed")
    return HttpResponse("cached")


def computed(request: HttpRequest) -> HttpResponse:
    EVENTS.append("computed")
    return HttpResponse("x" * 500)


def queries(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        for number in range(20):
            cursor.execute("select %s", [number])
    return HttpResponse("<html><body>queries</body></html>")
