"""Proposals and their items."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from services.proposals.model.proposals import Item, Proposal, ProposalStatus
from shared.contracts.proposals import ProposalQuestion, ProposalState
from shared.database import DatabaseBusy, Tx
from shared.database.listing import Filter, Sort, choice, pages
from shared.database.tallies import tallied
from shared.database.windows import Page, Window

COLUMNS = """
id, org_id, version, client_id, client_email, client_name_f, client_name_l, client_company, status, currency, notes,
total, valid_until, created_at, updated_at, sent_at, signed_at, converted_engagement_id, converted_order_id,
rejected_at, rejection_reason
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
# A client sees what was sent to them: never a draft, never what belongs to another, or to nobody yet.
READABLE = """
org_id = $1 and deleted_at is null and ($2::uuid is null or (client_id = $2 and status <> 0))
"""
GET = f"""
select {COLUMNS} from proposals where {READABLE} and id = $3
"""
LOCK = f"""
select {COLUMNS} from proposals where {READABLE} and id = $3 for update
"""
# Without a client of its own it is of whoever has its address.
STATE = """
select org_id, id, status in (2, 4) as is_signed,
  $3::uuid is null or coalesce(client_id = $3, client_email_key = email_key_of($4), false) as is_of_client
from proposals where org_id = $1 and id = $2 and deleted_at is null
"""
ITEMS = """
select id, name, description, price, service_id, created_at from proposal_items
where org_id = $1 and proposal_id = $2 order by position
"""
# Here and below only the key leads to the row: a status is compared so that no index on it serves, which would read all
# of that status where the statistics have not heard of them yet.
# The old items go only with a Draft that was really changed; the new ones come only after that (see save_draft).
SAVE_DRAFT = """
with changed as (
  update proposals set version = $3, client_email = $4, client_name_f = $5, client_name_l = $6, client_company = $7,
    currency = $8, notes = $9, total = $10, valid_until = $11, updated_at = $12
  where org_id = $1 and id = $2 and version = $3 - 1 and status + 0 = 0 and deleted_at is null
  returning org_id, id
), gone as (
  delete from proposal_items i using changed
  where $13::boolean and i.org_id = changed.org_id and i.proposal_id = changed.id
)
select true from changed
"""
SAVE_VALID_UNTIL = """
update proposals set version = $3, valid_until = $4, updated_at = $5
where org_id = $1 and id = $2 and version = $3 - 1 and status + 0 = 1 and deleted_at is null
returning true
"""
# To the client whom identity named ($5), if the copy of them agrees; else to the one whom the copy names, which the
# trigger `bind_proposal` looks for, under the address's lock.
SAVE_SENT = """
update proposals set version = $3, status = 1, sent_at = $4, updated_at = $4, client_id = (
    select c.id from clients c where c.org_id = $1 and c.id = $5 and c.email_key = proposals.client_email_key
      and not c.is_closed and not c.is_deleted)
where org_id = $1 and id = $2 and version = $3 - 1 and status + 0 = 0 and deleted_at is null
returning client_id
"""
SAVE_REJECTED = """
update proposals set version = $3, status = 3, rejected_at = $4, rejection_reason = $5, updated_at = $4
where org_id = $1 and id = $2 and version = $3 - 1 and status + 0 = 1 and deleted_at is null
returning true
"""
DELETE = """
update proposals set version = $3, updated_at = $4, deleted_at = $4
where org_id = $1 and id = $2 and version = $3 - 1 and status not in (2, 4) and deleted_at is null
returning true
"""
FILTERED = "org_id = $1 and deleted_at is null and {where}"
# Expired (5) is Sent (1) past its time; neither reads as the other.
OF_STATUS = """
status = case $3::smallint when 5 then 1 else $3 end and (status <> 1 or coalesce(valid_until <= $5, false) = ($3 = 5))
"""
# Sent ones that are past their time are counted one by one.
OF_STATUS_TALLIED = f"""
select case $3::smallint when 5 then expired.count when 1 then kept.count - expired.count else kept.count end as count
from ({tallied("proposals", status="case $3::smallint when 5 then 1 else $3 end")}) kept, (
  select count(*) from proposals
  where org_id = $1 and deleted_at is null and status = 1 and valid_until <= $5 and $3 in (1, 5)
) expired
where $2::uuid is null and $4::text is null
"""
PAGES = pages(
    f"""
select count(*) from proposals where {FILTERED} and $5::timestamptz is not null
""",
    f"""
select {COLUMNS}, {{sorting}} from proposals where $5::timestamptz is not null and {FILTERED}
""",
    filters={
        "only_of": Filter("client_id = $2 and status <> 0", "$2::uuid is null"),
        "status": Filter(OF_STATUS, "$3::smallint is null"),
        "client_email": Filter("client_email_key = email_key_of($4)", "$4::text is null"),
    },
    sorts={
        "id": Sort("id", "uuid"),
        "client_email": Sort("client_email_key", "text"),
        "status": Sort("case when status = 1 and valid_until <= $5 then 5 else status end", "smallint"),
        "total": Sort("total", "numeric"),
        "created_at": Sort("created_at", "timestamptz"),
        "sent_at": Sort("sent_at", "timestamptz", is_nullable=True),
        "signed_at": Sort("signed_at", "timestamptz", is_nullable=True),
    },
    counts={
        frozenset(): tallied("proposals"),
        frozenset({"status"}): OF_STATUS_TALLIED,
    },
)


class _Bound(msgspec.Struct, frozen=True):
    client_id: UUID | None


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of proposals is narrowed to; `only_of` is the client who asks."""

    only_of: UUID | None = None
    status: ProposalStatus | None = None
    client_email: str | None = None


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
    await _insert_items(tx, proposal)


async def get(tx: Tx, org: UUID, proposal: UUID, *, only_of: UUID | None) -> Proposal | None:
    """The proposal with its items, if the caller may read it (see Filters)."""
    found = await tx.row(Proposal, GET, org, only_of, proposal)
    return None if found is None else await _with_items(tx, found)


async def lock(tx: Tx, org: UUID, proposal: UUID, *, only_of: UUID | None) -> Proposal | None:
    """The proposal with its items, if the caller may read it, locked until the transaction ends."""
    found = await tx.row(Proposal, LOCK, org, only_of, proposal)
    return None if found is None else await _with_items(tx, found)


async def get_state(tx: Tx, asked: ProposalQuestion) -> ProposalState | None:
    """The proposal as others may know it."""
    return await tx.row(ProposalState, STATE, asked.org_id, asked.id, asked.client_id, asked.client_email)


async def save_draft(tx: Tx, after: Proposal, *, with_items: bool) -> None:
    """Write the next version of a Draft that is locked, its items only with it."""
    _require(
        await tx.value(
            SAVE_DRAFT,
            after.org_id,
            after.id,
            after.version,
            after.client_email,
            after.client_name_f,
            after.client_name_l,
            after.client_company,
            after.currency,
            after.notes,
            after.total,
            after.valid_until,
            after.updated_at,
            with_items,
        )
    )
    if with_items:
        await _insert_items(tx, after)


async def save_valid_until(tx: Tx, after: Proposal) -> None:
    """Write until when a Sent proposal that is locked can be signed."""
    _require(
        await tx.value(SAVE_VALID_UNTIL, after.org_id, after.id, after.version, after.valid_until, after.updated_at)
    )


async def save_sent(tx: Tx, after: Proposal, named: UUID | None) -> Proposal:
    """Write Draft → Sent; returns it with the client to whom it belongs now, `named` or whom the copy names, if any."""
    row = await tx.row(_Bound, SAVE_SENT, after.org_id, after.id, after.version, after.sent_at, named)
    _require(row is not None)
    return replace(after, client_id=row.client_id if row else None)


async def save_rejected(tx: Tx, after: Proposal) -> None:
    """Write Sent → Rejected, with the reason."""
    arguments = (after.org_id, after.id, after.version, after.rejected_at, after.rejection_reason)
    _require(await tx.value(SAVE_REJECTED, *arguments))


async def delete(tx: Tx, after: Proposal) -> None:
    """Write the last version of a proposal that is neither Signing nor Signed."""
    _require(await tx.value(DELETE, after.org_id, after.id, after.version, after.updated_at))


async def page(tx: Tx, org: UUID, filters: Filters, window: Window, *, at: datetime) -> Page[Proposal]:
    """One page without items, and how many there are in all."""
    arguments = (org, filters.only_of, filters.status, filters.client_email, at)
    return await tx.page(Proposal, PAGES, choice(filters), window, *arguments)


async def _with_items(tx: Tx, proposal: Proposal) -> Proposal:
    return replace(proposal, items=tuple(await tx.rows(Item, ITEMS, proposal.org_id, proposal.id)))


async def _insert_items(tx: Tx, proposal: Proposal) -> None:
    rows = [
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
    await tx.run_each(INSERT_ITEM, rows)


def _require(was_written: bool | None) -> None:  # noqa: FBT001  # the one thing that it is about
    """A row that is locked cannot have moved; if it has, nothing of the transaction may stay."""
    if not was_written:
        raise DatabaseBusy("the proposal has moved on")
