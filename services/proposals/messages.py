"""In by NATS: message type → use case; and what others ask of service templates and proposals."""

from __future__ import annotations

from collections.abc import Mapping

from services.proposals.domain import proposals, templates
from services.proposals.store import clients
from shared.contracts.identity import ClientState
from shared.contracts.proposals import ProposalQuestion, TemplateQuestion
from shared.database import Database, Tx
from shared.messaging import topology
from shared.messaging.consumer import Delivery, Handler, Handlers
from shared.messaging.messenger import Answer
from shared.messaging.questions import answering


async def keep_client(tx: Tx, client: ClientState, _: Delivery) -> None:
    await clients.keep(tx, client)


HANDLERS: Handlers = {"client.changed.v1": Handler(ClientState, keep_client)}
FILTERS = topology.TRAFFIC["proposals"].consumes


def answers(database: Database) -> Mapping[str, Answer]:
    """What proposals answers to `ask.proposals.*`."""
    return {
        "proposal": answering(database, ProposalQuestion, proposals.tell),
        "template": answering(database, TemplateQuestion, templates.tell),
    }
