"""What the sign flow asks of this service: place the order, once; undo it."""

from __future__ import annotations

import msgspec

from services.orders import views
from services.orders.model import Client, Order, OrderStatus, draw_number
from services.orders.store import placing
from shared.contracts.identity import ClientState
from shared.contracts.orders import CancelOrder, OrderPlaced, OrderState, PlaceOrder
from shared.contracts.reply import CANCELLED, Reply
from shared.database import Tx
from shared.ids import new_id
from shared.messaging import outbox, topology
from shared.messaging.consumer import Delivery
from shared.messaging.outbox import event

CLIENT_IS_GONE = "The client was deleted."


async def place_order(tx: Tx, command: PlaceOrder, delivery: Delivery) -> bytes:
    """Place the order; refused when the client is gone. Returns the reply, the same each time. Raises NumberTaken."""
    order = _order(command, draw_number())
    result = OrderPlaced(order=msgspec.Raw(msgspec.json.encode(views.view(order))))
    state = OrderState(
        org_id=order.org_id,
        id=order.id,
        version=order.version,
        number=order.number,
        client_id=order.client.id,
        engagement_id=order.engagement_id,
        proposal_id=order.proposal_id,
        status=order.status,
        price=order.price,
        currency=order.currency,
    )
    subject = topology.event_subject(order.org_id, "order", "placed")
    return await placing.place_once(
        tx,
        delivery,
        command.saga_id,
        order,
        command.client.version,
        placed=msgspec.json.encode(Reply(outcome="done", result=msgspec.Raw(msgspec.json.encode(result)))),
        refused=msgspec.json.encode(Reply(outcome="refused", cause=CLIENT_IS_GONE)),
        told=event(command.event_id, subject, "order.placed.v1", state),
    )


async def cancel_order(tx: Tx, command: CancelOrder, delivery: Delivery) -> bytes:
    """Undo what the saga placed, or bar it from ever placing. The answer is always `cancelled`."""
    reply = msgspec.json.encode(CANCELLED)
    await placing.bar(tx, (command.key, delivery.key), delivery, reply)
    for gone in await placing.cancel(tx, command.org_id, command.saga_id, command.at):
        state = OrderState(
            org_id=gone.org_id,
            id=gone.id,
            version=gone.version,
            number=gone.number,
            client_id=gone.client_id,
            engagement_id=gone.engagement_id,
            proposal_id=gone.proposal_id,
            status=gone.status,
            price=gone.price,
            currency=gone.currency,
            is_cancelled=True,
        )
        subject = topology.event_subject(gone.org_id, "order", "cancelled")
        await outbox.put(tx, event(new_id(), subject, "order.cancelled.v1", state))
    return reply


def _client(client: ClientState) -> Client:
    return Client(
        id=client.id,
        name_f=client.name_f,
        name_l=client.name_l,
        email=client.email,
        company=client.company,
        phone=client.phone,
    )


def _order(command: PlaceOrder, number: str) -> Order:
    return Order(
        id=command.order_id,
        org_id=command.org_id,
        version=1,
        number=number,
        client=_client(command.client),
        engagement_id=command.engagement_id,
        proposal_id=command.proposal_id,
        status=OrderStatus.UNPAID,
        price=command.price,
        currency=command.currency,
        quantity=1,
        service=command.service,
        service_id=command.service_id,
        note=None,
        metadata=bytes(command.metadata),
        form_data=b"{}",
        tags=(),
        created_at=command.at,
        updated_at=command.at,
        date_started=None,
        date_completed=None,
        date_due=None,
    )
