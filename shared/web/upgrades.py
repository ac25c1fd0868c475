"""The body of a request that asked for another protocol (`Upgrade: h2c`, as some clients do) and did not get it."""

from __future__ import annotations

from typing import Protocol

import httptools

from shared.web.heads import Framing


class Taker(Protocol):
    """What takes a body in."""

    def on_chunk_header(self) -> None: ...

    def on_body(self, body: bytes) -> None: ...

    def on_message_complete(self) -> None: ...


class _BodyAlone:
    """Hands on one body, and nothing of what comes before or after."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self._is_complete = False

    def on_chunk_header(self) -> None:
        self._taker.on_chunk_header()

    def on_body(self, body: bytes) -> None:
        if not self._is_complete:
            self._taker.on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_complete:
            self._is_complete = True
            self._taker.on_message_complete()


def parser_of_body(taker: Taker, framing: Framing) -> httptools.HttpRequestParser:
    """A parser that stands behind the head of such a request: llhttp itself takes the body for the other protocol."""
    coding = b"Transfer-Encoding: chunked" if framing.is_chunked else b"Content-Length: %d" % (framing.length or 0)
    parser = httptools.HttpRequestParser(_BodyAlone(taker))
    parser.feed_data(b"POST / HTTP/1.1\r\nHost: -\r\n" + coding + b"\r\n\r\n")
    return parser
