"""In by NATS: message type → use case."""

from __future__ import annotations

from services.engagements.domain.opening import cancel_engagement, open_engagement
from services.engagements.store import replicas
from shared.contracts.engagements import CancelEngagement, OpenEngagement
from shared.contracts.identity import ClientState
from shared.contracts.proposals import TemplateState
from shared.database import Tx
from shared.messaging import topology
from shared.messaging.consumer import Delivery, Handler, Handlers


async def keep_client(tx: Tx, client: ClientState, _: Delivery) -> None:
    await replicas.keep_client(tx, client)


async def keep_template(tx: Tx, template: TemplateState, _: Delivery) -> None:
    await replicas.keep_template(tx, template)


HANDLERS: Handlers = {
    "engagements.open.v1": Handler(OpenEngagement, open_engagement),
    "engagements.cancel.v1": Handler(CancelEngagement, cancel_engagement),
    "client.changed.v1": Handler(ClientState, keep_client),
    "template.changed.v1": Handler(TemplateState, keep_template),
}
FILTERS = {
    topology.COMMANDS: ("cmd.engagements.*",),
    topology.EVENTS: ("evt.*.client.*", "evt.*.template.*"),
}
