"""Rows in bulk, as `serx` itself would have written them: an organisation's past, and proposals to be signed.

Written by the database's administrator with `generate_series`. Ids are UUIDv7 made from a number, so that the services'
databases agree on them without talking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID

import asyncpg

from tests.support.crowds import count_again

PROJECTS_OF_ENGAGEMENT = 2
ENGAGEMENTS_OF_CLIENT = 50

# The id of the n-th thing of a kind: a second lies between one and the next, as their `created_at` has it.
MAKE_IDS = """
create or replace function pg_temp.id_of(kind int, n bigint) returns uuid language sql immutable as $$
  select (lpad(to_hex(1600000000000 + n * 1000), 12, '0') || '7000' || '8000' || lpad(to_hex(kind), 12, '0'))::uuid
$$;
create or replace function pg_temp.time_of(n bigint) returns timestamptz language sql immutable as $$
  select to_timestamp(1600000000 + n)
$$;
"""
# Kinds: 1 client, 2 engagement, 3 project, 4 proposal, 5 order, 6 conversation, 7 saga, 8 item, 9 message.
ENGAGEMENT, PROJECT, CONVERSATION = 2, 3, 6

# Each with the organisation, how many engagements, and how many clients.
ENGAGEMENTS = (
    """
insert into clients (id, org_id, version, name_f, name_l, email)
select pg_temp.id_of(1, n), $1, 1, 'Client', n::text, 'client' || n || '@bench.example'
from generate_series(1, $3::bigint) n where $2::bigint > 0
""",
    """
insert into engagements (id, org_id, client_id, proposal_id, name, status, created_at, updated_at, saga_id)
select pg_temp.id_of(2, e), $1, pg_temp.id_of(1, 1 + e % $3::bigint), pg_temp.id_of(4, e),
  'Client ' || 1 + e % $3 || ' - Engagement', 1, pg_temp.time_of(e), pg_temp.time_of(e), pg_temp.id_of(7, e)
from generate_series(1, $2::bigint) e
""",
    """
insert into projects (id, org_id, engagement_id, client_id, name, description, status, phase, created_at, updated_at,
  saga_id)
select pg_temp.id_of(3, 2 * e + i), $1, pg_temp.id_of(2, e), pg_temp.id_of(1, 1 + e % $3::bigint),
  (array['Website Redesign', 'SEO'])[1 + i], (array['All of it', 'Half a year'])[1 + i],
  case when e % 10 = 0 then 2 else 1 end, 1 + e % 6, pg_temp.time_of(2 * e + i), pg_temp.time_of(2 * e + i),
  pg_temp.id_of(7, e)
from generate_series(1, $2::bigint) e, generate_series(0, 1) i
""",
)
PROPOSALS = (
    """
insert into proposals (id, org_id, version, client_id, client_email, client_name_f, client_name_l, status, currency,
  total, created_at, updated_at, sent_at, signed_at, saga_id, converted_engagement_id, converted_order_id)
select pg_temp.id_of(4, e), $1, 4, pg_temp.id_of(1, 1 + e % $3::bigint),
  'client' || 1 + e % $3::bigint || '@bench.example', 'Client', (1 + e % $3)::text, 2,
  'USD', 9700.50, pg_temp.time_of(e), pg_temp.time_of(e), pg_temp.time_of(e), pg_temp.time_of(e),
  pg_temp.id_of(7, e), pg_temp.id_of(2, e), pg_temp.id_of(5, e)
from generate_series(1, $2::bigint) e
""",
    """
insert into proposal_items (proposal_id, position, id, org_id, name, description, price, created_at)
select pg_temp.id_of(4, e), i, pg_temp.id_of(8, 2 * e + i), $1, (array['Website Redesign', 'SEO'])[1 + i],
  (array['All of it', 'Half a year'])[1 + i], (array[8500.00, 1200.50])[1 + i], pg_temp.time_of(e)
from generate_series(1, $2::bigint) e, generate_series(0, 1) i where $3::bigint > 0
""",
    """
insert into sagas (id, org_id, proposal_id, status, plan, due_at, traceparent, started_at, finished_at)
select pg_temp.id_of(7, e), $1, pg_temp.id_of(4, e), 'completed', '{}', pg_temp.time_of(e), '', pg_temp.time_of(e),
  pg_temp.time_of(e)
from generate_series(1, $2::bigint) e where $3::bigint > 0
""",
    """
insert into clients (id, org_id, version, name_f, name_l, email, is_enabled, is_closed, is_deleted, billing)
select pg_temp.id_of(1, n), $1, 1, 'Client', n::text, 'client' || n || '@bench.example', true, false, false, '{}'
from generate_series(1, $3::bigint) n where $2::bigint > 0
""",
)
ORDERS = (
    """
insert into clients (id, org_id, version, name_f, name_l, email)
select pg_temp.id_of(1, n), $1, 1, 'Client', n::text, 'client' || n || '@bench.example'
from generate_series(1, $3::bigint) n where $2::bigint > 0
""",
    """
insert into engagements (id, org_id, version, client_id)
select pg_temp.id_of(2, e), $1, 1, pg_temp.id_of(1, 1 + e % $3::bigint) from generate_series(1, $2::bigint) e
""",
    """
insert into orders (id, org_id, number, client_id, engagement_id, proposal_id, status, price, currency, service,
  created_at, updated_at, saga_id)
select pg_temp.id_of(5, e), $1, 'B' || lpad(e::text, 7, '0'), pg_temp.id_of(1, 1 + e % $3::bigint),
  pg_temp.id_of(2, e), pg_temp.id_of(4, e), e % 4, 9700.50, 'USD', 'Website Redesign', pg_temp.time_of(e),
  pg_temp.time_of(e), pg_temp.id_of(7, e)
from generate_series(1, $2::bigint) e
""",
)
# The first engagement's first project has a conversation, of as many messages as a tenth of the projects, and so has
# that of each tenth engagement, of none.
CONVERSATIONS = (
    """
insert into projects (id, org_id, version, engagement_id, client_id, name)
select pg_temp.id_of(3, 2 * e + i), $1, 1, pg_temp.id_of(2, e), pg_temp.id_of(1, 1 + e % $3::bigint),
  (array['Website Redesign', 'SEO'])[1 + i]
from generate_series(1, $2::bigint) e, generate_series(0, 1) i
""",
    """
insert into senders (id, org_id, version, name, email)
select pg_temp.id_of(1, n), $1, 1, 'Client ' || n, 'client' || n || '@bench.example'
from generate_series(1, $3::bigint) n where $2::bigint > 0
""",
    """
insert into conversations (id, org_id, project_id, subject, status, created_at, updated_at, message_count,
  public_message_count, last_message_at, last_public_message_at)
select pg_temp.id_of(6, e), $1, pg_temp.id_of(3, 2 * e), 'About the start', 1, pg_temp.time_of(e), pg_temp.time_of(e),
  count, count, case when count > 0 then pg_temp.time_of(e + count) end,
  case when count > 0 then pg_temp.time_of(e + count) end
from generate_series(1, $2::bigint) e, lateral (select case when e = 1 then least($2 / 5, 100000) else 0 end as count) c
where (e = 1 or e % 10 = 0) and $3::bigint > 0
""",
    """
insert into messages (id, org_id, conversation_id, sender_id, sender_name, sender_email, is_from_client, content,
  created_at, updated_at)
select pg_temp.id_of(9, m), $1, pg_temp.id_of(6, 1), pg_temp.id_of(1, 1), 'Client 1', 'client1@bench.example', true,
  'Message ' || m || ': shall we talk about the colours of the front page?', pg_temp.time_of(1 + m),
  pg_temp.time_of(1 + m)
from generate_series(1, least($2::bigint / 5, 100000)) m where $3::bigint > 0
""",
)
HISTORY: Mapping[str, tuple[str, ...]] = {
    "engagements": ENGAGEMENTS,
    "proposals": PROPOSALS,
    "orders": ORDERS,
    "conversations": CONVERSATIONS,
}

SENT = """
with sent as (
  insert into proposals (id, org_id, version, client_email, client_name_f, client_name_l, status, currency, total,
    created_at, updated_at, sent_at)
  select uuidv7(), $1, 2, 'jane@roe.example', 'Jane', 'Roe', 1, 'USD', 9700.50, now(), now(), now()
  from generate_series(1, $2::bigint)
  returning id
), items as (
  insert into proposal_items (proposal_id, position, id, org_id, name, description, price, created_at)
  select id, position, uuidv7(), $1, (array['Website Redesign', 'SEO'])[1 + position],
    (array['All of it', 'Half a year'])[1 + position], (array[8500.00, 1200.50])[1 + position], now()
  from sent, generate_series(0, 1) position
)
select id from sent
"""
SOME_PROJECTS = "select id from projects where org_id = $1 order by md5(id::text) limit $2"


def id_of(kind: int, number: int) -> UUID:
    """As MAKE_IDS has it."""
    return UUID(f"{1600000000000 + number * 1000:012x}70008000{kind:012x}")


async def seed_history(dsns: Mapping[str, str], org: UUID, projects: int) -> None:
    """An organisation's past: that many projects, and in each service what belongs to them. `dsns` by service."""
    async with asyncio.TaskGroup() as tasks:
        for service in HISTORY:
            tasks.create_task(write_history(dsns[service], service, org, projects=projects))


async def write_history(dsn: str, service: str, org: UUID, *, projects: int) -> None:
    """One service's share of it."""
    engagements = projects // PROJECTS_OF_ENGAGEMENT
    clients = max(1, engagements // ENGAGEMENTS_OF_CLIENT)
    connection = await asyncpg.connect(dsn)
    try:
        # Foreign keys hold by construction; a crash would only mean to seed again.
        await connection.execute("set session_replication_role = replica; set synchronous_commit = off")
        await connection.execute(MAKE_IDS)
        for statement in HISTORY[service]:
            await connection.execute(statement, org, engagements, clients, timeout=600)
        await count_again(connection)
        await connection.execute("vacuum analyze", timeout=600)
    finally:
        await connection.close()


async def seed_sent(dsn: str, org: UUID, count: int, *, statement: str = SENT) -> list[str]:
    """That many proposals of two items, Sent to a client who is known; their ids."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(statement, org, count)
        await connection.execute("checkpoint")
        return [str(row["id"]) for row in rows]
    finally:
        await connection.close()


async def some_projects(dsn: str, org: UUID, count: int) -> list[str]:
    """Up to `count` ids of projects, from anywhere."""
    connection = await asyncpg.connect(dsn)
    try:
        return [str(row["id"]) for row in await connection.fetch(SOME_PROJECTS, org, count)]
    finally:
        await connection.close()
