"""Plans of statements, as PostgreSQL explains them."""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec


async def plan_of(connection: asyncpg.Connection, sql: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    """The plan of `sql` for these arguments, spelled as SQL has them; not executed."""
    await connection.execute(f"prepare looked_at as {sql}")
    try:
        told = await connection.fetchval(f"explain (format json) execute looked_at({', '.join(arguments)})")
    finally:
        await connection.execute("deallocate looked_at")
    return root(told)


def root(told: Any) -> dict[str, Any]:
    """The outermost node of what EXPLAIN (FORMAT JSON) told."""
    return (msgspec.json.decode(told) if isinstance(told, str) else told)[0]["Plan"]
