"""What the benchmark writes in bulk is what the schema of today takes."""

from __future__ import annotations

import asyncpg
import pytest

from shared.ids import new_id
from tests.bench.seeding import HISTORY, PROJECT, id_of, seed_sent, write_history
from tests.support.databases import Databases

COUNTS = {
    "engagements": {"clients": 10, "engagements": 500, "projects": 1000},
    "proposals": {"clients": 10, "proposals": 500, "proposal_items": 1000, "sagas": 500},
    "orders": {"clients": 10, "engagements": 500, "orders": 500},
    "conversations": {"senders": 10, "projects": 1000, "conversations": 51, "messages": 100},
}


def administrators(databases: Databases, dsn: str) -> str:
    return databases.as_administrator(dsn)


@pytest.mark.parametrize("service", HISTORY)
async def test_a_past_of_a_thousand_projects_is_written(databases: Databases, service: str):
    async with databases.fresh(service) as dsn:
        admin = administrators(databases, dsn)
        await write_history(admin, service, new_id(), projects=1000)
        connection = await asyncpg.connect(admin)
        try:
            counts = {table: await connection.fetchval(f"select count(*) from {table}") for table in COUNTS[service]}
            assert counts == COUNTS[service]
            if "projects" in counts:
                assert await connection.fetchval("select name from projects where id = $1", id_of(PROJECT, 3)) == "SEO"
        finally:
            await connection.close()


async def test_proposals_to_be_signed_are_sent_and_have_their_items(databases: Databases):
    org = new_id()
    async with databases.fresh("proposals") as dsn:
        admin = administrators(databases, dsn)
        sent = await seed_sent(admin, org, 20)
        connection = await asyncpg.connect(admin)
        try:
            rows = await connection.fetch(
                "select p.id, p.total = sum(i.price) as adds_up from proposals p join proposal_items i"
                " on i.proposal_id = p.id where p.org_id = $1 and p.status = 1 group by p.id",
                org,
            )
        finally:
            await connection.close()
    assert {str(row["id"]) for row in rows} == set(sent)
    assert all(row["adds_up"] for row in rows)
    assert len(sent) == 20
