"""What engagements and projects look like to callers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from services.engagements.model import (
    MOST_CONVERSATIONS,
    MOST_PROJECTS,
    Engagement,
    EngagementStatus,
    Phase,
    Project,
    ProjectStatus,
)
from shared.labels import labels


class ClientRef(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    email: str


class EngagementSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An engagement as lists show it."""

    id: UUID
    org_id: UUID
    client_id: UUID
    client: ClientRef
    name: str
    status: Annotated[str, labels(EngagementStatus)]
    status_id: EngagementStatus
    proposal_id: UUID | None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None


class ProjectOfEngagement(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    status: Annotated[str, labels(ProjectStatus)]
    status_id: ProjectStatus
    phase: Annotated[str, labels(Phase)]
    phase_id: Phase


class ConversationOfEngagement(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    project_id: UUID
    subject: str | None
    status: Literal["Open", "Closed"]
    status_id: Literal[1, 2]
    message_count: int
    last_message_at: datetime | None


class EngagementView(EngagementSummary, frozen=True, kw_only=True):
    """An engagement with its first projects and its newest conversations; their lists have them all."""

    projects: Annotated[list[ProjectOfEngagement], Meta(max_length=MOST_PROJECTS)]
    conversations: Annotated[list[ConversationOfEngagement], Meta(max_length=MOST_CONVERSATIONS)]
    """The gateway puts these in."""


class ProjectSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A project as lists show it."""

    id: UUID
    engagement_id: UUID
    org_id: UUID
    name: str
    description: str | None
    status: Annotated[str, labels(ProjectStatus)]
    status_id: ProjectStatus
    phase: Annotated[str, labels(Phase)]
    phase_id: Phase
    service_id: UUID | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class EngagementOfProject(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    client_id: UUID
    status: Annotated[str, labels(EngagementStatus)]


class ServiceOfProject(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str


class ProjectView(ProjectSummary, frozen=True, kw_only=True):
    """A project with its engagement and the service that it delivers."""

    engagement: EngagementOfProject
    service: ServiceOfProject | None


def engagement_summary(engagement: Engagement) -> EngagementSummary:
    return EngagementSummary(**_engagement(engagement))


def engagement_view(engagement: Engagement, projects: Sequence[Project]) -> EngagementView:
    return EngagementView(
        **_engagement(engagement), projects=[_project_of_engagement(project) for project in projects], conversations=[]
    )


def project_summary(project: Project) -> ProjectSummary:
    return ProjectSummary(**_project(project))


def project_view(project: Project) -> ProjectView:
    engagement, service = project.engagement, project.service
    return ProjectView(
        **_project(project),
        engagement=EngagementOfProject(
            id=engagement.id, name=engagement.name, client_id=engagement.client_id, status=engagement.status.label
        ),
        service=ServiceOfProject(id=service.id, name=service.name) if service else None,
    )


def _engagement(engagement: Engagement) -> dict[str, Any]:
    client = engagement.client
    return {
        "id": engagement.id,
        "org_id": engagement.org_id,
        "client_id": client.id,
        "client": ClientRef(id=client.id, name=client.name, email=client.email),
        "name": engagement.name,
        "status": engagement.status.label,
        "status_id": engagement.status,
        "proposal_id": engagement.proposal_id,
        "created_at": engagement.created_at,
        "updated_at": engagement.updated_at,
        "closed_at": engagement.closed_at,
    }


def _project_of_engagement(project: Project) -> ProjectOfEngagement:
    return ProjectOfEngagement(
        id=project.id,
        name=project.name,
        status=project.status.label,
        status_id=project.status,
        phase=project.phase.label,
        phase_id=project.phase,
    )


def _project(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "engagement_id": project.engagement.id,
        "org_id": project.org_id,
        "name": project.name,
        "description": project.description,
        "status": project.status.label,
        "status_id": project.status,
        "phase": project.phase.label,
        "phase_id": project.phase,
        "service_id": project.service.id if project.service else None,
        "created_at": project.created_at,
        "updated_at": project.updated_at,
        "completed_at": project.completed_at,
    }
