from __future__ import annotations

import hmac
import logging
import re
from typing import Any

import pytest

from memscope.web import access as access_module
from memscope.web import attempts as attempts_module
from memscope.web.access import Access, Visitor, location, parameters_of
from memscope.web.attempts import FREE, Attempts
from memscope.web.http import Call
from memscope.web.origin import host_of
from memscope.web.settings import Settings, SettingsError

TOKEN = "correct-horse-battery"
OTHER = "incorrect-horse-battery"


def access_of(**options: Any) -> Access:
    options = {"enabled": True, "dashboard": True, "token": TOKEN, **options}
    return Access(Settings.of(options, environ={}))


def call(headers: dict[str, str] | None = None, **about: Any) -> Call:
    known = {"host": "localhost:8000", **(headers or {})}
    if about.pop("token", True):
        known.setdefault("x-memscope-token", TOKEN)
    about = {"method": "GET", "path": "", "remote_addr": "127.0.0.1", "root": "/_memscope", **about}
    return Call(headers=known, **about)


def visitor(access: Access, call: Call, is_page: bool = True) -> Visitor | None:
    return access.visitor(call, is_page=is_page)


def logged_in(access: Access, word: str = TOKEN, **about: Any) -> str:
    """The cookie of somebody who came with the token."""
    found = visitor(access, call(token=False, query=f"token={word}", **about))
    assert found is not None
    return found.cookie.partition(";")[0]


class Clock:
    """Both clocks; set forward by tests."""

    now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(access_module, "time", clock)
    monkeypatch.setattr(attempts_module, "time", clock)
    return clock


# -- where from


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may(address: str) -> None:
    assert visitor(access_of(), call(remote_addr=address))


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.6", "192.168.0.7", "128.0.0.1", "::2", "::ffff:10.0.0.1", "localhost", "127.1",
     "2130706433", "0x7f000001", "127.0.0.1, 10.0.0.1", "127.0.0.1\n", "unix:", "@",
     "/run/app.sock", "0.0.0.0"],
)  # fmt: skip
def test_others_may_not(address: str) -> None:
    assert visitor(access_of(), call(remote_addr=address)) is None


def test_internal_ips() -> None:
    access = access_of(internal_ips=["10.0.0.0/8", "fd00::/8"])
    for address, may in (
        ("10.1.2.3", True), ("fd00::1", True), ("fd00::1%eth0", True), ("11.0.0.1", False),
        ("127.0.0.1", False), ("::1", False), ("::ffff:10.0.0.1", True),
    ):  # fmt: skip
        assert (visitor(access, call(remote_addr=address)) is not None) is may, address
    assert visitor(access_of(internal_ips=[]), call()) is None


PROXY_HEADERS = [
    "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port",
    "x-forwarded-prefix", "x-forwarded-client-cert", "x-forwarded", "x-real-ip", "via",
    "true-client-ip", "cf-connecting-ip", "fastly-client-ip", "x-envoy-internal", "x-client-ip",
    "x-cluster-client-ip",
]  # fmt: skip


@pytest.mark.parametrize("name", PROXY_HEADERS)
@pytest.mark.parametrize("value", ["127.0.0.1", "", "for=127.0.0.1", "1.1 proxy"])
def test_behind_a_proxy_nobody_is_local(name: str, value: str) -> None:
    assert visitor(access_of(), call({name: value})) is None
    assert visitor(access_of(), call({name.replace("-", "_"): value})) is None
    assert visitor(access_of(trusted_proxies=["10.0.0.1"]), call({name: value})) is None


@pytest.mark.parametrize(
    ("forwarded", "may"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1, 10.0.0.2", True),
        ("8.8.8.8, 127.0.0.1", True),  # what a client says of itself is to the left
        ("127.0.0.1, 8.8.8.8", False),
        ("127.0.0.1, 8.8.8.8, 10.0.0.2", False),
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("::1", True),
        ("8.8.8.8", False),
        ("", False),
        (",", False),
        ("127.0.0.1,", False),
        ("unknown", False),
        ("127.0.0.1, unknown", False),
        ("_hidden, 10.0.0.2", False),
        ("127.0.0.1:99999999", False),
        ("[127.0.0.1", False),
        ("[::1", False),
        ("[::1]x", False),
        ("127.0.0.1%lo", False),
        ("for=127.0.0.1", False),
        (", ".join(["127.0.0.1"] + ["10.0.0.2"] * 30), False),
        ("10.0.0.2", False),  # nobody but proxies
        (" " * 5000 + "127.0.0.1", False),
    ],
)
def test_a_trusted_proxy_tells_the_right_most(forwarded: str, may: bool) -> None:
    access = access_of(trusted_proxies=["10.0.0.0/24"])
    found = visitor(access, call({"x-forwarded-for": forwarded}, remote_addr="10.0.0.1"))
    assert (found is not None) is may


def test_a_trusted_proxy_that_does_not_tell() -> None:
    access = access_of(trusted_proxies=["127.0.0.1"])
    assert visitor(access, call()) is None, "it would be everybody"
    assert visitor(access, call({"forwarded": "for=127.0.0.1"})) is None
    assert visitor(access, call({"x-real-ip": "127.0.0.1"})) is None
    assert visitor(access, call({"x-forwarded-for": "::1"}))
    assert visitor(access, call({"x-forwarded-for": "127.0.0.2"}, remote_addr="")) is None


# -- the host


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("localhost", True),
        ("LocalHost:8000", True),
        ("localhost.", True),
        ("localhost.:80", True),
        ("app.localhost:8000", True),
        ("a.b.localhost", True),
        ("127.0.0.1", True),
        ("127.0.0.1:65535", True),
        ("[::1]", True),
        ("[::1]:8000", True),
        ("app.example.com", True),
        ("APP.example.com.:443", True),
        ("", False),
        (":8000", False),
        (".", False),
        ("localhost..", False),
        (".localhost", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("evil-localhost", False),
        ("evillocalhost", False),
        ("x.app.example.com", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("127.0.0.2", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("[::1", False),
        ("[::1]]", False),
        ("[::1]x", False),
        ("[::1]:", False),
        ("[localhost]", False),
        ("[::2]", False),
        ("localhost:", False),
        ("localhost:port", False),
        ("localhost:123456", False),
        ("localhost:-1", False),
        ("localhost:80:80", False),
        ("localhost:\uff18\uff10", False),
        ("localhost, evil.example", False),
        ("evil.example, localhost", False),
        ("localhost,localhost", False),
        ("user@localhost", False),
        ("evil.example@localhost", False),
        ("localhost/evil", False),
        ("localhost#x", False),
        ("localhost?x", False),
        ("local\x00host", False),
        ("localhost\r\nx: y", False),
        (" localhost", False),
        ("localhost ", False),
        ("xn--localhost", False),
        ("\uff4cocalhost", False),
        ("a" * 10**6 + ".localhost", False),
    ],
)
def test_hosts(host: str, may: bool) -> None:
    access = access_of(allowed_hosts=["app.example.com"])
    assert (visitor(access, call({"host": host})) is not None) is may


def test_no_host() -> None:
    known = {"x-memscope-token": TOKEN}
    assert visitor(access_of(), Call("GET", "", headers=known, remote_addr="127.0.0.1")) is None


def test_what_a_proxy_was_asked_for_must_be_ours_too() -> None:
    access = access_of(trusted_proxies=["10.0.0.1"], allowed_hosts=["app.example.com"])
    for host, may in (
        ("app.example.com", True), ("evil.example", False), ("", False),
        ("app.example.com, evil.example", False),
    ):  # fmt: skip
        headers = {"x-forwarded-for": "127.0.0.1", "x-forwarded-host": host}
        found = visitor(access, call(headers, remote_addr="10.0.0.1"))
        assert (found is not None) is may, host


def test_host_of() -> None:
    assert host_of("A.Example.:80") == ("a.example", "80")
    assert host_of("[FD00::1]") == ("[fd00::1]", "")


# -- the page that asks

NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("headers", "page", "data"),
    [
        ({}, True, True),
        ({"sec-fetch-site": "same-origin"}, True, True),
        ({"sec-fetch-site": "none"}, True, True),
        ({"sec-fetch-site": "cross-site"}, False, False),
        ({"sec-fetch-site": "same-site"}, False, False),
        ({"sec-fetch-site": "nonsense"}, False, False),
        ({"sec-fetch-site": "same-origin, cross-site"}, False, False),
        ({"sec-fetch-site": "cross-site", **NAVIGATION}, True, False),
        ({"sec-fetch-site": "same-site", **NAVIGATION}, True, False),
        ({"sec-fetch-site": "cross-site", **NAVIGATION, "sec-fetch-dest": "iframe"}, False, False),
        ({"sec-fetch-site": "cross-site", **NAVIGATION, "sec-fetch-dest": "image"}, False, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, False, False),
        ({"origin": "http://localhost:8000"}, True, True),
        ({"origin": "https://localhost:8000"}, True, True),
        ({"origin": "HTTP://LOCALHOST:8000"}, True, True),
        ({"origin": "http://localhost"}, False, False),
        ({"origin": "http://localhost:8001"}, False, False),
        ({"origin": "http://app.localhost:8000"}, False, False),
        ({"origin": "http://evil.example"}, False, False),
        ({"origin": "http://localhost:8000@evil.example"}, False, False),
        ({"origin": "http://evil.example@localhost:8000"}, False, False),
        ({"origin": "http://localhost:8000, http://evil.example"}, False, False),
        ({"origin": "ftp://localhost:8000"}, False, False),
        ({"origin": "localhost:8000"}, False, False),
        ({"origin": "null"}, False, False),
        ({"origin": ""}, False, False),
        ({"origin": "http://["}, False, False),
        ({"origin": "http://localhost:8000\r\nx: y"}, False, False),
        ({"origin": "http://localhost:8000", "sec-fetch-site": "cross-site"}, False, False),
    ],
)
def test_pages_of_other_sites(headers: dict[str, str], page: bool, data: bool) -> None:
    access = access_of()
    assert (visitor(access, call(headers)) is not None) is page
    assert (visitor(access, call(headers), is_page=False) is not None) is data


@pytest.mark.parametrize(
    ("headers", "may"),
    [
        ({"origin": "null", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "null"}, True),  # then the CSRF token decides
        ({"origin": "null", "sec-fetch-site": "cross-site"}, False),
        ({"origin": "null", "sec-fetch-site": "none"}, False),
        ({"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "http://evil.example"}, False),
    ],
)
def test_forms_of_a_page_without_referrer(headers: dict[str, str], may: bool) -> None:
    found = visitor(access_of(), call(headers, method="POST"), is_page=False)
    assert (found is not None) is may


# -- the token


@pytest.mark.parametrize(
    "given",
    ["", "x", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), f" {TOKEN}", f"{TOKEN}, {TOKEN}", "\ud800",
     "ä", "\0", "x" * 10**6],
)  # fmt: skip
def test_a_wrong_token(given: str) -> None:
    access = access_of()
    assert visitor(access, call({"x-memscope-token": given})) is None


def test_no_token() -> None:
    assert visitor(access_of(), call(token=False)) is None
    assert visitor(access_of(), call(token=False, query="x=1")) is None
    assert visitor(access_of(), call({"authorization": f"Bearer {TOKEN}"}, token=False)) is None


def test_the_header_is_no_session() -> None:
    found = visitor(access_of(), call())
    assert found is not None
    assert (found.cookie, found.go_to, found.has_token) == ("", "", True)


def test_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, Any]] = []
    real = hmac.compare_digest

    def compare(one: Any, two: Any) -> bool:
        seen.append((one, two))
        return real(one, two)

    monkeypatch.setattr(access_module.hmac, "compare_digest", compare)
    access = access_of()
    assert visitor(access, call({"x-memscope-token": OTHER})) is None
    assert seen == [(OTHER.encode(), TOKEN.encode())]
    cookie = logged_in(access)
    seen.clear()
    found = visitor(access, call({"cookie": cookie}, token=False))
    assert found is not None
    assert access.is_csrf(found, "x") is False
    assert [two for _, two in seen] == [cookie.rpartition(".")[2].encode(), b"x"]
    assert all(type(value) is bytes for pair in seen for value in pair)


def test_the_token_is_exchanged_for_a_cookie() -> None:
    access = access_of()
    found = visitor(
        access, call(token=False, path="types", query=f"q=a%26b&token={TOKEN}&sort=%0d%0ax")
    )
    assert found is not None
    assert found.go_to == "/_memscope/types?q=a%26b&sort=%0D%0Ax"
    assert TOKEN not in found.cookie + found.go_to
    name, *flags = found.cookie.split("; ")
    assert re.fullmatch(r"memscope_8000=[0-9a-f]{8}\.[0-9a-f]{16}\.[0-9a-f]{64}", name)
    assert flags == ["Path=/_memscope", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]
    again = visitor(access, call({"cookie": name}, token=False))
    assert again is not None
    assert (again.cookie, again.go_to, again.has_token) == ("", "", False)
    assert re.fullmatch("[0-9a-f]{64}", again.csrf)


def test_on_https_the_cookie_is_secure() -> None:
    access = access_of(trusted_proxies=["10.0.0.1"], allowed_hosts=["a.example"])
    login = {"token": False, "query": f"token={TOKEN}"}
    for headers, about, secure in (
        ({}, {"scheme": "https"}, True),
        ({}, {"scheme": "http"}, False),
        ({"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https", "host": "a.example"},
         {"remote_addr": "10.0.0.1"}, True),
        ({"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https, http", "host": "a.example"},
         {"remote_addr": "10.0.0.1"}, False),
    ):  # fmt: skip
        found = visitor(access, call(headers, **login, **about))
        assert found is not None
        assert found.cookie.startswith("__Secure-memscope") is secure
        assert found.cookie.endswith("; Secure") is secure


def test_a_token_in_the_query_only_logs_in_where_pages_are() -> None:
    access = access_of()
    app = call(token=False, path="reset-password", query=f"token={TOKEN}")
    assert not access.allows(app), "it may be a word of the program's own"
    for _ in range(50):
        assert not access.allows(call(token=False, query="token=of-a-password-reset"))
    assert logged_in(access), "and is no wrong guess"
    assert access.allows(call())
    assert not access.allows(call({"sec-fetch-site": "cross-site"}))
    assert visitor(access, call(token=False, method="POST", query=f"token={TOKEN}")) is None


def test_somebody_logged_in_need_not_guess_again() -> None:
    access = access_of()
    cookie = logged_in(access)
    found = visitor(access, call({"cookie": cookie}, token=False, query="token=old&q=x"))
    assert found is not None
    assert (found.go_to, found.cookie) == ("/_memscope/?q=x", "")


def test_workers_with_the_same_token_know_the_cookie() -> None:
    cookie = logged_in(access_of())
    assert visitor(access_of(), call({"cookie": cookie}, token=False))
    assert visitor(access_of(token=OTHER), call({"cookie": cookie}, token=False)) is None


@pytest.mark.parametrize("header", ["{}", "a=b; {}", "{}; a=b", "memscope_8000=x; {}", "a=b, {}"])
def test_cookies_of_others_do_not_matter(header: str) -> None:
    access = access_of()
    cookie = header.format(logged_in(access))
    assert visitor(access, call({"cookie": cookie}, token=False))


def test_a_cookie_ends_after_half_a_day(clock: Clock) -> None:
    access = access_of()
    cookie = logged_in(access)
    clock.now += 12 * 3600 - 1
    assert visitor(access, call({"cookie": cookie}, token=False))
    clock.now += 1
    assert visitor(access, call({"cookie": cookie}, token=False)) is None
    clock.now -= 13 * 3600
    assert visitor(access, call({"cookie": cookie}, token=False)) is None, "from the future"


def test_a_forged_cookie() -> None:
    access = access_of()
    cookie = logged_in(access)
    name, _, value = cookie.partition("=")
    made, nonce, mac = value.split(".")
    for wrong in (
        f"{int(made, 16) + 1:08x}.{nonce}.{mac}",
        f"{made}.{nonce[::-1]}.{mac}",
        f"{made}.{nonce}.{mac[::-1]}",
        f"{made}.{nonce}.{mac[:-1]}",
        f"{made}.{nonce}.{mac}.x",
        f"{made}.{nonce}.{mac.upper()}",
        f"+{made}.{nonce}.{mac}",
        "", ".", "..", "x" * 10**5,
    ):  # fmt: skip
        assert visitor(access, call({"cookie": f"{name}={wrong}"}, token=False)) is None, wrong
    assert visitor(access, call({"cookie": f"other={value}"}, token=False)) is None


def test_cookies_of_two_services_on_one_host_have_two_names() -> None:
    names = {
        logged_in(access_of(), headers={"host": host}).partition("=")[0]
        for host in ("localhost:8000", "localhost:8001", "localhost")
    }
    assert names == {"memscope_8000", "memscope_8001", "memscope"}


def test_csrf_is_of_one_session() -> None:
    access = access_of()
    one, two = (visitor(access, call({"cookie": logged_in(access)}, token=False)) for _ in range(2))
    assert one is not None
    assert two is not None
    assert access.is_csrf(one, one.csrf)
    assert not access.is_csrf(one, two.csrf)
    assert not access.is_csrf(one, "")
    assert not access.is_csrf(one, "ä\ud800")
    assert not access.is_csrf(Visitor("", False), "")


# -- guesses


def guess(access: Access, number: object, **about: Any) -> Visitor | None:
    return visitor(access, call({"x-memscope-token": f"guess-number-{number}"}, **about))


def test_guesses_are_slowed_down(clock: Clock) -> None:
    access = access_of()
    for number in range(FREE):
        guess(access, number)
    assert visitor(access, call()), "a few mistakes are free, and forgiven"
    for number in range(FREE + 1):
        guess(access, number)
    assert visitor(access, call()) is None, "now even the right one has to wait"
    clock.now += 1.01
    assert visitor(access, call())
    waits = []
    for number in range(FREE + 12):
        guess(access, number)
        waits.append(access._attempts.wait("127.0.0.1"))
        clock.now += waits[-1]
    assert waits == [0] * FREE + [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_a_slow_guesser_gets_nowhere(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand guesses, one each second for three hours: so many are looked at."""
    compared: list[bytes] = []
    real = hmac.compare_digest
    monkeypatch.setattr(
        access_module.hmac,
        "compare_digest",
        lambda one, two: compared.append(one) or real(one, two),
    )
    access = access_of()
    for number in range(10_000):
        guess(access, number)
        clock.now += 1
    assert FREE < len(compared) < 60


def test_somebody_else_can_still_log_in(clock: Clock) -> None:
    access = access_of(internal_ips=["127.0.0.0/8", "fd00::/8"])
    for number in range(50):
        guess(access, number, remote_addr="127.0.0.2")
        guess(access, number, remote_addr=f"fd00::{number:x}")
    assert logged_in(access)
    assert visitor(access, call(remote_addr="fd00::ffff")) is None, "one has a whole /64"
    assert visitor(access, call(remote_addr="fd00:0:0:1::1"))


def test_a_holder_of_a_cookie_is_not_locked_out(clock: Clock) -> None:
    access = access_of()
    cookie = logged_in(access)
    for number in range(100):
        guess(access, number)
        forged = f"memscope_8000={int(clock.now):08x}.{number:016x}.{'0' * 64}"
        assert visitor(access, call({"cookie": forged}, token=False)) is None
        assert visitor(access, call({"cookie": cookie}, token=False))


def test_guesses_by_cookie_are_slowed_down_too(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = access_of()
    macs = 0
    real = access._mac

    def mac(data: bytes) -> str:
        nonlocal macs
        macs += 1
        return real(data)

    monkeypatch.setattr(access, "_mac", mac)
    for number in range(1000):
        forged = f"memscope_8000={int(clock.now):08x}.{number:016x}.{'0' * 64}"
        visitor(access, call({"cookie": forged}, token=False))
    assert macs == FREE + 1


def test_a_page_left_open_over_a_restart_locks_nobody_out(clock: Clock) -> None:
    old = logged_in(access_of(token=OTHER), OTHER)
    access = access_of()
    for _ in range(1000):  # it refreshes itself
        assert visitor(access, call({"cookie": old}, token=False)) is None
        clock.now += 2
    new = logged_in(access)
    assert visitor(access, call({"cookie": f"{old}; {new}"}, token=False))


def test_attempts_are_bounded(clock: Clock) -> None:
    attempts = Attempts(most=100)
    for number in range(50_000):
        attempts.failed(f"10.0.{number // 256}.{number % 256}", b"%d" % number)
    assert len(attempts) <= 101
    assert attempts.wait("new") > 0, "the rest share one place"
    clock.now += 3601
    attempts.failed("new", b"x")
    assert len(attempts) == 1
    assert attempts.wait("new") == 0


def test_wrong_tokens_are_logged_seldom(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    access = access_of()
    caplog.clear()
    for number in range(1000):
        guess(access, number)
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert "wrong token again from 127.0.0.1" in caplog.text
    assert "guess-number" not in caplog.text


# -- what the program says


def test_show_callback_restricts_further() -> None:
    seen: list[Any] = []
    access = access_of(show_callback=lambda source: seen.append(source) or source == "admin")
    assert visitor(access, call(source="admin"))
    assert visitor(access, call(source="guest")) is None
    assert visitor(access, call(source="guest", token=False, query=f"token={TOKEN}")) is None
    assert seen == ["admin", "guest", "guest"]
    assert visitor(access, call(source="admin", token=False)) is None
    assert visitor(access, call({"host": "evil.example"}, source="admin")) is None
    assert len(seen) == 3, "nobody else is asked about"


def test_a_callback_that_fails_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(source: Any) -> bool:
        raise RuntimeError("no database")

    access = access_of(show_callback=fail)
    caplog.clear()
    for _ in range(10):
        assert visitor(access, call()) is None
    assert len(caplog.records) == 1
    assert "no database" in caplog.text


def test_a_callback_whose_answer_has_no_truth() -> None:
    class Neither:
        def __bool__(self) -> bool:
            raise RuntimeError

    assert visitor(access_of(show_callback=lambda source: Neither()), call()) is None


@pytest.mark.filterwarnings("error")
def test_an_async_callback_in_disguise_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class AsyncCall:
        async def __call__(self, source: Any) -> bool:
            return False

    assert visitor(access_of(show_callback=AsyncCall()), call()) is None
    assert "must not be async" in caplog.text


def test_an_error_of_ours_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    access = access_of()
    caplog.clear()
    monkeypatch.setattr(access_module, "hosts_of", lambda *_: 1 / 0)
    for _ in range(5):
        assert visitor(access, call()) is None
        assert not access.allows(call())
    assert len(caplog.records) == 1
    assert "ZeroDivisionError" in caplog.text


# -- what is said at the start


def test_without_debug_a_token_is_needed() -> None:
    with pytest.raises(SettingsError, match="need a token when debug is off"):
        Access(Settings(enabled=True, dashboard=True))


def test_where_the_pages_are_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    access_of(url_prefix="/debug/mem")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("memscope.web", logging.WARNING)
    assert "/debug/mem/" in record.getMessage()
    assert TOKEN not in caplog.text, "a token that was chosen is known already"


def test_a_random_token_is_logged_as_a_link(caplog: pytest.LogCaptureFixture) -> None:
    tokens = set()
    for _ in range(20):
        caplog.clear()
        access = Access(Settings(enabled=True, dashboard=True, debug=True))
        (record,) = caplog.records
        found = re.search(r"/_memscope/\?token=([\w-]{22})\b", record.getMessage())
        assert found, record.getMessage()
        tokens.add(found[1])
        assert visitor(access, call({"x-memscope-token": found[1]}))
        assert visitor(access, call({"x-memscope-token": TOKEN})) is None
    assert len(tokens) == 20


# -- locations


@pytest.mark.parametrize(
    ("root", "page", "found"),
    [
        ("/_memscope", "", "/_memscope/"),
        ("/_memscope", "types/abc", "/_memscope/types/abc"),
        ("//evil.example/_memscope", "", "/evil.example/_memscope/"),
        ("", "/evil.example", "/evil.example"),
        ("", "//evil.example", "/evil.example"),
        ("/a", "\r\nSet-Cookie: x=y", "/a/%0D%0ASet-Cookie%3A%20x%3Dy"),
        ("/ä", "\ud800?#;", "/%C3%A4/%3F%3F%23%3B"),
        ("/\\evil.example", "", "/%5Cevil.example/"),
    ],
)
def test_location(root: str, page: str, found: str) -> None:
    assert location(root, page) == found


def test_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parameters_of("") == []
    assert parameters_of("a=1&a=2&b&c=%41+x&=y") == [
        ("a", "1"), ("a", "2"), ("b", ""), ("c", "A x"), ("", "y")
    ]  # fmt: skip
    assert len(parameters_of("&".join(f"n{number}=1" for number in range(10**5)))) == 20
    lengths = []
    monkeypatch.setattr(
        access_module, "parse_qsl", lambda text, **_: lengths.append(len(text)) or []
    )
    parameters_of("&" * 10**7)
    parameters_of("%" * 10**7)
    assert lengths == [19, 8000], "a query is cut before it is looked at"
