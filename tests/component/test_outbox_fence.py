"""A mark that comes as a lost stream is found out hides nothing: either it is not made, or it is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest_asyncio

from shared.ids import new_id
from shared.messaging.outbox import MARK, PUBLISH_AGAIN, PUT, SEE_STREAM
from shared.messaging.topology import EVENTS
from tests.support.databases import Databases
from tests.support.interference import is_waiting_for_a_lock
from tests.support.servers import until

OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    async with databases.fresh("engagements") as fresh:
        yield fresh


@pytest_asyncio.fixture(loop_scope="session")
async def keeper(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Whoever notices that the stream is a new one; it knew the old one."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(SEE_STREAM.replace("$1", f"'{EVENTS}'").replace("$2", f"'{OLD}'"))
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def publisher(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Whoever has published an event, to the old stream."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def written(connection: asyncpg.Connection) -> UUID:
    told = new_id()
    await connection.execute("set app.across = 'on'")
    await connection.execute(
        PUT.replace("$1", f"'{told}'")
        .replace("$2", "'evt'")
        .replace("$3", "'t'")
        .replace("$4", "'{}'")
        .replace("$5", "''")
    )
    return told


async def is_marked(connection: asyncpg.Connection, told: UUID) -> bool:
    return await connection.fetchval("select published_at is not null from outbox where id = $1", told)


async def test_a_mark_waits_for_whoever_has_seen_a_new_stream_and_then_is_not_made(
    databases: Databases, dsn: str, keeper: asyncpg.Connection, publisher: asyncpg.Connection
):
    told = await written(publisher)
    async with keeper.transaction():
        assert await keeper.fetchval(SEE_STREAM, EVENTS, NEW)
        marking = asyncio.create_task(publisher.execute(MARK, [told], EVENTS, OLD))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        await keeper.execute(PUBLISH_AGAIN)
    await marking
    assert not await is_marked(publisher, told)


async def test_who_has_seen_a_new_stream_waits_for_a_mark_and_takes_it_back(
    databases: Databases, dsn: str, keeper: asyncpg.Connection, publisher: asyncpg.Connection
):
    told = await written(publisher)

    async def sees() -> None:
        async with keeper.transaction():
            assert await keeper.fetchval(SEE_STREAM, EVENTS, NEW)
            await keeper.execute(PUBLISH_AGAIN)

    async with publisher.transaction():
        await publisher.execute(MARK, [told], EVENTS, OLD)
        seeing = asyncio.create_task(sees())
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
    await seeing
    assert not await is_marked(publisher, told)


async def test_a_mark_is_made_while_the_stream_is_the_same(keeper: asyncpg.Connection, publisher: asyncpg.Connection):
    told = await written(publisher)
    await publisher.execute(MARK, [told], EVENTS, NEW)
    assert not await is_marked(publisher, told)
    assert not await keeper.fetchval(SEE_STREAM, EVENTS, OLD)
    await publisher.execute(MARK, [told], EVENTS, OLD)
    assert await is_marked(publisher, told)
