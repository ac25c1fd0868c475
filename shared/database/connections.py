"""The connections of one service to its database: opened when needed, kept warm, thrown away when in doubt.

asyncpg's own pool wraps each connection in a proxy and asks the server to reset it at every release: 0.09 ms of the
processor and a round trip per use, of about ten uses that a signature makes. Nothing of ours outlives a transaction on
a connection, so a list of free ones is enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # generic in the stubs only
    Connection = asyncpg.Connection

CLOSE_SECONDS = 1.0


class Connections:
    """At most `size` connections; whoever finds none free waits, `wait_seconds` at most."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, size: int, wait_seconds: float) -> None:
        self._connect = connect
        self._wait_seconds = wait_seconds
        self._room = asyncio.Semaphore(size)
        self._free: list[Connection] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def take(self) -> Connection:
        """The connection used last, or a new one. Raises TimeoutError, and what connecting raises."""
        if self._room.locked():
            async with asyncio.timeout(self._wait_seconds):
                await self._room.acquire()
        else:
            await self._room.acquire()
        try:
            while self._free:
                if not (connection := self._free.pop()).is_closed():
                    return connection
            return await self._connect()
        except BaseException:
            self._room.release()
            raise

    def give_back(self, connection: Connection) -> None:
        """It is clean: in no transaction, with no statement under way."""
        if not connection.is_closed():
            self._free.append(connection)
        self._room.release()

    def throw_away(self, connection: Connection) -> None:
        """Whatever is under way on it is cancelled, and the server rolls back."""
        task = asyncio.create_task(_close(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._room.release()

    async def close(self) -> None:
        """Close what is free; what is with somebody is theirs to give back first."""
        free, self._free = self._free, []
        await asyncio.gather(*(_close(connection) for connection in free), *self._closing)


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
