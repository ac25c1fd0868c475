"""What service templates, proposals and their flows look like to callers. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta
from msgspec.structs import replace

from services.proposals.model.prices import spell_price
from services.proposals.model.proposals import MOST_ITEMS, Item, Proposal, ProposalStatus
from services.proposals.model.templates import Template
from shared.contracts.orders import STAFF_ONLY
from shared.labels import labels
from shared.money import spell_money
from shared.web.actor import Actor
from shared.web.readers import StaffOnly
from shared.web.shapes import FreeObject


class ServiceView(msgspec.Struct, frozen=True, kw_only=True):
    """A service template."""

    id: UUID
    org_id: UUID
    name: str
    description: str | None
    price: str
    pretty_price: str
    currency: str
    recurring: Literal[0, 1, 2]
    public: bool
    deadline: int | None
    sort_order: int
    metadata: StaffOnly[FreeObject] = UNSET
    created_at: datetime
    updated_at: datetime


class ItemView(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    description: str
    price: str
    quantity: int
    total: str
    service_id: UUID | None
    created_at: datetime


class ProposalSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal as lists show it."""

    id: UUID
    org_id: UUID
    client_id: UUID | None
    client_email: str
    client_name: str
    client_name_f: str
    client_name_l: str
    client_company: str | None
    status: Annotated[str, labels(ProposalStatus)]
    status_id: ProposalStatus
    total: str
    currency: str
    notes: str | None
    valid_until: datetime | None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    signed_at: datetime | None
    converted_order_id: UUID | None
    converted_engagement_id: UUID | None
    rejected_at: datetime | None
    rejection_reason: str | None


class ProposalView(ProposalSummary, frozen=True, kw_only=True):
    """A proposal with its items."""

    items: Annotated[list[ItemView], Meta(max_length=MOST_ITEMS)]


class TryView(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a step was sent. An answer is told with the newest try; the others had none while they were."""

    number: int
    sent_at: datetime
    answered_at: datetime | None
    duration_ms: int | None
    error: str | None


class StepView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a flow: `done` only once that is recorded, `waiting` until then; `cancelled` once it is not awaited.

    A flow that is over has no step that waits: what was never answered when the flow was undone is `cancelled`.
    `tries` is there once the step was sent more than once: the last 20 of them.
    """

    name: str
    service: str
    status: Literal["waiting", "done", "refused", "parked", "cancelled"]
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    tries: list[TryView] = []


class InterventionView(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator did to a flow; `step` is the one whose parked message was delivered again or dropped."""

    action: Literal["retry", "cancel", "retry_parked", "drop_parked"]
    step: str | None
    by: str
    reason: str
    at: datetime


class SignReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the sign flow of a proposal stands. `interventions` is there for staff, once there are any."""

    saga_id: UUID
    status: Literal["running", "completed", "compensating", "rejected"]
    started_at: datetime
    finished_at: datetime | None
    steps: list[StepView]
    interventions: list[InterventionView] = []


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a signature: all that it created, as the owners show it."""

    proposal: ProposalView
    engagement: msgspec.Raw
    projects: list[msgspec.Raw]
    order: Annotated[msgspec.Raw, Meta(description="The order; to a client, without what only staff see of it.")]


class _SignedParts(msgspec.Struct, frozen=True):
    """A stored `Signed`, of which all but the order is passed on as it is."""

    proposal: msgspec.Raw
    engagement: msgspec.Raw
    projects: msgspec.Raw
    order: dict[str, msgspec.Raw]


def signed_for(reader: Actor, stored: bytes) -> bytes:
    """The stored answer of a signature as its reader may see it."""
    if reader.is_staff:
        return stored
    parts = msgspec.json.decode(stored, type=_SignedParts)
    shown = {name: value for name, value in parts.order.items() if name not in STAFF_ONLY}
    return msgspec.json.encode(replace(parts, order=shown))


def service(template: Template) -> ServiceView:
    return ServiceView(
        id=template.id,
        org_id=template.org_id,
        name=template.name,
        description=template.description,
        price=spell_money(template.price),
        pretty_price=spell_price(template.price, template.currency),
        currency=template.currency,
        recurring=template.recurring.value,
        public=template.is_public,
        deadline=template.deadline_days,
        sort_order=template.sort_order,
        metadata=msgspec.Raw(template.metadata),
        created_at=template.created_at,
        updated_at=template.updated_at,
    )


def summary(proposal: Proposal, at: datetime) -> ProposalSummary:
    return ProposalSummary(**_fields(proposal, at))


def view(proposal: Proposal, at: datetime) -> ProposalView:
    return ProposalView(**_fields(proposal, at), items=[_item(item) for item in proposal.items])


def _fields(proposal: Proposal, at: datetime) -> dict[str, Any]:
    status = proposal.status_at(at)
    return {
        "id": proposal.id,
        "org_id": proposal.org_id,
        "client_id": proposal.client_id,
        "client_email": proposal.client_email,
        "client_name": proposal.client_name,
        "client_name_f": proposal.client_name_f,
        "client_name_l": proposal.client_name_l,
        "client_company": proposal.client_company,
        "status": status.label,
        "status_id": status,
        "total": spell_money(proposal.total),
        "currency": proposal.currency,
        "notes": proposal.notes,
        "valid_until": proposal.valid_until,
        "created_at": proposal.created_at,
        "updated_at": proposal.updated_at,
        "sent_at": proposal.sent_at,
        "signed_at": proposal.signed_at,
        "converted_order_id": proposal.converted_order_id,
        "converted_engagement_id": proposal.converted_engagement_id,
        "rejected_at": proposal.rejected_at,
        "rejection_reason": proposal.rejection_reason,
    }


def _item(item: Item) -> ItemView:
    return ItemView(
        id=item.id,
        name=item.name,
        description=item.description,
        price=spell_money(item.price),
        quantity=1,
        total=spell_money(item.price),
        service_id=item.service_id,
        created_at=item.created_at,
    )
