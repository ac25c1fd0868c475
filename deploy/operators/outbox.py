"""The command `serx outbox`: events that are written and wait to be published."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from uuid import UUID

import msgspec

from deploy.operators import showing, site
from deploy.operators.options import AsJson, DataDir, Limit, OlderThan, Org, Service, before
from deploy.operators.site import Site
from shared.messaging import backlog
from shared.messaging.backlog import Standing, Waiting
from shared.messaging.topology import SERVICES


class Outbox(msgspec.Struct, frozen=True, kw_only=True):
    """One service's outbox: its counts, and what waits."""

    service: str
    standing: Standing
    waiting: list[Waiting]


def outbox(
    *,
    older_than: OlderThan = None,
    org: Org = None,
    service: Service = None,
    limit: Limit = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how each service's outbox stands, and the events that wait in it, oldest first.

    An event is published right after its commit, and by a sweep within seconds when that failed. What waits longer
    waits for the broker, or for its service to run. Published events are kept for a day.
    """
    installation = site.found(data_dir, os.environ)
    found = asyncio.run(looked_into(installation, before(older_than), org=org, service=service, limit=limit))
    if as_json:
        showing.json(found)
        return
    rows = [
        (each.service, str(each.standing.waiting), showing.age(each.standing.oldest_at), str(each.standing.published))
        for each in found
    ]
    showing.table("Outboxes", ("Service", "Waiting", "Oldest", "Published (kept)"), rows)
    waiting = [(str(w.id), each.service, w.type, showing.age(w.created_at)) for each in found for w in each.waiting]
    if waiting:
        showing.table("Waiting events", ("Event", "Service", "Type", "Age"), waiting)


async def looked_into(
    installation: Site, before: datetime | None, *, org: UUID | None, service: str | None, limit: int
) -> list[Outbox]:
    """The outboxes of one service or all; `before`, `org` and `limit` narrow what is told of what waits."""
    found: list[Outbox] = []
    for name in [service] if service else SERVICES:
        async with installation.database(name) as database, database.transaction_across_organisations() as tx:
            standing = await backlog.standing(tx)
            waiting = await backlog.waiting(tx, before=before, org=org, limit=limit)
        found.append(Outbox(service=name, standing=standing, waiting=waiting))
    return found
