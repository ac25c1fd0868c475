"""What orders are. Pure."""

from __future__ import annotations

import secrets
import string
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec

NUMBER_LENGTH: Final = 8
_NUMBER_ALPHABET: Final = string.ascii_uppercase + string.digits


class OrderStatus(IntEnum):
    """As the contract numbers them."""

    UNPAID = 0
    IN_PROGRESS = 1
    COMPLETED = 2
    CANCELLED = 3
    ON_HOLD = 4

    @property
    def label(self) -> str:
        return self.name.replace("_", " ").title()


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A client, as this service keeps them."""

    id: UUID
    name_f: str
    name_l: str
    email: str
    company: str | None
    phone: str | None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A financial record. Amounts of an order that a signature made never change."""

    id: UUID
    org_id: UUID
    version: int
    number: str
    client: Client
    engagement_id: UUID | None
    proposal_id: UUID | None
    status: OrderStatus
    price: Decimal
    currency: str
    quantity: int
    service: str
    service_id: UUID | None
    note: str | None
    metadata: bytes
    form_data: bytes
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    date_started: datetime | None
    date_completed: datetime | None
    date_due: datetime | None


def draw_number() -> str:
    """A fresh order number: 8 of A–Z0–9, unguessable; unique only by the database's word."""
    return "".join(secrets.choice(_NUMBER_ALPHABET) for _ in range(NUMBER_LENGTH))
