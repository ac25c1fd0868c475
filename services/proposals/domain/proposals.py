"""Writing, reading, changing, sending, rejecting and deleting proposals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.proposals.model import proposals as model
from services.proposals.model.proposals import Item, Proposal, ProposalStatus, UnknownServices
from services.proposals.store import clients, templates
from services.proposals.store import proposals as store
from services.proposals.store.proposals import Filters
from shared.contracts.proposals import ProposalQuestion, ProposalState
from shared.currency import check_whole
from shared.database import Tx
from shared.database.windows import Page
from shared.errors import NotFound
from shared.ids import new_id
from shared.money import Money
from shared.web.actor import Actor
from shared.web.paging import PageQuery


class NewItem(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    description: str
    price: Money
    service_id: UUID | None = None


class NewProposal(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposal is made of."""

    client_email: str
    client_name_f: str
    client_name_l: str
    client_company: str | None
    notes: str | None
    currency: str
    valid_until: datetime | None
    items: tuple[NewItem, ...]


class ProposalChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different: fields, as Proposal calls them, and items in place of the present ones."""

    fields: dict[str, Any]
    items: tuple[NewItem, ...] | None


async def create(tx: Tx, actor: Actor, new: NewProposal, at: datetime) -> Proposal:
    """Write a Draft. Raises UnknownServices, and InvalidInput for a sum that is too large."""
    prices = [item.price for item in new.items]
    check_whole(new.currency, model.amounts_of(prices))
    total = model.total_of(prices)
    await _require_templates(tx, actor.org_id, new.items)
    proposal = Proposal(
        id=new_id(),
        org_id=actor.org_id,
        version=1,
        client_id=None,
        client_email=new.client_email,
        client_name_f=new.client_name_f,
        client_name_l=new.client_name_l,
        client_company=new.client_company,
        status=ProposalStatus.DRAFT,
        currency=new.currency,
        notes=new.notes,
        total=total,
        valid_until=new.valid_until,
        created_at=at,
        updated_at=at,
        sent_at=None,
        signed_at=None,
        converted_engagement_id=None,
        converted_order_id=None,
        items=tuple(_item(item, at) for item in new.items),
    )
    await store.insert(tx, proposal)
    return proposal


async def retrieve(tx: Tx, actor: Actor, proposal: UUID | None) -> Proposal:
    """The proposal with its items. Raises NotFound, also for what a client may not see."""
    found = await store.get(tx, actor.org_id, proposal, only_of=actor.client_id) if proposal else None
    if found is None:
        raise NotFound("proposal")
    return found


async def browse(
    tx: Tx, actor: Actor, query: PageQuery, at: datetime, *, status: ProposalStatus | None, client_email: str | None
) -> Page[Proposal]:
    """One page of the proposals that the caller may see, without items."""
    filters = Filters(only_of=actor.client_id, status=status, client_email=client_email)
    return await store.page(tx, actor.org_id, filters, query.window, at=at)


async def hold(tx: Tx, actor: Actor, proposal: UUID | None) -> Proposal:
    """The proposal, locked until the transaction ends. Raises NotFound, also for what a client may not see."""
    found = await store.lock(tx, actor.org_id, proposal, only_of=actor.client_id) if proposal else None
    if found is None:
        raise NotFound("proposal")
    return found


async def change(tx: Tx, held: Proposal, changes: ProposalChanges, at: datetime) -> Proposal:
    """Change a proposal that is held (see `Proposal.changed`). Raises UnknownServices, and as `changed` does.

    An item may go on naming a template that is gone, if an item of the Draft names it already.
    """
    items = None
    if changes.items is not None:
        await _require_templates(tx, held.org_id, changes.items, named_before=held.items)
        items = tuple(_item(item, at) for item in changes.items)
    after = held.changed(changes.fields, items, at)
    if after is held:
        return held
    if after.status is not ProposalStatus.DRAFT:
        await store.save_valid_until(tx, after)
        return after
    await store.save_draft(tx, after, with_items=after.items != held.items)
    return after


async def delete(tx: Tx, held: Proposal, at: datetime) -> None:
    """Delete a proposal that is held. Raises ProposalNotDeletable."""
    await store.delete(tx, held.deleted(at))


async def addressee_to_ask_for(tx: Tx, actor: Actor, proposal: UUID | None) -> str | None:
    """The address of a Draft, where the copy of clients does not name the one who has it; None otherwise."""
    found = await store.get(tx, actor.org_id, proposal, only_of=actor.client_id) if proposal else None
    if found is None or found.status is not ProposalStatus.DRAFT:
        return None
    known = await clients.of_address(tx, actor.org_id, found.client_email)
    return None if len(known) == 1 else found.client_email


async def send(tx: Tx, held: Proposal, at: datetime, *, named: UUID | None) -> Proposal:
    """Draft → Sent, of a proposal that is held; it belongs to its client from now on, if the client is known.

    `named` is whom identity names for its address. Raises ProposalNotSendable, DraftHasExpired.
    """
    return await store.save_sent(tx, held.sent(at), named)


async def reject(tx: Tx, held: Proposal, reason: str | None, at: datetime) -> Proposal:
    """Sent → Rejected, with its reason, of a proposal that is held. Raises ProposalNotRejectable."""
    rejected = held.rejected(reason, at)
    await store.save_rejected(tx, rejected)
    return rejected


async def tell(tx: Tx, question: ProposalQuestion) -> ProposalState | None:
    """What others may know of a proposal; None for one that is deleted, or never was."""
    return await store.get_state(tx, question)


async def _require_templates(tx: Tx, org: UUID, items: Sequence[NewItem], *, named_before: Sequence[Item] = ()) -> None:
    """Raises UnknownServices unless each template that `items` name is there, or is named already."""
    there = {None, *(item.service_id for item in named_before)}
    named = [item.service_id for item in items if item.service_id is not None and item.service_id not in there]
    if named:
        there |= await templates.there(tx, org, named)
    unknown = [position for position, item in enumerate(items) if item.service_id not in there]
    if unknown:
        raise UnknownServices(unknown)


def _item(new: NewItem, at: datetime) -> Item:
    return Item(
        id=new_id(),
        name=new.name,
        description=new.description,
        price=new.price,
        service_id=new.service_id,
        created_at=at,
    )
