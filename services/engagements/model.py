"""What engagements and projects are, and how they move. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from shared.errors import RefersToNothing, StateForbids
from shared.names import full_name

MAX_NAME_LENGTH: Final = 255
MOST_PROJECTS: Final = 1000
"""How many projects an engagement brings along, the first; the rest is in the list of projects."""
MOST_CONVERSATIONS: Final = 1000
"""How many conversations the gateway puts into an engagement; the rest is in the inbox."""


class EngagementStatus(IntEnum):
    """As the contract numbers them."""

    ACTIVE = 1
    PAUSED = 2
    CLOSED = 3

    @property
    def label(self) -> str:
        return self.name.capitalize()


class ProjectStatus(IntEnum):
    """As the contract numbers them."""

    ACTIVE = 1
    PAUSED = 2
    COMPLETED = 3
    CANCELLED = 4

    @property
    def label(self) -> str:
        return self.name.capitalize()


class Phase(IntEnum):
    """The way of a project; one step forward at a time, and from Testing back to Build."""

    KICKOFF = 1
    SETUP = 2
    BUILD = 3
    TESTING = 4
    DEPLOYMENT = 5
    HANDOFF = 6

    @property
    def label(self) -> str:
        return self.name.capitalize()

    @property
    def next(self) -> Phase | None:
        """The phase after this one; None after Handoff."""
        return None if self is Phase.HANDOFF else Phase(self + 1)

    def may_move_to(self, phase: Phase) -> bool:
        return phase is self.next or (self is Phase.TESTING and phase is Phase.BUILD)


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A client, as this service keeps them."""

    id: UUID
    name_f: str
    name_l: str
    email: str

    @property
    def name(self) -> str:
        return full_name(self.name_f, self.name_l)

    @property
    def engagement_name(self) -> str:
        """What an engagement with the client is called unless it is given a name; a signature calls it the same."""
        return f"{self.name} - Engagement"[:MAX_NAME_LENGTH]


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A service template, as this service keeps it."""

    id: UUID
    name: str


class EngagementChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change about an engagement; what is UNSET stays. An empty name is the one that it would be given."""

    name: str | UnsetType = UNSET
    status: EngagementStatus | UnsetType = UNSET


class Engagement(msgspec.Struct, frozen=True, kw_only=True):
    """A work relationship with a client."""

    id: UUID
    org_id: UUID
    version: int
    client: Client
    proposal_id: UUID | None
    name: str
    status: EngagementStatus
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None

    def changed(self, changes: EngagementChanges, at: datetime) -> Engagement:
        """The engagement after the changes, one version on; itself when nothing changes."""
        changed = self if changes.status is UNSET else self.with_status(changes.status, at)
        name = self.name if changes.name is UNSET else changes.name or self.client.engagement_name
        if name == self.name:
            return changed
        return replace(changed, name=name, updated_at=at, version=self.version + 1)

    def with_status(self, status: EngagementStatus, at: datetime) -> Engagement:
        """Any status may follow any other; entering Closed sets `closed_at`, leaving it clears it."""
        if status is self.status:
            return self
        closed_at = at if status is EngagementStatus.CLOSED else None
        return replace(self, status=status, closed_at=closed_at, updated_at=at, version=self.version + 1)


class EngagementRef(msgspec.Struct, frozen=True, kw_only=True):
    """The engagement that a project belongs to."""

    id: UUID
    name: str
    client_id: UUID
    status: EngagementStatus


class ProjectChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change about a project; what is UNSET stays."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    status: ProjectStatus | UnsetType = UNSET
    phase: Phase | UnsetType = UNSET


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work within an engagement."""

    id: UUID
    org_id: UUID
    version: int
    engagement: EngagementRef
    name: str
    description: str | None
    status: ProjectStatus
    phase: Phase
    service: Template | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None

    def changed(self, changes: ProjectChanges, at: datetime) -> Project:
        """The project after the changes, one version on; itself when nothing changes.

        The phase that it has is no move. Raises IllegalMove, also when the project neither is nor becomes Active.
        """
        changed = self
        if changes.status is ProjectStatus.ACTIVE:
            changed = changed.with_status(changes.status, at)
        if changes.phase is not UNSET and changes.phase is not self.phase:
            changed = changed.moved_to(changes.phase, at)
        if changes.status is not UNSET:
            changed = changed.with_status(changes.status, at)
        name = self.name if changes.name is UNSET else changes.name
        description = self.description if changes.description is UNSET else changes.description
        if (changed, name, description) == (self, self.name, self.description):
            return self
        return replace(changed, name=name, description=description, updated_at=at, version=self.version + 1)

    def advanced(self, at: datetime) -> Project:
        """The next phase. Raises ProjectNotAdvanceable at Handoff or when the project is not Active."""
        following = self.phase.next
        if self.status is not ProjectStatus.ACTIVE or following is None:
            raise ProjectNotAdvanceable(self)
        return self.moved_to(following, at)

    def moved_to(self, phase: Phase, at: datetime) -> Project:
        """Raises IllegalMove unless it is one step forward, or from Testing back to Build, of an Active project."""
        if self.status is not ProjectStatus.ACTIVE or not self.phase.may_move_to(phase):
            raise IllegalMove(self, phase)
        return replace(self, phase=phase, updated_at=at, version=self.version + 1)

    def with_status(self, status: ProjectStatus, at: datetime) -> Project:
        """Any status may follow any other; entering Completed sets `completed_at`, leaving it clears it."""
        if status is self.status:
            return self
        completed_at = at if status is ProjectStatus.COMPLETED else None
        return replace(self, status=status, completed_at=completed_at, updated_at=at, version=self.version + 1)


class EngagementIsClosed(StateForbids):
    """No project can be begun in a Closed engagement."""

    def __init__(self) -> None:
        super().__init__("The engagement is Closed: no project can be added to it.")


class ProposalOfAnother(RefersToNothing):
    """The proposal is there, but it is another client's."""

    def __init__(self) -> None:
        super().__init__("proposal_id", "proposal of this client's")


class ProposalHasEngagement(StateForbids):
    """A signature opens the engagement of its proposal."""

    def __init__(self) -> None:
        detail = "The proposal is signed, or being signed: its signature opens its engagement."
        super().__init__(detail, {"proposal_id": ["A signed proposal has its engagement."]})


class IllegalMove(StateForbids):
    """A phase that does not follow from the one that the project is in, or any other while it is not Active."""

    def __init__(self, project: Project, wanted: Phase) -> None:
        if project.status is ProjectStatus.ACTIVE:
            detail = f"A project in {project.phase.label} cannot move to {wanted.label}."
        else:
            here = f"from {project.phase.label} to {wanted.label}"
            detail = f"Only an Active project moves {here}; this one is {project.status.label}."
        super().__init__(detail, {"phase": [detail]})
        self.current = project.phase
        self.wanted = wanted


class ProjectNotAdvanceable(StateForbids):
    """The project is at its last phase, or is not Active."""

    def __init__(self, project: Project) -> None:
        if project.status is ProjectStatus.ACTIVE:
            told = f"The project is in {project.phase.label}: there is no phase after it."
        else:
            told = f"Only an Active project can advance; this one is {project.status.label}."
        super().__init__(told, {"phase": [told]})
