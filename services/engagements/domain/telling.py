"""Engagements and projects as others hear of them."""

from __future__ import annotations

from uuid import UUID

from services.engagements.model import Engagement, Project
from shared.contracts.engagements import EngagementState, ProjectState
from shared.database import Tx
from shared.ids import new_id
from shared.messaging import outbox, topology
from shared.messaging.outbox import Event, event


def engagement_event(what: str, state: EngagementState, event_id: UUID | None = None) -> Event:
    """`engagement.<what>`, with an id of its own unless one is given."""
    subject = topology.event_subject(state.org_id, "engagement", what)
    return event(event_id or new_id(), subject, f"engagement.{what}.v1", state)


def project_event(what: str, state: ProjectState, event_id: UUID | None = None) -> Event:
    """`project.<what>`, with an id of its own unless one is given."""
    subject = topology.event_subject(state.org_id, "project", what)
    return event(event_id or new_id(), subject, f"project.{what}.v1", state)


async def tell_engagement(tx: Tx, what: str, engagement: Engagement) -> None:
    """Say with the change that the engagement was opened or changed."""
    await outbox.put(tx, engagement_event(what, state_of_engagement(engagement)))


async def tell_project(tx: Tx, what: str, project: Project) -> None:
    """Say with the change that the project was opened or changed."""
    await outbox.put(tx, project_event(what, state_of_project(project)))


def state_of_engagement(engagement: Engagement) -> EngagementState:
    return EngagementState(
        org_id=engagement.org_id,
        id=engagement.id,
        version=engagement.version,
        client_id=engagement.client.id,
        proposal_id=engagement.proposal_id,
        name=engagement.name,
        status=engagement.status,
    )


def state_of_project(project: Project) -> ProjectState:
    return ProjectState(
        org_id=project.org_id,
        id=project.id,
        version=project.version,
        engagement_id=project.engagement.id,
        client_id=project.engagement.client_id,
        name=project.name,
    )
