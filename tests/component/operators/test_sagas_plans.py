"""The plans of what operators and drivers ask, among many finished flows: by an index, and never the whole table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from services.proposals.store import interventions, sagas
from tests.support.databases import Databases

FINISHED = 20_000
FLOWS = """
insert into sagas (id, org_id, proposal_id, status, plan, replies, marks, due_at, traceparent, started_at, finished_at)
select uuidv7(), uuidv7(), uuidv7(), case when n % 100 = 0 then 'rejected' else 'completed' end,
  json_build_object('text', repeat('x', 500)), '{}', '{}', now(), '', now() - n * interval '1 minute', now()
from generate_series(1, $1::int) n
"""
NOBODY = "00000000-0000-7000-8000-000000000007"
PAGE = (None, None, None, None, None, 50)
ASKED: dict[str, tuple[str, tuple[object, ...], str]] = {
    "open flows": (interventions.LIST, (["running", "compensating"], *PAGE), "sagas_by_state"),
    "completed flows": (interventions.LIST, (["completed"], *PAGE), "sagas_by_state"),
    "all flows": (
        interventions.LIST,
        (["running", "compensating", "completed", "rejected"], *PAGE),
        "sagas_by_state",
    ),
    "one flow": (interventions.OF_SAGA_OR_PROPOSAL, (NOBODY,), "sagas_of_proposal"),
    "what is due": (sagas.CLAIM, (100, 2.0), "sagas_due"),
    "the newest of a proposal": (sagas.LATEST, (NOBODY, NOBODY), "sagas_of_proposal"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowded(databases: Databases) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """The proposal service's database with many finished flows, past row-level security."""
    async with databases.fresh("proposals") as dsn:
        name = urlsplit(dsn).path
        admin = await asyncpg.connect(databases.admin_dsn.rpartition("/")[0] + name)
        try:
            await admin.execute("set session_replication_role = replica")  # their proposals need not be there
            await admin.execute(FLOWS, FINISHED)
            await admin.execute("vacuum analyze sagas")
            yield admin
        finally:
            await admin.close()


@pytest.mark.parametrize("asked", ASKED)
async def test_finished_flows_are_in_nobodys_way(crowded: asyncpg.Connection[asyncpg.Record], asked: str):
    sql, arguments, index = ASKED[asked]
    async with crowded.transaction():
        plan = "\n".join([row[0] for row in await crowded.fetch(f"explain {sql}", *arguments)])
    assert "Seq Scan on sagas" not in plan, plan
    assert index in plan, plan
