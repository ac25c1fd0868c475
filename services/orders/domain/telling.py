"""What others are told of an order."""

from __future__ import annotations

from uuid import UUID

from services.orders.model import Order
from services.orders.store.placing import CancelledOrder
from shared.contracts.orders import OrderState
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.outbox import Event, event


def state_of(order: Order | CancelledOrder) -> OrderState:
    """The order as others hear of it."""
    return OrderState(
        org_id=order.org_id,
        id=order.id,
        version=order.version,
        number=order.number,
        client_id=order.client.id if isinstance(order, Order) else order.client_id,
        engagement_id=order.engagement_id,
        proposal_id=order.proposal_id,
        status=order.status,
        price=order.price,
        currency=order.currency,
    )


def event_of(state: OrderState, happened: str, *, id: UUID | None = None) -> Event:
    """The event `order.<happened>`, about to be written."""
    subject = topology.event_subject(state.org_id, "order", happened)
    return event(id or new_id(), subject, f"order.{happened}.v1", state)
