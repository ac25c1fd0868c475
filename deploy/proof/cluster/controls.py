"""What the installation or its surroundings get wrong on purpose, to show that the proof can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

from deploy.proof.cluster.endpoints import Endpoints
from deploy.proof.cluster.stack import Cluster
from shared.database.errors import LINK_ERRORS

CANCEL_AFTER_SECONDS = 3
_LOOK_SECONDS = 0.5
_CANCEL = f"""
select count(pg_cancel_backend(pid)) from pg_stat_activity
where wait_event = 'SyncRep' and now() - query_start > interval '{CANCEL_AFTER_SECONDS} seconds'
"""


class Control(StrEnum):
    """What is wrong. Each breaks a promise, under the faults that it is about."""

    ASYNCHRONOUS = "asynchronous"
    """Commits do not wait for a standby: what a primary answered before it was lost is lost with it."""
    CANCEL = "cancel"
    """A commit that waits for its standby is cancelled after a while, as by a driver's time-out: it stays, locally."""
    READINESS = "readiness"
    """A replica counts as ready only while everything that it needs is there, the broker included."""


@asynccontextmanager
async def applied(control: Control | None, cluster: Cluster) -> AsyncIterator[None]:
    """What is wrong is so until the end of the block; to be entered before the cluster starts."""
    canceller: asyncio.Task[None] | None = None
    match control:
        case Control.ASYNCHRONOUS:
            cluster.databases.synchronous = False
        case Control.CANCEL:
            canceller = asyncio.create_task(_cancel_waiting(cluster))
        case Control.READINESS:
            _need_everything(cluster.endpoints)
        case None:
            pass
    try:
        yield
    finally:
        if canceller is not None:
            canceller.cancel()
            await asyncio.gather(canceller, return_exceptions=True)


async def _cancel_waiting(cluster: Cluster) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        for instance in cluster.databases.instances:
            with suppress(*LINK_ERRORS):
                await instance.value(_CANCEL)


def _need_everything(endpoints: Endpoints) -> None:
    """A service's replica is ready while all that it needs is there; a gateway, while a replica of each service is."""
    services = [each for each in endpoints.all if each not in endpoints.gateways]
    for each in services:
        each.path = "/health"
    names = {each.service for each in services}
    for gateway in endpoints.gateways:
        gateway.needs = lambda: names == {each.service for each in services if each.is_listed}
