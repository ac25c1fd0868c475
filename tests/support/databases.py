"""A fresh database for each test, copied from a template that was migrated once."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager

import asyncpg

from deploy.provisioning import login_dsn, owner_role, provision, service_role
from shared.database import Database
from shared.database.migrate import migrate

PASSWORD = "a password for tests"
_numbers = itertools.count()


class Databases:
    """Makes databases of each service on one PostgreSQL."""

    def __init__(self, admin_dsn: str, prefix: str = "") -> None:
        self.admin_dsn = admin_dsn
        self._prefix = prefix
        self._templates: dict[str, str] = {}

    @asynccontextmanager
    async def fresh(self, service: str):
        """The DSN, as the service's role, of a database that nobody has used; dropped at the end."""
        name = f"serx_t{self._prefix}{next(_numbers)}_{service}"
        await self._execute(f"create database {name} template {await self._template(service)}")
        try:
            yield login_dsn(self.admin_dsn, user=service_role(service), password=PASSWORD, database=name)
        finally:
            await self._execute(f"drop database {name} with (force)")

    def as_administrator(self, dsn: str) -> str:
        """The same database for who may do anything, past row-level security."""
        return f"{self.admin_dsn.rpartition('/')[0]}/{dsn.rpartition('/')[2]}"

    async def _template(self, service: str) -> str:
        if service not in self._templates:
            name = f"serx_template{self._prefix}_{service}"
            await self._execute(f"drop database if exists {name} with (force)")
            await provision(self.admin_dsn, service, PASSWORD, PASSWORD, database=name)
            owner = login_dsn(self.admin_dsn, user=owner_role(service), password=PASSWORD, database=name)
            await migrate(owner, service)
            self._templates[service] = name
        return self._templates[service]

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@asynccontextmanager
async def opened(dsn: str):
    """A Database on `dsn`, as services use it."""
    database = Database(dsn, pool_size=8, wait_seconds=5, name="test")
    await database.open()
    try:
        yield database
    finally:
        await database.close()
