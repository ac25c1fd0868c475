"""Engagements, each with its client."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.engagements.model import Client, Engagement, EngagementStatus
from shared.database import Tx
from shared.database.listing import Order, in_each_order

COLUMNS = """
e.id, e.org_id, e.version, e.client_id, c.name_f, c.name_l, c.email, e.proposal_id, e.name, e.status, e.created_at,
e.updated_at, e.closed_at
"""
JOINED = "engagements e join clients c on c.org_id = e.org_id and c.id = e.client_id"
# A client sees their own.
READABLE = "e.org_id = $1 and e.cancelled_at is null and ($2::uuid is null or e.client_id = $2)"
GET = f"""
select {COLUMNS} from {JOINED} where {READABLE} and e.id = $3
"""
FILTERED = f"{READABLE} and ($3::smallint is null or e.status = $3) and ($4::uuid is null or e.client_id = $4)"
COUNT = f"""
select count(*) from engagements e where {FILTERED}
"""
LIST = in_each_order(
    f"""
select {COLUMNS} from {JOINED} where {FILTERED} {{order}} limit $5 offset $6
""",
    {
        "id": "e.id",
        "name": "e.name",
        "status": "e.status",
        "created_at": "e.created_at",
        "updated_at": "e.updated_at",
    },
)


class _Row(msgspec.Struct, frozen=True):
    id: UUID
    org_id: UUID
    version: int
    client_id: UUID
    name_f: str
    name_l: str
    email: str
    proposal_id: UUID | None
    name: str
    status: EngagementStatus
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None

    def engagement(self) -> Engagement:
        return Engagement(
            id=self.id,
            org_id=self.org_id,
            version=self.version,
            client=Client(id=self.client_id, name_f=self.name_f, name_l=self.name_l, email=self.email),
            proposal_id=self.proposal_id,
            name=self.name,
            status=self.status,
            created_at=self.created_at,
            updated_at=self.updated_at,
            closed_at=self.closed_at,
        )


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of engagements is narrowed to; `only_of` is the client who asks."""

    only_of: UUID | None = None
    status: EngagementStatus | None = None
    client_id: UUID | None = None


async def get(tx: Tx, org: UUID, engagement: UUID, *, only_of: UUID | None) -> Engagement | None:
    """The engagement, if the caller may see it."""
    row = await tx.row(_Row, GET, org, only_of, engagement)
    return None if row is None else row.engagement()


async def page(
    tx: Tx, org: UUID, filters: Filters, order: Order, *, limit: int, offset: int
) -> tuple[list[Engagement], int]:
    """One page, and how many there are in all."""
    arguments = (org, filters.only_of, filters.status, filters.client_id)
    total = await tx.value(COUNT, *arguments)
    rows = await tx.rows(_Row, LIST[order], *arguments, limit, offset)
    return [row.engagement() for row in rows], total
