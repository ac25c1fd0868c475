"""The command `serx provision`: databases and roles on a PostgreSQL that an administrator can log in to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import asyncpg

from deploy.environment import number, setting
from deploy.failure import Failure
from deploy.provisioning import ROLE_CONNECTIONS, database_name, owner_role, provision, service_role
from shared.messaging.topology import SERVICES

MOST_CONNECTIONS = 10_000
_ADMIN = "SERX_ADMIN_DSN"
_CONNECTIONS = "SERX_ROLE_CONNECTIONS"


def provision_services(*services: str) -> None:
    """Make sure that the databases and roles of these services (all, when none is named) are there.

    SERX_ADMIN_DSN is an administrator's. The passwords are those of the DSNs with which the services and their owners
    log in, such as SERX_ORDERS_DATABASE_DSN and SERX_ORDERS_MIGRATION_DSN. Can be repeated: it also sets the passwords.
    SERX_ROLE_CONNECTIONS is how many connections each service may have, over all of its replicas: 128 when not set.

    Nobody may connect to the databases `postgres` and `template1` afterwards who was not granted that: by default every
    role of the server may.

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
        left = asyncio.run(_provision_all(admin_dsn, wanted, role_connections()))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise Failure("The databases could not be made.", [f"{type(error).__name__}: {error}"]) from error
    print(f"Databases and roles are there: {', '.join(wanted)}.")
    for sentence in left:
        print(sentence)


def role_connections() -> int:
    """How many connections a service's role may have. Raises Failure for what is no such number."""
    return number(_CONNECTIONS, ROLE_CONNECTIONS, most=MOST_CONNECTIONS)


async def _provision_all(admin_dsn: str, wanted: Mapping[str, tuple[str, str]], connections: int) -> list[str]:
    """What could not be done, each once."""
    left: list[str] = []
    for service, (owner, own) in wanted.items():
        left += await provision(admin_dsn, service, owner, own, connections=connections)
    return list(dict.fromkeys(left))


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
        raise Failure(
            f"{name} has to be a DSN of {user}, with a password, for the database {database}; a right one is "
            f"{name}=postgresql://{user}:password@127.0.0.1:5432/{database}."
        )
    return unquote(parts.password)
