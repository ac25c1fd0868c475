"""The same past in the peers' one database, and the same proposals to be signed."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from shared.ids import new_id
from tests.bench.seeding import ENGAGEMENTS_OF_CLIENT, MAKE_IDS, PROJECTS_OF_ENGAGEMENT

FOUND = """
insert into organisations (id, name) values ($1, 'Bench')
"""
ADMIN = """
insert into users (id, org_id, role, name, email) values ($2, $1, 'admin', 'First Admin', 'admin@bench.example')
"""
TOKEN = """
insert into api_tokens (id, org_id, user_id, secret_hash) values ($3, $1, $2, $4)
"""
KNOWN_CLIENT = """
insert into clients (id, org_id, name_f, name_l, email, created_at)
values ($2, $1, 'Jane', 'Roe', 'jane@roe.example', now())
"""
HISTORY = (
    """
insert into clients (id, org_id, name_f, name_l, email, created_at)
select pg_temp.id_of(1, n), $1, 'Client', n::text, 'client' || n || '@bench.example', pg_temp.time_of(n)
from generate_series(1, $3::bigint) n where $2::bigint > 0
""",
    """
insert into engagements (id, org_id, client_id, proposal_id, name, status, created_at, updated_at)
select pg_temp.id_of(2, e), $1, pg_temp.id_of(1, 1 + e % $3::bigint), pg_temp.id_of(4, e),
  'Client ' || 1 + e % $3 || ' - Engagement', 1, pg_temp.time_of(e), pg_temp.time_of(e)
from generate_series(1, $2::bigint) e
""",
    """
insert into projects (id, org_id, engagement_id, name, description, status, phase, created_at, updated_at)
select pg_temp.id_of(3, 2 * e + i), $1, pg_temp.id_of(2, e), (array['Website Redesign', 'SEO'])[1 + i],
  (array['All of it', 'Half a year'])[1 + i], case when e % 10 = 0 then 2 else 1 end, 1 + e % 6,
  pg_temp.time_of(2 * e + i), pg_temp.time_of(2 * e + i)
from generate_series(1, $2::bigint) e, generate_series(0, 1) i where $3::bigint > 0
""",
    """
insert into orders (id, org_id, number, client_id, engagement_id, proposal_id, status, price, currency, service,
  created_at, updated_at)
select pg_temp.id_of(5, e), $1, 'B' || lpad(e::text, 7, '0'), pg_temp.id_of(1, 1 + e % $3::bigint),
  pg_temp.id_of(2, e), pg_temp.id_of(4, e), e % 4, 9700.50, 'USD', 'Website Redesign', pg_temp.time_of(e),
  pg_temp.time_of(e)
from generate_series(1, $2::bigint) e
""",
    """
insert into proposals (id, org_id, client_email, client_name_f, client_name_l, status, currency, total, created_at,
  updated_at, sent_at, signed_at, converted_engagement_id, converted_order_id)
select pg_temp.id_of(4, e), $1, 'client' || 1 + e % $3::bigint || '@bench.example', 'Client', (1 + e % $3)::text, 2,
  'USD', 9700.50, pg_temp.time_of(e), pg_temp.time_of(e), pg_temp.time_of(e), pg_temp.time_of(e),
  pg_temp.id_of(2, e), pg_temp.id_of(5, e)
from generate_series(1, $2::bigint) e
""",
    """
insert into proposal_items (proposal_id, position, id, name, description, price, created_at)
select pg_temp.id_of(4, e), i, pg_temp.id_of(8, 2 * e + i), (array['Website Redesign', 'SEO'])[1 + i],
  (array['All of it', 'Half a year'])[1 + i], (array[8500.00, 1200.50])[1 + i], pg_temp.time_of(e)
from generate_series(1, $2::bigint) e, generate_series(0, 1) i where $3::bigint > 0 and $1::uuid is not null
""",
)
SENT = """
with sent as (
  insert into proposals (id, org_id, client_email, client_name_f, client_name_l, status, currency, total, created_at,
    updated_at, sent_at)
  select uuidv7(), $1, 'jane@roe.example', 'Jane', 'Roe', 1, 'USD', 9700.50, now(), now(), now()
  from generate_series(1, $2::bigint)
  returning id
), items as (
  insert into proposal_items (proposal_id, position, id, name, description, price, created_at)
  select id, position, uuidv7(), (array['Website Redesign', 'SEO'])[1 + position],
    (array['All of it', 'Half a year'])[1 + position], (array[8500.00, 1200.50])[1 + position], now()
  from sent, generate_series(0, 1) position
)
select id from sent
"""


async def seed(dsn: str, org: UUID, secret_hash: bytes, schema: str, projects: int) -> None:
    """The schema, an organisation with its administrator's API token and a known client, and its past."""
    engagements = projects // PROJECTS_OF_ENGAGEMENT
    clients = max(1, engagements // ENGAGEMENTS_OF_CLIENT)
    connection = await asyncpg.connect(dsn)
    try:
        admin = new_id()
        await connection.execute(schema)
        await connection.execute(FOUND, org)
        await connection.execute(ADMIN, org, admin)
        await connection.execute(TOKEN, org, admin, new_id(), secret_hash)
        await connection.execute(KNOWN_CLIENT, org, new_id())
        await connection.execute(MAKE_IDS)
        for statement in HISTORY:
            await connection.execute(statement, org, engagements, clients, timeout=600)
        await connection.execute("vacuum analyze", timeout=600)
    finally:
        await connection.close()
