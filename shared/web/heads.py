"""The head of a request (RFC 9112, 2 to 7): how large it may be, and what it must not say.

What llhttp takes and a careful server does not: no `Host` or two of them, a transfer coding other than `chunked`, a
target in absolute form that names another host than `Host` does.
"""

from __future__ import annotations

import re
from typing import Final

import httptools
import msgspec
from msgspec.structs import replace

from shared.web import problems
from shared.web.problems import Kind

LINE_BYTES: Final = 16 * 1024
HEAD_BYTES: Final = 64 * 1024
FIELDS_MOST: Final = 100
_REST: Final = len(b"  HTTP/1.1\r\n\r\n")
_FIELD_REST: Final = len(b": \r\n")
_HOST: Final = re.compile(rb"([A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")

Headers = list[tuple[bytes, bytes]]


class Fault(msgspec.Struct, frozen=True):
    """Why a request is refused before the application sees it."""

    kind: Kind
    detail: str


class Unreadable(Exception):
    """The head has a fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


LINE_TOO_LONG: Final = Fault(problems.LINE_TOO_LONG, "The request line is over 16 KiB.")
HEAD_TOO_LARGE: Final = Fault(problems.HEAD_TOO_LARGE, "The head of the request is over 64 KiB or 100 fields.")
FRAMING_TOO_LARGE: Final = Fault(problems.HEAD_TOO_LARGE, "Chunk extensions and trailers are over 64 KiB.")
MALFORMED: Final = Fault(problems.INVALID, "The request is not HTTP/1.1 as RFC 9112 defines it.")
BAD_HOST: Final = Fault(problems.INVALID, "The Host of the request is not a host.")
NOT_ONE_HOST: Final = Fault(problems.INVALID, "A request has exactly one Host.")
BAD_CODING: Final = Fault(problems.INVALID, "The only Transfer-Encoding that is taken is chunked.")
TOO_SLOW: Final = Fault(problems.TOO_SLOW, "The request did not arrive in time.")
TOO_MUCH_HELD: Final = Fault(problems.AWAY, "Too many requests are on their way. Try again in a moment.")
FULL: Final = Fault(problems.AWAY, "There are too many connections. Try again in a moment.")
TOO_MANY_OF_ONE: Final = Fault(
    problems.AWAY, "There are too many connections from this address. Try again in a moment."
)


class Framing(msgspec.Struct, frozen=True):
    """How the body of a request is framed; `length` in bytes, None when it is not declared."""

    length: int | None
    is_chunked: bool
    expects_continue: bool

    @property
    def has_body(self) -> bool:
        return self.is_chunked or bool(self.length)


_BARE: Final = Framing(length=None, is_chunked=False, expects_continue=False)


def framing_of(method: str, version: str, url: bytes, headers: Headers) -> Framing:
    """Check a whole head of at most FIELDS_MOST fields, and say how its body comes. Raises Unreadable."""
    if version not in ("1.0", "1.1"):
        raise Unreadable(MALFORMED)
    size = len(method) + len(url) + _REST + sum(len(name) + len(value) + _FIELD_REST for name, value in headers)
    if size > HEAD_BYTES:
        raise Unreadable(HEAD_TOO_LARGE)
    framing = _BARE
    hosts: list[bytes] = []
    for name, value in headers:
        match name:
            case b"host":
                hosts.append(value)
            case b"content-length":
                framing = replace(framing, length=int(value))
            case b"transfer-encoding":
                if framing.is_chunked or version == "1.0" or value.lower() != b"chunked":
                    raise Unreadable(BAD_CODING)
                framing = replace(framing, is_chunked=True)
            case b"expect":
                framing = replace(framing, expects_continue=value.lower() == b"100-continue")
            case _:
                pass
    _check_host(hosts, version)
    return framing


def _check_host(hosts: list[bytes], version: str) -> None:
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        raise Unreadable(NOT_ONE_HOST)
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise Unreadable(BAD_HOST)


def in_origin_form(url: bytes, headers: Headers) -> bytes:
    """The target as path and query; an absolute one (RFC 9112, 3.2.2) puts its own host in the place of `Host`.

    Raises Unreadable for what is no target of an origin server.
    """
    if url.startswith(b"/") or url == b"*":
        return url
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserError as error:
        raise Unreadable(MALFORMED) from error
    if parsed.schema not in (b"http", b"https") or not parsed.host or parsed.userinfo is not None:
        raise Unreadable(MALFORMED)
    host = parsed.host if b":" not in parsed.host else b"[" + parsed.host + b"]"
    authority = host + (b":%d" % parsed.port if parsed.port else b"")
    headers[:] = [(name, authority if name == b"host" else value) for name, value in headers]
    return (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
