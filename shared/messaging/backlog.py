"""How an outbox stands: what waits to be published, and what is kept of what was."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from shared.database import Tx

STANDING = """
select (select count(*) from outbox where published_at is null) as waiting,
  (select min(created_at) from outbox where published_at is null) as oldest_at,
  (select count(*) from outbox where published_at is not null) as published,
  (select max(published_at) from outbox where published_at is not null) as last_published_at
"""
WAITING = """
select id, subject, type, created_at from outbox
where published_at is null and ($1::timestamptz is null or created_at <= $1)
  and ($2::text is null or subject like 'evt.' || $2 || '.%')
order by created_at, id limit $3
"""


class Standing(msgspec.Struct, frozen=True):
    """Counts of one outbox. Published rows are kept for a day."""

    waiting: int
    oldest_at: datetime | None
    published: int
    last_published_at: datetime | None


class Waiting(msgspec.Struct, frozen=True):
    """An event that is written and not yet published, as far as its row tells."""

    id: UUID
    subject: str
    type: str
    created_at: datetime


async def standing(tx: Tx) -> Standing:
    """How the outbox stands."""
    row = await tx.row(Standing, STANDING)
    assert row is not None  # an aggregate always has one
    return row


async def waiting(tx: Tx, *, before: datetime | None, org: UUID | None, limit: int) -> list[Waiting]:
    """What waits (since `before` at the latest; of `org` only), oldest first."""
    return await tx.rows(Waiting, WAITING, before, None if org is None else str(org), limit)
