"""Who may see the pages.

All of these must hold, and who fails one of them is answered as if there were no pages:

    where from    the address is one of internal_ips, and no proxy stands in between unless it is
                  known; the host is one of ours; no other site's page asks (origin)
    who           knows the token: in the header X-Memscope-Token, or in a cookie that was given
                  for ?token=...; guesses are slowed down (attempts)
    and           show_callback agrees

The cookie holds when it was made, and a MAC of that with a key made of the token.  So any
worker that has the same token understands it, nothing is stored, and a new token ends all
of them.  The token itself stays out of it, and out of the address bar: ?token=... is answered
by going to the same page without.
"""

from __future__ import annotations

import hmac
import inspect
import logging
import re
import secrets
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from memscope.web.attempts import Attempts
from memscope.web.origin import (
    Networks,
    client_of,
    hosts_of,
    is_ours,
    is_same_origin,
    scheme_of,
)
from memscope.web.settings import TOKEN_WANTED, SettingsError

if TYPE_CHECKING:
    from memscope.web.http import Call
    from memscope.web.origin import Address
    from memscope.web.settings import Settings

__all__ = [
    "COOKIE_SECONDS",
    "MOST_PARAMETERS",
    "READS",
    "Access",
    "Visitor",
    "location",
    "parameters_of",
]

COOKIE_SECONDS = 12 * 3600
CLOCKS_DIFFER = 60
"""Seconds that a cookie may come from the future: of another machine."""

COOKIE = re.compile(r"([0-9a-f]{8,12})\.([0-9a-f]{16})\.([0-9a-f]{64})", re.ASCII)
BETWEEN_COOKIES = re.compile(r"[;,]")
"""HTTP/2 may send each in a header of its own."""
MOST_COOKIES = 32
"""Of one name in a request; a browser sends one or two."""

MOST_KNOWN = 256
LONGEST_QUERY = 8000
MOST_PARAMETERS = 20

log = logging.getLogger("memscope.web")


class Visitor(NamedTuple):
    """Somebody who may see the pages."""

    csrf: str
    """What a form must contain to change something."""
    has_token: bool
    """The token itself came in a header, which no other site's page can send."""
    cookie: str = ""
    """The Set-Cookie header of somebody who has just come in."""
    go_to: str = ""
    """Where to, instead of an answer: the same page without the token."""


class Access:
    """Of one middleware.  Any thread may call it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        token = settings.token
        if token is None:
            if not settings.debug:
                # Settings.of() says so too, in the words of the framework.
                raise SettingsError(
                    f"the pages need a token when debug is off: token must be {TOKEN_WANTED}"
                )
            token = secrets.token_urlsafe(16)
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"memscope pages 1", "sha256")
        self._proxies = Networks(settings.trusted_proxies)
        self._internal = Networks(settings.internal_ips)
        self._attempts = Attempts()
        self._cookies = Attempts()
        self._known: OrderedDict[bytes, None] = OrderedDict()
        """Cookies that were right, so that guesses of others do not shut them out."""
        self._told: set[str] = set()
        self.forked()
        self._tell(token)

    def forked(self) -> None:
        """This is another process: no thread of the parent holds a lock here."""
        self._lock = threading.Lock()
        self._attempts.forked()
        self._cookies.forked()

    def allows(self, call: Call) -> bool:
        """Whether a request to any page of the program is from somebody who may see ours.

        For what is asked for beside our pages, so ?token= is not looked at: there it may be
        a word of the program's own.
        """
        return self.visitor(call, is_page=False, may_log_in=False) is not None

    def visitor(self, call: Call, *, is_page: bool, may_log_in: bool = True) -> Visitor | None:
        """Who asks; None for those who may not.  Never raises.

        *is_page*: a page to look at, as opposed to data, parts of pages and actions.
        """
        try:
            return self._visitor(call, is_page, may_log_in)
        except Exception:
            self._tell_once("could not find out who asks for its pages")
            return None

    def _visitor(self, call: Call, is_page: bool, may_log_in: bool) -> Visitor | None:
        address = client_of(call, self._proxies)
        if address is None or address not in self._internal:
            return None
        hosts = hosts_of(call, self._proxies)
        if hosts is None or not all(
            is_ours(name, self.settings.allowed_hosts) for name, _ in hosts
        ):
            return None
        if not is_same_origin(call, hosts, is_page=is_page):
            return None
        visitor = self._known_by(call, _who(address), hosts[0][1], may_log_in)
        if visitor is None or not self._callback_agrees(call):
            return None
        return visitor

    # -- by what a visitor is known

    def _known_by(self, call: Call, who: str, port: str, may_log_in: bool) -> Visitor | None:
        header = call.headers.get("x-memscope-token")
        if header is not None:
            if not self._is_token(header, who):
                return None
            return Visitor(self._mac(b"csrf of the token"), True)
        is_https = scheme_of(call, self._proxies) == "https"
        name = _cookie_name(port, is_https)
        session = self._session(call.headers.get("cookie", ""), name, who)
        parameters = parameters_of(call.query) if may_log_in and call.method in READS else []
        given = next((value for key, value in parameters if key == "token"), None)
        if given is None:
            return Visitor(self._csrf(session), False) if session is not None else None
        go_to = location(call.root, call.path, [pair for pair in parameters if pair[0] != "token"])
        if session is not None:
            return Visitor("", False, go_to=go_to)
        if not self._is_token(given, who):
            return None
        made = f"{int(time.time()):08x}.{secrets.token_hex(8)}"
        mac = self._mac(b"cookie " + made.encode())
        cookie = (
            f"{name}={made}.{mac}; Path={_quoted(call.root)}; Max-Age={COOKIE_SECONDS}; HttpOnly;"
            " SameSite=Strict"
        )
        return Visitor("", False, f"{cookie}; Secure" if is_https else cookie, go_to)

    def _is_token(self, text: str, who: str) -> bool:
        if self._attempts.wait(who):
            return False
        given = text.encode("utf-8", "surrogatepass")
        if hmac.compare_digest(given, self._token):
            self._attempts.succeeded(who)
            return True
        self._failed(self._attempts, who, given, "token")
        return False

    def _session(self, header: str, name: str, who: str) -> str | None:
        """The cookie that is right, if there is one."""
        values = [
            value.strip()
            for key, _, value in (part.partition("=") for part in BETWEEN_COOKIES.split(header))
            if key.strip() == name
        ]
        for value in values[:MOST_COOKIES]:
            if self._is_session(value, who):
                return value
        return None

    def _is_session(self, value: str, who: str) -> bool:
        parts = COOKIE.fullmatch(value)
        if parts is None:
            return False
        age = time.time() - int(parts[1], 16)
        if not -CLOCKS_DIFFER <= age < COOKIE_SECONDS:
            return False
        made, given = f"{parts[1]}.{parts[2]}".encode(), parts[3].encode()
        with self._lock:
            is_known = made in self._known
        if not is_known and self._cookies.wait(who):
            return False
        if not hmac.compare_digest(self._mac(b"cookie " + made).encode(), given):
            # A MAC of another token: a cookie from before a restart, or a guess of the token.
            self._failed(self._cookies, who, value.encode(), "cookie")
            return False
        with self._lock:
            self._known[made] = None
            self._known.move_to_end(made)
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        return True

    def _failed(self, attempts: Attempts, who: str, guess: bytes, what: str) -> None:
        seconds = attempts.failed(who, guess)
        if seconds:
            log.warning(
                "memscope: wrong %s again from %s; the next is looked at in %.0f s",
                what, who, seconds,
            )  # fmt: skip

    # -- keys

    def is_csrf(self, visitor: Visitor, given: str) -> bool:
        """Whether a form was made by a page of ours, for this visitor."""
        return bool(visitor.csrf) and hmac.compare_digest(
            visitor.csrf.encode(), given.encode("utf-8", "surrogatepass")
        )

    def _csrf(self, session: str) -> str:
        return self._mac(b"csrf " + session.encode())

    def _mac(self, data: bytes) -> str:
        return hmac.new(self._key, data, "sha256").hexdigest()

    # -- what the program says

    def _callback_agrees(self, call: Call) -> bool:
        callback = self.settings.show_callback
        if callback is None:
            return True
        try:
            agrees = callback(call.source)
            if inspect.isawaitable(agrees):
                if inspect.iscoroutine(agrees):
                    agrees.close()
                raise TypeError(
                    "show_callback must not be async: what it returned is true whatever it decides"
                )
            return bool(agrees)
        except Exception:
            self._tell_once("shows nobody its pages, because show_callback failed")
            return False

    def _tell_once(self, what: str) -> None:
        """Log the exception at hand, unless the like was logged before."""
        if what not in self._told:
            self._told.add(what)
            log.exception("memscope %s; told once", what)

    def _tell(self, token: str) -> None:
        """Say where the pages are."""
        path = self.settings.url_prefix
        if self.settings.token is None:
            log.warning(
                "memscope shows the memory of this process at %s?token=%s"
                " (set MEMSCOPE_TOKEN to have the same token after a restart and in all workers)",
                path, token,
            )  # fmt: skip
        else:
            log.warning("memscope shows the memory of this process at %s, with its token", path)


READS = ("GET", "HEAD")


def _who(address: Address) -> str:
    """By whom guesses are counted: somebody who has one IPv6 address has 2**64."""
    if address.version == 6:
        return f"{int(address) >> 64:x}::/64"
    return str(address)


def _cookie_name(port: str, is_https: bool) -> str:
    """Cookies are shared by all ports of a host, and by services that are developed there."""
    name = f"memscope_{port}" if port else "memscope"
    return f"__Secure-{name}" if is_https else name


def parameters_of(query: str) -> list[tuple[str, str]]:
    """The parameters of a query, the first so many."""
    parts = query[:LONGEST_QUERY].split("&", MOST_PARAMETERS)[:MOST_PARAMETERS]
    return parse_qsl("&".join(parts), keep_blank_values=True)


def location(root: str, page: str, parameters: list[tuple[str, str]] | None = None) -> str:
    """The path of a page of ours, for a Location header: ASCII, and never another host."""
    query = f"?{urlencode(parameters, errors='replace')}" if parameters else ""
    return _quoted(f"{root}/{page}") + query


def _quoted(path: str) -> str:
    return "/" + quote(path.encode("utf-8", "replace"), safe="/-._~").lstrip("/")
