"""What orders hears and says."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec

from shared.contracts.identity import Address, ClientState

STAFF_ONLY: Final = ("note", "metadata", "tags")
"""The fields of an order that no client is shown, wherever an order is passed on."""


class BilledTo(msgspec.Struct, frozen=True, kw_only=True):
    """To whom an order is billed: the client as they were when it was made."""

    name: str
    email: str
    company: str | None
    tax_id: str | None
    address: Address | None


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Command `place`: the order of a signed proposal. Carries all that is needed; `metadata` is kept as it is."""

    org_id: UUID
    saga_id: UUID
    proposal_id: UUID
    engagement_id: UUID
    order_id: UUID
    event_id: UUID
    client: ClientState
    price: Decimal
    currency: str
    service: str
    service_id: UUID | None = None
    metadata: msgspec.Raw
    at: datetime
    number: str | None = None
    """Of an order that was placed before and is lost: it keeps the number that its client knows."""
    billed_to: BilledTo | None = None
    """None where the sender does not know all of it: then it is what `client` tells."""


class OrderPlaced(msgspec.Struct, frozen=True, kw_only=True):
    """The reply: the order as its own endpoint shows it to staff."""

    order: msgspec.Raw


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Command `cancel`: undo what this saga placed; `key` is the message key of its `place`."""

    org_id: UUID
    saga_id: UUID
    key: str
    at: datetime


class OrderState(msgspec.Struct, frozen=True, kw_only=True):
    """An order as others hear of it (events `order.placed`, `.changed`, `.deleted`, `.cancelled`)."""

    org_id: UUID
    id: UUID
    version: int
    number: str
    client_id: UUID
    engagement_id: UUID | None
    proposal_id: UUID | None
    status: int
    price: Decimal
    currency: str
    is_cancelled: bool = False
    is_deleted: bool = False
