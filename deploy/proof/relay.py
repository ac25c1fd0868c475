"""A TCP relay, honest until told otherwise: resets, stands still, is slow, repeats and reorders NATS messages."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

from deploy.local.ports import HOST
from deploy.proof.frames import Frame, read_frame

_CHUNK_BYTES = 65536
_LIMIT_BYTES = 4 * 1024 * 1024
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: close with a reset, whatever is still unsent."""


class Weather:
    """What a relay does to what passes it; calm unless set."""

    def __init__(self) -> None:
        self.copies = 1
        self.longest_delay_seconds = 0.0
        self.slow_seconds = 0.0
        self.stands_still = False
        self.swallows_answers = False
        """What the far end says is lost, until the connection is reset."""
        self.cuts_off_at = b""
        """Whoever says this is not heard: the connection ends first. Once."""


class Relay:
    """Listens on a port of its own and passes everything on to one of `targets`, in turn; a dead one is passed over."""

    def __init__(self, targets: Sequence[int], chance: random.Random, *, is_nats: bool = False) -> None:
        self._targets = list(targets)
        self._chance = chance
        self._is_nats = is_nats
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}
        self.weather = Weather()
        self.repeated = 0
        """Messages that were sent more than once, or late."""

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.sockets[0].getsockname()[1]

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, HOST, 0, limit=_LIMIT_BYTES)

    async def close(self) -> None:
        """Stop listening, and end what is open."""
        if self._server is not None:
            self._server.close()
        self.weather = Weather()
        self.reset()
        if self._links:
            await asyncio.wait(self._links)

    def reset(self, share: float = 1.0) -> int:
        """Reset about that share of the connections; returns how many."""
        chosen = [writers for writers in self._links.values() if self._chance.random() < share]
        for writers in chosen:
            for writer in writers:
                _reset(writer)
        return len(chosen)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        try:
            far_reader, far_writer = await self._reach()
        except OSError:
            _reset(writer)
            return
        self._links[link] = (writer, far_writer)
        back = self._pass_frames if self._is_nats else self._pass_answers
        pumps = [
            asyncio.create_task(self._pass_bytes(reader, far_writer)),
            asyncio.create_task(back(far_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (writer, far_writer):
                end.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            del self._links[link]

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._turn += 1
        for number in range(len(self._targets)):
            target = self._targets[(self._turn + number) % len(self._targets)]
            with suppress(OSError):
                return await asyncio.open_connection(HOST, target, limit=_LIMIT_BYTES)
        raise ConnectionRefusedError

    async def _pass_bytes(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._weathered()
                if self._is_cut_off_at(chunk):
                    return
                writer.write(chunk)
                await writer.drain()

    def _is_cut_off_at(self, chunk: bytes) -> bool:
        words = self.weather.cuts_off_at
        if not words or words not in chunk:
            return False
        self.weather.cuts_off_at = b""
        return True

    async def _pass_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._weathered()
                if not self.weather.swallows_answers:
                    writer.write(chunk)
                    await writer.drain()

    async def _pass_frames(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while (frame := await read_frame(reader)) is not None:
                await self._weathered()
                if frame.is_message and (self.weather.copies > 1 or self.weather.longest_delay_seconds):
                    self._repeat(frame, writer)
                else:
                    writer.write(frame.content)
                await writer.drain()

    async def _weathered(self) -> None:
        if self.weather.slow_seconds:
            await asyncio.sleep(self.weather.slow_seconds)
        while self.weather.stands_still:  # noqa: ASYNC110 - whoever changes the weather wakes nobody
            await asyncio.sleep(0.02)

    def _repeat(self, frame: Frame, writer: asyncio.StreamWriter) -> None:
        self.repeated += 1
        loop = asyncio.get_running_loop()
        for _ in range(self.weather.copies):
            loop.call_later(self._chance.random() * self.weather.longest_delay_seconds, _write, writer, frame.content)


def _write(writer: asyncio.StreamWriter, content: bytes) -> None:
    if not writer.is_closing():
        writer.write(content)


def _reset(writer: asyncio.StreamWriter) -> None:
    wire: socket.socket | None = writer.get_extra_info("socket")
    if wire is not None and not writer.is_closing():
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()
