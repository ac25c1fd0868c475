"""Very many rows in every table that a list reads, spread over organisations: the size at which plans are judged.

`SERX_TEST_ROWS` is how many; the plans of a million are those of the default, only slower to come by.
"""

from __future__ import annotations

import os
from typing import Final

import asyncpg

ROWS: Final = int(os.environ.get("SERX_TEST_ROWS", "100000"))
ORGANISATIONS: Final = 200
"""The n-th row is of organisation n modulo this, so that no organisation's rows lie together."""

IDENTITY: Final = """
insert into organisations (org_id, name, created_at, updated_at)
select ident(n), 'Agency', now(), now() from generate_series(0, $orgs - 1) n;
insert into users (org_id, id, name_f, name_l, email, role, created_at, updated_at)
select ident(n % $orgs), ident(n), 'F' || n % 977, 'L' || n % 991, n || '@agency.example', 'member', at(n), at(n)
from generate_series(0, $rows - 1) n;
insert into clients (org_id, id, name_f, name_l, email, created_at, updated_at)
select ident(n % $orgs), ident(n), 'F' || n % 977, 'L' || n % 991, n || '@roe.example', at(n), at(n)
from generate_series(0, $rows - 1) n;
insert into api_tokens (org_id, id, name, role, made_by, secret_hash, created_at)
select ident(n % $orgs), ident(n), 'T' || n % 977, 'member', ident(n), int8send(n), at(n)
from generate_series(0, $rows - 1) n;
"""
PROPOSALS: Final = """
insert into templates (org_id, id, name, price, currency, recurring, is_public, sort_order, created_at, updated_at)
select ident(n % $orgs), ident(n), 'S' || n % 977, n % 991, 'USD', n % 3, n % 7 < 5, n % 13, at(n), at(n)
from generate_series(0, $rows - 1) n;
insert into proposals (org_id, id, client_id, client_email, client_name_f, client_name_l, status, currency, total,
  valid_until, created_at, updated_at, sent_at, signed_at)
select ident(n % $orgs), ident(n), ident(n % $few), n % $few || '@roe.example', 'F', 'L', n / 200 % 2, 'USD',
  n % 991, at(n + 40), at(n), at(n), case when n / 200 % 2 = 1 then at(n / (5 * $orgs / 2)) end,
  case when n / 200 % 5 = 0 then at(n) end
from generate_series(0, $rows - 1) n;
"""
ENGAGEMENTS: Final = """
insert into clients (org_id, id, version, name_f, name_l, email)
select ident(n % $orgs), ident(n), 1, 'F', 'L', n || '@roe.example' from generate_series(0, $few - 1) n;
insert into templates (org_id, id, version, name)
select ident(n % $orgs), ident(n), 1, 'S' from generate_series(0, $few - 1) n;
insert into engagements (org_id, id, client_id, name, status, created_at, updated_at)
select ident(n % $orgs), ident(n), ident(n % $few), 'E' || n % 977, n / 200 % 2 + 1, at(n), at(n)
from generate_series(0, $rows - 1) n;
insert into projects (org_id, id, engagement_id, client_id, name, status, phase, service_id, created_at, updated_at)
select ident(n % $orgs), ident(n), ident(n % $half), ident(n % $few), 'P' || n % 977, n / 200 % 2 + 1, n / 200 % 6 + 1,
  ident(n % $few), at(n), at(n)
from generate_series(0, $rows - 1) n;
"""
CONVERSATIONS: Final = """
insert into senders (org_id, id, version, name, email)
select ident(n % $orgs), ident(n), 1, 'F L', n || '@roe.example' from generate_series(0, $few - 1) n;
insert into projects (org_id, id, version, engagement_id, client_id, name, is_deleted)
select ident(n % $orgs), ident(n), 1, ident(n % $few), ident(n % $few), 'P', n % 50 = 7 and n / 200 % 11 = 3
from generate_series(0, $rows - 1) n;
insert into conversations (org_id, id, project_id, subject, status, created_at, updated_at, message_count,
  public_message_count, last_message_at, last_public_message_at)
select ident(n % $orgs), ident(n), ident(n % $half), nullif('C' || n / 200 % 7, 'C3'), n / 200 % 2 + 1, at(n), at(n),
  least(n / 200 % 4, 1), n / 200 % 4 / 2, case when n / 200 % 4 > 0 then at(n / (5 * $orgs / 2)) end,
  case when n / 200 % 4 > 1 then at(n / (5 * $orgs / 2)) end
from generate_series(0, $rows - 1) n;
insert into messages (org_id, id, conversation_id, sender_id, sender_name, sender_email, is_from_client, content,
  is_internal, created_at, updated_at)
select ident(n % $orgs), ident(n), ident(n % $few), ident(n % $few), 'F L', 'f@roe.example', false, 'Hello',
  n / 200 % 3 = 0, at(n), at(n)
from generate_series(0, $rows - 1) n;
"""
ORDERS: Final = """
insert into clients (org_id, id, version, name_f, name_l, email)
select ident(n % $orgs), ident(n), 1, 'F', 'L', n || '@roe.example' from generate_series(0, $few - 1) n;
insert into staff (org_id, id, version, name_f, name_l)
select ident(n % $orgs), ident(n), 1, 'F', 'L' from generate_series(0, $few - 1) n;
insert into orders (org_id, id, number, client_id, engagement_id, status, price, currency, service, created_at,
  updated_at)
select ident(n % $orgs), ident(n), lpad(upper(to_hex(n)), 8, '0'), ident(n % $few), ident(n % $half), n / 200 % 5,
  n % 991, 'USD', 'S', at(n), at(n)
from generate_series(0, $rows - 1) n;
insert into order_tasks (org_id, id, order_id, name, sort_order, created_at)
select ident(n % $orgs), ident(n), ident(n % $few), 'T', n % 13, at(n) from generate_series(0, $rows - 1) n;
"""
CROWDS: Final = {
    "identity": IDENTITY,
    "proposals": PROPOSALS,
    "engagements": ENGAGEMENTS,
    "conversations": CONVERSATIONS,
    "orders": ORDERS,
}
WORDS: Final = """
create function pg_temp.ident(n bigint) returns uuid language sql immutable as
  $$ select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
create function pg_temp.at(n bigint) returns timestamptz language sql immutable as
  $$ select timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second' $$;
"""
SECONDARY: Final = """
select schemaname || '.' || indexname as name, indexdef from pg_indexes
where schemaname = 'public' and indexname not in (select conname from pg_constraint)
"""
RECOUNTS: Final = """
select oid::regprocedure::text from pg_proc where proname like 'recount\\_%' and pronamespace = 'public'::regnamespace
"""


async def crowd(admin_dsn: str, service: str, rows: int = ROWS, organisations: int = ORGANISATIONS) -> None:
    """Fill the database of a service. Indexes are built when the rows are there, as is usual for so many."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        # No foreign key is checked, nothing waits for the disk.
        await connection.execute("set session_replication_role = replica; set synchronous_commit = off")
        await connection.execute(WORDS)
        indexes = await connection.fetch(SECONDARY)
        for index in indexes:
            await connection.execute(f"drop index {index['name']}")
        await connection.execute(_rows(service, rows, organisations))
        for index in indexes:
            await connection.execute(index["indexdef"])
        await count_again(connection)
        await connection.execute("analyze")
    finally:
        await connection.close()


async def count_again(connection: asyncpg.Connection) -> None:
    """Tally every list anew: rows that came with no trigger are not counted yet."""
    for recount in await connection.fetch(RECOUNTS):
        await connection.execute(f"select {recount[0]}")


def _rows(service: str, rows: int, organisations: int) -> str:
    sql = CROWDS[service]
    for word, value in (("$orgs", organisations), ("$rows", rows), ("$half", rows // 2), ("$few", rows // 5)):
        sql = sql.replace(word, str(value))
    return sql.replace("ident(", "pg_temp.ident(").replace(" at(", " pg_temp.at(")
