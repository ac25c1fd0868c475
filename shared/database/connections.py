"""The connections of one service to its database: opened when needed, kept warm, thrown away when in doubt.

asyncpg's own pool wraps each connection in a proxy and asks the server to reset it at every release: 0.09 ms of the
processor and a round trip per use, of about ten uses that a signature makes. Nothing of ours outlives a transaction on
a connection, so a list of free ones is enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from shared.database.driver import Connection
from shared.database.errors import LINK_ERRORS

CLOSE_SECONDS = 1.0


class Use(NamedTuple):
    """How much is used now; `waits` counts since the start how often somebody found none free."""

    in_use: int
    free: int
    most: int
    waiting: int
    waits: int


class Connections:
    """At most `size` connections; whoever finds none free waits, `wait_seconds` at most."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, size: int, wait_seconds: float) -> None:
        self._connect = connect
        self._wait_seconds = wait_seconds
        self._size = size
        self._in_use = self._waiting = self._waits = 0
        self._room = asyncio.Semaphore(size)
        self._free: list[Connection] = []

    async def take(self) -> Connection:
        """The connection used last, or a new one. Raises TimeoutError, and what connecting raises."""
        if self._room.locked():
            await self._wait()
        else:
            await self._room.acquire()
        self._in_use += 1
        try:
            while self._free:
                if not (connection := self._free.pop()).is_closed():
                    return connection
            return await self._connect()
        except BaseException:
            self._leave()
            raise

    def give_back(self, connection: Connection) -> None:
        """It is clean: in no transaction, with no statement under way."""
        if not connection.is_closed():
            self._free.append(connection)
        self._leave()

    def throw_away(self, connection: Connection) -> None:
        """Hang up. The server rolls back what is not in its COMMIT; a commit that waits for a standby goes on."""
        connection.terminate()
        self._leave()

    @property
    def use(self) -> Use:
        return Use(self._in_use, len(self._free), self._size, self._waiting, self._waits)

    async def close(self) -> None:
        """Close what is free; what is with somebody is theirs to give back first."""
        free, self._free = self._free, []
        await asyncio.gather(*(_close(connection) for connection in free))

    async def _wait(self) -> None:
        self._waiting += 1
        self._waits += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._room.acquire()
        finally:
            self._waiting -= 1

    def _leave(self) -> None:
        self._in_use -= 1
        self._room.release()


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except LINK_ERRORS:
        connection.terminate()
