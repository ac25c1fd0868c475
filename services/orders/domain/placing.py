"""What the sign flow asks of this service: place the order, once; undo it."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from services.orders import views
from services.orders.domain import telling
from services.orders.model import ClientToBill, Order, OrderStatus, draw_number
from services.orders.store import placing
from shared.contracts.identity import ClientState
from shared.contracts.orders import CancelOrder, OrderPlaced, PlaceOrder
from shared.contracts.reply import CANCELLED, Reply
from shared.database import Tx
from shared.messaging import inbox, outbox
from shared.messaging.consumer import Delivery

CLIENT_IS_GONE = "The client was deleted."


async def place_order(tx: Tx, command: PlaceOrder, delivery: Delivery) -> bytes:
    """Place the order; refused when the client is gone. Returns the reply, the same each time. Raises NumberTaken."""
    order = _order(command, command.number or draw_number())
    result = OrderPlaced(order=msgspec.Raw(msgspec.json.encode(views.view(order))))
    return await placing.place_once(
        tx,
        delivery,
        command.saga_id,
        order,
        command.client.version,
        command.client.billing,
        placed=msgspec.json.encode(Reply(outcome="done", result=msgspec.Raw(msgspec.json.encode(result)))),
        refused=msgspec.json.encode(Reply(outcome="refused", cause=CLIENT_IS_GONE)),
        told=telling.event_of(telling.state_of(order), "placed", id=command.event_id),
    )


async def cancel_order(tx: Tx, command: CancelOrder, delivery: Delivery) -> bytes:
    """Undo what the saga placed, or bar it from ever placing. The answer is always `cancelled`."""
    reply = msgspec.json.encode(CANCELLED)
    await inbox.bar(tx, (command.key, delivery.key), delivery, reply)
    for gone in await placing.cancel(tx, command.org_id, command.saga_id, command.at):
        state = replace(telling.state_of(gone), is_cancelled=True)
        await outbox.put(tx, telling.event_of(state, "cancelled"))
    return reply


def _client(client: ClientState) -> ClientToBill:
    return ClientToBill(
        id=client.id,
        name_f=client.name_f,
        name_l=client.name_l,
        email=client.email,
        company=client.company,
        phone=client.phone,
        billing=client.billing,
    )


def _order(command: PlaceOrder, number: str) -> Order:
    client = _client(command.client)
    return Order(
        id=command.order_id,
        org_id=command.org_id,
        version=1,
        number=number,
        client=client,
        billed_to=command.billed_to or client.billed_to,
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
        employees=(),
        created_at=command.at,
        updated_at=command.at,
        date_started=None,
        date_completed=None,
        date_due=None,
    )
