"""What the middleware is asked to do: options of every framework, checked and named alike.

Django has them in ``MEMSCOPE = {"EVERY": 10}``, Flask in ``app.config["MEMSCOPE_EVERY"]``, WSGI
and ASGI as ``MemscopeMiddleware(app, every=10)``.  Whether it is enabled: what the option
says, else the environment's ``MEMSCOPE_ENABLED``, else the framework's own debug flag.
"""

from __future__ import annotations

import inspect
import ipaddress
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memscope.testing import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

__all__ = ["MIN_TOKEN", "NAMES", "Settings", "SettingsError"]

EXCLUDED = (r"^/static/", r"^/media/", r"^/favicon\.ico$", r"^/healthz?/?$", r"^/ping/?$")
LOOPBACK = ("127.0.0.1", "::1")
"""Not all of 127.0.0.0/8: sidecars of a service mesh connect from other addresses in it."""
MIN_TOKEN = 16
"""Characters of a token that somebody chose; one that we make has 128 random bits."""

HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]", re.ASCII)
"""A name or address, in small letters, as it is in a Host header without a port."""

MOST_EVERY = 1_000_000_000
NUMBERS = {
    "warmup": (0, 1_000_000),
    "max_routes": (1, 1_000),
    "max_records": (20, 10_000),
    "nframe": (1, 1_000),
}
"""The least and the most: what is bounded by a number needs that bounded too."""

TRUE, FALSE = frozenset(["1", "true", "yes", "on"]), frozenset(["", "0", "false", "no", "off"])

TOKEN_WANTED = (
    f"a text of at least {MIN_TOKEN} ASCII characters, without spaces;"
    " python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
)


class SettingsError(ValueError):
    """An option is wrong; the text says which, what it must be, and what it was."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of one middleware."""

    enabled: bool = False
    debug: bool = False
    """The framework runs in debug mode, so that only its developer sees the pages."""
    every: int = 1
    """One of so many requests is measured."""
    sampler: Callable[[Any], object] | None = None
    """Decides instead: called with the framework's request, true to measure it."""
    exclude_paths: tuple[re.Pattern[str], ...] = ()
    """Requests to these paths are let through as if memscope were not there."""
    warmup: int = 2
    """The first so many requests of each route fill caches and are not judged."""
    group_by: Callable[[Any], object] | None = None
    """Names the route of a request; by default the framework's template of its URL."""
    max_routes: int = 500
    """Routes that are told apart; what comes after goes under one name."""
    max_records: int = 200
    """Requests of each route that are remembered, the last ones."""
    header: bool = False
    """Add Server-Timing and X-Memscope-Retained to responses: numbers only."""
    log_threshold: int | None = None
    """Bytes that a request must retain to be logged, by memscope.requests, as a warning."""
    slow_threshold: float | None = None
    """Seconds after which a request is slow, and a snapshot of allocations is kept."""
    report_threshold: int | None = 1 << 20
    """Bytes that a growing route must retain for a leak report to be made; None: on demand
    only."""
    on_report: Callable[[dict[str, Any]], object] | None = None
    """Called with each request that was measured, and each report, as plain data."""
    nframe: int = 25
    """Frames of a traceback."""
    dashboard: bool = False
    """Serve the pages."""
    url_prefix: str = "/_memscope/"
    show_callback: Callable[[Any], object] | None = None
    """Further restricts who sees the pages: called with the framework's request."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which the pages may be asked for, beside those of the machine itself."""
    internal_ips: tuple[str, ...] = LOOPBACK
    """Addresses and networks from which the pages may be asked for."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies whose X-Forwarded-For is believed."""
    # Not in the repr: error pages and logs show those of local variables.
    token: str | None = field(default=None, repr=False)
    """What a visitor must know; without one, in debug mode, a random one is logged."""
    trigger_param: str | None = None
    """A parameter of the query with which those who may see the pages have a request
    measured and a snapshot kept."""

    @classmethod
    def of(
        cls,
        options: Mapping[str, Any],
        *,
        debug: bool = False,
        spelled: Callable[[str], str] = str,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Settings of *options*, whose names are those of the fields.

        *debug*: the framework's own flag.  *spelled*: how the user writes the name of an
        option, for messages.  Raises SettingsError.
        """
        return cls(**_Reader(options, debug, spelled, environ).fields())

    @property
    def mount(self) -> str:
        """The prefix without its last slash."""
        return self.url_prefix.rstrip("/")


NAMES = tuple(Settings.__dataclass_fields__)


class _Reader:
    """One set of options, being checked."""

    def __init__(
        self,
        options: Mapping[str, Any],
        debug: bool,
        spelled: Callable[[str], str],
        environ: Mapping[str, str],
    ) -> None:
        self.options = dict(options)
        self.debug = debug
        self.spelled = spelled
        self.environ = environ

    def fields(self) -> dict[str, Any]:
        unknown = [name for name in self.options if name not in NAMES and name != "sample_rate"]
        if unknown:
            from difflib import get_close_matches

            near = get_close_matches(unknown[0], (*NAMES, "sample_rate"), 1, 0.5)
            hint = f"; did you mean {self.spelled(near[0])}?" if near else ""
            raise SettingsError(f"{self.spelled(unknown[0])} is no option of memscope{hint}")
        debug = self._flag("debug", self.debug)
        read = {
            "debug": debug,
            "enabled": self._enabled(debug),
            "every": self._every(),
            "exclude_paths": self._patterns("exclude_paths", EXCLUDED),
            "header": self._flag("header", False),
            "dashboard": self._flag("dashboard", False),
            "slow_threshold": self._seconds("slow_threshold"),
            "url_prefix": self._prefix(),
            "token": self._token(),
            "trigger_param": self._text_or_none("trigger_param"),
            "allowed_hosts": self._hosts(),
        }
        for name, (least, most) in NUMBERS.items():
            read[name] = self._number(name, least, most)
        for name in ("log_threshold", "report_threshold"):
            read[name] = self._size_or_none(name)
        for name in ("sampler", "group_by", "on_report", "show_callback"):
            read[name] = self._callable(name)
        for name in ("internal_ips", "trusted_proxies"):
            read[name] = self._networks(name)
        if read["enabled"] and read["dashboard"] and not debug and read["token"] is None:
            raise SettingsError(
                f"{self.spelled('dashboard')} is on and the framework's debug flag is off, so that"
                f" others than its developer may reach the pages: give {self.spelled('token')},"
                f" or the environment's MEMSCOPE_TOKEN, {TOKEN_WANTED}"
            )
        return read

    def _fail(self, name: str, expected: str) -> SettingsError:
        return SettingsError(
            f"{self.spelled(name)} must be {expected}, not {self.options.get(name)!r}"
        )

    def _given(self, name: str) -> Any:
        """The option, or the default of its field."""
        return self.options.get(name, Settings.__dataclass_fields__[name].default)

    def _enabled(self, debug: bool) -> bool:
        if self.options.get("enabled") is not None:
            return self._flag("enabled", False)
        text = self.environ.get("MEMSCOPE_ENABLED")
        if text is None:
            return debug
        if text.strip().lower() in TRUE | FALSE:
            return text.strip().lower() in TRUE
        raise SettingsError(
            f"the environment's MEMSCOPE_ENABLED must be 1 or 0, true or false, not {text!r}"
        )

    def _token(self) -> str | None:
        token = self.options.get("token")
        if token is None:
            token = self.environ.get("MEMSCOPE_TOKEN") or None
        if token is None:
            return None
        if not isinstance(token, str) or re.fullmatch(rf"[!-~]{{{MIN_TOKEN},}}", token) is None:
            # Not the token itself: messages end up in logs.
            raise SettingsError(f"{self.spelled('token')} must be {TOKEN_WANTED}")
        return token

    def _flag(self, name: str, default: bool) -> bool:
        value = self.options.get(name, default)
        if value is None:
            return default
        if isinstance(value, bool) or value in (0, 1):
            return bool(value)
        raise self._fail(name, "True or False")

    def _number(self, name: str, least: int, most: int) -> int:
        value = self._given(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._fail(name, f"a whole number from {least:,} to {most:,}")
        return value

    def _every(self) -> int:
        rate = self.options.get("sample_rate")
        if rate is None:
            return self._number("every", 1, MOST_EVERY)
        if "every" in self.options:
            raise SettingsError(
                f"{self.spelled('every')} and {self.spelled('sample_rate')} say the same in two"
                " ways; give one"
            )
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= 1:
            raise self._fail("sample_rate", "a number above 0 and up to 1")
        return max(round(min(1 / rate, MOST_EVERY)), 1)

    def _seconds(self, name: str) -> float | None:
        value = self._given(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise self._fail(name, "a number of seconds, or None")
        return float(value)

    def _size_or_none(self, name: str) -> int | None:
        value = self._given(name)
        if value is None:
            return None
        try:
            return parse_size(value)
        except (TypeError, ValueError):
            raise self._fail(name, "a number of bytes, a text like '1 MiB', or None") from None

    def _callable(self, name: str) -> Any:
        value = self._given(name)
        if value is None:
            return None
        # What an async function returns is always true, whatever it would decide.
        if not callable(value) or inspect.iscoroutinefunction(value):
            raise self._fail(name, "a function that is not async, or None")
        return value

    def _texts(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self.options.get(name, default)
        if isinstance(value, str) or not isinstance(value, (list, tuple, set, frozenset)):
            raise self._fail(name, "a list of texts")
        if not all(isinstance(text, str) for text in value):
            raise self._fail(name, "a list of texts")
        return tuple(value)

    def _text_or_none(self, name: str) -> str | None:
        value = self._given(name)
        if value is not None and (not isinstance(value, str) or not value):
            raise self._fail(name, "a text, or None")
        return value or None

    def _patterns(self, name: str, default: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
        found = []
        for text in self._texts(name, default):
            try:
                found.append(re.compile(text))
            except re.error as error:
                raise SettingsError(
                    f"{self.spelled(name)} must be regular expressions; {text!r}: {error}"
                ) from None
        return tuple(found)

    def _hosts(self) -> tuple[str, ...]:
        name, texts = "allowed_hosts", self._texts("allowed_hosts")
        for text in texts:
            if HOST.fullmatch(text.lower()) is None:
                raise SettingsError(
                    f"{self.spelled(name)} must be names of hosts like 'app.example.com', without"
                    f" a scheme or a port and in full, not {text!r}"
                )
        return tuple(text.lower() for text in texts)

    def _networks(self, name: str) -> tuple[str, ...]:
        default = LOOPBACK if name == "internal_ips" else ()
        texts = self._texts(name, default)
        for text in texts:
            try:
                network = ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise SettingsError(
                    f"{self.spelled(name)} must be addresses or networks like '10.0.0.0/8',"
                    f" not {text!r}"
                ) from None
            if name == "trusted_proxies" and network.prefixlen == 0:
                raise SettingsError(
                    f"{self.spelled(name)} must name the proxies: {text!r} is every address, and"
                    " any visitor could claim to be another"
                )
        return texts

    def _prefix(self) -> str:
        prefix = self._given("url_prefix")
        if (
            not isinstance(prefix, str)
            or re.fullmatch(r"(/[A-Za-z0-9_.~-]+)+/?", prefix) is None
            or {".", ".."} & set(prefix.split("/"))
        ):
            raise self._fail("url_prefix", "a path like '/_memscope/'")
        return prefix.rstrip("/") + "/"
