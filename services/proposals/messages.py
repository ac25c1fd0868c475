"""In by NATS: message type → use case."""

from __future__ import annotations

from services.proposals.store import clients
from shared.contracts.identity import ClientState
from shared.database import Tx
from shared.messaging import topology
from shared.messaging.consumer import Delivery, Handler, Handlers


async def keep_client(tx: Tx, client: ClientState, _: Delivery) -> None:
    await clients.keep(tx, client)


HANDLERS: Handlers = {"client.changed.v1": Handler(ClientState, keep_client)}
FILTERS = {topology.EVENTS: ("evt.*.client.*",)}
