"""What a service's role may do at PostgreSQL beside reading and writing its rows: nothing, and not too often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from deploy.provisioning import login_dsn, owner_role, provision, service_role
from shared.ids import new_id
from shared.messaging.topology import SERVICES
from tests.support.databases import PASSWORD, Databases

SERVICE = "orders"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def name(databases: Databases) -> AsyncIterator[str]:
    """A database as an installation has it."""
    made = f"serx_role_{new_id().hex[-12:]}"
    assert await provision(databases.admin_dsn, SERVICE, PASSWORD, PASSWORD, database=made) == []
    yield made
    admin = await asyncpg.connect(databases.admin_dsn)
    await admin.execute(f"drop database {made} with (force)")
    await admin.close()


def dsn(databases: Databases, name: str, user: str) -> str:
    return login_dsn(databases.admin_dsn, user=user, password=PASSWORD, database=name)


def elsewhere(login: str, database: str) -> str:
    return urlunsplit(urlsplit(login)._replace(path=f"/{database}"))


@pytest.mark.parametrize("database", ["postgres", "template1"])
@pytest.mark.parametrize("user", [service_role(SERVICE), owner_role(SERVICE)])
async def test_no_role_of_a_service_logs_in_to_a_maintenance_database(
    databases: Databases, name: str, user: str, database: str
):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(elsewhere(dsn(databases, name, user), database))


async def test_no_database_of_the_server_lets_a_service_in_but_its_own(databases: Databases, name: str):
    admin = await asyncpg.connect(databases.admin_dsn)
    query = "select datname from pg_database where datallowconn and has_database_privilege($1, oid, 'connect')"
    found = {row[0] for row in await admin.fetch(query, service_role(SERVICE))}
    await admin.close()
    assert name in found
    assert {each for each in found if not each.startswith("serx_")} == set()


@pytest.mark.parametrize(
    "statement",
    [
        "select lo_create(0)",
        "select lo_creat(-1)",
        "select lo_from_bytea(0, 'x')",
        "select lo_put(1, 0, 'x')",
        "select lo_open(1, 131072)",
        "create temporary table kept (a int)",
        "create table kept (a int)",
        "create schema mine",
        "create extension pg_trgm",
        "create function mine() returns int language sql return 1",
        "create publication mine for all tables",
        "copy (select 1) to program 'true'",
        "select pg_read_file('PG_VERSION')",
        "alter role current_user connection limit -1",
        "alter role current_user superuser",
        "create role another",
        "create database another",
    ],
)
async def test_a_service_makes_nothing_that_no_table_of_its_own_holds(databases: Databases, name: str, statement: str):
    connection = await asyncpg.connect(dsn(databases, name, service_role(SERVICE)))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_service_has_so_many_connections_and_no_more_and_the_next_run_can_change_that(databases: Databases):
    made, user = f"serx_role_{new_id().hex[-12:]}", service_role("conversations")
    admin = await asyncpg.connect(databases.admin_dsn)
    query = "select rolconnlimit from pg_roles where rolname = $1"
    before = await admin.fetchval(query, user)
    try:
        for most in (2, 3):
            await provision(databases.admin_dsn, "conversations", PASSWORD, PASSWORD, database=made, connections=most)
            async with AsyncExitStack() as stack:
                held = await admin.fetchval("select count(*) from pg_stat_activity where usename = $1", user)
                for _ in range(most - held):
                    connection = await asyncpg.connect(dsn(databases, made, user))
                    stack.push_async_callback(connection.close)
                with pytest.raises(asyncpg.TooManyConnectionsError):
                    await asyncpg.connect(dsn(databases, made, user))
    finally:
        await admin.execute(f"alter role {user} connection limit {before if before is not None else -1}")
        await admin.execute(f"drop database if exists {made} with (force)")
        await admin.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_every_role_is_limited_and_has_no_right_beside_logging_in(databases: Databases, service: str):
    made = f"serx_role_{new_id().hex[-12:]}"
    await provision(databases.admin_dsn, service, PASSWORD, PASSWORD, database=made)
    admin = await asyncpg.connect(databases.admin_dsn)
    query = """
    select rolconnlimit, rolcanlogin, rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls
    from pg_roles where rolname = any($1::text[]) order by rolname
    """
    found = [tuple(row) for row in await admin.fetch(query, [service_role(service), owner_role(service)])]
    await admin.execute(f"drop database {made} with (force)")
    await admin.close()
    assert found == [(128, True, False), (8, True, False)]
