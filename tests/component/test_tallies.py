"""Totals of lists are kept by triggers: always right, nobody waits for anybody, and what is left over is folded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from shared.database import Database
from shared.database.tallies import FOLD
from shared.ids import new_id
from tests.support.databases import Databases, opened

ORG, OTHER = new_id(), new_id()
INSERT = """
insert into projects (id, org_id, version, engagement_id, client_id, name, status, phase, created_at, updated_at)
select gen_random_uuid(), $1, 1, $2, $3, 'P', 1 + n % 2, 1 + n % 6, now(), now() from generate_series(1, $4::int) n
returning id
"""
CHANGES = (
    "update projects set status = 3 - status where id = any($1)",
    "update projects set phase = 1 + phase % 6 where id = any($1)",
    "update projects set name = name || '!' where id = any($1)",
    "update projects set deleted_at = now() where id = any($1)",
    "update projects set cancelled_at = now() where id = any($1) and deleted_at is null",
    "update projects set deleted_at = null, cancelled_at = null where id = any($1)",
    "delete from projects where id = any($1)",
)
TALLIED = """
select status, phase, sum(number)::int as number from tallies where org_id = $1 and subject = 'projects'
group by status, phase having sum(number) <> 0 order by status, phase
"""
COUNTED = """
select status, phase, count(*)::int as number from projects
where org_id = $1 and deleted_at is null and cancelled_at is null group by status, phase order by status, phase
"""
SLOTS = "select distinct slot from tallies where subject = 'projects'"


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    """A database of engagements, with one engagement in each organisation."""
    async with databases.fresh("engagements") as fresh:
        connection = await across(fresh)
        for org in (ORG, OTHER):
            await connection.execute(
                "insert into engagements (id, org_id, client_id, name, status, created_at, updated_at) "
                "values ($1, $1, $1, 'E', 1, now(), now())",
                org,
            )
        await connection.close()
        yield fresh


async def across(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(dsn, server_settings={"app.across": "on"})


async def agree(connection: asyncpg.Connection, org: UUID = ORG) -> int:
    """Whether the tallies are what there is to count; returns how many there are in all."""
    tallied, counted = await connection.fetch(TALLIED, org), await connection.fetch(COUNTED, org)
    assert [tuple(row) for row in tallied] == [tuple(row) for row in counted]
    return sum(row["number"] for row in counted)


async def writes_by_chance(dsn: str, seed: int, rounds: int) -> None:
    chance, connection = random.Random(seed), await across(dsn)
    mine: list[UUID] = []
    for _ in range(rounds):
        org = chance.choice((ORG, ORG, OTHER))
        transaction = connection.transaction()
        await transaction.start()
        made = [row["id"] for row in await connection.fetch(INSERT, org, org, org, chance.randrange(4))]
        for _ in range(chance.randrange(3)):
            few = chance.sample([*mine, *made], min(3, len(mine) + len(made)))
            await connection.execute(chance.choice(CHANGES), few)
        if chance.random() < 0.2:
            await transaction.rollback()
        else:
            await transaction.commit()
            mine += made
    await connection.close()


async def test_totals_are_what_there_is_to_count_whoever_writes_and_whatever_is_rolled_back(dsn: str):
    await asyncio.gather(*(writes_by_chance(dsn, seed, rounds=40) for seed in range(8)))
    connection = await across(dsn)
    assert await agree(connection) > 100
    assert await agree(connection, OTHER) > 50
    assert len(await connection.fetch(SLOTS)) == 8
    await connection.close()


async def test_who_writes_at_the_same_time_does_not_wait(dsn: str):
    one, other = await across(dsn), await across(dsn)
    async with one.transaction():
        await one.fetch(INSERT, ORG, ORG, ORG, 1)
        async with other.transaction():
            await other.execute("set local lock_timeout = '1ms'")
            await other.fetch(INSERT, ORG, ORG, ORG, 1)
    assert await agree(one) == 2
    await asyncio.gather(one.close(), other.close())


async def test_what_connections_left_that_have_ended_is_folded(dsn: str):
    await asyncio.gather(*(writes_by_chance(dsn, seed, rounds=10) for seed in range(4)))
    connection = await across(dsn)
    await connection.fetch(INSERT, ORG, ORG, ORG, 5)
    own = connection.get_server_pid()
    async with opened(dsn) as database:
        await until_folded(database, connection, {0, own})
    await agree(connection)
    await connection.fetch(INSERT, ORG, ORG, ORG, 5)
    await agree(connection)
    await connection.close()


async def until_folded(database: Database, connection: asyncpg.Connection, slots: set[int]) -> None:
    """A server notices a moment later that a connection was closed; until then it is not folded."""
    async with asyncio.timeout(20):
        while {row["slot"] for row in await connection.fetch(SLOTS)} != slots:
            async with database.transaction_across_organisations() as tx:
                await tx.run(FOLD)


async def test_two_that_fold_at_once_fold_once(dsn: str):
    await writes_by_chance(dsn, seed=1, rounds=10)
    one, other = await across(dsn), await across(dsn)
    async with one.transaction():
        await one.execute(FOLD)
        async with other.transaction():
            await other.execute("set local lock_timeout = '1ms'")
            await other.execute(FOLD)
    await agree(one)
    await asyncio.gather(one.close(), other.close())


async def test_an_organisation_sees_no_others_tallies(dsn: str):
    connection = await across(dsn)
    await connection.fetch(INSERT, ORG, ORG, ORG, 3)
    await connection.execute(f"set app.across = ''; set app.org = '{OTHER}'")
    assert {row["org_id"] for row in await connection.fetch("select org_id from tallies")} == {OTHER}
    await connection.close()


@pytest.fixture
def admin_dsn(databases: Databases, dsn: str) -> str:
    return databases.as_administrator(dsn)


async def test_a_tally_that_has_gone_wrong_is_made_anew(dsn: str, admin_dsn: str):
    await writes_by_chance(dsn, seed=2, rounds=10)
    connection = await asyncpg.connect(admin_dsn)
    await connection.execute("update tallies set number = number + 1 where subject = 'projects'")
    with pytest.raises(AssertionError):
        await agree(connection)
    await connection.execute("select recount_projects()")
    await agree(connection)
    await connection.close()


async def test_what_is_tallied_no_more_leaves_nothing(dsn: str, admin_dsn: str):
    connection = await asyncpg.connect(admin_dsn)
    await connection.execute("select tally_no_more('projects')")
    await connection.fetch(INSERT, ORG, ORG, ORG, 3)
    await connection.execute("update projects set status = 3 - status")
    await connection.execute("delete from projects")
    left = "select count(*) from pg_proc where proname ~ '^(tally|recount)_.*projects' or proname = 'recount_projects'"
    assert await connection.fetchval(left) == 0
    assert await connection.fetchval("select count(*) from tallies where subject = 'projects'") == 0
    assert await connection.fetchval("select count(*) from tallies where subject = 'engagements'") > 0
    await connection.close()
