"""uvicorn's HTTP/1.1 protocol, with the head of an answer and its body sent together.

uvicorn writes them apart, and uvloop sends what is written at once: two system calls for a short answer, and whoever
waits for it wakes up twice.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HELD_BYTES: Final = 65_536
"""So much waits for nothing."""


class WholeAnswers(HttpToolsProtocol):
    """One connection from a caller."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # as uvicorn has it
        self._together = Together(transport, self.loop)
        super().connection_made(self._together)

    def on_response_complete(self) -> None:
        self._together.send()
        super().on_response_complete()


class Together(asyncio.Transport):
    """A transport, as far as uvicorn asks for one, that sends what is written in one turn of the loop as one."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
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
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))

    def close(self) -> None:
        self.send()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()
