from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memscope.web import pages, views
from memscope.web.asked import Action, Asked, Unknown
from memscope.web.dashboard import HEADERS, NOT_FOUND, STATUSES, Dashboard, Place
from memscope.web.engine import Engine
from memscope.web.http import MOST_BODY, Answer, Call
from memscope.web.jobs import Jobs
from memscope.web.redaction import redacted
from memscope.web.settings import Settings

TOKEN = "correct-horse-battery"


def dashboard_of(engine: Any = None, **options: Any) -> Dashboard:
    options = {"enabled": True, "dashboard": True, "token": TOKEN, **options}
    settings = Settings.of(options, environ={})
    return Dashboard(engine or SimpleNamespace(settings=settings, pid=1, server="test"))


def call(path: str = "", headers: dict[str, str] | None = None, **about: Any) -> Call:
    known = {"host": "localhost:8000", **(headers or {})}
    if about.pop("token", True):
        known.setdefault("x-memscope-token", TOKEN)
    about = {"method": "GET", "remote_addr": "127.0.0.1", "root": "/_memscope", **about}
    return Call(path=path, headers=known, **about)


def header(answer: Answer, name: str) -> str:
    (value,) = (value for key, value in answer.headers if key == name)
    return value


def logged_in(dashboard: Dashboard) -> dict[str, str]:
    """The headers of somebody who came with the token, and has a form's token."""
    answer = dashboard.answer(call(token=False, query=f"token={TOKEN}"))
    assert answer.status == 303
    return {"cookie": header(answer, "Set-Cookie").partition(";")[0]}


def csrf_of(dashboard: Dashboard, headers: dict[str, str]) -> str:
    answer = dashboard.answer(call("echo", headers, token=False))
    return json.loads(answer.body)["context"]["csrf"]


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A page that shows what it was asked, one that fails, and actions; what was done."""
    done: list[Any] = []

    def echo(engine: Any, asked: Asked) -> dict[str, Any]:
        return {"query": asked.query, "argument": asked.argument, "engine": engine.server}

    def fail(engine: Any, asked: Asked) -> dict[str, Any]:
        raise RuntimeError("the secret of the program")

    def unknown(engine: Any, asked: Asked) -> dict[str, Any]:
        raise Unknown("This <class> is not known.")

    def act(engine: Any, asked: Asked, form: dict[str, str]) -> str:
        done.append(form)
        return form.get("to", "types/abc")

    def render(name: str, data: dict[str, Any], context: Any) -> str:
        return json.dumps({"name": name, "data": data, "context": context._asdict()})

    fakes = {"": echo, "overview": echo, "echo": echo, "fail": fail, "unknown": unknown}
    monkeypatch.setattr(views, "PAGES", fakes)
    actions = [
        Action("a/quick", False, act),
        Action("a/heavy", True, act),
        Action("fail", False, fail),
    ]
    monkeypatch.setattr(views, "ACTIONS", {action.name: action for action in actions})
    monkeypatch.setattr(pages, "render", render)
    Jobs.forked()
    yield done
    Jobs.forked()


# -- pages


def test_a_page_and_its_data() -> None:
    dashboard = dashboard_of()
    html = dashboard.answer(call("echo/abc", query="q=a%20b&q=c"))
    assert html.status == 200
    assert header(html, "Content-Type") == "text/html; charset=utf-8"
    shown = json.loads(html.body)
    assert shown["data"] == {"query": {"q": "a b"}, "argument": "abc", "engine": "test"}
    assert shown["context"]["root"] == "/_memscope"
    assert shown["context"]["path"] == "echo/abc"
    assert shown["context"]["query"] == "q=a+b"
    data = dashboard.answer(call("echo/abc.json", query="q=a%20b&q=c"))
    assert header(data, "Content-Type") == "application/json"
    assert json.loads(data.body) == {"schema": 1, **shown["data"]}


def test_the_first_page() -> None:
    dashboard = dashboard_of()
    assert json.loads(dashboard.answer(call("")).body)["name"] == "overview"
    assert dashboard.answer(call("overview.json")).status == 200
    assert dashboard.answer(call(".json")).status == 404


@pytest.mark.parametrize(
    "path",
    ["nowhere", "nowhere.json", "echo/", "/echo", "//echo", "echo//", "echo/a/b", "../echo",
     "echo/..", "./echo", "echo/%2e%2e", "%65cho", "echo.json.json", "echo.html", "ECHO",
     "echo\0", "echo/\0", "echo/a b", "static/memscope.css", "memscope.css/x",
     "memscope.css.json", "views.py", "ec\u212ao", "echo/\u00e4", "echo/" + "a" * 10**6, "do",
     "do/", "do.json", "\r\nSet-Cookie: x=y", "..\\echo"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_what_is_not_there(path: str, method: str) -> None:
    answer = dashboard_of().answer(call(path, method=method))
    # An insider learns that actions exist, as a page's forms say.
    assert answer.status == 404 or (answer.status == 405 and Place.of(path) is not None)


def test_files() -> None:
    dashboard = dashboard_of()
    css = dashboard.answer(call("memscope.css"))
    script = dashboard.answer(call("memscope.js"))
    assert (css.status, script.status) == (200, 200)
    assert header(css, "Content-Type") == "text/css; charset=utf-8"
    assert header(script, "Content-Type") == "text/javascript; charset=utf-8"
    assert b"color-scheme" in css.body
    assert b"use strict" in script.body
    assert dashboard.answer(call("memscope.js", token=False)) == NOT_FOUND


def test_a_view_does_not_know_any_more() -> None:
    dashboard = dashboard_of()
    html = dashboard.answer(call("unknown"))
    assert html.status == 404
    assert b"This &lt;class&gt; is not known." in html.body
    assert b"/_memscope/types" in html.body, "there are links to go on"
    data = dashboard.answer(call("unknown.json"))
    assert data.status == 404
    assert json.loads(data.body) == {"schema": 1, "error": "This <class> is not known."}


def test_adapters_can_tell_outsiders() -> None:
    dashboard = dashboard_of()
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        for path in ("", "nowhere", "do/a/quick"):
            outsider = dashboard.answer(call(path, method=method, token=False))
            assert outsider.headers is NOT_FOUND.headers
            assert dashboard.answer(call(path, method=method)).headers != NOT_FOUND.headers


def test_errors_of_ours_are_told_once_and_without_detail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dashboard = dashboard_of()
    caplog.clear()
    for _ in range(20):
        answer = dashboard.answer(call("fail"))
        assert answer.status == 500
        assert b"secret" not in answer.body
        assert b"RuntimeError" not in answer.body
    assert len(caplog.records) == 1
    assert caplog.records[0].name == "memscope.web"
    assert "the secret of the program" in caplog.text
    assert dashboard.answer(call("fail.json")).status == 500


def test_errors_in_rendering_and_in_the_check(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dashboard = dashboard_of()
    caplog.clear()
    monkeypatch.setattr(pages, "frame", lambda *_, **__: 1 / 0)
    assert dashboard.answer(call("nowhere")) == NOT_FOUND
    monkeypatch.setattr(dashboard.access, "visitor", lambda *_, **__: 1 / 0)
    assert dashboard.answer(call("echo")) == NOT_FOUND
    assert "ZeroDivisionError" in caplog.text


# -- methods


def test_head_is_get_without_a_body() -> None:
    dashboard = dashboard_of()
    for path in ("", "echo", "echo.json", "memscope.css", "nowhere"):
        get, head = (dashboard.answer(call(path, method=method)) for method in ("GET", "HEAD"))
        assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")
        assert get.body


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "", "X\r\n"]
)
def test_other_methods(method: str) -> None:
    dashboard = dashboard_of()
    answer = dashboard.answer(call("echo", method=method))
    assert answer.status == 405
    assert header(answer, "Allow") == "GET, HEAD"
    assert dashboard.answer(call("echo", method=method, token=False)) == NOT_FOUND
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
def test_actions_are_posted(method: str, fakes: list[Any]) -> None:
    answer = dashboard_of().answer(call("do/a/quick", method=method))
    assert answer.status == 405
    assert header(answer, "Allow") == "POST"
    assert not fakes


# -- actions


def post(action: str = "a/quick", body: str = "", headers: Any = None, **about: Any) -> Call:
    known = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
    return call(f"do/{action}", known, method="POST", body=body.encode(), **about)


def test_with_the_token_itself(fakes: list[Any]) -> None:
    answer = dashboard_of().answer(post(body="handle=a+b&handle=c"))
    assert answer.status == 303
    assert header(answer, "Location") == "/_memscope/types/abc"
    assert fakes == [{"handle": "a b"}]


def test_with_a_form_of_ours(fakes: list[Any]) -> None:
    dashboard = dashboard_of()
    headers = logged_in(dashboard)
    csrf = csrf_of(dashboard, headers)
    assert (
        dashboard.answer(post(body=f"csrf={csrf}&x=1", headers=headers, token=False)).status == 303
    )
    by_script = {**headers, "x-memscope-csrf": csrf}
    assert dashboard.answer(post(headers=by_script, token=False)).status == 303
    assert fakes == [{"x": "1"}, {}]


@pytest.mark.parametrize(
    "csrf", ["", "csrf=", "csrf=x", "x={}", "csrf={}x", "csrf=%ff", "csrf=x&csrf={}"]
)
def test_without_one(csrf: str, fakes: list[Any]) -> None:
    dashboard = dashboard_of()
    headers = logged_in(dashboard)
    body = csrf.format(csrf_of(dashboard, headers))
    assert dashboard.answer(post(body=body, headers=headers, token=False)).status == 403
    assert not fakes


def test_the_form_of_another_session(fakes: list[Any]) -> None:
    dashboard = dashboard_of()
    one, two = logged_in(dashboard), logged_in(dashboard)
    body = f"csrf={csrf_of(dashboard, two)}"
    assert dashboard.answer(post(body=body, headers=one, token=False)).status == 403
    assert not fakes


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/json", "x" * 10**5]
)
def test_other_kinds_of_bodies(kind: str, fakes: list[Any]) -> None:
    assert dashboard_of().answer(post(headers={"content-type": kind})).status == 415
    assert not fakes


def test_a_body_that_is_too_long(fakes: list[Any]) -> None:
    dashboard = dashboard_of()
    body = "x" * (MOST_BODY + 1)
    assert dashboard.answer(post(body=body)).status == 413
    assert dashboard.answer(post(body=body, token=False)) == NOT_FOUND
    assert not fakes


def test_forms_are_bounded(fakes: list[Any]) -> None:
    fields = "&".join(f"n{number}={'x' * 1000}" for number in range(60))
    assert dashboard_of().answer(post(body=fields)).status == 303
    assert len(fakes[0]) == 20
    assert {len(value) for value in fakes[0].values()} == {200}


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("", "/_memscope/"),
        ("snapshots/compare?old=1&new=2", "/_memscope/snapshots/compare?old=1&new=2"),
        ("//evil.example", "/_memscope///evil.example"),
        ("x\r\nSet-Cookie: y=z", "/_memscope/x%0D%0ASet-Cookie%3A%20y%3Dz"),
        ("x?a=%0d%0ab", "/_memscope/x?a=%0D%0Ab"),
    ],
)
def test_where_an_action_leads(page: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    action = Action("a/quick", False, lambda *_: page)
    monkeypatch.setitem(views.ACTIONS, "a/quick", action)
    assert header(dashboard_of().answer(post()), "Location") == found


def test_one_heavy_action_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    dashboard = dashboard_of()
    inner: list[Answer] = []

    def run(*_: Any) -> str:
        if inner:
            return ""  # two at a time: told below
        inner.append(dashboard.answer(post("a/heavy")))
        inner.append(dashboard_of().answer(post("a/heavy")))
        inner.append(dashboard.answer(post("a/quick")))
        return ""

    quick = views.ACTIONS["a/quick"]
    monkeypatch.setattr(
        views, "ACTIONS", {"a/heavy": Action("a/heavy", True, run), "a/quick": quick}
    )
    assert dashboard.answer(post("a/heavy")).status == 303
    assert [answer.status for answer in inner] == [429, 429, 303]
    assert int(header(inner[0], "Retry-After")) >= 1


def test_a_heap_that_is_too_large(fakes: list[Any]) -> None:
    dashboard = dashboard_of()
    dashboard.jobs = Jobs(most_blocks=1)
    answer = dashboard.answer(post("a/heavy"))
    assert answer.status == 503
    assert b"take_heap_snapshot" in answer.body
    assert not fakes


def test_an_action_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    assert dashboard_of().answer(post("fail")).status == 500


# -- headers


def answers(dashboard: Dashboard) -> Iterator[Answer]:
    for path in (
        "",
        "echo.json",
        "memscope.css",
        "memscope.js",
        "nowhere",
        "fail",
        "fail.json",
        "unknown",
    ):
        for method in ("GET", "HEAD", "OPTIONS", "POST"):
            yield dashboard.answer(call(path, method=method))
    yield dashboard.answer(call(token=False))
    yield dashboard.answer(call(token=False, query=f"token={TOKEN}"))
    yield dashboard.answer(post())
    yield dashboard.answer(post("a/heavy"))
    yield dashboard.answer(post(headers={"content-type": "text/plain"}))
    yield dashboard.answer(post(headers=logged_in(dashboard), token=False))


def test_every_answer_has_the_headers() -> None:
    found = list(answers(dashboard_of()))
    assert {answer.status for answer in found} >= {200, 303, 403, 404, 405, 415, 500}
    for answer in found:
        names = [name.lower() for name, _ in answer.headers]
        assert len(names) == len(set(names))
        assert set(HEADERS) <= set(answer.headers)
        assert answer.status in STATUSES
    headers = dict(HEADERS)
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Permissions-Policy" in headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'",
        "img-src": "'self' data:", "connect-src": "'self'", "form-action": "'self'",
        "frame-ancestors": "'none'", "base-uri": "'none'",
    }  # fmt: skip


# -- what leaves the process


class Point(NamedTuple):
    x: int
    source: str


def test_redacted() -> None:
    data = {
        "source": "password = 'x'", "address": 140248814695120, "node": 7, "edge": "cache",
        "steps": [{"address": 1, "edge": "['sid-abc']", "deep": ({"source": "x", "ok": True},)}],
        "n": [1, 1.5, None, float("nan"), float("inf")], "long": "x" * 10**6,
        "point": Point(1, "x"),
    }  # fmt: skip
    assert redacted(data) == {
        "edge": "cache",
        "steps": [{"edge": "[key]", "deep": [{"ok": True}]}],
        "n": [1, 1.5, None, None, None], "long": "x" * 4000 + "...",
        "point": [1, "x"],
    }  # fmt: skip
    assert data["address"] == 140248814695120, "a copy"


class Hostile:
    def __repr__(self) -> str:
        raise AssertionError("the program's code ran")

    __str__ = __iter__ = __len__ = __bool__ = __repr__  # type: ignore[assignment]


class Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise AssertionError("the program's code ran")

    __getitem__ = __format__ = __len__ = __str__  # type: ignore[assignment]


@pytest.mark.parametrize("number", range(7))
def test_what_is_no_plain_data_is_refused(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [Hostile(), Name("x"), {1: 2}, b"x", {1}, [Hostile()], {Name("x"): 1}]
    value: Any = values[number]
    with pytest.raises(TypeError):
        redacted({"x": value})
    monkeypatch.setitem(views.PAGES, "echo", lambda *_: {"x": value})
    assert dashboard_of().answer(call("echo.json")).status == 500


def test_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match="more data than anybody reads"):
        redacted({"x": [0] * 10**6})
    deep: Any = 1
    for _ in range(10**5):
        deep = [deep]
    with pytest.raises(ValueError, match="more data than anybody reads"):
        redacted({"x": deep})


def test_data_is_ascii_and_no_html(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "</script><script>alert(1)</script>\u2028\ud800\u202e\0&"
    monkeypatch.setitem(views.PAGES, "echo", lambda *_: {hostile: hostile})
    answer = dashboard_of().answer(call("echo.json"))
    assert answer.status == 200
    assert answer.body.isascii()
    assert not set(b"<>&\0") & set(answer.body)
    assert json.loads(answer.body)[hostile] == hostile


def test_surrogates_in_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "render", lambda *_: "a\ud800b")
    assert dashboard_of().answer(call("echo")).body == b"a?b"


# -- anything


TEXTS = st.text(max_size=60) | st.sampled_from(["", "x", "\0", "\r\n", "\ud800", "<script>"])
PATHS = TEXTS | st.sampled_from(
    ["", "echo", "echo.json", "echo/abc", "fail", "unknown.json", "do/a/quick", "do/a/heavy",
     "do/fail", "memscope.css", "../x", "//", "do/../echo"]
)  # fmt: skip
NAMES = st.sampled_from(
    ["host", "origin", "cookie", "x-memscope-token", "sec-fetch-site", "x-forwarded-for",
     "forwarded", "content-type", "x-memscope-csrf", "accept"]
)  # fmt: skip
VALUES = TEXTS | st.sampled_from(
    ["localhost:8000", "localhost", TOKEN, "same-origin", "http://localhost:8000", "null",
     "127.0.0.1", "memscope_8000=1.2.3", "application/x-www-form-urlencoded"]
)  # fmt: skip
CALLS = st.builds(
    Call,
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PUT"]) | TEXTS,
    path=PATHS,
    query=TEXTS
    | st.sampled_from([f"token={TOKEN}", "token=x", "q=%ff%00", "&&=&", f"a=b&token={TOKEN}"]),
    headers=st.dictionaries(NAMES, VALUES, max_size=5).map(
        lambda headers: {"host": "localhost:8000", "x-memscope-token": TOKEN, **headers}
    )
    | st.dictionaries(NAMES | TEXTS, VALUES, max_size=8),
    remote_addr=st.sampled_from(["127.0.0.1", "::1", "", "8.8.8.8"]) | TEXTS,
    scheme=st.sampled_from(["http", "https", "ws", ""]),
    root=st.sampled_from(["/_memscope", "", "/a b/_memscope", "//x"]) | TEXTS,
    body=st.binary(max_size=100) | st.sampled_from([b"csrf=x", b"a=%ff&" * 50]),
)


def safe(answer: Answer) -> None:
    assert answer.status in STATUSES
    assert set(HEADERS) <= set(answer.headers)
    for name, value in answer.headers:
        assert re.fullmatch(r"[A-Za-z-]+", name)
        assert re.fullmatch(r"[\x20-\x7e]*", value), "one line of ASCII"
        assert "//" not in value[:2]
    if answer.status == 404 and answer.body == NOT_FOUND.body:
        assert answer == NOT_FOUND


fuzzed = dashboard_of()


@given(CALLS)
def test_any_call_gets_an_answer(call: Call) -> None:
    known = call.headers.get("x-memscope-token") == TOKEN
    answer = fuzzed.answer(call)
    safe(answer)
    if call.method == "HEAD":
        assert answer.body == b""
    if not known and TOKEN not in call.query:
        assert (answer.status, answer.headers) == (NOT_FOUND.status, NOT_FOUND.headers)
    fuzzed.access._attempts._guesses.clear()


# -- with a real engine


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_answers_whatever_its_parent_was_doing(run_python: Any) -> None:
    run_python(
        f"""
import os
from memscope.web.engine import Engine
from memscope.web.http import Call
engine = Engine.of(dict(enabled=True, dashboard=True, token={TOKEN!r}), server="test")
access, handles = engine.dashboard.access, engine.dashboard.handles
locks = [access._lock, access._attempts._lock, access._cookies._lock, handles._lock]
for lock in locks:
    lock.acquire()
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    known = {{"host": "localhost", "x-memscope-token": {TOKEN!r}}}
    call = Call("GET", "types.json", "", known, "127.0.0.1", root="/_memscope")
    handles.of("x")
    os._exit(0 if engine.answer(call).status == 200 else 1)
"""
    )


@pytest.mark.usefixtures("traced")
def test_a_dashboard_needs_a_token_when_the_engine_is_made(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(ValueError, match="give MEMSCOPE_TOKEN"):
        Engine.of(
            {"enabled": True, "dashboard": True},
            server="test",
            spelled=lambda name: f"MEMSCOPE_{name.upper()}",
        )
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "memscope.web"):
        engine = Engine.of({"dashboard": True}, server="test", debug=True)
    assert engine is not None
    assert "/_memscope/?token=" in caplog.text
