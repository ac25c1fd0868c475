"""One request, as the gateway sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar.types import Receive

from gateway.answers import Headers
from gateway.credentials import Caller
from gateway.headers import by_name
from gateway.refusals import BodyTooLarge
from shared import clock, telemetry
from shared.web.bodies import MAX_BODY_BYTES
from shared.web.last_words import request_id_of


class CallerGone(Exception):
    """The caller hung up before the request was complete: nobody waits for an answer."""


@dataclass(slots=True)
class Call:
    """A request with what the gateway has found out about it so far."""

    scope: Any
    method: str
    path: str
    """Decoded: to be shown and logged."""
    route: str
    """The path as the caller spelled it: to find out what it means."""
    headers: Headers
    named: Mapping[bytes, bytes]
    """The first header of each name."""
    at: datetime
    request_id: str
    traceparent: str
    caller: Caller | None = None
    body: bytes = b""

    @property
    def target(self) -> bytes:
        """Path and query, exactly as the caller spelled them."""
        query = self.scope["query_string"]
        path = self.scope["raw_path"]
        return path + b"?" + query if query else path

    async def read_body(self, receive: Receive) -> None:
        """Take in the body. Raises BodyTooLarge as soon as it is over the limit, CallerGone when it breaks off."""
        declared = self.named.get(b"content-length")
        if declared is not None:
            if not declared.isdigit() or int(declared) > MAX_BODY_BYTES:
                raise BodyTooLarge
            if int(declared) == 0:
                return
        elif b"transfer-encoding" not in self.named:
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise CallerGone
            body += message["body"]
            if len(body) > MAX_BODY_BYTES:
                raise BodyTooLarge
            if not message["more_body"]:
                self.body = bytes(body)
                return


def begin(scope: Any) -> Call:
    """A call has arrived: it gets its request id and its place in a trace."""
    headers: Headers = scope["headers"]
    named = by_name(headers)
    request_id = request_id_of(named.get(b"x-request-id", b"").decode("latin-1"))
    telemetry.request_id.set(request_id)
    return Call(
        scope=scope,
        method=scope["method"],
        path=scope["path"],
        route=scope["raw_path"].decode("latin-1"),
        headers=headers,
        named=named,
        at=clock.now(),
        request_id=request_id,
        traceparent=telemetry.begin_trace(named.get(b"traceparent", b"").decode("latin-1")),
    )
