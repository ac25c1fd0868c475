"""What passes through the gateway in either direction, and what does not."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from gateway.answers import Headers
from shared.web.bounds import Network, is_address, is_within

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110, 7.6.1; and whatever `Connection` names."""
_SPOKEN_FOR: Final = _HOP_BY_HOP | {
    b"authorization",  # the services know the caller by the signed identity; only identity sees credentials
    b"content-length",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"traceparent",
    b"x-real-ip",
    b"x-request-id",
}
"""What the gateway says itself, or keeps to itself."""
_OURS: Final = (b"serx-", b"x-forwarded-")
_KEPT: Final = _HOP_BY_HOP | {
    b"server",
    b"x-request-id",
    b"x-content-type-options",
    b"x-frame-options",
    b"referrer-policy",
    b"strict-transport-security",
}
_BODILESS: Final = frozenset({204, 304})
_HOST: Final = re.compile(rb"^([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$")


def forwarded_request(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The caller's headers that a service may see, as they came."""
    headers = list(headers)
    named = _named_by_connection(headers)
    return [
        (name, value)
        for name, value in headers
        if name not in _SPOKEN_FOR and name not in named and not name.startswith(_OURS)
    ]


def forwarded_answer(headers: Headers, *, status: int) -> Headers:
    """A service's headers that the caller may see, as they came."""
    named = _named_by_connection(headers)
    if status in _BODILESS:
        named = named | {b"content-length"}
    return [
        (name, value)
        for name, value in headers
        if name not in _KEPT and name not in named and not name.startswith(b"serx-")
    ]


def with_head(allowed: bytes) -> bytes:
    """An `Allow` that names HEAD as well where it names GET: the services leave HEAD to the gateway."""
    methods = {method.strip() for method in allowed.split(b",")}
    if b"GET" not in methods:
        return allowed
    return b", ".join(sorted(methods | {b"HEAD"}))


def by_name(headers: Headers) -> Mapping[bytes, bytes]:
    """The first header of each name."""
    return dict(reversed(headers))


@lru_cache(maxsize=1024)
def public_url(host: bytes, proto: bytes, *, scheme: str, server: tuple[str, int | None]) -> bytes:
    """Where the caller finds the API, as the request itself says (`Host`, `X-Forwarded-Proto`)."""
    told = proto.decode() if proto in (b"http", b"https") else scheme
    if _HOST.fullmatch(host):
        return told.encode() + b"://" + host
    name, port = server
    return f"{told}://{name}:{port}".encode() if port else f"{told}://{name}".encode()


def client_address(scope: Any, trusted: Sequence[Network]) -> str:
    """The caller's address: of the connection, or, behind trusted proxies, the last one that they did not add."""
    address = (scope.get("client") or ("", 0))[0]
    if not is_within(address, trusted):
        return address
    told = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for hop in reversed([part.strip() for part in ",".join(told).split(",")]):
        if not is_address(hop) or "%" in hop:  # a zone is any text, of any length, and means nothing elsewhere
            break
        address = hop
        if not is_within(hop, trusted):
            break
    return address


def networks(spelled: Iterable[str]) -> tuple[Network, ...]:
    """The networks in CIDR notation. Raises ValueError for anything else."""
    return tuple(ipaddress.ip_network(text) for text in spelled)


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    named: frozenset[bytes] = frozenset()
    for name, value in headers:
        if name == b"connection":
            named |= {part.strip().lower() for part in value.split(b",")}
    return named
