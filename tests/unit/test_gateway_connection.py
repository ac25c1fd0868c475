"""A connection of the gateway's whose next exchange begins before the caller of the last one has woken."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.connection import Connection
from gateway.streams import ConnectionLost

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PATIENCE_SECONDS = 0.1
"""Of the first exchange; the second one outlasts it."""


class Wire(asyncio.Transport):
    """Takes what is written, and is closed when asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Nobody reads it."""

    def abort(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def connected() -> tuple[Connection, Wire]:
    wire = Wire()
    connection = Connection(on_begin=_nothing, on_idle=_nothing, on_close=_nothing)
    connection.connection_made(wire)
    return connection, wire


async def ask(connection: Connection, patience_seconds: float, silence_seconds: float = 60.0) -> bytes:
    answer = await connection.exchange(
        b"GET / HTTP/1.1\r\n\r\n",
        is_head=False,
        patience_seconds=patience_seconds,
        silence_seconds=silence_seconds,
    )
    assert answer is not None
    return await answer.read()


async def overtaken(connection: Connection, first: asyncio.Task[bytes], patience_seconds: float) -> asyncio.Task[bytes]:
    """The answer to `first` comes, and another exchange begins before `first` goes on."""
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(connection.data_received, ANSWER)
    second = asyncio.create_task(ask(connection, patience_seconds))
    await asyncio.sleep(0)
    assert not first.done()
    return second


async def test_the_next_exchange_keeps_its_own_time_limit() -> None:
    connection, _ = connected()
    first = asyncio.create_task(ask(connection, 60))
    second = await overtaken(connection, first, PATIENCE_SECONDS)
    assert await first == b"ok"
    with pytest.raises(ConnectionLost, match="no answer in time"):
        async with asyncio.timeout(5):
            await second


async def test_the_last_exchange_leaves_no_time_limit_to_the_next() -> None:
    connection, wire = connected()
    first = asyncio.create_task(ask(connection, PATIENCE_SECONDS))
    second = await overtaken(connection, first, 60)
    assert await first == b"ok"
    done, _ = await asyncio.wait({second}, timeout=PATIENCE_SECONDS * 2)
    assert (done, wire.is_closed) == (set(), False)
    connection.data_received(ANSWER)
    assert await second == b"ok"


async def test_the_last_exchange_leaves_no_silence_to_the_next() -> None:
    connection, _ = connected()
    first = asyncio.create_task(ask(connection, 60, PATIENCE_SECONDS))
    second = await overtaken(connection, first, 60)
    assert await first == b"ok"
    done, _ = await asyncio.wait({second}, timeout=PATIENCE_SECONDS * 2)
    assert done == set()
    connection.data_received(ANSWER)
    assert await second == b"ok"


async def test_a_caller_that_is_gone_ends_nobody_elses_exchange() -> None:
    connection, wire = connected()
    first = asyncio.create_task(ask(connection, 60))
    second = await overtaken(connection, first, 60)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not wire.is_closed
    connection.data_received(ANSWER)
    assert await second == b"ok"


async def test_a_caller_that_is_gone_closes_its_own() -> None:
    connection, wire = connected()
    alone = asyncio.create_task(ask(connection, 60))
    await asyncio.sleep(0)
    alone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await alone
    assert wire.is_closed


def _nothing(*_: Any) -> None:
    """Who would be told is not here."""
