"""The orchestrator, played by the test: it says commands and hears replies and events. With commands that are right."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared import clock
from shared.contracts.engagements import CancelEngagement, OpenEngagement, ProjectToOpen
from shared.contracts.identity import Address, Billing, ClientState
from shared.contracts.orders import CancelOrder, PlaceOrder
from shared.contracts.reply import Reply
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.envelope import Envelope, spell_time
from tests.support.servers import Broker

REPLICA = "test"


class Orchestrator:
    """Says commands as the proposal service may; every copy of a command has a message id of its own."""

    def __init__(self, connection: Client, listener: Client) -> None:
        self._connection = connection
        self._listener = listener
        self._replies: dict[str, list[bytes]] = defaultdict(list)
        self._events: list[Msg] = []
        self._news = asyncio.Condition()

    async def say(
        self,
        service: str,
        command: str,
        body: msgspec.Struct | bytes,
        *,
        key: str,
        directly: bool = False,
        **headers: str,
    ) -> None:
        """Say it once, into the stream or `directly`. `headers` replace its own; an empty one is left out."""
        envelope = Envelope(
            id=key,
            type=f"{service}.{command}.v1",
            source="proposals",
            time=spell_time(clock.now()),
            key=key,
            reply_to=f"rep.{service}.{REPLICA}.{key}",
        ).headers(str(new_id()))
        told = envelope | {name.replace("_", "-"): value for name, value in headers.items()}
        told = {name: value for name, value in told.items() if value}
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        if directly:
            await self._connection.publish(topology.direct_subject(service, command), data, headers=told)
        else:
            await self._connection.jetstream().publish(topology.command_subject(service, command), data, headers=told)

    async def replies(self, key: str, times: int = 1) -> list[bytes]:
        """The replies under the key, once so many have come, as they were sent."""
        async with asyncio.timeout(15), self._news:
            await self._news.wait_for(lambda: len(self._replies[key]) >= times)
        return self._replies[key]

    def heard_so_far(self, key: str) -> list[bytes]:
        return self._replies[key]

    async def ask(
        self,
        service: str,
        command: str,
        body: msgspec.Struct | bytes,
        *,
        key: str,
        directly: bool = False,
        **headers: str,
    ) -> Reply:
        """Say it, and wait for one more reply than there was."""
        before = len(self._replies[key])
        await self.say(service, command, body, key=key, directly=directly, **headers)
        return msgspec.json.decode((await self.replies(key, before + 1))[before], type=Reply)

    async def tell(self, subject: str, type: str, body: msgspec.Struct, *, id: UUID | None = None) -> None:
        """Publish an event, as whoever owns it would."""
        envelope = Envelope(id=str(id or new_id()), type=type, source="test", time=spell_time(clock.now()))
        await self._listener.jetstream().publish(subject, msgspec.json.encode(body), headers=envelope.headers())

    def events(self, org: UUID) -> list[tuple[str, str, dict[str, Any]]]:
        """The events of an organisation so far: `resource.event`, id, body."""
        return [
            (message.subject.split(".", 2)[2], headers["ce-id"], msgspec.json.decode(message.data))
            for message, headers in self._events_of(org)
        ]

    def headers_of_events(self, org: UUID) -> list[dict[str, str]]:
        return [headers for _, headers in self._events_of(org)]

    def _events_of(self, org: UUID) -> list[tuple[Msg, dict[str, str]]]:
        return [(each, each.headers or {}) for each in self._events if each.subject.split(".")[1] == str(org)]

    async def hears(self, org: UUID, times: int) -> list[tuple[str, str, dict[str, Any]]]:
        """The events of an organisation, once there are so many."""
        async with asyncio.timeout(15), self._news:
            await self._news.wait_for(lambda: len(self.events(org)) >= times)
        return self.events(org)

    async def hear_reply(self, message: Msg) -> None:
        async with self._news:
            self._replies[message.subject.split(".", 3)[3]].append(message.data)
            self._news.notify_all()

    async def hear_event(self, message: Msg) -> None:
        async with self._news:
            self._events.append(message)
            self._news.notify_all()


@asynccontextmanager
async def orchestrating(broker: Broker):
    """An Orchestrator on the broker, until the block is left; commands go out with the proposal service's rights."""
    connection = await broker.connection("proposals")
    listener = await nats.connect(broker.operator)
    orchestrator = Orchestrator(connection, listener)
    await listener.subscribe(f"rep.*.{REPLICA}.>", cb=orchestrator.hear_reply)
    await listener.subscribe("evt.>", cb=orchestrator.hear_event)
    await arrived(listener)
    try:
        yield orchestrator
    finally:
        await connection.close()
        await listener.close()


async def arrived(connection: Client) -> None:
    """Wait until the server has what was said, subscriptions included.

    nats-py's `flush` writes its ping past what is still pending; by the time of a second one, nothing is.
    """
    await connection.flush()
    await connection.flush()


def client_state(org: UUID, **changes: Any) -> ClientState:
    fields: dict[str, Any] = {
        "org_id": org,
        "id": new_id(),
        "version": 1,
        "name_f": "Jane",
        "name_l": "Roe",
        "email": "jane@roe.example",
        "company": "Roe Ltd",
        "billing": Billing(tax_id="GB 123", address=Address(line_1="1 High Street", city="Leeds")),
    }
    return ClientState(**fields | changes)


def open_engagement(org: UUID, *, names: tuple[str, ...] = ("Website Redesign", "SEO"), **changes: Any):
    """A command that is right, of a saga of its own unless told otherwise."""
    projects = [
        ProjectToOpen(id=new_id(), event_id=new_id(), name=name, description=f"{name}, all of it") for name in names
    ]
    fields: dict[str, Any] = {
        "org_id": org,
        "saga_id": new_id(),
        "proposal_id": new_id(),
        "engagement_id": new_id(),
        "event_id": new_id(),
        "name": "Jane Roe - Engagement",
        "client": client_state(org),
        "projects": projects,
        "at": clock.now(),
    }
    return OpenEngagement(**fields | changes)


def cancel_engagement(command: OpenEngagement) -> CancelEngagement:
    return CancelEngagement(
        org_id=command.org_id, saga_id=command.saga_id, key=f"{command.saga_id}.engagement", at=clock.now()
    )


def place_order(org: UUID, **changes: Any) -> PlaceOrder:
    """A command that is right, of a saga of its own unless told otherwise."""
    proposal, engagement = new_id(), new_id()
    metadata = {
        "proposal_id": proposal,
        "engagement_id": engagement,
        "proposal_items": [{"name": "SEO", "price": "9.50"}],
    }
    fields: dict[str, Any] = {
        "org_id": org,
        "saga_id": new_id(),
        "proposal_id": proposal,
        "engagement_id": engagement,
        "order_id": new_id(),
        "event_id": new_id(),
        "client": client_state(org),
        "price": Decimal("9700.50"),
        "currency": "USD",
        "service": "Website Redesign",
        "metadata": msgspec.Raw(msgspec.json.encode(metadata)),
        "at": clock.now(),
    }
    return PlaceOrder(**fields | changes)


def cancel_order(command: PlaceOrder) -> CancelOrder:
    return CancelOrder(org_id=command.org_id, saga_id=command.saga_id, key=f"{command.saga_id}.order", at=clock.now())
