"""A body that is too long, or of unknown length, to be kept: handed on as it arrives, no faster than it is taken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

HIGH_WATER_BYTES: Final = 256 * 1024


class ConnectionLost(Exception):
    """The connection ended, or stood still for too long, before the answer was complete."""


class Stream:
    """Chunks between one connection, which puts them in, and one reader."""

    def __init__(self, transport: asyncio.Transport, *, patience_seconds: float) -> None:
        self._transport = transport
        self._patience_seconds = patience_seconds
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._is_paused = False
        self._is_complete = False
        self._error: ConnectionLost | None = None
        self._news = asyncio.Event()

    def put(self, chunk: bytes) -> None:
        """A piece has arrived; beyond HIGH_WATER_BYTES the sender has to wait."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > HIGH_WATER_BYTES and not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()
        self._news.set()

    def complete(self) -> None:
        """That was all: the connection may serve others."""
        self._is_complete = True
        self._resume()
        self._news.set()

    def fail(self, error: ConnectionLost) -> None:
        """There will be no more, though there should."""
        self._error = error
        self._news.set()

    def abandon(self) -> None:
        """Nobody reads on."""
        if not self._is_complete:
            self._transport.abort()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The chunks as they come. Raises ConnectionLost when they stop before the end."""
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._size -= len(chunk)
                if not self._size:
                    self._resume()
                yield chunk
            if self._is_complete:
                return
            if self._error is not None:
                raise self._error
            self._news.clear()
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await self._news.wait()
            except TimeoutError as error:
                raise ConnectionLost("the body stood still") from error

    def _resume(self) -> None:
        if self._is_paused and not self._transport.is_closing():
            self._transport.resume_reading()
        self._is_paused = False
