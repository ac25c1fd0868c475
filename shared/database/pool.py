"""PostgreSQL as one service sees it, and the only place where a transaction begins and ends.

Connections go from hand to hand as they are, so nothing may be set on one for longer than a transaction: only
`set local`. A test holds the code to that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from prometheus_client.metrics_core import Metric

from shared.database import gauges
from shared.database.confirming import WRITE_IF_SYNCHRONOUS, Confirmation
from shared.database.connections import Connections
from shared.database.driver import Connection
from shared.database.errors import CommitUnknown, DatabaseAway, translated
from shared.database.group_commit import GroupCommit
from shared.database.primary import Primary
from shared.database.transaction import Joint, Single, Tx
from shared.loops import started
from shared.settings import ServiceSettings
from shared.telemetry import log

STATEMENT_TIMEOUT_SECONDS = 15
LOCK_TIMEOUT_SECONDS = 5
IDLE_IN_TRANSACTION_TIMEOUT_SECONDS = 30
CALL_TIMEOUT_SECONDS = STATEMENT_TIMEOUT_SECONDS + 5
"""Then we hang up: the server is silent, or a commit waits for its standby, which no time limit of the server ends."""
SLOW_SECONDS = 2.0
"""A connection in use for longer: it is looked whether its server is still the primary."""
LARGE_READS_AT_ONCE = 2
"""A read of some MiB is in memory two or three times until its rows are decoded."""
_IS_THERE = """
select true
"""

_log = log(__name__)

Committed = Callable[[list[Any]], None]


class Database:
    """PostgreSQL as one service sees it. `on_commit` is told what each committed transaction said."""

    def __init__(self, dsn: str, *, pool_size: int, wait_seconds: float, name: str) -> None:
        self._primary = Primary(
            dsn, wait_seconds=wait_seconds, settings=_settings(name), command_timeout=CALL_TIMEOUT_SECONDS
        )
        self._pool_size = pool_size
        self._wait_seconds = wait_seconds
        self._connections: Connections | None = None
        self._watching: asyncio.Task[None] | None = None
        self._confirmation = Confirmation(self._write_if_synchronous)
        self._server = ""
        self.moves = 0
        """How often another server, or the same after a restart, was found to be the primary."""
        self._large_reads = asyncio.Semaphore(LARGE_READS_AT_ONCE)
        self.group_commit = GroupCommit(self._committed)
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
        """Be ready. Connects lazily, so that a service starts while its database is still away."""
        self._connections = Connections(self._connect, size=self._pool_size, wait_seconds=self._wait_seconds)
        self._watching = started(self._watch(self._connections))

    async def close(self) -> None:
        await self.group_commit.close()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        if self._connections is not None:
            await self._connections.close()
        await self._primary.close()

    @asynccontextmanager
    async def transaction(self, org: UUID, *, is_large: bool = False) -> AsyncIterator[Tx]:
        """A transaction in which row-level security shows only the rows of `org`.

        One that may read some MiB is `is_large`: it waits for its turn among those, before it takes a connection.

        Raises DatabaseAway, and CommitUnknown when the connection broke during COMMIT.
        """
        async with self._turn_of(is_large=is_large), self._begun(f"set local app.org = '{UUID(int=org.int)}'") as tx:
            yield tx

    @asynccontextmanager
    async def transaction_across_organisations(self) -> AsyncIterator[Tx]:
        """A transaction over all organisations: for sweeps, and while it is not known who asks; never for a caller."""
        async with self._begun("set local app.across = 'on'") as tx:
            yield tx

    @asynccontextmanager
    async def single(self, *, is_large: bool = False) -> AsyncIterator[Single]:
        """One statement that is a transaction by itself, in one round trip; `is_large` as for `transaction`.

        It names its organisation to row-level security: it calls a stored function that does, or is one that
        `shared.database.listing` made. Raises DatabaseAway, and CommitUnknown when the connection broke while the
        statement was under way.
        """
        async with self._turn_of(is_large=is_large):
            connections, connection = await self._take()
            tx = Single(connection)
            try:
                yield tx
            except DatabaseAway as error:
                connections.throw_away(connection)
                raise CommitUnknown(str(error)) from error
            except Exception:  # the server has answered, or was not asked: nothing is under way
                connections.give_back(connection)
                raise
            except BaseException:
                connections.throw_away(connection)
                raise
            connections.give_back(connection)
        if tx.said:
            self.on_commit(tx.said)

    @asynccontextmanager
    async def joint(self) -> AsyncIterator[Joint]:
        """One statement that may be committed together with others of its kind (see `group_commit`); as `single` else.

        It calls a stored function that names its organisation: those that go with it may be another's.
        """
        tx = Joint(self.group_commit)
        yield tx
        if tx.said:
            self.on_commit(tx.said)

    async def _committed(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.single() as tx:
            return await tx.records(sql, *arguments)

    @asynccontextmanager
    async def _begun(self, setting: str) -> AsyncIterator[Tx]:
        connections, connection = await self._take()
        tx = Tx(connection)
        try:
            with translated():
                await connection.execute(f"begin; {setting}")
            yield tx
        except DatabaseAway:
            connections.throw_away(connection)
            raise
        except Exception:
            await _roll_back(connections, connection)
            raise
        except BaseException:
            connections.throw_away(connection)
            raise
        await _commit(connections, connection)
        if tx.said:
            self.on_commit(tx.said)

    def _turn_of(self, *, is_large: bool) -> AbstractAsyncContextManager[None]:
        return self._large_read() if is_large else nullcontext()

    @asynccontextmanager
    async def _large_read(self) -> AsyncIterator[None]:
        """Its turn. Raises DatabaseAway when none comes in time."""
        with translated():
            async with asyncio.timeout(self._wait_seconds):
                await self._large_reads.acquire()
        try:
            yield
        finally:
            self._large_reads.release()

    async def _take(self) -> tuple[Connections, Connection]:
        if self._connections is None:
            raise DatabaseAway("not open")
        with translated():
            return self._connections, await self._connections.take()

    async def _watch(self, connections: Connections) -> None:
        """Leave a server that has been replaced: one that is frozen, or waits for a standby that has left it."""
        while True:
            await asyncio.sleep(SLOW_SECONDS / 2)
            if connections.longest_use_seconds < SLOW_SECONDS:
                continue
            if (server := await self._primary.look()) is not None:
                self._follow(server)

    async def _connect(self) -> Connection:
        connection = await self._primary.connect()
        try:
            await _teach_json(connection)
        except BaseException:
            connection.terminate()
            raise
        self._follow(connection.server)
        return connection

    def _follow(self, server: str) -> None:
        """The primary is this one from now on. What was connected to another, or before a restart of it, is left."""
        if server == self._server or self._connections is None:
            return
        if self._server:
            self.moves += 1
        self._server = server
        if left := self._connections.leave_all_but(server):
            _log.warning("another server is the primary now; the former one's connections are closed", count=left)

    async def confirm(self, since: int) -> None:
        """Return when all that was read while `moves` was `since` was read from the primary. Raises DatabaseAway."""
        with translated():
            await self._confirmation.wait()
        if self.moves != since:
            raise DatabaseAway("another server is the primary now")

    async def _write_if_synchronous(self) -> None:
        async with self.single() as tx:
            await tx.value(WRITE_IF_SYNCHRONOUS)

    async def is_there(self) -> bool:
        """Whether the database answers now."""
        try:
            async with self.single() as tx:
                return await tx.value(_IS_THERE)
        except DatabaseAway:
            return False

    async def gauges(self) -> Sequence[Metric]:
        """How much of the connections is used, for `/metrics`."""
        if self._connections is None:
            return []
        return [*gauges.of_connections(self._connections.use), *gauges.of_group_commit(self.group_commit.counts)]


def _tell_nobody(_: list[Any]) -> None:
    """Nothing publishes: what is said waits in the outbox."""


def _settings(name: str) -> dict[str, str]:
    return {
        "application_name": name,
        "timezone": "UTC",
        # Each statement of ours has one plan that is right for all values (see `listing`); to plan for the values at
        # hand each time took 0.6 ms of the 1 ms that a page of a list costs the server.
        "plan_cache_mode": "force_generic_plan",
        "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
        "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_SECONDS}s",
    }


async def _commit(connections: Connections, connection: Connection) -> None:
    try:
        with translated():
            await connection.execute("commit")
    except DatabaseAway as error:
        connections.throw_away(connection)
        raise CommitUnknown(str(error)) from error
    except BaseException:
        connections.throw_away(connection)
        raise
    connections.give_back(connection)


async def _roll_back(connections: Connections, connection: Connection) -> None:
    """Leave the transaction; a connection that is gone has left it already, and what broke it is being raised."""
    try:
        with translated():
            await connection.execute("rollback")
    except BaseException as error:
        connections.throw_away(connection)
        if not isinstance(error, DatabaseAway):
            raise
    else:
        connections.give_back(connection)


async def _teach_json(connection: Connection) -> None:
    """`jsonb` columns are Python values; `json` columns are the very bytes that were stored."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )
    await connection.set_type_codec("json", schema="pg_catalog", encoder=bytes.decode, decoder=str.encode)
