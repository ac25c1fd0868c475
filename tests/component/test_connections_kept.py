"""A connection stays in use whatever a use case makes of its answer; only one in doubt is thrown away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from shared.database import Database
from shared.errors import Forbidden, InvalidInput, NotFound, RefersToNothing, Stale
from tests.support.databases import Databases, opened
from tests.support.servers import until

WHO = """
select pg_backend_pid()
"""
DIVIDE = """
select 1 / $1::int
"""
SLOW = """
select pg_sleep(60)
"""


@pytest_asyncio.fixture(loop_scope="session")
async def database(databases: Databases) -> AsyncIterator[Database]:
    async with databases.fresh("orders") as dsn, opened(dsn) as database:
        yield database


async def who(database: Database) -> int:
    """The server's process behind the connection that is taken next."""
    async with database.single() as tx:
        return await tx.value(WHO)


@pytest.mark.parametrize(
    "error",
    [
        NotFound("order"),
        Stale(),
        Forbidden("no"),
        InvalidInput({}),
        RefersToNothing("client_id", "client"),
        ValueError(),
        KeyError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_refusal_after_the_statement_keeps_the_connection(database: Database, error: Exception):
    before = await who(database)

    async def refuse(*, asks_first: bool) -> None:
        async with database.single() as tx:
            if asks_first:
                await tx.value(WHO)
            raise error

    for asks_first in (True, False):
        with pytest.raises(type(error)):
            await refuse(asks_first=asks_first)
    assert await who(database) == before


async def test_a_statement_that_fails_keeps_the_connection(database: Database):
    before = await who(database)

    async def divide(by: object) -> None:
        async with database.single() as tx:
            await tx.value(DIVIDE, by)

    for by, error in ((0, asyncpg.DivisionByZeroError), ("nothing", asyncpg.DataError)):
        with pytest.raises(error):
            await divide(by)
    assert await who(database) == before


async def test_a_statement_that_is_cancelled_does_not(database: Database, databases: Databases):
    before = await who(database)

    async def ask() -> None:
        async with database.single() as tx:
            await tx.value(SLOW)

    asking = asyncio.create_task(ask())
    await until(lambda: _sleeps(databases, before))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await who(database) != before


async def _sleeps(databases: Databases, process: int) -> bool:
    admin = await asyncpg.connect(databases.admin_dsn)
    try:
        return await admin.fetchval("select wait_event = 'PgSleep' from pg_stat_activity where pid = $1", process)
    finally:
        await admin.close()
