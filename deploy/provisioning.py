"""One database and one pair of roles per service, in any PostgreSQL that an administrator can log in to.

The owner role owns the database and its schema and is used for migrations only; the service role reads and writes rows
and can create nothing: no table, no temporary one, no large object. It can connect to its own database and no other,
and only so often. Everything here can be repeated, and takes up where a run that was killed left off.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, cast
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from shared.database.primary import Primary
from shared.messaging.topology import SERVICES

_DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
ROLE_CONNECTIONS = 128
"""How many connections a service's role may have, over all replicas: eight of them with the usual pool of 16."""
OWNER_CONNECTIONS = 8
_SHARED_DATABASES = ("postgres", "template1")
_OPEN_TO_ALL = """
select true from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as granted
where d.datname = $1 and granted.grantee = 0
"""
_LARGE_OBJECTS = """
select p.oid::regprocedure::text from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as granted
where p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ '^(lo_.+|loread|lowrite)$' and granted.grantee = 0
"""
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
    admin_dsn: str,
    service: str,
    owner_password: str,
    password: str,
    *,
    database: str | None = None,
    connections: int = ROLE_CONNECTIONS,
) -> list[str]:
    """Make sure that the service's database and both roles are there, with these passwords and no other rights.

    Returns, in sentences, what this administrator may not do: what only a superuser or the owner of a database can.
    `connections` is how many the service's role may have at once. `database` overrides the name `serx_<service>`, for
    tests that want several. Raises ValueError for an unknown service or an unusable name, and asyncpg's errors when the
    server refuses.
    """
    name = database or database_name(service)
    if not _DATABASE_NAME.fullmatch(name):
        raise ValueError(f"unusable database name: {name!r}")
    owner, role = owner_role(service), service_role(service)
    admin = await _connect(admin_dsn)
    try:
        # Two provisioners at once would both find a role missing and both create it.
        await admin.execute("select pg_advisory_lock(hashtext('serx provisioning'), hashtext($1))", service)
        await _ensure_role(admin, owner, owner_password, OWNER_CONNECTIONS)
        await _ensure_role(admin, role, password, connections)
        await _ensure_database(admin, name, owner, role)
        left = await _close_shared_databases(admin)
    finally:
        await admin.close()
    await _claim_schema(login_dsn(admin_dsn, user=owner, password=owner_password, database=name), owner, role)
    return left + await _forbid_large_objects(_of_database(admin_dsn, name))


async def _ensure_role(admin: Any, role: str, password: str, connections: int) -> None:
    if not await admin.fetchval("select true from pg_roles where rolname = $1", role):
        await admin.execute(f"create role {role} {_ROLE_RIGHTS}")
    wanted = "select format('alter role %I connection limit %s password %L', $1::text, $2::int, $3::text)"
    await admin.execute(cast("str", await admin.fetchval(wanted, role, connections, password)))


async def _ensure_database(admin: Any, name: str, owner: str, role: str) -> None:
    if not await admin.fetchval("select rolsuper from pg_roles where rolname = current_user"):
        # Only a superuser may give a database to a role that it is not a member of.
        await admin.execute(f"grant {owner} to current_user")
    if not await admin.fetchval("select true from pg_database where datname = $1", name):
        await admin.execute(f"create database {name} owner {owner}")
    await admin.execute(
        f"revoke all on database {name} from public; grant connect on database {name} to {owner}, {role}"
    )


async def _close_shared_databases(admin: Any) -> list[str]:
    """Nobody connects to the maintenance databases who was not granted that: by default everybody may."""
    left: list[str] = []
    async with admin.transaction():
        # The provisioners of all services do this, maybe at the same time.
        await admin.execute("select pg_advisory_xact_lock(hashtext('serx provisioning'))")
        for name in _SHARED_DATABASES:
            if not await admin.fetchval(_OPEN_TO_ALL, name):
                continue
            # Whether it was done is looked at: a server may also refuse by a warning alone.
            with suppress(asyncpg.InsufficientPrivilegeError):
                async with admin.transaction():
                    await admin.execute(f"revoke all on database {name} from public")
            if await admin.fetchval(_OPEN_TO_ALL, name):
                left.append(f"Everybody may connect to the database {name}: its owner has to revoke that from public.")
    return left


async def _forbid_large_objects(admin_dsn: str) -> list[str]:
    """They belong to no table, so no policy and no limit of ours holds for them."""
    admin = await _connect(admin_dsn)
    try:
        functions = [row[0] for row in await admin.fetch(_LARGE_OBJECTS)]
        if functions:
            await admin.execute(f"revoke execute on function {', '.join(functions)} from public")
        left = await admin.fetch(_LARGE_OBJECTS)
    except asyncpg.InsufficientPrivilegeError:
        left = [True]
    finally:
        await admin.close()
    sentence = f"Services may make large objects in {urlsplit(admin_dsn).path[1:]}: only a superuser can revoke that."
    return [sentence] if left else []


def _of_database(admin_dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(admin_dsn)._replace(path=f"/{name}"))


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
    return await Primary(dsn, wait_seconds=10, command_timeout=60).connect()


def _known(service: str) -> str:
    if service not in SERVICES:
        raise ValueError(f"unknown service: {service!r}")
    return service
