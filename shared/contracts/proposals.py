"""What proposals says."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec


class ProposalSigned(msgspec.Struct, frozen=True, kw_only=True):
    """Event `proposal.signed`: the one to hang outside effects on (mails, webhooks, money)."""

    org_id: UUID
    id: UUID
    saga_id: UUID
    client_id: UUID
    engagement_id: UUID
    order_id: UUID
    project_ids: list[UUID]
    total: Decimal
    currency: str
    signed_at: datetime


class TemplateState(msgspec.Struct, frozen=True, kw_only=True):
    """A service template as others keep it (event `template.changed`, question `ask.proposals.template`)."""

    org_id: UUID
    id: UUID
    version: int
    name: str
    price: Decimal
    currency: str
    is_deleted: bool = False


class ProposalState(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal as others may know it (question `ask.proposals.proposal`); a deleted one is none.

    `is_of_client` answers the question's `client_id`; `is_signed` also while it is being signed.
    """

    org_id: UUID
    id: UUID
    is_of_client: bool = True
    is_signed: bool = False


class ProposalQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`ask.proposals.proposal`: is there this proposal? Answered with a ProposalState, or null when there is none.

    Whose it is, is answered about `client_id`; by `client_email` where the proposal has no client yet.
    """

    org_id: UUID
    id: UUID
    client_id: UUID | None = None
    client_email: str | None = None


class TemplateQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`ask.proposals.template`: what is this service template? Answered with a TemplateState, or null."""

    org_id: UUID
    id: UUID
