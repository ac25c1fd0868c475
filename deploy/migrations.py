"""The command `serx migrate`: for installations where the databases are run by somebody else."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter

from deploy.environment import setting
from deploy.failure import Failure
from deploy.schema_waiting import schemas_migrated
from shared.database.migrate import MigrationFailed, migrate
from shared.messaging.topology import SERVICES


def migrate_services(*services: str, wait: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Bring the databases of these services (all, when none is named) to the newest schema.

    Each service's owner role logs in by a DSN of its own, such as SERX_ORDERS_MIGRATION_DSN; for a single service
    SERX_MIGRATION_DSN will do.

    Parameters
    ----------
    services
        identity, proposals, engagements, conversations, orders.
    wait
        Migrate nothing: wait, without limit, until somebody else has. The service's own role is enough for this:
        SERX_ORDERS_DATABASE_DSN, or SERX_DATABASE_DSN for a single service.
    """
    if wait:
        asyncio.run(_wait(waiting_dsns(services or SERVICES, os.environ)))
        return
    dsns = migration_dsns(services or SERVICES, os.environ)
    asyncio.run(_migrate_all(dsns))
    print(f"Up to date: {', '.join(dsns)}.")


def migration_dsns(services: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    """Where each service's owner logs in. Raises Failure for an unknown service and for a DSN that is not set."""
    return _dsns(services, environ, end="MIGRATION_DSN", purpose="To migrate {}", role="its owner role")


def waiting_dsns(services: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    """Where each service logs in itself. Raises Failure for an unknown service and for a DSN that is not set."""
    return _dsns(services, environ, end="DATABASE_DSN", purpose="To wait for the schema of {}", role="its own role")


def _dsns(
    services: tuple[str, ...], environ: Mapping[str, str], *, end: str, purpose: str, role: str
) -> dict[str, str]:
    dsns: dict[str, str] = {}
    for service in services:
        if service not in SERVICES:
            raise Failure(f"There is no service {service!r}; there are {', '.join(SERVICES)}.")
        names = [f"SERX_{service.upper()}_{end}", *([f"SERX_{end}"] if len(services) == 1 else [])]
        dsn = setting(*names, environ=environ)
        if not dsn:
            raise Failure(f"{purpose.format(service)}, set {' or '.join(names)} to the DSN of {role}.")
        dsns[service] = dsn
    return dsns


async def _wait(dsns: Mapping[str, str]) -> None:
    """Until SIGTERM at the latest, which the first process of a container would not heed otherwise."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    waiting = asyncio.create_task(schemas_migrated(dsns, lambda sentence: print(sentence, flush=True)))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not waiting.done():
        waiting.cancel()
        raise Failure("Stopped while waiting for the migration.")
    await waiting
    print(f"The schema is that of this release: {', '.join(dsns)}.")


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
