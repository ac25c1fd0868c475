"""What the five databases and the broker hold, gathered for the checker; whole tables, nothing filtered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec
import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

from deploy.proof.lists import Miscount, miscounts
from shared.database.errors import LINK_ERRORS
from shared.messaging import topology
from shared.messaging.connection import connected
from shared.messaging.topology import SERVICES

PROPOSALS = """
select p.id, p.org_id, p.status, p.client_id, p.client_email_key as email, p.total, p.currency, p.saga_id,
  p.converted_engagement_id as engagement_id, p.converted_order_id as order_id,
  coalesce(array_agg(i.name order by i.position) filter (where i.id is not null), '{}') as item_names,
  coalesce(sum(i.price), 0) as item_sum, coalesce(bool_and(i.org_id = p.org_id), true) as items_are_its_own
from proposals p left join proposal_items i on i.proposal_id = p.id where p.deleted_at is null group by p.id
"""
SAGAS = """
select id, org_id, proposal_id, status, is_parked, started_at from sagas
"""
CLIENTS = """
select id, org_id, email_key as email, stage from clients
"""
ENGAGEMENTS = """
select id, org_id, proposal_id, client_id, saga_id, cancelled_at from engagements
"""
PROJECTS = """
select id, org_id, engagement_id, client_id, name, saga_id, cancelled_at, deleted_at is not null as is_deleted
from projects order by created_at, id
"""
ORDERS = """
select id, org_id, proposal_id, engagement_id, client_id, saga_id, price, currency, cancelled_at from orders
"""
OUTBOX = """
select id, subject, type, body ->> 'org_id' as org_id, body ->> 'id' as about, (body ->> 'version')::int as version,
  published_at is not null as is_published from outbox
"""
PARKED = """
select key, subject, error from parked_messages
"""
VERSIONS = {
    ("identity", "clients"): "select id, version from clients",
    ("identity", "users"): "select id, version from users",
    ("proposals", "templates"): "select id, version from templates",
    ("engagements", "engagements"): "select id, version from engagements",
    ("engagements", "projects"): "select id, version from projects",
}
"""Of each thing that others keep copies of: how new its owner's row is."""
COPIES = {
    ("proposals", "clients"): ("identity", "clients"),
    ("engagements", "clients"): ("identity", "clients"),
    ("engagements", "templates"): ("proposals", "templates"),
    ("orders", "clients"): ("identity", "clients"),
    ("orders", "staff"): ("identity", "users"),
    ("orders", "templates"): ("proposals", "templates"),
    ("orders", "engagements"): ("engagements", "engagements"),
    ("conversations", "projects"): ("engagements", "projects"),
}
"""A copy, and whose it is."""
_COMMANDED = tuple(name for name, traffic in topology.TRAFFIC.items() if topology.COMMANDS in traffic.consumes)
AWAY = (*LINK_ERRORS, nats.errors.Error, nats.js.errors.Error)
"""What looking at servers raises while they are being started again."""

T = TypeVar("T")


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    org_id: UUID
    status: int
    client_id: UUID | None = None
    email: str
    total: Decimal
    currency: str
    saga_id: UUID | None
    engagement_id: UUID | None
    order_id: UUID | None
    item_names: list[str]
    item_sum: Decimal
    items_are_its_own: bool


class Saga(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    org_id: UUID
    proposal_id: UUID
    status: str
    is_parked: bool
    started_at: datetime


class Client(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    org_id: UUID
    email: str
    stage: str


class Engagement(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    org_id: UUID
    proposal_id: UUID | None
    client_id: UUID
    saga_id: UUID | None
    cancelled_at: datetime | None


class Project(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    org_id: UUID
    engagement_id: UUID
    client_id: UUID
    name: str
    saga_id: UUID | None
    cancelled_at: datetime | None
    is_deleted: bool


class Order(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    org_id: UUID
    proposal_id: UUID | None
    engagement_id: UUID | None
    client_id: UUID
    saga_id: UUID | None
    price: Decimal
    currency: str
    cancelled_at: datetime | None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A row of an outbox; `about` is the id of the thing, `version` its state's (0 where the event carries none)."""

    id: UUID
    service: str
    subject: str
    type: str
    org_id: str | None
    about: str | None
    version: int | None
    is_published: bool


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    service: str
    key: str
    subject: str
    error: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    proposals: list[Proposal]
    sagas: list[Saga]
    clients: list[Client]
    engagements: list[Engagement]
    projects: list[Project]
    orders: list[Order]
    events: list[Event]
    parked: list[Parked]
    versions: dict[tuple[str, str], dict[UUID, int]]
    """By service and table: of the owners' rows and of the copies."""
    miscounts: list[Miscount]
    commands_left: int
    """Commands that some service still has to be given, or has not acked. A broker that was killed may hold more in its
    store than that: acked already, given to nobody, gone after a day."""
    told: set[UUID] | None
    """The event ids in the broker's stream; None when nobody looked."""


async def gather(dsns: Mapping[str, str], broker: str | None, *, with_stream: bool = True) -> Evidence:
    """Read everything, over all organisations: `dsns` are by service, an administrator's or the service's own.

    `broker` is an operator's; without one, nothing is known of commands that wait. Raises what is in AWAY.
    """
    opening = (asyncpg.connect(dsn, server_settings={"app.across": "on"}) for dsn in dsns.values())
    links = dict(zip(dsns, await asyncio.gather(*opening), strict=True))
    try:
        left = await commands_left(broker) if broker else 0
        told = await _told(broker) if broker and with_stream else None
        return Evidence(
            proposals=await _rows(links["proposals"], Proposal, PROPOSALS),
            sagas=await _rows(links["proposals"], Saga, SAGAS),
            clients=await _rows(links["identity"], Client, CLIENTS),
            engagements=await _rows(links["engagements"], Engagement, ENGAGEMENTS),
            projects=await _rows(links["engagements"], Project, PROJECTS),
            orders=await _rows(links["orders"], Order, ORDERS),
            events=[row for name in SERVICES for row in await _rows(links[name], Event, OUTBOX, service=name)],
            parked=[row for name in SERVICES for row in await _rows(links[name], Parked, PARKED, service=name)],
            versions=await _versions(links),
            miscounts=await miscounts(links),
            commands_left=left,
            told=told,
        )
    finally:
        await asyncio.gather(*(link.close() for link in links.values()))


async def commands_left(broker: str) -> int:
    """Commands that the broker has still to deliver, or that no service has acked. Raises what is in AWAY."""
    async with connected(broker, connect_timeout=2) as connection:
        streams = connection.jetstream()
        waiting = [await streams.consumer_info(topology.COMMANDS, name) for name in _COMMANDED]
        return sum((info.num_pending or 0) + (info.num_ack_pending or 0) for info in waiting)


async def _rows(link: Any, shape: type[T], query: str, **known: str) -> list[T]:
    rows = await link.fetch(query)
    return [msgspec.convert({**known, **_plain(row)}, shape) for row in rows]


def _plain(row: Any) -> dict[str, Any]:
    # asyncpg's own UUID is a subclass, which msgspec takes for a stranger.
    return {name: UUID(int=value.int) if isinstance(value, UUID) else value for name, value in row.items()}


async def _versions(links: Mapping[str, Any]) -> dict[tuple[str, str], dict[UUID, int]]:
    found: dict[tuple[str, str], dict[UUID, int]] = {}
    copies = {copy: f"select id, version from {copy[1]}" for copy in COPIES}
    for (service, table), query in (VERSIONS | copies).items():
        rows = await links[service].fetch(query)
        found[service, table] = {UUID(int=row["id"].int): row["version"] for row in rows}
    return found


async def _told(broker: str) -> set[UUID]:
    """The ids of all events in the stream."""
    async with connected(broker, connect_timeout=2) as connection:
        return await _event_ids(connection.jetstream())


async def _event_ids(streams: JetStreamContext) -> set[UUID]:
    left = (await streams.stream_info(topology.EVENTS)).state.messages
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, headers_only=True)
    told: set[UUID] = set()
    if not left:
        return told
    subscription = await streams.subscribe("evt.>", stream=topology.EVENTS, ordered_consumer=True, config=config)
    for _ in range(left):
        message = await subscription.next_msg(timeout=5)
        told.add(UUID((message.headers or {})["ce-id"]))
    await subscription.unsubscribe()
    return told
