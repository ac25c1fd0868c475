"""What is recorded of a run stays, whoever writes down what they know: the report never takes back what it has said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from services.proposals.store.sagas import RECORD
from services.proposals.store.signing import COMPENSATE
from shared.ids import new_id
from tests.support.databases import Databases

DONE = '{"outcome":"done","result":{"price":"0.10",  "b":1,"a":1.50}}'
PARKED = '{"outcome":"parked","cause":"x"}'
BEGIN = """
insert into sagas (id, org_id, proposal_id, status, plan, replies, marks, due_at, traceparent, started_at)
values ($1, $1, $1, 'running', '{}', $2, $3, now(), '', now())
"""


@pytest_asyncio.fixture(loop_scope="session")
async def link(databases: Databases) -> AsyncIterator[asyncpg.Connection]:
    async with databases.fresh("proposals") as dsn:
        connection = await asyncpg.connect(dsn, server_settings={"app.across": "on"})
        yield connection
        await connection.close()


async def written(
    link: asyncpg.Connection, sql: str, recorded: dict[str, str], told: dict[str, str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """The replies and marks of a run of which `recorded` was known, once a driver has written what it was `told`.

    A mark says who has made it.
    """
    run = new_id()
    await link.execute(BEGIN, run, spelled(recorded), spelled(dict.fromkeys(recorded, '"row"')))
    last = ("c", 1.0) if sql == COMPENSATE else (False, "running")
    marks = spelled(dict.fromkeys({"engagement", "order", *told}, '"driver"'))
    await link.fetch(sql, run, run, spelled(told), marks, *last)
    row = await link.fetchrow("select replies, marks from sagas where id = $1", run)
    assert row is not None
    replies = msgspec.json.decode(row["replies"], type=dict[str, msgspec.Raw])
    return {step: bytes(reply).decode() for step, reply in replies.items()}, msgspec.json.decode(row["marks"])


def spelled(texts: dict[str, str]) -> str:
    return "{" + ",".join(f'"{step}":{text}' for step, text in texts.items()) + "}"


STATEMENTS = pytest.mark.parametrize("sql", [RECORD, COMPENSATE], ids=["record", "compensate"])


@STATEMENTS
async def test_a_driver_that_knows_less_takes_nothing_back(link: asyncpg.Connection, sql: str):
    replies, marks = await written(link, sql, {"engagement": DONE}, {"order": DONE})
    assert replies == {"engagement": DONE, "order": DONE}
    assert marks == {"engagement": "row", "order": "driver"}
    assert (await written(link, sql, {"engagement": DONE}, {}))[0] == {"engagement": DONE}


@STATEMENTS
async def test_the_first_word_counts_but_for_a_parked_step(link: asyncpg.Connection, sql: str):
    assert (await written(link, sql, {"order": DONE}, {"order": PARKED}))[0] == {"order": DONE}
    replies, marks = await written(link, sql, {"order": PARKED}, {"order": DONE})
    assert (replies, marks["order"]) == ({"order": DONE}, "driver")


@STATEMENTS
async def test_what_nobody_knows_stays_unknown(link: asyncpg.Connection, sql: str):
    assert await written(link, sql, {}, {}) == ({}, {"engagement": "driver", "order": "driver"})
