"""One keep-alive connection to a service: HTTP/1.1 (RFC 9112), one exchange at a time, parsed by llhttp.

A general HTTP client costs more than the whole rest of the gateway; between it and its own services a request is bytes
out and an answer is bytes in, and what may be sent again is decided here and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools

from gateway.answers import Answer, Headers
from gateway.streams import HIGH_WATER_BYTES, ConnectionLost, Stream

_BODILESS: Final = frozenset({204, 304})


class Connection(asyncio.Protocol):
    """Speaks to one service; `idle_since` and `ends_at` (monotonic seconds) say since when it waits for work, and when
    it is to be used no more. `on_begin` is called when an answer begins."""

    def __init__(
        self,
        *,
        on_begin: Callable[[], None],
        on_idle: Callable[[Connection], None],
        on_close: Callable[[Connection], None],
    ) -> None:
        self.idle_since = 0.0
        self.ends_at = 0.0
        self.is_timed_out = False
        self._on_begin = on_begin
        self._on_idle = on_idle
        self._on_close = on_close
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Answer | None] | None = None
        self._late: asyncio.Future[Answer | None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stream: Stream | None = None
        self._headers: Headers = []
        self._chunks: list[bytes] = []
        self._length: int | None = None
        self._is_chunked = False
        self._is_past_headers = False
        self._has_begun = False
        self._is_head = False
        self._patience_seconds = 0.0

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_idle(self) -> bool:
        """Open, with nothing under way: the next exchange may begin."""
        return self._waiter is None and self._stream is None and self.is_open

    async def exchange(
        self, request: bytes, *, is_head: bool, patience_seconds: float, silence_seconds: float
    ) -> Answer | None:
        """Send `request` and wait for its answer: whole when it is short, with the body still coming when it is not.

        None when no answer has begun after `silence_seconds`: `rest` goes on waiting, and has to be called. Raises
        ConnectionLost when the connection ends or `patience_seconds` pass before the answer.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLost("the connection was closed")
        loop = asyncio.get_running_loop()
        self._is_head = is_head
        self._has_begun = False
        self._patience_seconds = patience_seconds
        waiter = self._waiter = loop.create_future()
        if silence_seconds < patience_seconds:
            self._timer = loop.call_later(silence_seconds, self._note_silence, patience_seconds - silence_seconds)
        else:
            self._timer = loop.call_later(patience_seconds, self._run_out)
        self._transport.write(request)
        return await self._answer(waiter)

    async def rest(self) -> Answer:
        """The answer for which `exchange` has not waited. Raises ConnectionLost as `exchange` does."""
        late, self._late = self._late, None
        assert late is not None
        answer = await self._answer(late)
        assert answer is not None
        return answer

    def close(self) -> None:
        """End it now; whoever waits on it is told."""
        if self._transport is not None:
            self._transport.abort()

    async def _answer(self, waiter: asyncio.Future[Answer | None]) -> Answer | None:
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled() or (waiter.exception() is None and waiter.result() is None):
                self._waiter = None
                self.close()
            elif waiter.exception() is None and (answer := waiter.result()) is not None:
                answer.abandon()  # it came all the same, and the connection may be at work for somebody else by now
            raise

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports inherit from nothing

    def data_received(self, data: bytes) -> None:
        if self._waiter is None and self._stream is None:
            self.close()  # nobody asked: whatever it is, it must not become somebody's answer
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._break(f"not an HTTP answer: {type(error).__name__}")

    def connection_lost(self, exc: Exception | None) -> None:
        is_framed = self._is_chunked or self._length is not None
        if self._stream is not None and exc is None and not is_framed:
            self._stream.complete()  # a body of unknown length ends with its connection (RFC 9112, 6.3)
            self._stream = None
        self._fail("the connection was closed" if exc is None else type(exc).__name__)
        self._on_close(self)

    # What llhttp calls, in the order in which an answer arrives.

    def on_message_begin(self) -> None:
        if self._waiter is None and self._stream is None:
            raise ConnectionLost("more than one answer to one request")
        self._has_begun = True
        self._on_begin()
        self._headers, self._chunks = [], []
        self._length, self._is_chunked, self._is_past_headers = None, False, False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_past_headers:
            return  # a trailer
        name = name.lower()
        if name == b"content-length":
            self._length = int(value)
        elif name == b"transfer-encoding":
            self._is_chunked = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._is_past_headers = True
        status = self._parser.get_status_code()
        if status < 200 or self._waiter is None:
            return
        if self._is_head:
            self._settle(Answer(status, self._headers, b""))
            self.close()  # llhttp would wait for a body that a HEAD does not have
        elif status not in _BODILESS and (self._length is None or self._length > HIGH_WATER_BYTES):
            assert self._transport is not None
            self._stream = Stream(self._transport, patience_seconds=self._patience_seconds)
            self._settle(Answer(status, self._headers, self._stream))

    def on_body(self, body: bytes) -> None:
        if self._stream is not None:
            self._stream.put(body)
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return  # an interim answer: the real one follows
        keep = self._parser.should_keep_alive()
        if self._stream is not None:
            self._stream.complete()
            self._stream = None
        else:
            self._settle(Answer(status, self._headers, b"".join(self._chunks)))
        if keep and self.is_open:
            self._on_idle(self)
        else:
            self.close()

    def _settle(self, answer: Answer) -> None:
        self._stop_timer()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    def _stop_timer(self) -> None:
        """With the answer, and not when its caller wakes: the next exchange may have begun by then, with its own."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _note_silence(self, left_seconds: float) -> None:
        """Wake whoever waits, unless an answer has begun; its end is awaited for `left_seconds` more."""
        if self._waiter is None:
            return
        self._timer = asyncio.get_running_loop().call_later(left_seconds, self._run_out)
        if not self._has_begun:
            waiter, self._waiter = self._waiter, asyncio.get_running_loop().create_future()
            self._late = self._waiter
            if not waiter.done():
                waiter.set_result(None)

    def _run_out(self) -> None:
        self.is_timed_out = True
        self._break("no answer in time")

    def _break(self, cause: str) -> None:
        self._fail(cause)
        self.close()

    def _fail(self, cause: str) -> None:
        self._stop_timer()
        waiter, self._waiter = self._waiter, None
        stream, self._stream = self._stream, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(ConnectionLost(cause))
        if stream is not None:
            stream.fail(ConnectionLost(cause))
