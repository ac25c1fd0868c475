"""What callers send."""

from __future__ import annotations

import re
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.engagements.domain.engagements import NewEngagement
from services.engagements.domain.projects import NewProject
from services.engagements.model import (
    MAX_NAME_LENGTH,
    EngagementChanges,
    EngagementStatus,
    Phase,
    ProjectChanges,
    ProjectStatus,
)
from shared.contracts.proposals import ProposalState
from shared.web.patterns import NOT_BLANK
from shared.web.texts import LongText

EngagementName = Annotated[
    str, Meta(max_length=MAX_NAME_LENGTH, description='At most 255 characters; empty: "<client> - Engagement".')
]
ProjectName = Annotated[
    str, Meta(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NOT_BLANK, description="1 to 255 characters.")
]
ProposalId = Annotated[UUID, Meta(description="The proposal that it came of, one of the client's.")]
Description = LongText


class EngagementBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    client_id: UUID
    name: EngagementName = ""
    proposal_id: ProposalId | None = None

    def engagement(self, proposal: ProposalState | None) -> NewEngagement:
        """What the domain makes an engagement of; `proposal` is what its owner says of the one that is named."""
        return NewEngagement(
            client_id=self.client_id,
            name=_or_empty(self.name),
            proposal_id=self.proposal_id,
            proposal=proposal,
        )


class EngagementChangesBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: EngagementName | UnsetType = UNSET
    status: EngagementStatus | UnsetType = UNSET

    def changes(self) -> EngagementChanges:
        """What the domain changes."""
        name = UNSET if self.name is UNSET else _or_empty(self.name)
        return EngagementChanges(name=name, status=self.status)


class ProjectBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    engagement_id: UUID
    name: ProjectName
    description: Description | None = None
    service_id: UUID | None = None

    def project(self) -> NewProject:
        """What the domain makes a project of."""
        return NewProject(
            engagement_id=self.engagement_id, name=self.name, description=self.description, service_id=self.service_id
        )


class ProjectChangesBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: ProjectName | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    status: ProjectStatus | UnsetType = UNSET
    phase: Phase | UnsetType = UNSET

    def changes(self) -> ProjectChanges:
        """What the domain changes."""
        return ProjectChanges(name=self.name, description=self.description, status=self.status, phase=self.phase)


def _or_empty(name: str) -> str:
    """The name as it was sent; a blank one is empty."""
    return name if re.search(NOT_BLANK, name) else ""
