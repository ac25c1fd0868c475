"""The connection pool, and the only place where a transaction begins and ends.

Connections are returned without asyncpg's reset query (it costs a round trip at every release), so nothing may be set
on a connection for longer than a transaction: only `set local`. A test holds the code to that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from shared.database.errors import CommitUnknown, DatabaseAway, translated
from shared.database.transaction import Tx
from shared.settings import ServiceSettings

STATEMENT_TIMEOUT_SECONDS = 15
LOCK_TIMEOUT_SECONDS = 5
IDLE_IN_TRANSACTION_TIMEOUT_SECONDS = 30

Committed = Callable[[list[Any]], None]


class _Connection(asyncpg.Connection):  # pyright: ignore[reportMissingTypeArgument]
    def get_reset_query(self) -> str:
        return ""


class Database:
    """PostgreSQL as one service sees it. `on_commit` is told what each committed transaction said."""

    def __init__(self, dsn: str, *, pool_size: int, wait_seconds: float, name: str) -> None:
        self._dsn = dsn
        self._pool_size = pool_size
        self._wait_seconds = wait_seconds
        self._name = name
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self.on_commit: Committed = _tell_nobody

    @classmethod
    def configured(cls, config: ServiceSettings, *, name: str) -> Database:
        """The database that a service's settings name."""
        return cls(
            config.database_dsn,
            pool_size=config.database_pool_size,
            wait_seconds=config.database_wait_seconds,
            name=name,
        )

    async def open(self) -> None:
        """Prepare the pool. Connects lazily, so that a service starts while its database is still away."""
        self._pool = asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._pool_size,
            max_inactive_connection_lifetime=0,
            connection_class=_Connection,
            init=_teach_json,
            timeout=self._wait_seconds,
            command_timeout=STATEMENT_TIMEOUT_SECONDS + 5,
            server_settings={
                "application_name": self._name,
                "timezone": "UTC",
                "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
                "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
                "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_SECONDS}s",
            },
        )
        await self._pool

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()

    @asynccontextmanager
    async def transaction(self, org: UUID) -> AsyncIterator[Tx]:
        """A transaction in which row-level security shows only the rows of `org`.

        Raises DatabaseAway, and CommitUnknown when the connection broke during COMMIT.
        """
        async with self._begun(f"set local app.org = '{UUID(int=org.int)}'") as tx:
            yield tx

    @asynccontextmanager
    async def transaction_across_organisations(self) -> AsyncIterator[Tx]:
        """A transaction over all organisations: for sweeps, and while it is not known who asks; never for a caller."""
        async with self._begun("set local app.across = 'on'") as tx:
            yield tx

    @asynccontextmanager
    async def _begun(self, setting: str) -> AsyncIterator[Tx]:
        async with self._connection() as connection:
            tx = Tx(connection)
            try:
                with translated():
                    await connection.execute(f"begin; {setting}")
                yield tx
            except BaseException:
                await _roll_back(connection)
                raise
            await _commit(connection)
        if tx.said:
            self.on_commit(tx.said)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy[asyncpg.Record]]:
        if self._pool is None:
            raise DatabaseAway("the pool is not open")
        with translated():
            connection = await self._pool.acquire(timeout=self._wait_seconds)
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    async def is_there(self) -> bool:
        """Whether the database answers now."""
        try:
            async with self._connection() as connection:
                with translated():
                    return await connection.fetchval("select true")
        except DatabaseAway:
            return False


def _tell_nobody(_: list[Any]) -> None:
    """Nothing publishes: what is said waits in the outbox."""


async def _commit(connection: PoolConnectionProxy[asyncpg.Record]) -> None:
    try:
        with translated():
            await connection.execute("commit")
    except DatabaseAway as error:
        raise CommitUnknown(str(error)) from error


async def _roll_back(connection: PoolConnectionProxy[asyncpg.Record]) -> None:
    """Leave the transaction; a connection that is gone has left it already, and what broke it is being raised."""
    try:
        with translated():
            # Raises, too, when the pool has taken back a connection that the server closed.
            if not connection.is_closed():
                await connection.execute("rollback")
    except DatabaseAway:
        with suppress(asyncpg.InterfaceError):
            await connection.close(timeout=1)


async def _teach_json(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """`jsonb` columns are Python values; `json` columns are the very bytes that were stored."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )
    await connection.set_type_codec("json", schema="pg_catalog", encoder=bytes.decode, decoder=str.encode)
