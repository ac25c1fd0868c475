"""What orders look like to callers. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.orders.model import Client, Order
from shared.money import spell_money


class ClientOfOrder(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    name_f: str
    name_l: str
    email: str
    company: str | None
    phone: str | None


class EmployeeOfOrder(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    name_f: str
    name_l: str


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order."""

    id: UUID
    org_id: UUID
    number: str
    user_id: UUID
    client: ClientOfOrder
    engagement_id: UUID | None
    status: str
    status_id: int
    price: str
    currency: str
    quantity: int
    service: str
    service_id: UUID | None
    note: str | None
    metadata: dict[str, Any]
    form_data: dict[str, Any]
    tags: list[str]
    employees: list[EmployeeOfOrder]
    created_at: datetime
    updated_at: datetime
    date_started: datetime | None
    date_completed: datetime | None
    date_due: datetime | None


def view(order: Order) -> OrderView:
    return OrderView(
        id=order.id,
        org_id=order.org_id,
        number=order.number,
        user_id=order.client.id,
        client=_client(order.client),
        engagement_id=order.engagement_id,
        status=order.status.label,
        status_id=order.status.value,
        price=spell_money(order.price),
        currency=order.currency,
        quantity=order.quantity,
        service=order.service,
        service_id=order.service_id,
        note=order.note,
        metadata=msgspec.json.decode(order.metadata),
        form_data=msgspec.json.decode(order.form_data),
        tags=list(order.tags),
        employees=[],
        created_at=order.created_at,
        updated_at=order.updated_at,
        date_started=order.date_started,
        date_completed=order.date_completed,
        date_due=order.date_due,
    )


def _client(client: Client) -> ClientOfOrder:
    return ClientOfOrder(
        id=client.id,
        name=f"{client.name_f} {client.name_l}",
        name_f=client.name_f,
        name_l=client.name_l,
        email=client.email,
        company=client.company,
        phone=client.phone,
    )
