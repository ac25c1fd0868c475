"""Waiting until databases have the schema of this release: what a process of it does before it starts.

A database may be ahead: after a rollback it stays as it is, and yesterday's code runs on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import asyncpg

from shared.database.errors import LINK_ERRORS
from shared.database.migrate import versions
from shared.database.primary import Primary

PAUSE_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 5.0
_APPLIED: Final = """
select version::text from schema_migrations
"""


async def schemas_migrated(dsns: Mapping[str, str], report: Callable[[str], None]) -> None:
    """Return when each service's database has every migration of this release; `dsns` are the services' own.

    Reports what it waits for, each time that this changes.
    """
    await asyncio.gather(*(_migrated(dsn, service, report) for service, dsn in dsns.items()))


async def _migrated(dsn: str, service: str, report: Callable[[str], None]) -> None:
    reported = ""
    while lacking := await _lacking(dsn, service):
        if lacking != reported:
            report(f"{service}: {lacking}")
            reported = lacking
        await asyncio.sleep(PAUSE_SECONDS)


async def _lacking(dsn: str, service: str) -> str:
    """What the database lacks, in a sentence; empty when it lacks nothing."""
    try:
        applied = await _applied(dsn)
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        # No migration yet; or none since the one that lets a service see this table.
        return "the database has not been migrated to this release yet."
    except LINK_ERRORS as error:
        return f"the database cannot be reached ({str(error) or type(error).__name__})."
    missing = sorted(versions(service) - applied)
    return f"the database lacks the migrations of this release from {missing[0]} on." if missing else ""


async def _applied(dsn: str) -> set[str]:
    primary = Primary(dsn, wait_seconds=_CONNECT_SECONDS, command_timeout=_CONNECT_SECONDS)
    try:
        connection = await primary.connect()
        try:
            return {row[0] for row in await connection.fetch(_APPLIED)}
        finally:
            await connection.close(timeout=1)
    finally:
        await primary.close()
