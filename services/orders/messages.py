"""In by NATS: message type → use case; question → answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from services.orders.domain import references
from services.orders.domain.placing import cancel_order, place_order
from shared.contracts.engagements import EngagementState
from shared.contracts.identity import ClientState, CloseClient, UserState
from shared.contracts.orders import CancelOrder, PlaceOrder
from shared.contracts.proposals import TemplateState
from shared.database import Database, Tx
from shared.messaging import topology
from shared.messaging.consumer import Delivery, Handler, Handlers
from shared.messaging.messenger import Answer


async def keep(tx: Tx, state: ClientState | UserState | TemplateState | EngagementState, _: Delivery) -> None:
    await references.keep(tx, state)


async def keep_engagements(tx: Tx, org: UUID, engagements: Sequence[EngagementState]) -> None:
    await references.keep_engagements(tx, org, engagements)


ENGAGEMENT = Handler(EngagementState, keep, is_single=True, keep_all=keep_engagements)
HANDLERS: Handlers = {
    "orders.place.v1": Handler(PlaceOrder, place_order, is_single=True),
    "orders.cancel.v1": Handler(CancelOrder, cancel_order),
    "client.changed.v1": Handler(ClientState, keep),
    "user.changed.v1": Handler(UserState, keep),
    "template.changed.v1": Handler(TemplateState, keep),
    "engagement.opened.v1": ENGAGEMENT,
    "engagement.changed.v1": ENGAGEMENT,
    "engagement.cancelled.v1": ENGAGEMENT,
}
FILTERS = topology.TRAFFIC["orders"].consumes


def answers(database: Database) -> Mapping[str, Answer]:
    """What orders answers to `ask.orders.*`."""

    async def close_client(body: bytes) -> bytes:
        asked = msgspec.json.decode(body, type=CloseClient)
        async with database.transaction(asked.client.org_id) as tx:
            return msgspec.json.encode(await references.close_client(tx, asked))

    return {"close-client": close_client}
