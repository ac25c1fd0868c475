"""The connections of one service to its database: opened when needed, kept warm, thrown away when in doubt.

asyncpg's own pool wraps each connection in a proxy and asks the server to reset it at every release: 0.09 ms of the
processor and a round trip per use, of about ten uses that a signature makes. Nothing of ours outlives a transaction on
a connection, so a list of free ones is enough.

Few are opened at once. A new one takes some 15 ms of two processors' time; when all processes come to a server that has
just taken over, those who wait are served sooner by the first connections than by one each.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from shared.database.driver import Connection
from shared.database.errors import LINK_ERRORS

CLOSE_SECONDS: Final = 1.0
OPENED_AT_ONCE: Final = 2


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
        self._free: list[Connection] = []
        self._taken_at: dict[Connection, float] = {}
        self._opening = self._waits = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()

    async def take(self) -> Connection:
        """The connection used last, or a new one. Raises TimeoutError, and what connecting raises."""
        connection = self._free_one() or await self._wait()
        self._taken_at[connection] = asyncio.get_running_loop().time()
        return connection

    def give_back(self, connection: Connection) -> None:
        """It is clean: in no transaction, with no statement under way."""
        self._return(connection)

    def throw_away(self, connection: Connection) -> None:
        """Hang up. The server rolls back what is not in its COMMIT; a commit that waits for a standby goes on."""
        connection.terminate()
        del self._taken_at[connection]
        self._pass_on(None)

    def leave_all_but(self, server: str) -> int:
        """Hang up on all other servers; those who use such a connection find it broken. Returns how many were left."""
        left = [each for each in (*self._free, *self._taken_at) if each.server != server]
        for connection in left:
            connection.hang_up()
        self._free = [each for each in self._free if each.server == server]
        return len(left)

    @property
    def longest_use_seconds(self) -> float:
        """How long the one that was taken first has been used; 0 when none is."""
        first = next(iter(self._taken_at.values()), None)
        return 0.0 if first is None else asyncio.get_running_loop().time() - first

    @property
    def use(self) -> Use:
        waiting = sum(not turn.done() for turn in self._waiting)
        return Use(len(self._taken_at), len(self._free), self._size, waiting, self._waits)

    async def close(self) -> None:
        """Close what is free; what is with somebody is theirs to give back first."""
        free, self._free = self._free, []
        await asyncio.gather(*(_close(connection) for connection in free))

    def _free_one(self) -> Connection | None:
        while self._free:
            if not (connection := self._free.pop()).is_closed():
                return connection
        return None

    @property
    def _may_open(self) -> bool:
        there = len(self._taken_at) + len(self._free) + self._opening
        return there < self._size and self._opening < OPENED_AT_ONCE

    async def _wait(self) -> Connection:
        """One that is opened for this call, or given back while it waits."""
        async with asyncio.timeout(self._wait_seconds):
            if not self._may_open:
                self._waits += 1
            while not self._may_open:
                if (connection := await self._turn()) is not None:
                    return connection
            return await self._open()

    async def _turn(self) -> Connection | None:
        """What is passed on: a connection, or room for one."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            connection = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came too late
                self._return(turn.result())
            raise
        if connection is not None and connection.is_closed():
            del self._taken_at[connection]
            return None
        return connection

    async def _open(self) -> Connection:
        self._opening += 1
        try:
            return await self._connect()
        finally:
            self._opening -= 1
            self._pass_on(None)

    def _return(self, connection: Connection | None) -> None:
        if connection is not None:
            del self._taken_at[connection]
        self._pass_on(None if connection is None or connection.is_closed() else connection)

    def _pass_on(self, connection: Connection | None) -> None:
        """Give the one who has waited longest a connection, or the room for one; keep it when nobody waits."""
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                if connection is not None:  # nobody may take the room meanwhile
                    self._taken_at[connection] = asyncio.get_running_loop().time()
                turn.set_result(connection)
                return
        if connection is not None:
            self._free.append(connection)


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except LINK_ERRORS:
        connection.terminate()
