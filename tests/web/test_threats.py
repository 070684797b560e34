"""Rows of the threat table (SECURITY.md): who sees the pages, and what they cost."""

from __future__ import annotations

import gc
import logging
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from memscope.web import access as access_module
from memscope.web import views
from memscope.web.dashboard import NOT_FOUND
from memscope.web.engine import Engine
from memscope.web.http import Answer
from memscope.web.jobs import Jobs
from memscope.web.settings import SettingsError
from tests.web.visits import (
    MOUNT,
    TOKEN,
    Reader,
    call,
    crawl,
    engine_of,
    header,
    post,
    request,
)

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("traced")


@pytest.fixture(autouse=True)
def no_jobs_before() -> Iterator[None]:
    Jobs.forked()
    yield
    Jobs.forked()


# -- 1: shipped to production by accident


def test_row_01_off_unless_asked_for_twice() -> None:
    assert Engine.of({}, server="test") is None
    enabled = Engine.of({"enabled": True}, server="test")
    assert enabled is not None
    assert enabled.dashboard is None
    assert not enabled.serves(f"{MOUNT}/")
    assert Engine.of({"dashboard": True, "token": TOKEN}, server="test") is None
    debug = Engine.of({}, server="test", debug=True)
    assert debug is not None
    assert debug.dashboard is None


def test_row_01_without_debug_it_does_not_start_without_a_token() -> None:
    with pytest.raises(SettingsError, match="give token"):
        engine_of(token=None)


@pytest.mark.parametrize("debug", [True, False])
def test_row_01_the_log_says_where(debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    engine_of(debug=debug, token=None if debug else TOKEN, url_prefix="/mem")
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "/mem/" in warnings[0].getMessage()


# -- 2: behind a proxy everybody is local


@pytest.mark.parametrize(
    "headers",
    [{"x-forwarded-for": "127.0.0.1"}, {"forwarded": "for=127.0.0.1"}, {"x-real-ip": "127.0.0.1"},
     {"via": "1.1 x"}, {"x-forwarded-proto": "https"}, {"cf-connecting-ip": "::1"}],
    ids=str,
)  # fmt: skip
def test_row_02_forwarded_is_not_local(headers: dict[str, str]) -> None:
    assert engine_of().answer(call(headers=headers)) == NOT_FOUND


def test_row_02_a_unix_socket_has_no_address() -> None:
    assert engine_of().answer(call(remote_addr="")) == NOT_FOUND
    assert engine_of(trusted_proxies=["127.0.0.1"]).answer(
        call(headers={"x-forwarded-for": "127.0.0.1"}, remote_addr="")
    ) == NOT_FOUND  # fmt: skip


def test_row_02_what_a_client_writes_into_the_header_does_not_count() -> None:
    engine = engine_of(trusted_proxies=["10.0.0.1"])
    for forwarded, status in (
        ("127.0.0.1", 200), ("127.0.0.1, 8.8.8.8", 404), ("127.0.0.1, 10.0.0.1, 8.8.8.8", 404),
        ("8.8.8.8, 127.0.0.1", 200), ("127.0.0.1\r\n", 404), ("::1, x", 404),
    ):  # fmt: skip
        headers = {"x-forwarded-for": forwarded}
        assert engine.answer(call(headers=headers, remote_addr="10.0.0.1")).status == status
        assert engine.answer(call(headers=headers, remote_addr="10.0.0.2")).status == 404


# -- 3: DNS rebinding; a page of another site


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "localhost, evil.example"],
)
def test_row_03_a_name_that_is_not_ours(host: str) -> None:
    assert engine_of().answer(call(headers={"host": host})) == NOT_FOUND


@pytest.mark.parametrize("path", ["overview.json", "memscope.js", "do/gc/collect"])
@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null", "sec-fetch-site": "cross-site"},
     {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
     {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}],
    ids=str,
)  # fmt: skip
def test_row_03_a_page_of_another_site(path: str, headers: dict[str, str]) -> None:
    engine = engine_of()
    method = "POST" if path.startswith("do/") else "GET"
    assert engine.answer(call(path, headers, method=method)) == NOT_FOUND
    assert engine.answer(call(path, method=method)).status in (200, 303)


def test_row_03_no_answer_is_for_other_origins() -> None:
    engine = engine_of()
    for answer in (engine.answer(call("types.json", {"origin": "http://localhost:8000"})),
                   engine.answer(call("types.json", method="OPTIONS"))):  # fmt: skip
        assert header(answer, "Cross-Origin-Resource-Policy") == "same-origin"
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


# -- 4: guessing access


def test_row_04_the_random_token_has_128_bits(caplog: pytest.LogCaptureFixture) -> None:
    found = set()
    for _ in range(10):
        caplog.clear()
        engine_of(debug=True, token=None)
        (token,) = re.findall(r"\?token=([A-Za-z0-9_-]+)", caplog.text)
        assert len(token) * 6 >= 128
        found.add(token)
    assert len(found) == 10


def test_row_04_the_token_does_not_stay_in_the_address() -> None:
    engine = engine_of()
    answer = engine.answer(call("types", token=False, query=f"q=x&token={TOKEN}"))
    assert answer.status == 303
    assert header(answer, "Location") == f"{MOUNT}/types?q=x"
    assert header(answer, "Referrer-Policy") == "no-referrer"
    cookie, *flags = header(answer, "Set-Cookie").split("; ")
    assert {"HttpOnly", "SameSite=Strict", f"Path={MOUNT}"} <= set(flags)
    page = engine.answer(call("types", {"cookie": cookie}, token=False))
    assert page.status == 200
    assert TOKEN.encode() not in page.body
    secure = engine.answer(call(token=False, query=f"token={TOKEN}", scheme="https"))
    assert header(secure, "Set-Cookie").endswith("; Secure")


def test_row_04_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of()
    cookie = header(engine.answer(call(token=False, query=f"token={TOKEN}")), "Set-Cookie")
    monkeypatch.setattr(access_module.hmac, "compare_digest", lambda one, two: False)
    for headers in ({}, {"cookie": cookie.partition(";")[0], "x-memscope-token": TOKEN}):
        assert engine.answer(call(headers=headers)) == NOT_FOUND, "nothing else lets in"
    monkeypatch.setattr(access_module.hmac, "compare_digest", lambda one, two: True)
    assert engine.answer(call(headers={"x-memscope-token": "x"})).status == 200


def test_row_04_brute_force_is_slowed_down_for_the_guesser_only() -> None:
    engine = engine_of(internal_ips=["127.0.0.0/8"])
    cookie = header(engine.answer(call(token=False, query=f"token={TOKEN}")), "Set-Cookie")
    for number in range(200):
        wrong = call(headers={"x-memscope-token": f"wrong-{number}"})
        assert engine.answer(wrong) == NOT_FOUND
    assert engine.answer(call()) == NOT_FOUND, "not even the right one is looked at now"
    assert engine.answer(call(headers={"cookie": cookie}, token=False)).status == 200
    assert engine.answer(call(remote_addr="127.0.0.2")).status == 200


# -- 5: that there is something is not told


def test_row_05_all_outsiders_get_the_same_bytes() -> None:
    engine = engine_of(show_callback=lambda source: source != "guest")
    outsiders = [
        {"token": False},
        {"headers": {"x-memscope-token": "wrong"}},
        {"token": False, "query": "token=wrong"},
        {"token": False, "headers": {"cookie": "memscope_8000=1.2.3"}},
        {"remote_addr": "8.8.8.8"},
        {"remote_addr": ""},
        {"headers": {"host": "evil.example"}},
        {"headers": {"x-forwarded-for": "127.0.0.1"}},
        {"headers": {"origin": "https://evil.example"}},
        {"source": "guest"},
    ]
    paths = [
        "",
        "types",
        "types.json",
        "types/abc",
        "memscope.css",
        "do/gc/collect",
        "nowhere",
        "../x",
    ]
    for about in outsiders:
        for path in paths:
            for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT", "BREW"):
                answer = engine.answer(call(path, method=method, body=b"x" * 100_000, **about))
                assert (answer.status, answer.headers) == (NOT_FOUND.status, NOT_FOUND.headers)
                assert answer.body == (b"" if method == "HEAD" else NOT_FOUND.body)
    assert b"memscope" not in NOT_FOUND.body + repr(NOT_FOUND.headers).encode()


# -- 12: cross-site actions


def test_row_12_a_get_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of()
    request(engine, "/a")
    engine.answer(post("snapshots/take"))
    for name in views.ACTIONS:
        for method in ("GET", "HEAD", "PUT", "OPTIONS", "DELETE"):
            answer = engine.answer(call(f"do/{name}", method=method))
            assert answer.status == 405
            assert header(answer, "Allow") == "POST"
    assert engine.investigation.state == "none"
    assert len(engine.routes) == 1
    assert len(list(engine.shelf or ())) == 1


@pytest.mark.parametrize("name", sorted(views.ACTIONS))
def test_row_12_an_action_needs_a_form_of_ours(name: str) -> None:
    engine = engine_of()
    cookie = header(engine.answer(call(token=False, query=f"token={TOKEN}")), "Set-Cookie")
    session = {"cookie": cookie.partition(";")[0]}
    for body in ("", "csrf=", "csrf=x", f"csrf={'0' * 64}", f"csrf={TOKEN}"):
        answer = engine.answer(post(name, body, session, token=False))
        assert answer.status == 403
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/json"):
        answer = engine.answer(post(name, "", {**session, "content-type": kind}, token=False))
        assert answer.status == 415
    assert engine.investigation.state == "none"


def test_row_12_forms_of_our_pages_work() -> None:
    engine = engine_of()
    request(engine, "/a")
    cookie = header(engine.answer(call(token=False, query=f"token={TOKEN}")), "Set-Cookie")
    session = {
        "cookie": cookie.partition(";")[0], "sec-fetch-site": "same-origin", "origin": "null"
    }  # fmt: skip
    sent = set()
    for page in ("", "types", "allocations", "routes", "leaks", "snapshots"):
        known = {"cookie": session["cookie"]}
        for action, fields in Reader(engine.answer(call(page, known, token=False)).body).forms:
            Jobs.forked()
            name = action.removeprefix(f"{MOUNT}/do/")
            answer = engine.answer(post(name, urlencode(fields), session, token=False))
            assert answer.status == 303, (name, answer)
            sent.add(name)
    assert len(sent) >= 4


# -- 13: looking at the heap stops the world


def test_row_13_a_get_neither_collects_nor_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of()
    assert engine.timeline is not None
    engine.timeline.tick(at_once=True)

    def stop(*_: Any, **__: Any) -> Any:
        raise AssertionError("a GET had the heap looked at")

    monkeypatch.setattr(gc, "collect", stop)
    for name, module in tuple(sys.modules.items()):
        if name.startswith("memscope") and hasattr(module, "take_heap_snapshot"):
            monkeypatch.setattr(module, "take_heap_snapshot", stop)
    assert len(crawl(engine)) > 15


def test_row_13_one_at_a_time_and_not_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of()
    during: list[Answer] = []
    monkeypatch.setattr(gc, "collect", lambda *_: during.append(engine.answer(post("gc/collect"))))
    assert engine.answer(post("gc/collect")).status == 303
    assert [answer.status for answer in during] == [429]
    assert int(header(during[0], "Retry-After")) >= 1
    last = Jobs().last
    assert last is not None
    Jobs._last = last._replace(seconds=10.0, due=time.monotonic() + 50)
    refused = engine.answer(post("gc/collect"))
    assert refused.status == 429
    assert 40 <= int(header(refused, "Retry-After")) <= 50
    assert len(during) == 1
    heavy = {name for name, action in views.ACTIONS.items() if action.heavy}
    assert heavy >= {"gc/collect", "types/paths", "leaks/finish"}
    assert engine.answer(call("overview.json")).status == 200, "pages go on"


def test_row_13_a_heap_that_is_too_large_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of()
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: 10**9)
    answer = engine.answer(post("gc/collect"))
    assert answer.status == 503
    assert b"1,000,000,000 blocks" in answer.body


# -- 14: growth of ours


def test_row_14_a_flood_of_paths_and_handles() -> None:
    engine = engine_of(max_routes=100, max_records=20)
    for number in range(50_000):
        request(
            engine,
            f"/{number:x}q/{'y' * (number % 50)}",
            method=f"M{number}",
            status=404,
            route=f"/{number}",
        )
        if number == 10_000:
            gc.collect()
            before = sys.getallocatedblocks()
    gc.collect()
    grown = sys.getallocatedblocks() - before
    assert len(engine.routes) <= 101
    assert engine.routes.dropped > 49_000
    assert len(engine.recent) <= 50
    assert grown < 2_000, "blocks of memory after 40,000 requests more"
    assert engine.dashboard is not None
    assert engine.answer(call("routes.json")).status == 200
    assert len(engine.dashboard.handles) <= 2000


def test_row_14_a_flood_of_visits() -> None:
    engine = engine_of(internal_ips=["0.0.0.0/0"])
    assert engine.dashboard is not None
    dashboard = engine.dashboard

    def visit(number: int) -> None:
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        engine.answer(call(f"p{number}", {"x-memscope-token": f"x{number}"}, remote_addr=address))
        engine.answer(call(f"nowhere{number}" if number % 100 == 0 else "memscope.css"))
        cookie = {"cookie": f"memscope_8000={int(time.time()):08x}.{number:016x}.{'0' * 64}"}
        engine.answer(call(f"p{number}", cookie, token=False, remote_addr=address))

    for number in range(2_000):
        visit(number)
    gc.collect()
    before = sys.getallocatedblocks()
    for number in range(2_000, 8_000):
        visit(number)
    gc.collect()
    assert sys.getallocatedblocks() - before < 2_000
    assert len(dashboard.access._attempts) <= 257
    assert len(dashboard.access._cookies) <= 257
    assert len(dashboard._told) <= 50


def test_row_14_a_flood_of_logins_and_snapshots() -> None:
    engine = engine_of()
    assert engine.dashboard is not None
    for _ in range(1000):
        answer = engine.answer(call(token=False, query=f"token={TOKEN}"))
        cookie = header(answer, "Set-Cookie").partition(";")[0]
        assert engine.answer(call("memscope.css", {"cookie": cookie}, token=False)).status == 200
    assert len(engine.dashboard.access._known) <= 256
    for _ in range(30):
        assert engine.answer(post("snapshots/take")).status in (303, 429)
    assert len(list(engine.shelf or ())) <= 10


def test_row_14_answers_are_bounded() -> None:
    engine = engine_of(max_routes=1_000, max_records=20, warmup=0)
    for number in range(2_000):
        engine.routes.seen("GET", f"/{'x' * 150}/{number}")
    for path in ("routes", "routes.json", "leaks", "leaks.json", "", "overview.json"):
        answer = engine.answer(call(path))
        assert answer.status == 200
        assert len(answer.body) < 2 << 20, path


def test_row_14_paths_forge_no_lines_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_of(log_threshold=1000, warmup=0)
    caplog.clear()
    held = []
    for path in (
        "/a\r\nCRITICAL root: all is lost",
        "/\x1b[31mred",
        "/\u202egnp",
        "/\ud800",
        "/\u2028",
    ):
        for _ in range(2):
            request(engine, path, lambda: held.append(bytearray(5000)))
    request(engine, "/end")
    assert len(caplog.records) == 10
    for record in caplog.records:
        assert record.getMessage().isprintable()
    assert all(route.name.isprintable() for route in engine.routes)
    assert len(engine.routes) == 6, "one for each path, however often it comes"


# -- 15: caches and proxies


def test_row_15_nothing_is_stored_and_nothing_is_in_urls() -> None:
    engine = engine_of()
    for link, answer in crawl(engine).items():
        assert header(answer, "Cache-Control") == "no-store"
        assert TOKEN.encode() not in answer.body
        if header(answer, "Content-Type").startswith("text/html"):
            for action, fields in Reader(answer.body).forms:
                assert fields["csrf"]
                assert fields["csrf"] not in action, "it is sent, not linked"
            assert all(
                "csrf" not in link and "token" not in link for link in Reader(answer.body).links
            )
        assert "token" not in link
    assert header(NOT_FOUND, "Cache-Control") == "no-store"


def test_row_15_responses_of_the_program_have_no_header_of_ours() -> None:
    engine = engine_of()
    request(engine, "/")
    visit = engine.begin("/", "", None)
    assert engine.response_headers(visit) == []
    engine.finish(visit, method="GET", path="/", route="/", status=200)
    engine = engine_of(header=True)
    request(engine, "/")
    visit = engine.begin("/", "", None)
    for _, value in engine.response_headers(visit):
        assert re.fullmatch(r'-?[\d.]+|memscope;desc="[-+]?[\d.,]+ (B|[KMG]iB)"', value), value
    engine.finish(visit, method="GET", path="/", route="/", status=200)


def test_every_row_is_tested() -> None:
    names = "".join(file.read_text() for file in (ROOT / "tests" / "web").glob("test_threats*.py"))
    rows = {
        int(number)
        for name in re.findall(r"^def (test_rows?_\w+)", names, re.MULTILINE)
        for number in re.findall(r"_(\d\d)", name)
    }
    assert rows == set(range(1, 19))
