"""A caller's connection: uvicorn's HTTP/1.1 protocol, with bounds on all that a caller may send, hold or leave unread.

Bytes are counted before the parser keeps them, so that time is linear and memory bounded whatever arrives. What cannot
be read is answered as every error is, and ends the connection, once the caller had time to read why (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
from typing import Final

import httptools

from shared.web import heads
from shared.web.bodies import MAX_BODY_BYTES
from shared.web.ending import DISCARDED_BYTES, BoundedConnection
from shared.web.heads import Unreadable, framing_of, in_origin_form
from shared.web.together import Together
from shared.web.upgrades import parser_of_body

PIECE_BYTES: Final = 4096
"""So much is parsed at a time: more requests than stand in it are not taken in ahead of their turn."""
CHUNK_REST_BYTES: Final = 16
"""What the framing of one chunk may take without being counted."""


class CallerConnection(BoundedConnection):
    """One connection from a caller."""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # as uvicorn has it
        self._wire = transport
        self._together = Together(transport, self.loop, closed=self._finish)
        super().connection_made(self._together)
        fault = self._all.admit(self, self.client[0] if self.client else "")
        if fault is not None:
            self.refuse(fault)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.remove(self)
        super().connection_lost(exc)
        self._together.lost()
        self.pipeline.clear()
        if self.is_free:
            self.cycle = None  # pyright: ignore[reportAttributeAccessIssue]  # as it is before the first request

    def data_received(self, data: bytes) -> None:
        if self.is_deaf:
            self._discard(len(data))
            return
        self.moved_at = self._all.now
        if self._waiting:
            self._waiting += data
            self.flow.pause_reading()
        elif len(data) <= PIECE_BYTES and not self.pipeline:
            self._take(data)
        else:
            self._take_in_turn(memoryview(data))

    # What the parser calls, in the order in which a request arrives.

    def on_message_begin(self) -> None:
        self.is_arriving = True
        self.began_at = self.moved_at = self._all.now
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if len(self.url) + len(url) > heads.LINE_BYTES:
            raise Unreadable(heads.LINE_TOO_LONG)
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_in_head:
            return  # a trailer, which nobody may take for a header
        if len(self.headers) == heads.FIELDS_MOST:
            raise Unreadable(heads.HEAD_TOO_LARGE)
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self.parser
        version = parser.get_http_version()
        self._framing = framing = framing_of(parser.get_method().decode(), version, self.url, self.headers)
        self.url = in_origin_form(self.url, self.headers)
        self.expect_100_continue = framing.expects_continue
        self._is_in_head, self._framed_bytes, self._uncounted_bytes = False, 0, 0
        self._is_body_to_come = framing.has_body and parser.should_upgrade()
        super().on_headers_complete()
        if framing.expects_continue or (framing.length or 0) > MAX_BODY_BYTES:
            self.cycle.keep_alive = False  # whether the body will come is not known, or it will not be waited for

    def on_chunk_header(self) -> None:
        self._uncounted_bytes += CHUNK_REST_BYTES

    def on_body(self, body: bytes) -> None:
        self._uncounted_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_body_to_come:
            return  # llhttp takes what follows an Upgrade for another protocol
        if self._framed_bytes - self._uncounted_bytes > heads.HEAD_BYTES:
            raise Unreadable(heads.FRAMING_TOO_LARGE)
        self.is_arriving, self._is_in_head, self._framed_bytes = False, True, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._together.send()
        self.server_state.total_requests += 1
        self.is_served = True
        self.free_since = self._all.now
        self._all.release(self)
        if self.cycle.response_complete:
            self.cycle.body = bytearray()  # what was not taken is not kept while the connection rests
        if not self.flow.write_paused:
            self._answer_since = None
        if self._together.is_closing():
            self.cycle = None  # pyright: ignore[reportAttributeAccessIssue]  # it refers to this connection
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._fault is not None:
            self._say_and_finish(self._fault)
            return
        if not self.pipeline:
            if self._waiting:
                self.loop.call_soon(self._go_on)
            else:
                self.flow.resume_reading()

    # Taking in.

    def _take(self, piece: bytes | memoryview) -> None:
        size = len(piece)
        self._framed_bytes += size
        if not self._is_in_head and not self.cycle.response_complete:
            self.taken_bytes += size
            if self._all.takes_too_much(self, size):
                return
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(piece, upgrade.args[0])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self.refuse(cause.fault if isinstance(cause, Unreadable) else heads.MALFORMED)
        else:
            self._weigh()

    def _weigh(self) -> None:
        """Nothing may take room without end: neither a head, nor what stands between the chunks of a body."""
        if self._is_in_head:
            if self._framed_bytes > heads.HEAD_BYTES:
                self.refuse(heads.HEAD_TOO_LARGE)
        elif self._framed_bytes - self._uncounted_bytes > heads.HEAD_BYTES:
            self.refuse(heads.FRAMING_TOO_LARGE)
        elif self._framed_bytes > DISCARDED_BYTES:
            self._together.close()  # it was answered long ago

    def _take_in_turn(self, data: memoryview) -> None:
        begin = 0
        while begin < len(data) and not self.is_deaf:
            if self.pipeline:
                self._waiting += data[begin:]
                self.flow.pause_reading()
                return
            end = begin + max(PIECE_BYTES, self._bytes_to_come)
            self._take(data[begin:end])
            begin = end

    @property
    def _bytes_to_come(self) -> int:
        """What is left of a body of declared length: it holds no other request."""
        return 0 if self._is_in_head else (self._framing.length or 0) - self._uncounted_bytes

    def _go_on(self) -> None:
        """The turn of the requests that arrived together with earlier ones."""
        waiting, self._waiting = bytes(self._waiting), bytearray()
        self._take_in_turn(memoryview(waiting))
        if not self._waiting and not self.pipeline:
            self.flow.resume_reading()

    def _stay(self, piece: bytes | memoryview, offset: int) -> None:
        """HTTP/1.1 is all that is spoken here: an Upgrade is ignored (RFC 9110, 7.8), the body after it is not."""
        if self._is_body_to_come:
            self._is_body_to_come = False
            self.cycle.keep_alive = False
            self.parser = parser_of_body(self, self._framing)
        else:
            self.parser = httptools.HttpRequestParser(self)
        rest = bytes(piece[offset:])
        self._framed_bytes = 0
        if rest:
            self._take(rest)
