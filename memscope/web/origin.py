"""Where a request came from, as far as that can be known: its address, its host, its page.

Nothing a visitor sends is believed because it says something good.  A header that only a
proxy sends makes the request that of a stranger, unless the connection is from a proxy that
the settings name; and then the address is the right-most in X-Forwarded-For that is no such
proxy, because what stands to the left of it was sent by whoever that is.

The name in Host is looked at because of DNS rebinding: a page of anybody's can have its own name
resolve to 127.0.0.1, and then the browser of a developer asks us, in that name.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from memscope.web.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memscope.web.http import Call

__all__ = [
    "Address",
    "Networks",
    "client_of",
    "host_of",
    "hosts_of",
    "is_of_proxy",
    "is_ours",
    "is_same_origin",
    "scheme_of",
]

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

PROXY_HEADERS = frozenset(
    "forwarded via x-real-ip x-client-ip x-cluster-client-ip x-original-forwarded-for client-ip"
    " true-client-ip cf-connecting-ip fastly-client-ip x-azure-clientip x-appengine-user-ip".split()
)
PREFIXES = ("x-forwarded", "x-envoy-")
MOST_PROXIES = 20
LONGEST_HEADER = 1000
PORT = re.compile(r":[0-9]{1,5}")
MACHINE = frozenset(["localhost", "127.0.0.1", "[::1]"])
"""Names that the browser itself resolves to this machine."""


class Networks:
    """Addresses and networks of the settings."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in texts]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def address_of(text: str) -> Address | None:
    """An address, with or without a port; None if it is none."""
    port = ""
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or ":" not in text:
            return None
    elif text.count(":") == 1:
        text, colon, port = text.partition(":")
        port = colon + port
    if port and PORT.fullmatch(port) is None:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # An IPv4 connection to a socket of both families.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_of_proxy(call: Call) -> bool:
    """Whether there is a header that a proxy sends."""
    # CGI, and so WSGI, writes both characters the same way.
    names = (name.lower().replace("_", "-") for name in call.headers)
    return any(name in PROXY_HEADERS or name.startswith(PREFIXES) for name in names)


def client_of(call: Call, proxies: Networks) -> Address | None:
    """The address of the visitor; None if it cannot be told, or should not be believed."""
    address = address_of(call.remote_addr)
    if address is None:
        return None
    if address not in proxies:
        return None if is_of_proxy(call) else address
    listed = call.headers.get("x-forwarded-for", "")
    texts = listed.split(",")
    if len(listed) > LONGEST_HEADER or len(texts) > MOST_PROXIES:
        return None
    for text in reversed(texts):
        address = address_of(text.strip(" \t"))
        if address is None or address not in proxies:
            return address
    return address


def host_of(text: str) -> tuple[str, str] | None:
    """The name and the port ("": none is given) in a Host header; None if it is none."""
    text = text.lower()
    if len(text) > LONGEST_HEADER:
        return None
    name, colon, port = text, "", ""
    if not text.endswith("]"):
        name, colon, port = text.rpartition(":")
        if not colon:
            name, port = port, ""
        elif PORT.fullmatch(f":{port}") is None:
            return None
    name = name.removesuffix(".")
    if HOST.fullmatch(name) is None:
        return None
    return name, port


def is_ours(name: str, allowed: Iterable[str]) -> bool:
    """Whether we may be asked for by that name."""
    return name in MACHINE or name.endswith(".localhost") or name in allowed


def hosts_of(call: Call, proxies: Networks) -> list[tuple[str, str]] | None:
    """The hosts that a request names: its own, and what a known proxy was asked for; None if
    one of them is none."""
    texts = [call.headers.get("host", "")]
    address = address_of(call.remote_addr)
    if address is not None and address in proxies:
        texts += [text for text in [call.headers.get("x-forwarded-host")] if text is not None]
    found = [host for text in texts if (host := host_of(text)) is not None]
    return found if len(found) == len(texts) else None


def scheme_of(call: Call, proxies: Networks) -> str:
    """ "https" if the visitor's connection is, up to the first proxy that is known."""
    address = address_of(call.remote_addr)
    if address is not None and address in proxies:
        told = call.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if told in ("http", "https"):
            return told
    return "https" if call.scheme in ("https", "wss") else "http"


def is_same_origin(call: Call, named: Iterable[tuple[str, str]], *, is_page: bool) -> bool:
    """Whether no other site's page made this request.

    *named*: what hosts_of() gave.  *is_page*: a page to look at, to which any site may have a
    link; but not in a frame, and not as a picture or a script.
    """
    site = call.headers.get("sec-fetch-site", "").strip().lower()
    if site not in ("", "same-origin", "none"):
        navigates = (
            is_page
            and call.headers.get("sec-fetch-mode") == "navigate"
            and call.headers.get("sec-fetch-dest") == "document"
        )
        if not navigates:
            return False
    origin = call.headers.get("origin")
    if origin is None:
        return True
    if origin == "null":
        # So a form is sent from a page with our Referrer-Policy; it has a CSRF token.
        return call.method == "POST" and site in ("", "same-origin")
    try:
        parts = urlsplit(origin)
        host = host_of(parts.netloc)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and host is not None and host in list(named)
