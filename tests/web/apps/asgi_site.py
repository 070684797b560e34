"""A Starlette application: every way to answer, and a websocket.

With MEMSCOPE_ENABLED=1 it is watched; else the middleware is not there at all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.web.apps.content import BIG, CHUNKS, FILE, TEXT

_folder = tempfile.TemporaryDirectory(prefix="memscope-site-")
_file = Path(_folder.name) / "file"
_file.write_bytes(FILE)
os.utime(_file, (1_700_000_000, 1_700_000_000))  # it is in the headers


async def plain(request: Request) -> Response:
    return PlainTextResponse(TEXT)


async def stream(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in CHUNKS:
            yield chunk

    return StreamingResponse(chunks(), media_type="text/plain")


async def file(request: Request) -> Response:
    return FileResponse(_file)


async def echo(request: Request) -> Response:
    body = await request.body()
    return Response(body[::-1], media_type=request.headers.get("content-type"))


async def later(request: Request) -> Response:
    async def work() -> None:
        sum(range(1000))

    response = PlainTextResponse("later", background=BackgroundTask(work))
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


async def big(request: Request) -> Response:
    return Response(BIG)


async def error(request: Request) -> Response:
    return PlainTextResponse("an error of ours", 500)


async def raising(request: Request) -> Response:
    raise RuntimeError("as asked")


async def websocket(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text((await socket.receive_text())[::-1])
    except WebSocketDisconnect:
        pass


middleware = []
if os.environ.get("MEMSCOPE_ENABLED") == "1":
    from memscope.asgi import MemscopeMiddleware

    middleware.append(
        Middleware(MemscopeMiddleware, dashboard=True, token="a-token-for-the-tests")
    )  # fmt: skip

app = Starlette(
    routes=[
        Route("/plain", plain), Route("/stream", stream), Route("/file", file),
        Route("/echo", echo, methods=["POST"]), Route("/later", later), Route("/big", big),
        Route("/error", error), Route("/raise", raising), WebSocketRoute("/ws", websocket),
    ],
    middleware=middleware,
)  # fmt: skip
