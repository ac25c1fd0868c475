"""Another server becomes the primary while the former is still there: frozen, or waiting for a standby that left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.local.ports import HOST
from shared.database import Database, DatabaseAway
from shared.database.pool import CALL_TIMEOUT_SECONDS
from shared.database.primary import Primary
from tests.support.own_postgres import OwnPostgres, own_postgres
from tests.support.servers import until

PASSWORD = "promotion"
WHICH = "select current_setting('port')::int"
WRITE = "select pg_logical_emit_message(true, 'test', '')"
SOON_SECONDS = CALL_TIMEOUT_SECONDS / 2
"""Well before a call to the former server would be given up."""


@pytest_asyncio.fixture(loop_scope="session")
async def former(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnPostgres]:
    async with own_postgres(tmp_path_factory.mktemp("former") / "data", PASSWORD) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def standby(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnPostgres]:
    async with own_postgres(tmp_path_factory.mktemp("standby") / "data", PASSWORD) as running:
        await running.become_standby()
        yield running


def dsn(*servers: OwnPostgres) -> str:
    places = ",".join(f"{HOST}:{server.port}" for server in servers)
    return f"postgresql://postgres:{PASSWORD}@{places}/postgres?target_session_attrs=read-write"


@pytest_asyncio.fixture(loop_scope="session")
async def database(former: OwnPostgres, standby: OwnPostgres) -> AsyncIterator[Database]:
    database = Database(dsn(former, standby), pool_size=4, wait_seconds=5, name="promotion")
    await database.open()
    yield database
    await database.close()


async def ask(database: Database, sql: str) -> int:
    async with database.single() as tx:
        return await tx.value(sql)


async def at_the_new_one(database: Database, standby: OwnPostgres) -> bool:
    return await ask(database, WHICH) == standby.port


async def test_a_frozen_server_is_left_when_another_has_taken_over(
    database: Database, former: OwnPostgres, standby: OwnPostgres
):
    assert await ask(database, WHICH) == former.port
    moves = database.moves
    await database.confirm(moves)
    with former.frozen():
        asked = asyncio.create_task(ask(database, WHICH))
        await standby.promote()
        async with asyncio.timeout(SOON_SECONDS):
            with pytest.raises(DatabaseAway):
                await asked
            assert await at_the_new_one(database, standby)
    with pytest.raises(DatabaseAway):
        await database.confirm(moves)
    assert await at_the_new_one(database, standby), "though the former one answers again, and takes itself for primary"


async def test_a_server_that_its_standby_has_left_is_left(
    database: Database, former: OwnPostgres, standby: OwnPostgres
):
    assert await ask(database, WHICH) == former.port
    await former.lose_standby()
    written = asyncio.create_task(ask(database, WRITE))
    await until(former.waiting)
    await standby.promote()
    async with asyncio.timeout(SOON_SECONDS):
        with pytest.raises(DatabaseAway):
            await written
        assert await at_the_new_one(database, standby)


async def test_the_primary_is_the_one_that_was_promoted_last(former: OwnPostgres, standby: OwnPostgres):
    primary = Primary(dsn(former, standby), wait_seconds=5)
    connection = await primary.connect()
    assert await primary.look() == connection.server, "nobody has taken over"
    await standby.promote()
    assert await primary.look() != connection.server
    assert primary.order[0] == (HOST, standby.port)
    connection.terminate()
