"""Proposals and their items."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from services.proposals.model import Item, Proposal, ProposalStatus
from shared.database import Tx
from shared.database.listing import Order, in_each_order

COLUMNS = """
id, org_id, version, client_email, client_name_f, client_name_l, client_company, status, currency, notes, total,
valid_until, created_at, updated_at, sent_at, signed_at, converted_engagement_id, converted_order_id
"""
INSERT = """
insert into proposals (id, org_id, version, client_email, client_name_f, client_name_l, client_company, status,
  currency, notes, total, valid_until, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
"""
INSERT_ITEM = """
insert into proposal_items (proposal_id, position, id, org_id, name, description, price, service_id, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
# A client sees what was sent to them: never a draft, never another address's.
READABLE = """
org_id = $1 and deleted_at is null and ($2::text is null or (client_email_key = $2 and status <> 0))
"""
GET = f"""
select {COLUMNS} from proposals where {READABLE} and id = $3
"""
LOCK = f"""
select {COLUMNS} from proposals where org_id = $1 and deleted_at is null and id = $2 for update
"""
ITEMS = """
select id, name, description, price, service_id, created_at from proposal_items
where org_id = $1 and proposal_id = $2 order by position
"""
SAVE_SENT = """
update proposals set status = $4, sent_at = $5, updated_at = $6, version = $7
where org_id = $1 and id = $2 and version = $3
"""
# Expired (5) is Sent (1) past its time; neither reads as the other.
FILTERED = f"""
{READABLE}
and ($3::smallint is null or case when status = 1 and valid_until <= $5 then 5 else status end = $3)
and ($4::text is null or client_email_key = $4)
"""
COUNT = f"""
select count(*) from proposals where {FILTERED}
"""
LIST = in_each_order(
    f"""
select {COLUMNS} from proposals where {FILTERED} {{order}} limit $6 offset $7
""",
    {
        "id": "id",
        "client_email": "client_email",
        "status": "status",
        "total": "total",
        "created_at": "created_at",
        "sent_at": "sent_at",
        "signed_at": "signed_at",
    },
    nullable=("sent_at", "signed_at"),
)
TEMPLATES_THERE = """
select id, name from templates where org_id = $1 and id = any($2::uuid[]) and deleted_at is null
"""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of proposals is narrowed to; `only_sent_to` is the address of the client who asks."""

    only_sent_to: str | None = None
    status: ProposalStatus | None = None
    client_email: str | None = None


class _Template(msgspec.Struct, frozen=True):
    id: UUID
    name: str


async def insert(tx: Tx, proposal: Proposal) -> None:
    """Write a new proposal with its items."""
    await tx.run(
        INSERT,
        proposal.id,
        proposal.org_id,
        proposal.version,
        proposal.client_email,
        proposal.client_name_f,
        proposal.client_name_l,
        proposal.client_company,
        proposal.status,
        proposal.currency,
        proposal.notes,
        proposal.total,
        proposal.valid_until,
        proposal.created_at,
    )
    await tx.run_each(INSERT_ITEM, _item_rows(proposal))


async def get(tx: Tx, org: UUID, proposal: UUID, *, only_sent_to: str | None) -> Proposal | None:
    """The proposal with its items, if the caller may read it (see Filters)."""
    found = await tx.row(Proposal, GET, org, only_sent_to, proposal)
    return None if found is None else await _with_items(tx, found)


async def lock(tx: Tx, org: UUID, proposal: UUID) -> Proposal | None:
    """The proposal with its items, locked until the transaction ends."""
    found = await tx.row(Proposal, LOCK, org, proposal)
    return None if found is None else await _with_items(tx, found)


async def save_sent(tx: Tx, before: Proposal, after: Proposal) -> None:
    """Write Draft → Sent."""
    await tx.run(
        SAVE_SENT,
        before.org_id,
        before.id,
        before.version,
        after.status,
        after.sent_at,
        after.updated_at,
        after.version,
    )


async def page(
    tx: Tx, org: UUID, filters: Filters, order: Order, *, at: datetime, limit: int, offset: int
) -> tuple[list[Proposal], int]:
    """One page without items, and how many there are in all."""
    email = filters.client_email.lower() if filters.client_email is not None else None
    arguments = (org, filters.only_sent_to, filters.status, email, at)
    total = await tx.value(COUNT, *arguments)
    return await tx.rows(Proposal, LIST[order], *arguments, limit, offset), total


async def templates_there(tx: Tx, org: UUID, templates: list[UUID]) -> set[UUID]:
    """Those of `templates` that the organisation has."""
    return {row.id for row in await tx.rows(_Template, TEMPLATES_THERE, org, templates)}


def _item_rows(proposal: Proposal) -> list[tuple[Any, ...]]:
    return [
        (
            proposal.id,
            position,
            item.id,
            proposal.org_id,
            item.name,
            item.description,
            item.price,
            item.service_id,
            item.created_at,
        )
        for position, item in enumerate(proposal.items)
    ]


async def _with_items(tx: Tx, proposal: Proposal) -> Proposal:
    return replace(proposal, items=tuple(await tx.rows(Item, ITEMS, proposal.org_id, proposal.id)))
