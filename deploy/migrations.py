"""The command `serx migrate`: for installations where the databases are run by somebody else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from deploy.environment import setting
from deploy.failure import Failure
from shared.database.migrate import MigrationFailed, migrate
from shared.messaging.topology import SERVICES

_ONE = "SERX_MIGRATION_DSN"


def migrate_services(*services: str) -> None:
    """Bring the databases of these services (all, when none is named) to the newest schema.

    Each service's owner role logs in by a DSN of its own, such as SERX_ORDERS_MIGRATION_DSN; for a single service
    SERX_MIGRATION_DSN will do.

    Parameters
    ----------
    services
        identity, proposals, engagements, conversations, orders.
    """
    dsns = migration_dsns(services or SERVICES, os.environ)
    asyncio.run(_migrate_all(dsns))
    print(f"Up to date: {', '.join(dsns)}.")


def migration_dsns(services: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    """Where each service's owner logs in. Raises Failure for an unknown service and for a DSN that is not set."""
    dsns: dict[str, str] = {}
    for service in services:
        if service not in SERVICES:
            raise Failure(f"There is no service {service!r}; there are {', '.join(SERVICES)}.")
        own = f"SERX_{service.upper()}_MIGRATION_DSN"
        dsn = setting(own, *([_ONE] if len(services) == 1 else []), environ=environ)
        if not dsn:
            wanted = f"{own} or {_ONE}" if len(services) == 1 else own
            raise Failure(f"To migrate {service}, set {wanted} to the DSN of its owner role.")
        dsns[service] = dsn
    return dsns


async def _migrate_all(dsns: Mapping[str, str]) -> None:
    outcomes = await asyncio.gather(*(migrate(dsn, name) for name, dsn in dsns.items()), return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, MigrationFailed)]
    if failed:
        names = ", ".join(failure.service for failure in failed)
        lines = [f"{failure.service}: {line}" for failure in failed for line in failure.output.splitlines()[-6:]]
        raise Failure(f"Could not migrate {names}.", lines)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
