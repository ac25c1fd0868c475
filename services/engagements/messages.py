"""In by NATS: message type → use case; and the questions that others ask."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from services.engagements.domain.engagements import answer_engagement, close_client
from services.engagements.domain.opening import cancel_engagement, open_engagement
from services.engagements.domain.projects import answer_project
from services.engagements.store import replicas
from shared.contracts.engagements import CancelEngagement, EngagementQuestion, OpenEngagement, ProjectQuestion
from shared.contracts.identity import ClientState, CloseClient
from shared.contracts.proposals import TemplateState
from shared.database import Database, Tx
from shared.messaging import topology
from shared.messaging.consumer import Delivery, Handler, Handlers
from shared.messaging.messenger import Answer
from shared.messaging.questions import answering


async def keep_client(tx: Tx, client: ClientState, _: Delivery) -> None:
    await replicas.keep_client(tx, client)


async def keep_template(tx: Tx, template: TemplateState, _: Delivery) -> None:
    await replicas.keep_template(tx, template)


HANDLERS: Handlers = {
    "engagements.open.v1": Handler(OpenEngagement, open_engagement, is_single=True),
    "engagements.cancel.v1": Handler(CancelEngagement, cancel_engagement),
    "client.changed.v1": Handler(ClientState, keep_client),
    "template.changed.v1": Handler(TemplateState, keep_template),
}
FILTERS = topology.TRAFFIC["engagements"].consumes


def answers(database: Database) -> Mapping[str, Answer]:
    """What this service answers to `ask.engagements.*`."""

    async def close(body: bytes) -> bytes:
        asked = msgspec.json.decode(body, type=CloseClient)
        async with database.transaction(asked.client.org_id) as tx:
            closed = await close_client(tx, asked)
        return msgspec.json.encode(closed)  # only once the lock has done its work: what is told is committed

    return {
        "engagement": answering(database, EngagementQuestion, answer_engagement),
        "project": answering(database, ProjectQuestion, answer_project),
        "close-client": close,
    }
