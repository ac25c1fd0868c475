"""A transport that sends what is written in one turn of the event loop as one.

uvicorn writes the head of an answer and its body apart, and uvloop sends what is written at once: two system calls for
a short answer, and its reader wakes up twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

HELD_BYTES: Final = 65_536
"""So much waits for nothing."""
LARGE_BYTES: Final = 1024 * 1024
"""So much is sent apart: to join it to its head would be a copy of it."""


class Together(asyncio.Transport):
    """A transport, as far as uvicorn asks for one; `closed` is called in place of closing it."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, *, closed: Callable[[], None]
    ) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._closed = closed
        self._is_closed = False
        self._held: list[bytes | bytearray | memoryview] = []
        self._held_bytes = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._held:
            self._loop.call_soon(self.send)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= HELD_BYTES:
            self.send()

    def send(self) -> None:
        """Send what is held now; a connection that has broken off meanwhile takes nothing any more."""
        held, self._held, self._held_bytes = self._held, [], 0
        if not held or self._transport.is_closing():
            return
        large = held.pop() if len(held[-1]) >= LARGE_BYTES else b""
        if held:
            self._transport.write(b"".join(held))
        if large and not self._transport.is_closing():
            self._transport.write(large)

    def close(self) -> None:
        self.send()
        if not self._is_closed:
            self._is_closed = True
            self._closed()

    def abort(self) -> None:
        self._is_closed = True
        self._transport.abort()

    def lost(self) -> None:
        """The connection is gone: nobody is called any more, so that what hangs on it is freed at once, not by GC."""
        self._is_closed = True
        self._closed = _nothing

    def is_closing(self) -> bool:
        return self._is_closed or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()


def _nothing() -> None:
    return
