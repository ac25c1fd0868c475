"""What a replica lacks is asked of its owner, before a request's own transaction: none waits for another service."""

from __future__ import annotations

from uuid import UUID

from services.engagements.store import replicas
from shared.contracts.identity import ClientQuestion, ClientState
from shared.contracts.proposals import ProposalQuestion, ProposalState, TemplateQuestion, TemplateState
from shared.database import Database
from shared.messaging.bus import Bus
from shared.messaging.questions import ask


async def learn_client(database: Database, bus: Bus, org: UUID, client: UUID) -> None:
    """Keep what identity says of a client of whom too little is known; "not found" is not kept. Raises BrokerAway."""
    async with database.transaction(org) as tx:
        if await replicas.knows_client(tx, org, client):
            return
    told = await ask(bus, "identity", "client", ClientQuestion(org_id=org, id=client), ClientState)
    if told is not None:
        async with database.transaction(org) as tx:
            await replicas.keep_client(tx, told)


async def learn_template(database: Database, bus: Bus, org: UUID, template: UUID) -> None:
    """Keep what the proposal service says of a template that is not known; "not found" is not kept.

    Raises BrokerAway.
    """
    async with database.transaction(org) as tx:
        if await replicas.knows_template(tx, org, template):
            return
    told = await ask(bus, "proposals", "template", TemplateQuestion(org_id=org, id=template), TemplateState)
    if told is not None:
        async with database.transaction(org) as tx:
            await replicas.keep_template(tx, told)


async def ask_proposal(
    database: Database, bus: Bus, org: UUID, proposal: UUID, *, client: UUID
) -> ProposalState | None:
    """What the proposal service says of a proposal that is to be `client`'s; nothing is stored. Raises BrokerAway."""
    async with database.transaction(org) as tx:
        email = await replicas.get_email(tx, org, client)
    question = ProposalQuestion(org_id=org, id=proposal, client_id=client, client_email=email)
    return await ask(bus, "proposals", "proposal", question, ProposalState)
