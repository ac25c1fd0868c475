"""A signature's rows, as an ORM makes them; the monolith writes them in one transaction, the durable peer in two."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import HTTPException
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload
from uuid_utils.compat import uuid7

from tests.bench.peers.tables import Client, Engagement, Order, Project, Proposal, ProposalItem

SENT, SIGNED, SIGNING = 1, 2, 4
ACTIVE, KICKOFF, UNPAID = 1, 1, 0
_ALPHABET = string.ascii_uppercase + string.digits


async def locked(session: AsyncSession, org: UUID, proposal: UUID) -> Proposal:
    """The proposal with its items, locked. Raises HTTPException 404."""
    found = await session.scalar(
        select(Proposal)
        .where(Proposal.id == proposal, Proposal.org_id == org)
        .options(selectinload(Proposal.items).options(joinedload(ProposalItem.service)))
        .with_for_update(of=Proposal)
    )
    if found is None:
        raise HTTPException(404)
    return found


async def ensure_client(session: AsyncSession, proposal: Proposal, at: datetime) -> Client:
    """The organisation's client with the proposal's address; a new one when there is none."""
    found = await session.scalar(
        select(Client).where(
            Client.org_id == proposal.org_id, func.lower(Client.email) == proposal.client_email.lower()
        )
    )
    return found or Client(
        id=uuid7(),
        org_id=proposal.org_id,
        name_f=proposal.client_name_f,
        name_l=proposal.client_name_l,
        email=proposal.client_email,
        company=proposal.client_company,
        phone=None,
        created_at=at,
    )


def engagement_of(proposal: Proposal, client: Client, at: datetime) -> Engagement:
    return Engagement(
        id=uuid7(),
        org_id=proposal.org_id,
        client=client,
        client_id=client.id,
        proposal_id=proposal.id,
        name=f"{proposal.client_name} - Engagement"[:255],
        status=ACTIVE,
        created_at=at,
        updated_at=at,
        closed_at=None,
    )


def projects_of(proposal: Proposal, engagement: Engagement, at: datetime) -> list[Project]:
    return [
        Project(
            id=uuid7(),
            org_id=proposal.org_id,
            engagement=engagement,
            engagement_id=engagement.id,
            name=item.name,
            description=item.description,
            status=ACTIVE,
            phase=KICKOFF,
            service=item.service,
            service_id=item.service_id,
            created_at=at,
            updated_at=at,
            completed_at=None,
            deleted_at=None,
        )
        for item in proposal.items
    ]


def order_of(proposal: Proposal, client: Client, engagement_id: UUID, at: datetime) -> Order:
    return Order(
        id=uuid7(),
        org_id=proposal.org_id,
        number="".join(secrets.choice(_ALPHABET) for _ in range(8)),
        client=client,
        client_id=client.id,
        engagement_id=engagement_id,
        proposal_id=proposal.id,
        status=UNPAID,
        price=proposal.total,
        currency=proposal.currency,
        quantity=1,
        service=proposal.items[0].name,
        service_id=proposal.items[0].service_id,
        note=None,
        details=_details(proposal, engagement_id),
        form_data={},
        tags=[],
        employee_ids=[],
        created_at=at,
        updated_at=at,
        date_started=None,
        date_completed=None,
        date_due=None,
    )


def mark_signed(proposal: Proposal, engagement_id: UUID, order_id: UUID, signer: tuple[str, str], at: datetime) -> None:
    proposal.status = SIGNED
    proposal.signed_at = proposal.updated_at = at
    proposal.signer_address, proposal.signer_user_agent = signer
    proposal.converted_engagement_id = engagement_id
    proposal.converted_order_id = order_id


def now() -> datetime:
    return datetime.now(UTC)


def _details(proposal: Proposal, engagement_id: UUID) -> dict[str, Any]:
    items = [
        {
            "name": item.name,
            "description": item.description,
            "price": str(item.price),
            "service_id": str(item.service_id) if item.service_id else None,
        }
        for item in proposal.items
    ]
    return {"proposal_id": str(proposal.id), "engagement_id": str(engagement_id), "proposal_items": items}
