"""In by NATS: message type → use case."""

from __future__ import annotations

from services.orders.domain.placing import cancel_order, place_order
from services.orders.store import replicas
from shared.contracts.identity import ClientState
from shared.contracts.orders import CancelOrder, PlaceOrder
from shared.database import Tx
from shared.messaging import topology
from shared.messaging.consumer import Delivery, Handler, Handlers


async def keep_client(tx: Tx, client: ClientState, _: Delivery) -> None:
    await replicas.keep_client(tx, client)


HANDLERS: Handlers = {
    "orders.place.v1": Handler(PlaceOrder, place_order),
    "orders.cancel.v1": Handler(CancelOrder, cancel_order),
    "client.changed.v1": Handler(ClientState, keep_client),
}
FILTERS = {topology.COMMANDS: ("cmd.orders.*",), topology.EVENTS: ("evt.*.client.*",)}
