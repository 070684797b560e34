"""The quick starts of README.md, as they stand there, driven until the pages tell of the leak."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()

VISIT = """
import json, logging, re
logged = []
class Keep(logging.Handler):
    def emit(self, record):
        logged.append(record.getMessage())
logging.getLogger("memscope").addHandler(Keep())

def shown(get, paths):
    for path in paths:
        assert get(path)[0] == 200, path
    (token,) = {found for text in logged for found in re.findall(r"token=([\\w-]+)", text)}
    status, headers, _ = get(f"/_memscope/?token={token}")
    assert status == 303, status
    cookie = headers["set-cookie"].partition(";")[0]
    assert b"Snapshots" not in get("/_memscope/")[2]
    status, headers, body = get("/_memscope/routes.json", cookie)
    assert status == 200, (status, body)
    status, headers, page = get("/_memscope/", cookie)
    assert status == 200 and b"Snapshots" in page
    print(json.dumps(json.loads(body)))
"""

WSGI = """
import io
def get(path, cookie=""):
    from wsgiref.util import setup_testing_defaults
    path, _, query = path.partition("?")
    environ = {"PATH_INFO": path, "QUERY_STRING": query, "REMOTE_ADDR": "127.0.0.1",
               "HTTP_HOST": "localhost:8000"}
    if cookie:
        environ |= {"HTTP_COOKIE": cookie, "HTTP_SEC_FETCH_SITE": "same-origin"}
    setup_testing_defaults(environ)
    told = []
    def start_response(status, headers, exc_info=None):
        told.extend([status, headers])
    body = application(environ, start_response)
    data = b"".join(body)
    getattr(body, "close", lambda: None)()
    return int(told[0][:3]), {name.lower(): value for name, value in told[1]}, data
"""

ASGI = """
import asyncio
def get(path, cookie=""):
    path, _, query = path.partition("?")
    headers = [(b"host", b"localhost:8000")]
    if cookie:
        headers += [(b"cookie", cookie.encode()), (b"sec-fetch-site", b"same-origin")]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
             "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
             "query_string": query.encode(), "headers": headers,
             "client": ("127.0.0.1", 4000), "server": ("127.0.0.1", 8000)}
    sent = []
    asked = []
    async def receive():
        if asked:
            await asyncio.Event().wait()
        asked.append(1)
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        sent.append(message)
    asyncio.run(app(scope, receive, send))
    start, *rest = sent
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(message.get("body", b"") for message in rest)
"""


def block(name: str) -> str:
    """The block of README.md that begins with "# name"."""
    found = re.search(
        rf"^```py(?:thon)?\n(# {re.escape(name)}\n.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
    assert found, f"README.md has no block {name}"
    return found[1]


@pytest.fixture
def routes(run_python: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, int]]:
    def run(program: str, env: dict[str, str] | None = None) -> dict[str, int]:
        path = tmp_path / "program.py"
        path.write_text(program)
        rows = json.loads(run_python(path, env=env).stdout.splitlines()[-1])["routes"]
        return {row["name"]: row["requests"] for row in rows}

    return run


def test_flask(routes: Callable[..., dict[str, int]]) -> None:
    program = "\n".join(
        [
            *(block("shop_flask.py"), "app.debug = True  # as flask run --debug does", VISIT),
            *("application = app.wsgi_app", WSGI),
            'shown(get, [f"/basket/{number}" for number in range(5)])',
        ]
    )
    assert routes(program) == {"GET /basket/<int:number>": 5}


def test_wsgi(routes: Callable[..., dict[str, int]]) -> None:
    program = "\n".join([VISIT, block("shop_wsgi.py"), WSGI, 'shown(get, ["/a/1", "/a/2", "/b"])'])
    assert routes(program) == {"GET /a/{}": 2, "GET /b": 1}


def test_asgi(routes: Callable[..., dict[str, int]]) -> None:
    program = "\n".join([VISIT, block("shop_asgi.py"), ASGI, 'shown(get, ["/", "/"])'])
    assert routes(program) == {"GET /": 2}


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_django(routes: Callable[..., dict[str, int]], tmp_path: Path, kind: str) -> None:
    more = '\nSECRET_KEY = "of the test"\nROOT_URLCONF = "urls"\nALLOWED_HOSTS = ["localhost"]\n'
    (tmp_path / "settings.py").write_text(block("settings.py") + more)
    view = """
from django.http import HttpResponse
from django.urls import path
urlpatterns.append(path("shop/<int:number>", lambda request, number: HttpResponse("in stock")))
"""
    (tmp_path / "urls.py").write_text(block("urls.py") + view)
    name = "application" if kind == "wsgi" else "app"
    program = "\n".join(
        [
            VISIT,
            f"from django.core.{kind} import get_{kind}_application",
            f"{name} = get_{kind}_application()",
            *(WSGI if kind == "wsgi" else ASGI, 'shown(get, ["/shop/1", "/shop/2"])'),
        ]
    )
    assert routes(program, {"DJANGO_SETTINGS_MODULE": "settings"}) == {"GET /shop/<int:number>": 2}
