"""`serx migrate --wait`: a process of this release starts when its database has this release's schema, not before."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import asyncpg
import pytest

from deploy.provisioning import login_dsn, owner_role, provision, service_role
from deploy.schema_waiting import schemas_migrated
from shared.database.migrate import migrate, versions
from tests.support.databases import PASSWORD, Databases
from tests.support.ports import free_port

SERVICE = "orders"
_numbers = count()


@asynccontextmanager
async def waiting(dsn: str) -> AsyncIterator[tuple[asyncio.Task[None], asyncio.Queue[str]]]:
    """Somebody who waits for the schema, and what is reported meanwhile."""
    reported: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(schemas_migrated({SERVICE: dsn}, reported.put_nowait))
    try:
        yield task, reported
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def next_of(reported: asyncio.Queue[str]) -> str:
    async with asyncio.timeout(10):
        return await reported.get()


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def provisioned(databases: Databases) -> AsyncIterator[tuple[str, str]]:
    """A database without a schema: the DSNs of the service and of the owner."""
    name = f"serx_schema_{next(_numbers)}"
    await provision(databases.admin_dsn, SERVICE, PASSWORD, PASSWORD, database=name)
    roles = service_role(SERVICE), owner_role(SERVICE)
    own, owner = (login_dsn(databases.admin_dsn, user=role, password=PASSWORD, database=name) for role in roles)
    try:
        yield own, owner
    finally:
        await execute(databases.admin_dsn, f"drop database {name} with (force)")


async def test_the_wait_ends_with_the_migration(databases: Databases):
    async with provisioned(databases) as (own, owner), waiting(own) as (task, reported):
        assert await next_of(reported) == "orders: the database has not been migrated to this release yet."
        assert not task.done()
        await migrate(owner, SERVICE)
        async with asyncio.timeout(10):
            await task


async def test_the_release_before_is_waited_out(databases: Databases):
    """Its schema is whole, and may lack what lets a service see which migrations there are."""
    newest = max(versions(SERVICE))
    async with databases.fresh(SERVICE) as dsn:
        admin = databases.as_administrator(dsn)
        await execute(admin, f"delete from schema_migrations where version = '{newest}'")
        async with waiting(dsn) as (task, reported):
            assert (
                await next_of(reported)
                == f"orders: the database lacks the migrations of this release from {newest} on."
            )
            await execute(admin, f"revoke select on schema_migrations from {service_role(SERVICE)}")
            assert await next_of(reported) == "orders: the database has not been migrated to this release yet."
            await execute(admin, f"insert into schema_migrations values ('{newest}')")
            await execute(admin, f"grant select on schema_migrations to {service_role(SERVICE)}")
            async with asyncio.timeout(10):
                await task


async def test_a_database_that_is_ahead_is_not_waited_for(databases: Databases):
    async with databases.fresh(SERVICE) as dsn:
        await execute(databases.as_administrator(dsn), "insert into schema_migrations values ('99991231235959')")
        async with asyncio.timeout(10):
            await schemas_migrated({SERVICE: dsn}, pytest.fail)


async def test_a_database_that_is_away_is_waited_for():
    async with waiting(f"postgresql://serx_orders:secret@127.0.0.1:{free_port()}/serx_orders") as (task, reported):
        sentence = await next_of(reported)
        assert sentence.startswith("orders: the database cannot be reached (")
        assert "secret" not in sentence
        assert not task.done()


async def test_the_command_ends_when_it_is_told_to_stop():
    """As the first process of a container it gets no signal that it does not ask for."""
    environment = os.environ | {"SERX_DATABASE_DSN": f"postgresql://serx_orders@127.0.0.1:{free_port()}/serx_orders"}
    command = (sys.executable, "-m", "deploy.cli", "migrate", "--wait", SERVICE)
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
    try:
        assert process.stdout is not None
        assert b"cannot be reached" in await process.stdout.readline()
        process.terminate()
        _, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert (process.returncode, error) == (1, b"Stopped while waiting for the migration.\n")
