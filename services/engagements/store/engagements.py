"""Engagements, each with its client."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.engagements.model import Client, Engagement, EngagementStatus
from shared.contracts.engagements import EngagementState
from shared.database import Tx
from shared.database.listing import Filter, Sort, choice, pages
from shared.database.tallies import tallied
from shared.database.windows import Page, Window

COLUMNS = """
e.id, e.org_id, e.version, e.client_id, c.name_f, c.name_l, c.email, e.proposal_id, e.name, e.status, e.created_at,
e.updated_at, e.closed_at
"""
CLIENTS = "join clients c on c.org_id = e.org_id and c.id = e.client_id"
JOINED = f"engagements e {CLIENTS}"
# A client sees their own.
READABLE = "e.org_id = $1 and e.cancelled_at is null and ($2::uuid is null or e.client_id = $2)"
GET = f"""
select {COLUMNS} from {JOINED} where {READABLE} and e.id = $3
"""
LOCK = f"""
select {COLUMNS} from {JOINED} where e.org_id = $1 and e.cancelled_at is null and e.id = $2 for update of e
"""
STATE = """
select org_id, id, version, client_id, proposal_id, name, status, cancelled_at is not null as is_cancelled
from engagements where org_id = $1 and id = $2
"""
INSERT = """
insert into engagements (id, org_id, version, client_id, proposal_id, name, status, created_at, updated_at, closed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
SAVE = """
update engagements set version = $3, name = $4, status = $5, updated_at = $6, closed_at = $7
where org_id = $1 and id = $2
"""
COUNT_OF_CLIENT = """
select count(*) from engagements where org_id = $1 and client_id = $2 and cancelled_at is null
"""
FILTERED = "e.org_id = $1 and e.cancelled_at is null and {where}"
# Clients are looked for once the page is known, for its rows only.
PAGES = pages(
    f"""
select count(*) from engagements e where {FILTERED}
""",
    f"""
select e.*, {{sorting}} from engagements e where {FILTERED}
""",
    shown=f"select {COLUMNS}, e.sorting from ({{rows}}) e {CLIENTS} {{order}}",
    filters={
        "only_of": Filter("e.client_id = $2", "$2::uuid is null"),
        "status": Filter("e.status = $3", "$3::smallint is null"),
        "client_id": Filter("e.client_id = $4", "$4::uuid is null"),
    },
    sorts={
        "id": Sort("e.id", "uuid"),
        "name": Sort("e.name_key", "text"),
        "status": Sort("e.status", "smallint"),
        "created_at": Sort("e.created_at", "timestamptz"),
        "updated_at": Sort("e.updated_at", "timestamptz"),
    },
    id="e.id",
    counts={
        frozenset(): tallied("engagements"),
        frozenset({"status"}): tallied("engagements", status="$3"),
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


async def lock(tx: Tx, org: UUID, engagement: UUID) -> Engagement | None:
    """The engagement, which nobody else changes until the transaction ends."""
    row = await tx.row(_Row, LOCK, org, engagement)
    return None if row is None else row.engagement()


async def get_state(tx: Tx, org: UUID, engagement: UUID) -> EngagementState | None:
    """The engagement as others keep it; a cancelled one is a tombstone."""
    return await tx.row(EngagementState, STATE, org, engagement)


async def insert(tx: Tx, engagement: Engagement) -> None:
    """Write a new engagement."""
    await tx.run(
        INSERT,
        engagement.id,
        engagement.org_id,
        engagement.version,
        engagement.client.id,
        engagement.proposal_id,
        engagement.name,
        engagement.status,
        engagement.created_at,
        engagement.updated_at,
        engagement.closed_at,
    )


async def save(tx: Tx, engagement: Engagement) -> None:
    """Write what may change of an engagement that this transaction has locked."""
    await tx.run(
        SAVE,
        engagement.org_id,
        engagement.id,
        engagement.version,
        engagement.name,
        engagement.status,
        engagement.updated_at,
        engagement.closed_at,
    )


async def count_of_client(tx: Tx, org: UUID, client: UUID) -> int:
    """How many engagements hang on the client, closed ones included."""
    return await tx.value(COUNT_OF_CLIENT, org, client)


async def page(tx: Tx, org: UUID, filters: Filters, window: Window) -> Page[Engagement]:
    """One page, and how many there are in all."""
    arguments = (org, filters.only_of, filters.status, filters.client_id)
    found = await tx.page(_Row, PAGES, choice(filters), window, *arguments)
    return found.of(_Row.engagement)
