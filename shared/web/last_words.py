"""The answer to a request that never became one: in the one shape of an error, and the last on its connection."""

from __future__ import annotations

import re
from typing import Final

from shared.ids import new_id
from shared.web import problems
from shared.web.heads import Fault, Headers

SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_SANE_REQUEST_ID: Final = re.compile(r"^[A-Za-z0-9._-]{1,128}$")
_PHRASES: Final = {
    400: b"Bad Request",
    408: b"Request Timeout",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


def request_id_of(sent: str | None) -> str:
    """The caller's own request id if it is a sane one, else a new one."""
    return sent if sent and _SANE_REQUEST_ID.fullmatch(sent) else str(new_id())


def last_words(fault: Fault, target: bytes, headers: Headers) -> bytes:
    """The whole answer, as bytes; `target` and `headers` are what could be read of the request."""
    kind = fault.kind
    sent = next((value.decode("latin-1") for name, value in headers if name == b"x-request-id"), None)
    body = problems.render(kind, fault.detail, instance=target.partition(b"?")[0].decode("latin-1") or "/")
    fields = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (b"x-request-id", request_id_of(sent).encode()),
        (b"cache-control", b"no-store"),
        *SAFE,
        *((name.encode(), value.encode()) for name, value in problems.headers_of(kind).items()),
    ]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (kind.status, _PHRASES[kind.status], head, body)
