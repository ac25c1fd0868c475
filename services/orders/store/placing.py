"""What the sign flow writes here: the order, once, and its undoing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from services.orders.model import Order, OrderStatus
from shared.contracts.identity import Billing
from shared.database import DatabaseBusy, Tx, UniqueViolated
from shared.messaging.closing import ClientUndecided
from shared.messaging.consumer import Delivery
from shared.messaging.outbox import Event

# The stored function of that name (see the migrations): one round trip, committed when it returns.
PLACE = """
select reply, is_placed from place_order_billed($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
  $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)
"""
# Second statement of a cancel, with a snapshot of its own: it sees what the place that `inbox.bar` has waited for
# committed.
CANCEL = """
update orders set cancelled_at = $3, updated_at = $3, version = version + 1
where org_id = $1 and saga_id = $2 and cancelled_at is null
returning id, org_id, version, number, client_id, engagement_id, proposal_id, status, price, currency
"""


class NumberTaken(DatabaseBusy):
    """The order number that was drawn is taken: the message comes again, and another is drawn."""


class CancelledOrder(msgspec.Struct, frozen=True):
    id: UUID
    org_id: UUID
    version: int
    number: str
    client_id: UUID
    engagement_id: UUID | None
    proposal_id: UUID | None
    status: OrderStatus
    price: Decimal
    currency: str


class _Claim(msgspec.Struct, frozen=True):
    reply: bytes
    is_placed: bool


async def place_once(
    tx: Tx,
    delivery: Delivery,
    saga: UUID,
    order: Order,
    client_version: int,
    billing: Billing | None,
    *,
    placed: bytes,
    refused: bytes,
    told: Event,
) -> bytes:
    """Write the order and keep `placed` as the reply, `refused` if the client is gone; a duplicate gets what was kept.

    Raises NumberTaken, and ClientUndecided, with nothing done then.
    """
    try:
        claim = await tx.row(
            _Claim,
            PLACE,
            *_client(order, client_version),
            *(delivery.key, delivery.id, refused, placed),
            *_order(order),
            saga,
            *(told.id, told.subject, told.type, told.body, told.traceparent),
            *(billing, order.billed_to),
        )
    except UniqueViolated as error:
        if error.constraint == "order_number":
            raise NumberTaken from error
        raise
    if claim is None:
        raise ClientUndecided
    if claim.is_placed:
        tx.said.append(told)
    return claim.reply


def _client(order: Order, version: int) -> tuple[Any, ...]:
    """$1 to $8."""
    client = order.client
    return (
        *(client.id, order.org_id, version),
        *(client.name_f, client.name_l, client.email, client.company, client.phone),
    )


def _order(order: Order) -> tuple[Any, ...]:
    """$13 to $24."""
    return (
        *(order.id, order.number, order.engagement_id, order.proposal_id, order.status),
        *(order.price, order.currency, order.quantity),
        *(order.service, order.service_id, order.metadata, order.created_at),
    )


async def cancel(tx: Tx, org: UUID, saga: UUID, at: datetime) -> list[CancelledOrder]:
    """Mark what the saga placed as cancelled."""
    return await tx.rows(CancelledOrder, CANCEL, org, saga, at)
