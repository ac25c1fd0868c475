"""The tables of `docs/data.md`, read from the migrated databases; `test_data.py` compares them.

Renew the page with `SERX_RENEW_DOCS=1 python -m pytest tests/architecture/test_data.py`.
"""

from __future__ import annotations

from typing import Any, Final

import asyncpg

BEGIN, END = "<!-- begin: generated from the migrated databases -->", "<!-- end -->"
OWNS: Final = {
    "identity": "organisations, users, clients, sessions and API tokens",
    "proposals": "service templates, proposals, signatures and the runs of the sign flow",
    "engagements": "engagements and projects",
    "conversations": "conversations and messages",
    "orders": "orders and order tasks",
}
COLUMNS: Final = """
select c.relname as table_name, a.attname as column_name, format_type(a.atttypid, a.atttypmod) as type,
  a.attnotnull as is_required, c.relrowsecurity and c.relforcerowsecurity as is_walled
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = 'public' and c.relkind = 'r' and c.relname <> 'schema_migrations'
order by c.relname, a.attnum
"""
INDEXES: Final = """
select tablename as table_name, indexdef as definition from pg_indexes
where schemaname = 'public' and tablename <> 'schema_migrations' order by tablename, indexname
"""
MACHINERY: Final = frozenset(
    {"inbox", "outbox", "parked_messages", "parked_interventions", "streams_seen", "idempotency_keys", "tallies"}
)


async def page(dsns: dict[str, str]) -> str:
    """The generated part of the page: the machinery's tables once, then each service's own. `dsns` by service."""
    parts: list[str] = []
    for service, dsn in dsns.items():
        connection = await asyncpg.connect(dsn)
        try:
            columns, indexes = await connection.fetch(COLUMNS), await connection.fetch(INDEXES)
        finally:
            await connection.close()
        if not parts:
            parts += ["## In every database", *_tables(columns, indexes, only=MACHINERY)]
        own = frozenset(row["table_name"] for row in columns) - MACHINERY
        parts += [f"## {service}: {OWNS[service]}", *_tables(columns, indexes, only=own)]
    return "\n\n".join(parts)


def _tables(columns: list[Any], indexes: list[Any], *, only: frozenset[str]) -> list[str]:
    return [_table(name, columns, indexes) for name in sorted(only)]


def _table(name: str, columns: list[Any], indexes: list[Any]) -> str:
    own = [row for row in columns if row["table_name"] == name]
    wall = ", walled by organisation" if own[0]["is_walled"] else ""
    lines = [f"### `{name}`{wall}", "", "| column | type | |", "|---|---|---|"]
    lines += [
        f"| `{row['column_name']}` | {row['type']} | {'' if row['is_required'] else 'may be null'} |" for row in own
    ]
    lines += ["", *(f"- `{_short(row['definition'])}`" for row in indexes if row["table_name"] == name)]
    return "\n".join(lines)


def _short(definition: str) -> str:
    """`CREATE UNIQUE INDEX x ON public.t USING btree (a)` → `unique x (a)`."""
    head, _, rest = definition.partition(" USING btree ")
    unique = "unique " if head.startswith("CREATE UNIQUE") else ""
    return f"{unique}{head.split(' INDEX ')[1].split(' ON ')[0]} {rest}"
