"""One database and one pair of roles per service, in any PostgreSQL that an administrator can log in to.

The owner role owns the database and its schema and is used for migrations only; the service role reads and writes rows
and can create nothing. Everything here can be repeated, and takes up where a run that was killed left off.
"""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from shared.messaging.topology import SERVICES

_DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ROLE_RIGHTS = "login nosuperuser nocreatedb nocreaterole noreplication nobypassrls"


def service_role(service: str) -> str:
    return f"serx_{_known(service)}"


def owner_role(service: str) -> str:
    return f"serx_{_known(service)}_owner"


def database_name(service: str) -> str:
    return f"serx_{_known(service)}"


def login_dsn(admin_dsn: str, *, user: str, password: str, database: str) -> str:
    """The same server as `admin_dsn`, for another user and database."""
    parts = urlsplit(admin_dsn)
    place = parts.netloc.rpartition("@")[2]
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return urlunsplit((parts.scheme, f"{login}@{place}", f"/{database}", parts.query, ""))


async def provision(
    admin_dsn: str, service: str, owner_password: str, password: str, *, database: str | None = None
) -> None:
    """Make sure that the service's database and both roles are there, with these passwords and no other rights.

    `database` overrides the name `serx_<service>`, for tests that want several. Raises ValueError for an unknown
    service or an unusable name, and asyncpg's errors when the server refuses.
    """
    name = database or database_name(service)
    if not _DATABASE_NAME.fullmatch(name):
        raise ValueError(f"unusable database name: {name!r}")
    owner, role = owner_role(service), service_role(service)
    admin = await _connect(admin_dsn)
    try:
        # Two provisioners at once would both find a role missing and both create it.
        await admin.execute("select pg_advisory_lock(hashtext('serx provisioning'), hashtext($1))", service)
        await _ensure_role(admin, owner, owner_password)
        await _ensure_role(admin, role, password)
        await _ensure_database(admin, name, owner, role)
    finally:
        await admin.close()
    await _claim_schema(login_dsn(admin_dsn, user=owner, password=owner_password, database=name), owner, role)


async def _ensure_role(admin: Any, role: str, password: str) -> None:
    if not await admin.fetchval("select true from pg_roles where rolname = $1", role):
        await admin.execute(f"create role {role} {_ROLE_RIGHTS}")
    statement = cast(
        "str", await admin.fetchval("select format('alter role %I password %L', $1::text, $2::text)", role, password)
    )
    await admin.execute(statement)


async def _ensure_database(admin: Any, name: str, owner: str, role: str) -> None:
    if not await admin.fetchval("select rolsuper from pg_roles where rolname = current_user"):
        # Only a superuser may give a database to a role that it is not a member of.
        await admin.execute(f"grant {owner} to current_user")
    if not await admin.fetchval("select true from pg_database where datname = $1", name):
        await admin.execute(f"create database {name} owner {owner}")
    await admin.execute(
        f"revoke all on database {name} from public; grant connect on database {name} to {owner}, {role}"
    )


async def _claim_schema(dsn: str, owner: str, role: str) -> None:
    connection = await _connect(dsn)
    try:
        await connection.execute(
            f"alter schema public owner to {owner}; revoke all on schema public from public; "
            f"grant usage on schema public to {role}"
        )
    finally:
        await connection.close()


async def _connect(dsn: str) -> Any:
    # Hints and notices go nowhere, and a server that hangs must not hang us.
    return await asyncpg.connect(dsn, timeout=10, command_timeout=60)


def _known(service: str) -> str:
    if service not in SERVICES:
        raise ValueError(f"unknown service: {service!r}")
    return service
