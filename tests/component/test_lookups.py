"""What is done to one proposal costs the same however many others stand as it does, and whatever the statistics say."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.proposals.store import interventions, proposals, sagas, signing
from shared.ids import new_id
from shared.messaging import outbox
from tests.bench.seeding import seed_sent, write_history
from tests.support.databases import Databases
from tests.support.plans import plan_of, root

SIGNED, SENT = 1000, 10_000
"""All are Signed when PostgreSQL looks at them; then so many are sent."""
MOST_BLOCKS = 150
"""Of 8 KiB each that a step may touch, indexes and triggers included; all that are Sent are in some hundreds."""

CALLS = 8
"""A plan is made for each of the first, and after some once for all."""

BEGIN = """
select {function}($1, $2, $3, now(), null, 'Jane Roe', null, null, 'test', null, null, '{{}}', 60, ''{more})
"""
BEGIN_BY_KEY = """
select {function}($1, $2, $3, now(), null, 'Jane Roe', null, null, 'test', $4, '', '{{}}', 60, '', null)
"""
KEYS = """
insert into idempotency_keys (org_id, key, fingerprint, saga_id)
select $1, gen_random_uuid()::text, '', gen_random_uuid() from generate_series(1, $2)
"""
KEYS_LATER = 20_000
COMPLETE = """
select complete_signing_of_client($1, $2, '{}', '{}', '{}', now(), now(), 4, $3, $3, $3, 'evt', 'type', '{}', '', $3)
"""
STATEMENTS = {
    "save a draft": proposals.SAVE_DRAFT,
    "send": proposals.SAVE_SENT,
    "reject": proposals.SAVE_REJECTED,
    "delete": proposals.DELETE,
    "record": sagas.RECORD,
    "turn back": signing.COMPENSATE,
    "undo": signing.REJECT,
    "make due": interventions.MAKE_DUE,
}

Stale = tuple[asyncpg.Connection, Any, list[str]]


@pytest_asyncio.fixture(loop_scope="session")
async def stale(databases: Databases) -> AsyncIterator[Stale]:
    """Proposals that are Sent, and statistics of a time when none was."""
    org = new_id()
    async with databases.fresh("proposals") as of_service:
        dsn = databases.as_administrator(of_service)
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("alter table proposals set (autovacuum_enabled = false)")
            await write_history(dsn, "proposals", org, projects=2 * SIGNED)
            sent = await seed_sent(dsn, org, SENT)
            await connection.execute("set role serx_proposals")
            yield connection, org, sent
        finally:
            await connection.close()


async def blocks(connection: asyncpg.Connection, call: str, *arguments: Any) -> int:
    told = await connection.fetchval(f"explain (analyze, buffers, format json) {call}", *arguments)
    plan = root(told)
    assert plan["Actual Rows"] == 1
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


@pytest.mark.parametrize("before", [0, 1, 100])
async def test_to_sign_under_a_key_reads_no_other_key(stale: Stale, before: int):
    """PostgreSQL looked at the keys when there were few, and makes a plan for that."""
    connection, org, sent = stale
    await connection.execute("reset role")
    await connection.execute("alter table idempotency_keys set (autovacuum_enabled = false)")
    await connection.execute(KEYS, org, before)
    await connection.execute("analyze idempotency_keys")
    await connection.execute(KEYS, org, KEYS_LATER)
    await connection.execute("set role serx_proposals")
    begin = BEGIN_BY_KEY.format(function="begin_signing_by_new_key")
    begun = [await blocks(connection, begin, org, proposal, new_id(), str(new_id())) for proposal in sent[:CALLS]]
    assert begun[-1] < MOST_BLOCKS, begun


async def test_to_sign_one_of_many_reads_no_other(stale: Stale):
    connection, org, sent = stale
    begin = BEGIN.format(function="begin_signing_by_new_key", more=", null")
    begun, completed = [], []
    for proposal in sent[:CALLS]:
        saga = new_id()
        begun.append(await blocks(connection, begin, org, proposal, saga))
        completed.append(await blocks(connection, COMPLETE, org, saga, new_id()))
    assert begun[-1] < MOST_BLOCKS
    assert completed[-1] < MOST_BLOCKS
    # The one before it, which an index on the status led astray, shows that this can be seen here.
    former = BEGIN.format(function="begin_signing", more="")
    before = [await blocks(connection, former, org, proposal, new_id()) for proposal in sent[CALLS : 2 * CALLS]]
    assert before[-1] > MOST_BLOCKS


def indexes(plan: dict[str, Any]) -> Iterator[str]:
    """What leads to the rows that are changed; a value that is looked up for one of them does not."""
    if "Index Name" in plan:
        yield plan["Index Name"]
    if plan["Node Type"] == "Seq Scan":
        yield f"all of {plan['Relation Name']}"
    for inner in plan.get("Plans", []):
        if inner["Parent Relationship"] != "SubPlan":
            yield from indexes(inner)


async def test_only_its_key_leads_to_what_is_changed(stale: Stale):
    connection, _, _ = stale
    await connection.execute("set plan_cache_mode = force_generic_plan")
    found: dict[str, list[str]] = {}
    for name, sql in STATEMENTS.items():
        parameters = max(int(number) for number in re.findall(r"\$(\d+)", sql))
        found[name] = list(indexes(await plan_of(connection, sql, ("null",) * parameters)))
    assert all(found.values())
    assert {name: read for name, read in found.items() if not all(index.endswith("_pkey") for index in read)} == {}


async def test_only_its_key_leads_to_the_event_that_is_marked(stale: Stale):
    """The outbox is short when PostgreSQL looks at it, and plans for that as long as it has no reason to look again."""
    connection, _, _ = stale
    await connection.execute("set plan_cache_mode = force_generic_plan")
    found: dict[str, set[str]] = {}
    for setting in (outbox.BY_KEY, outbox.BY_KEY_AND_LAZILY, "select"):
        async with connection.transaction():
            await connection.execute(setting)
            found[setting] = set(indexes(await plan_of(connection, outbox.MARK, ("null", "''", "''"))))
    assert "all of outbox" in found.pop("select")  # else this could not be seen here
    assert [read for read in found.values() if not all(index.endswith("_pkey") for index in read)] == []
