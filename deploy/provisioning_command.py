"""The command `serx provision`: databases and roles on a PostgreSQL that an administrator can log in to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import asyncpg

from deploy.environment import setting
from deploy.failure import Failure
from deploy.provisioning import database_name, owner_role, provision, service_role
from shared.messaging.topology import SERVICES

_ADMIN = "SERX_ADMIN_DSN"


def provision_services(*services: str) -> None:
    """Make sure that the databases and roles of these services (all, when none is named) are there.

    SERX_ADMIN_DSN is an administrator's. The passwords are those of the DSNs with which the services and their owners
    log in, such as SERX_ORDERS_DATABASE_DSN and SERX_ORDERS_MIGRATION_DSN. Can be repeated: it also sets the passwords.

    Parameters
    ----------
    services
        identity, proposals, engagements, conversations, orders.
    """
    admin_dsn = setting(_ADMIN)
    if not admin_dsn:
        raise Failure(f"To provision, set {_ADMIN} to the DSN of an administrator of PostgreSQL.")
    wanted = {service: _passwords(service) for service in services or SERVICES}
    try:
        asyncio.run(_provision_all(admin_dsn, wanted))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise Failure("The databases could not be made.", [f"{type(error).__name__}: {error}"]) from error
    print(f"Databases and roles are there: {', '.join(wanted)}.")


async def _provision_all(admin_dsn: str, wanted: Mapping[str, tuple[str, str]]) -> None:
    for service, (owner, own) in wanted.items():
        await provision(admin_dsn, service, owner, own)


def _passwords(service: str) -> tuple[str, str]:
    """The owner's and the service's. Raises Failure for a DSN that is missing or names somebody else."""
    if service not in SERVICES:
        raise Failure(f"There is no service {service!r}; there are {', '.join(SERVICES)}.")
    owner = _password(f"SERX_{service.upper()}_MIGRATION_DSN", owner_role(service), database_name(service))
    own = _password(f"SERX_{service.upper()}_DATABASE_DSN", service_role(service), database_name(service))
    return owner, own


def _password(name: str, user: str, database: str) -> str:
    parts = urlsplit(setting(name) or "")
    if not parts.password or parts.username != user or parts.path != f"/{database}":
        raise Failure(f"{name} has to be a DSN of {user}, with a password, for the database {database}.")
    return unquote(parts.password)
