"""A WSGI application without a framework: every way to answer.

With MEMSCOPE_ENABLED=1 it is watched; else the middleware is not there at all.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.web.apps.content import BIG, CHUNKS, FILE, TEXT, byte_range

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
PLAIN = ("Content-Type", "text/plain")
OCTETS = ("Content-Type", "application/octet-stream")


def plain(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [PLAIN])
    return [TEXT]


def stream(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [PLAIN])
    yield from CHUNKS


def file(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    asked = byte_range(environ.get("HTTP_RANGE", ""), len(FILE))
    first, last = asked or (0, len(FILE) - 1)
    headers = [OCTETS, ("Content-Length", str(last - first + 1)), ("Accept-Ranges", "bytes")]
    if asked:
        headers.append(("Content-Range", f"bytes {first}-{last}/{len(FILE)}"))
    start_response("206 Partial Content" if asked else "200 OK", headers)
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    part = io.BytesIO(FILE[first : last + 1])
    wrapper = environ.get("wsgi.file_wrapper")
    return wrapper(part) if wrapper is not None else iter(lambda: part.read(8192), b"")


def echo(environ: Environ, start_response: StartResponse) -> list[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", environ.get("CONTENT_TYPE") or "text/plain")])
    return [body[::-1]]


def written(environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", [PLAIN, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    write(b"written ")
    return [b"returned"]


def big(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [OCTETS])
    return [BIG]


def error(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("500 Internal Server Error", [PLAIN])
    return [b"an error of ours"]


def raising(environ: Environ, start_response: StartResponse) -> list[bytes]:
    raise RuntimeError("as asked")


def missing(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("404 Not Found", [PLAIN])
    return [b"no such page"]


PAGES = {
    "/plain": plain, "/stream": stream, "/file": file, "/echo": echo, "/written": written,
    "/big": big, "/error": error, "/raise": raising,
}  # fmt: skip


def bare(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """What is compared with."""
    return PAGES.get(environ["PATH_INFO"], missing)(environ, start_response)


app: Callable[..., Iterable[bytes]] = bare
if os.environ.get("MEMSCOPE_ENABLED") == "1":
    from memscope.wsgi import MemscopeMiddleware

    app = MemscopeMiddleware(bare, dashboard=True, token="a-token-for-the-tests")
