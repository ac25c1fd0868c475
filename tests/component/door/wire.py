"""A server with our connections, and a caller who writes bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from shared.web.bounds import Bounds
from tests.component.test_gateway.neighbours import serve

GET = b"GET / HTTP/1.1\r\nHost: serx\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: serx\r\nConnection: close\r\n\r\n"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    async def pour(self, part: bytes, times: int) -> None:
        """Write `part` again and again, as long as the other side takes it."""
        try:
            for _ in range(times):
                self.writer.write(part)
                await self.writer.drain()
        except ConnectionError:
            return

    async def answer(self) -> Answer:
        """The next answer, with a body of declared length or chunked."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(head[0].split()[1]), headers, body)

    async def until_closed(self) -> bytes:
        """What is left to read until the other side ends the connection."""
        async with asyncio.timeout(20):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def until_closed_or(self, size: int) -> bytes:
        """What comes until the other side ends the connection, or that much is there."""
        taken = bytearray()
        async with asyncio.timeout(20):
            try:
                while len(taken) < size and (part := await self.reader.read(65_536)):
                    taken += part
            except ConnectionError:
                pass
        return bytes(taken)

    def close(self) -> None:
        self.writer.transport.abort()


@dataclass
class Server:
    """Answers what it took in; `/long?N` with N bytes; `/wait` when `go` is set; `/early` before it reads the body."""

    port: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    heard: list[str] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await _live(receive, send)
            return
        self.heard.append(scope["path"])
        body, more = b"", scope["path"] != "/early"
        while more:
            message = await receive()
            if message["type"] != "http.request":
                self.heard.append("gone")
                return
            body, more = body + message["body"], message["more_body"]
        if scope["path"] == "/wait":
            await self.go.wait()
        content = json.dumps(
            {
                "method": scope["method"],
                "path": scope["path"],
                "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
                "length": len(body),
            }
        ).encode()
        if scope["path"] == "/long":
            content = b"x" * int(scope["query_string"])
        headers = [(b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def caller(self, address: str = "127.0.0.1", *, buffer_bytes: int = 0) -> Caller:
        """A new connection, from that address of loopback."""
        limit = {"limit": buffer_bytes} if buffer_bytes else {}
        found = Caller(*await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0), **limit))
        self.callers.append(found)
        return found

    async def ask(self, *parts: bytes) -> Answer:
        """One request on a connection of its own."""
        caller = await self.caller()
        caller.write(*parts)
        return await caller.answer()


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


@asynccontextmanager
async def served(bounds: Bounds | None = None) -> AsyncIterator[Server]:
    """A server whose callers are bounded by `bounds`, until the block is left."""
    here = Server()
    server, serving, url = await serve(here, of_callers=bounds)
    here.port = int(url.rpartition(":")[2])
    try:
        yield here
    finally:
        here.go.set()
        for caller in here.callers:
            caller.close()
        server.should_exit = True
        await serving
