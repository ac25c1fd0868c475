"""Reads of some MiB take turns, so that what they hold in memory is bounded; others wait for none of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from shared.database import Database, DatabaseAway
from shared.database.pool import LARGE_READS_AT_ONCE
from shared.ids import new_id
from tests.support.databases import Databases

ORG = new_id()
ONE = """
select 1
"""


@pytest_asyncio.fixture(loop_scope="session")
async def database(databases: Databases) -> AsyncIterator[Database]:
    async with databases.fresh("orders") as dsn:
        database = Database(dsn, pool_size=LARGE_READS_AT_ONCE + 1, wait_seconds=3, name="test")
        await database.open()
        yield database
        await database.close()


async def _read(database: Database, *, is_large: bool) -> list[int]:
    async with database.transaction(ORG, is_large=is_large) as tx:
        inside = await tx.value(ONE)
    async with database.single(is_large=is_large) as tx:
        return [inside, await tx.value(ONE)]


async def test_large_reads_wait_for_their_turn_and_others_do_not(database: Database):
    async with AsyncExitStack() as large:
        for _ in range(LARGE_READS_AT_ONCE):
            await large.enter_async_context(database.transaction(ORG, is_large=True))
        one_more = asyncio.create_task(_read(database, is_large=True))
        assert await _read(database, is_large=False) == [1, 1]
        assert not one_more.done()
    assert await one_more == [1, 1]


async def test_a_large_read_whose_turn_does_not_come_is_refused(database: Database):
    async with AsyncExitStack() as large:
        for _ in range(LARGE_READS_AT_ONCE):
            await large.enter_async_context(database.single(is_large=True))
        refused = (database.transaction(ORG, is_large=True), database.single(is_large=True))
        outcomes = await asyncio.gather(*(each.__aenter__() for each in refused), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [DatabaseAway, DatabaseAway]
    assert await _read(database, is_large=True) == [1, 1]


async def test_a_large_read_that_fails_gives_its_turn_back(database: Database):
    for _ in range(LARGE_READS_AT_ONCE + 1):
        with pytest.raises(ZeroDivisionError):
            async with database.transaction(ORG, is_large=True):
                raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError):
            async with database.single(is_large=True):
                raise ZeroDivisionError
    assert await _read(database, is_large=True) == [1, 1]
