"""What the sign flow writes here: the engagement with its projects, once, and its undoing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.engagements.model import Engagement, EngagementStatus, Project
from shared.database import Tx
from shared.messaging.closing import ClientUndecided
from shared.messaging.consumer import Delivery
from shared.messaging.outbox import Event

# The stored function of that name (see the migrations): one round trip, committed when it returns.
OPEN = """
select reply, is_opened from open_engagement_unless_closing($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
  $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)
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
    """Write all of it and store `opened` as the reply, or `refused`; a duplicate gets what was stored.

    Raises ClientUndecided, and has done nothing then.
    """
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
    if claim is None:
        raise ClientUndecided
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
