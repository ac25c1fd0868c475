"""A commit that waits for its synchronous standby: nobody of ours cancels it, whatever we give up."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.ports import HOST
from deploy.proof.relay import Relay
from shared.database import CommitUnknown, Database, pool
from shared.database.driver import CHECK_CLIENT, Connection
from shared.ids import new_id
from tests.support.own_postgres import OwnPostgres, own_postgres
from tests.support.servers import until

CANCEL_REQUEST: Final = struct.pack("!l", 80877102)
WRITE: Final = "insert into written values ($1::text)"
WRITE_TOGETHER: Final = "select write as value from write($1::text)"
LONGER_THAN_A_LOOK_AT_THE_CLIENT: Final = "select pg_sleep(1.3)"


class Ear(Relay):
    """A relay that hears whether somebody asks the server to cancel."""

    cancels = 0

    def _is_cut_off_at(self, chunk: bytes) -> bool:
        self.cancels += CANCEL_REQUEST in chunk
        return super()._is_cut_off_at(chunk)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnPostgres]:
    async with own_postgres(tmp_path_factory.mktemp("waits") / "data") as running:
        await running.ask("create table written (what text)")
        await running.ask(f"create function write(what text) returns text language sql as '{WRITE} returning what'")
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def ear(server: OwnPostgres) -> AsyncIterator[Ear]:
    relay = Ear([server.port], random.Random(0))
    await relay.open()
    yield relay
    await relay.close()


@asynccontextmanager
async def database_behind(server: OwnPostgres, ear: Ear) -> AsyncIterator[Database]:
    database = Database(through(server, ear), pool_size=2, wait_seconds=5, name="waits")
    await database.open()
    yield database
    await database.close()


def through(server: OwnPostgres, ear: Ear) -> str:
    return server.dsn.replace(f"{HOST}:{server.port}", f"{HOST}:{ear.port}")


async def by_itself(database: Database, what: str) -> None:
    async with database.single() as tx:
        await tx.run(WRITE, what)


async def in_a_transaction(database: Database, what: str) -> None:
    async with database.transaction(new_id()) as tx:
        await tx.run(WRITE, what)


async def in_a_group(database: Database, what: str) -> None:
    async def one(part: str) -> None:
        async with database.joint() as tx:
            await tx.value(WRITE_TOGETHER, part)

    outcomes = await asyncio.gather(one(what), one(f"{what}'s neighbour"), return_exceptions=True)
    for outcome in outcomes:
        if outcome is not None:
            raise outcome


async def after_our_limit(writing: asyncio.Task[None], _: Database) -> None:
    with pytest.raises(CommitUnknown):
        await writing


async def when_its_caller_hangs_up(writing: asyncio.Task[None], _: Database) -> None:
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing


async def at_shutdown(writing: asyncio.Task[None], database: Database) -> None:
    closing = asyncio.create_task(database.close())
    await after_our_limit(writing, database)
    await closing


@pytest.mark.parametrize(
    "give_up", [after_our_limit, when_its_caller_hangs_up, at_shutdown], ids=lambda way: way.__name__
)
@pytest.mark.parametrize("write", [by_itself, in_a_transaction, in_a_group], ids=lambda way: way.__name__)
async def test_a_commit_that_is_given_up_still_waits(write, give_up, server: OwnPostgres, ear: Ear, monkeypatch):
    monkeypatch.setattr(pool, "CALL_TIMEOUT_SECONDS", 0.5)
    what = f"{write.__name__} {give_up.__name__}"
    async with database_behind(server, ear) as database:
        await write(database, "before")
        await server.lose_standby()
        try:
            writing = asyncio.create_task(write(database, what))
            await until(server.waiting)
            await give_up(writing, database)
            await server.ask(LONGER_THAN_A_LOOK_AT_THE_CLIENT)
            assert await server.waiting() > 0
            assert not await is_visible(server, what)
            assert ear.cancels == 0
        finally:
            await server.regain_standby()
    await until(lambda: is_visible(server, what))


async def test_the_drivers_own_connection_makes_it_visible_before_the_standby_has_it(server: OwnPostgres, ear: Ear):
    connection = await asyncpg.connect(through(server, ear))
    await server.lose_standby()
    try:
        with pytest.raises(TimeoutError):
            await connection.execute(WRITE, "cancelled", timeout=0.5)
        await until(lambda: is_visible(server, "cancelled"))
        assert ear.cancels == 1
    finally:
        await server.regain_standby()
        await connection.close()


@pytest.mark.parametrize("end", ["close", "terminate"])
async def test_a_statement_whose_client_is_gone_is_ended_by_the_server(end: str, server: OwnPostgres, ear: Ear):
    connection = await asyncpg.connect(through(server, ear), connection_class=Connection, server_settings=CHECK_CLIENT)
    process = connection.get_server_pid()
    asking = asyncio.create_task(connection.fetchval("select pg_sleep(60)"))
    await until(lambda: server.ask("select wait_event = 'PgSleep' from pg_stat_activity where pid = $1", process))
    if end == "close":
        await connection.close(timeout=5)
    else:
        connection.terminate()
    await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: server.ask("select count(*) = 0 from pg_stat_activity where pid = $1", process))
    assert ear.cancels == 0


@pytest.mark.parametrize("begin", ["", "begin; "], ids=["implicit", "explicit"])
async def test_no_timeout_of_the_server_ends_the_wait(begin: str, server: OwnPostgres):
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
    settings = CHECK_CLIENT | dict.fromkeys((*names, "idle_session_timeout"), "300ms")
    what = f"timeouts {begin}"
    await server.lose_standby()
    try:
        connection = await asyncpg.connect(server.dsn, connection_class=Connection, server_settings=settings)
        commit = "; commit" if begin else ""
        writing = asyncio.create_task(connection.execute(f"{begin}insert into written values ('{what}'){commit}"))
        await until(server.waiting)
        await server.ask(LONGER_THAN_A_LOOK_AT_THE_CLIENT)
        assert await server.waiting() == 1
        assert not await is_visible(server, what)
    finally:
        await server.regain_standby()
    await writing
    assert await is_visible(server, what)
    connection.terminate()


async def is_visible(server: OwnPostgres, what: str) -> bool:
    return await server.ask("select count(*) > 0 from written where what = $1", what)
