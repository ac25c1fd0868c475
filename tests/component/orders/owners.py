"""The owners of what orders refer to, played by the test: they answer questions and tell of changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared import clock
from shared.contracts.engagements import EngagementState
from shared.contracts.identity import ClientClosed, ClientState, CloseClient, UserState
from shared.contracts.proposals import TemplateState
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.envelope import Envelope, spell_time
from shared.messaging.topology import answers_prefix
from tests.support.commands import arrived, client_state
from tests.support.servers import Broker

State = ClientState | UserState | TemplateState | EngagementState
QUESTIONS = ("ask.identity.client", "ask.identity.user", "ask.proposals.template", "ask.engagements.engagement")
EVENTS = {
    ClientState: ("client", "changed"),
    UserState: ("user", "changed"),
    TemplateState: ("template", "changed"),
    EngagementState: ("engagement", "changed"),
}


class Owners:
    """What identity, proposals and engagements have. `silent` names the questions that nobody answers."""

    def __init__(self, connection: Client) -> None:
        self._connection = connection
        self._things: dict[UUID, State] = {}
        self.asked: list[tuple[str, UUID]] = []
        self.silent: set[str] = set()

    def has(self, state: Any) -> Any:
        """The owner has it, and whoever asks is told."""
        self._things[state.id] = state
        return state

    def client(self, org: UUID, **changes: Any) -> ClientState:
        return self.has(client_state(org, **changes))

    def user(self, org: UUID, **changes: Any) -> UserState:
        fields: dict[str, Any] = {"name_f": "Ada", "name_l": "Admin", "email": "ada@agency.example"}
        return self.has(UserState(**{"org_id": org, "id": new_id(), "version": 1} | fields | changes))

    def template(self, org: UUID, **changes: Any) -> TemplateState:
        fields: dict[str, Any] = {"name": "Search", "price": Decimal("1200.50"), "currency": "EUR"}
        return self.has(TemplateState(**{"org_id": org, "id": new_id(), "version": 1} | fields | changes))

    def engagement(self, org: UUID, client: UUID, **changes: Any) -> EngagementState:
        fields: dict[str, Any] = {"client_id": client, "proposal_id": None, "name": "Engagement", "status": 1}
        return self.has(EngagementState(**{"org_id": org, "id": new_id(), "version": 1} | fields | changes))

    def times_asked(self, thing: UUID) -> int:
        return len([id for _, id in self.asked if id == thing])

    async def tell(self, state: Any, happened: str | None = None) -> None:
        """Publish the event of it."""
        resource, usual = EVENTS[type(state)]
        happened = happened or usual
        envelope = Envelope(
            id=str(new_id()), type=f"{resource}.{happened}.v1", source="test", time=spell_time(clock.now())
        )
        subject = topology.event_subject(state.org_id, resource, happened)
        await self._connection.jetstream().publish(subject, msgspec.json.encode(state), headers=envelope.headers())

    async def close(self, client: ClientState) -> int:
        """Ask the order service, as identity does, to close the client: how many orders hang on them?"""
        question = msgspec.json.encode(CloseClient(client=client))
        answer = await self._connection.request("ask.orders.close-client", question, timeout=10)
        return msgspec.json.decode(answer.data, type=ClientClosed).count

    async def hear(self, message: Msg) -> None:
        question = msgspec.json.decode(message.data)
        self.asked.append((message.subject, UUID(question["id"])))
        if message.subject in self.silent:
            return
        found = self._things.get(UUID(question["id"]))
        is_theirs = found is not None and str(found.org_id) == question["org_id"]
        await message.respond(msgspec.json.encode(found if is_theirs else None))


@asynccontextmanager
async def owning(broker: Broker) -> AsyncIterator[Owners]:
    """Owners that answer, until the block is left."""
    connection = await nats.connect(broker.operator, inbox_prefix=answers_prefix("identity"))
    owners = Owners(connection)
    for question in QUESTIONS:
        await connection.subscribe(question, cb=owners.hear)
    await arrived(connection)
    try:
        yield owners
    finally:
        await connection.close()
