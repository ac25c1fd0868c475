"""An answer goes out as one, head and body; what comes bit by bit goes out bit by bit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from litestar.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from shared.web.bounds import Bounds
from shared.web.connections import Connections
from shared.web.protocol import CallerConnection
from shared.web.together import HELD_BYTES, LARGE_BYTES

REQUEST = b"GET / HTTP/1.1\r\nhost: serx\r\n\r\n"
LAST_REQUEST = b"GET / HTTP/1.1\r\nhost: serx\r\nconnection: close\r\n\r\n"


class Wire(asyncio.Transport):
    """The other end of a connection: what each write brought, and what was written after it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()
        self.too_late: list[bytes] = []
        self._is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closed:
            self.too_late.append(bytes(data))
        else:
            self.sent.put_nowait(bytes(data))

    def close(self) -> None:
        self._is_closed = True

    def is_closing(self) -> bool:
        return self._is_closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Requests come from the test, one call each."""

    def resume_reading(self) -> None:
        """As above."""


def answering(*bodies: bytes, after: asyncio.Event | None = None) -> ASGIApp:
    """Answers with a body in parts; waits for `after` before the last of them."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        length = str(sum(map(len, bodies))).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        for body in bodies[:-1]:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        if after is not None:
            await after.wait()
        await send({"type": "http.response.body", "body": bodies[-1], "more_body": False})

    return app


@pytest.fixture
def wire() -> Wire:
    return Wire()


def connected(app: ASGIApp, wire: Wire) -> CallerConnection:
    config = Config(app=app, ws="none", lifespan="off", log_config=None, access_log=False)  # pyright: ignore[reportArgumentType]
    config.load()
    connection = CallerConnection(
        config, ServerState(), {}, asyncio.get_running_loop(), connections=Connections(Bounds())
    )
    connection.connection_made(wire)
    return connection


async def parts(wire: Wire, count: int) -> list[bytes]:
    """The next writes, once so many have come."""
    async with asyncio.timeout(10):
        return [await wire.sent.get() for _ in range(count)]


async def test_head_and_body_of_an_answer_are_one_write(wire: Wire):
    connected(answering(b"hello"), wire).data_received(REQUEST)
    (whole,) = await parts(wire, 1)
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.endswith(b"\r\n\r\nhello")
    assert wire.sent.empty()


async def test_a_connection_is_closed_only_after_its_last_answer(wire: Wire):
    connected(answering(b"bye"), wire).data_received(LAST_REQUEST)
    (whole,) = await parts(wire, 1)
    assert whole.endswith(b"bye")
    assert wire.is_closing()
    assert wire.too_late == []


async def test_two_requests_at_once_have_an_answer_each(wire: Wire):
    connected(answering(b"hello"), wire).data_received(REQUEST * 2)
    answers = await parts(wire, 2)
    assert [answer.endswith(b"hello") for answer in answers] == [True, True]


async def test_what_there_is_of_an_answer_does_not_wait_for_the_rest(wire: Wire):
    rest = asyncio.Event()
    connected(answering(b"first ", b"last", after=rest), wire).data_received(REQUEST)
    (begin,) = await parts(wire, 1)
    assert begin.endswith(b"\r\n\r\nfirst ")
    rest.set()
    assert await parts(wire, 1) == [b"last"]


async def test_much_is_not_held_back_until_all_of_it_is_there(wire: Wire):
    piece = b"x" * HELD_BYTES
    connected(answering(piece, piece, piece), wire).data_received(REQUEST)
    sent = await parts(wire, 3)
    assert max(map(len, sent)) <= HELD_BYTES + 200
    assert b"".join(sent).endswith(piece * 3)


async def test_a_large_body_is_sent_as_it_is_after_its_head(wire: Wire):
    body = b"x" * LARGE_BYTES
    connected(answering(body), wire).data_received(REQUEST)
    head, sent = await parts(wire, 2)
    assert head.endswith(b"\r\n\r\n")
    assert sent == body
    assert wire.sent.empty()


async def test_what_is_held_when_the_connection_breaks_off_is_written_to_nobody(wire: Wire):
    turns = asyncio.get_running_loop()
    two_turns_later = asyncio.Event()
    connected(answering(b"first ", b"last", after=asyncio.Event()), wire).data_received(REQUEST)
    turns.call_soon(wire.close)  # the answer has begun by then, and its turn is not over
    turns.call_soon(turns.call_soon, two_turns_later.set)
    await two_turns_later.wait()
    assert wire.sent.empty()
    assert wire.too_late == []
