"""What the sign flow writes here: the engagement with its projects, once, and its undoing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.engagements.model import Engagement, EngagementStatus, Project
from shared.database import Tx
from shared.messaging.consumer import Delivery
from shared.messaging.outbox import Event

# One round trip. The client's row is locked first (whoever closes a client locks it too, and then counts); the inbox
# row decides whether this is the first delivery; everything else hangs on its RETURNING. A command knows its client at
# some version, open: where that is newer than what is known here, it is kept.
OPEN = """
with client as (
  insert into clients (id, org_id, version, name_f, name_l, email) values ($1, $2, $3, $4, $5, $6)
  on conflict (id) do update set version = greatest(clients.version, excluded.version),
    name_f = case when clients.version < excluded.version then excluded.name_f else clients.name_f end,
    name_l = case when clients.version < excluded.version then excluded.name_l else clients.name_l end,
    email = case when clients.version < excluded.version then excluded.email else clients.email end,
    is_closed = clients.is_closed and clients.version >= excluded.version,
    is_deleted = clients.is_deleted and clients.version >= excluded.version
  returning is_closed or is_deleted as is_gone
), claimed as (
  insert into inbox (key, delivery, reply)
  select $7, $8, case when is_gone then $9::json else $10::json end from client
  on conflict (key) do update set key = excluded.key
  returning reply, delivery = $8 as is_first
), opened as (
  insert into engagements (id, org_id, client_id, proposal_id, name, status, created_at, updated_at, saga_id)
  select $11, $2, $1, $12, $13, $14, $15, $15, $16 from claimed, client where is_first and not is_gone
  returning id
), named as (
  insert into templates (id, org_id, version, name)
  select distinct on (service_id) service_id, $2::uuid, 0, service_name
  from opened, unnest($17::uuid[], $18::text[]) as item (service_id, service_name)
  where service_id is not null and service_name is not null
  on conflict (id) do nothing
), made as (
  insert into projects (id, org_id, engagement_id, client_id, name, description, status, phase, service_id, created_at,
    updated_at, saga_id)
  select item.id, $2, opened.id, $1, item.name, item.description, $19, $20, item.service_id, $15, $15, $16
  from opened, unnest($21::uuid[], $22::text[], $23::text[], $17::uuid[]) as item (id, name, description, service_id)
), told as (
  insert into outbox (id, subject, type, body, traceparent)
  select event.id, event.subject, event.type, event.body, $24
  from opened, unnest($25::uuid[], $26::text[], $27::text[], $28::json[]) as event (id, subject, type, body)
)
select reply, is_first and not is_gone as is_opened from claimed, client
"""
# Second statement of a cancel, with a snapshot of its own: it sees what the open that `inbox.bar` has waited for
# committed.
CANCEL_ENGAGEMENTS = """
update engagements set cancelled_at = $3, updated_at = $3, version = version + 1
where org_id = $1 and saga_id = $2 and cancelled_at is null
returning id, org_id, version, client_id, proposal_id, name, status
"""
CANCEL_PROJECTS = """
update projects set cancelled_at = $3, updated_at = $3, version = version + 1
where org_id = $1 and deleted_at is null and cancelled_at is null
  and engagement_id in (select id from engagements where org_id = $1 and saga_id = $2)
returning id, org_id, version, engagement_id, client_id, name
"""


class CancelledEngagement(msgspec.Struct, frozen=True):
    id: UUID
    org_id: UUID
    version: int
    client_id: UUID
    proposal_id: UUID | None
    name: str
    status: EngagementStatus


class CancelledProject(msgspec.Struct, frozen=True):
    id: UUID
    org_id: UUID
    version: int
    engagement_id: UUID
    client_id: UUID
    name: str


class _Claim(msgspec.Struct, frozen=True):
    reply: bytes
    is_opened: bool


async def open_once(
    tx: Tx,
    delivery: Delivery,
    saga: UUID,
    engagement: Engagement,
    client_version: int,
    projects: Sequence[Project],
    *,
    opened: bytes,
    refused: bytes,
    events: Sequence[Event],
) -> bytes:
    """Write all of it and keep `opened` as the reply, or `refused`; a duplicate gets what was kept."""
    claim = await tx.row(
        _Claim,
        OPEN,
        *_client(engagement, client_version),
        *(delivery.key, delivery.id, refused, opened),
        *_engagement(engagement),
        saga,
        *_projects(projects),
        *_events(events),
    )
    assert claim is not None  # the upserts always return their row
    if claim.is_opened:
        tx.said.extend(events)
    return claim.reply


def _client(engagement: Engagement, version: int) -> tuple[Any, ...]:
    """$1 to $6."""
    client = engagement.client
    return client.id, engagement.org_id, version, client.name_f, client.name_l, client.email


def _engagement(engagement: Engagement) -> tuple[Any, ...]:
    """$11 to $15."""
    return engagement.id, engagement.proposal_id, engagement.name, engagement.status, engagement.created_at


def _projects(projects: Sequence[Project]) -> tuple[Any, ...]:
    """$17 to $23: all begin in one status and phase."""
    return (
        [project.service.id if project.service else None for project in projects],
        [project.service.name if project.service else None for project in projects],
        projects[0].status,
        projects[0].phase,
        [project.id for project in projects],
        [project.name for project in projects],
        [project.description for project in projects],
    )


def _events(events: Sequence[Event]) -> tuple[Any, ...]:
    """$24 to $28: all are of one trace."""
    return (
        events[0].traceparent,
        [event.id for event in events],
        [event.subject for event in events],
        [event.type for event in events],
        [event.body for event in events],
    )


async def cancel_engagements(tx: Tx, org: UUID, saga: UUID, at: datetime) -> list[CancelledEngagement]:
    """Mark what the saga opened as cancelled."""
    return await tx.rows(CancelledEngagement, CANCEL_ENGAGEMENTS, org, saga, at)


async def cancel_projects(tx: Tx, org: UUID, saga: UUID, at: datetime) -> list[CancelledProject]:
    """Mark the projects of what the saga opened as cancelled, those included that were added since."""
    return await tx.rows(CancelledProject, CANCEL_PROJECTS, org, saga, at)
