"""What engagements hears and says."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from shared.contracts.identity import ClientState


class ProjectToOpen(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a signed proposal, about to become a project."""

    id: UUID
    event_id: UUID
    name: str
    description: str
    service_id: UUID | None = None
    service_name: str | None = None


class OpenEngagement(msgspec.Struct, frozen=True, kw_only=True):
    """Command `open`: an engagement with its projects, in the order given. Carries all that is needed."""

    org_id: UUID
    saga_id: UUID
    proposal_id: UUID
    engagement_id: UUID
    event_id: UUID
    name: str
    client: ClientState
    projects: list[ProjectToOpen]
    at: datetime


class EngagementOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The reply: the engagement and its projects as their own endpoints show them."""

    engagement: msgspec.Raw
    projects: list[msgspec.Raw]


class CancelEngagement(msgspec.Struct, frozen=True, kw_only=True):
    """Command `cancel`: undo what this saga opened; `key` is the message key of its `open`."""

    org_id: UUID
    saga_id: UUID
    key: str
    at: datetime


class EngagementState(msgspec.Struct, frozen=True, kw_only=True):
    """An engagement as others keep it (events `engagement.opened`, `.changed`, `.cancelled`, question `engagement`)."""

    org_id: UUID
    id: UUID
    version: int
    client_id: UUID
    proposal_id: UUID | None
    name: str
    status: int
    is_cancelled: bool = False


class ProjectState(msgspec.Struct, frozen=True, kw_only=True):
    """A project as others keep it (events `project.opened`, `.changed`, `.deleted`, `.cancelled`; a question)."""

    org_id: UUID
    id: UUID
    version: int
    engagement_id: UUID
    client_id: UUID
    name: str
    is_deleted: bool = False


class ProjectQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`ask.engagements.project`: what is this project? Answered with a ProjectState, or null when there is none."""

    org_id: UUID
    id: UUID


class EngagementQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`ask.engagements.engagement`: what is this engagement? Answered with an EngagementState, or null."""

    org_id: UUID
    id: UUID
