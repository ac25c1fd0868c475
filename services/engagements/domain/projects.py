"""Beginning projects by hand, changing, advancing and deleting them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.engagements.domain.telling import project_event, tell_project
from services.engagements.model import (
    EngagementIsClosed,
    EngagementRef,
    EngagementStatus,
    Phase,
    Project,
    ProjectChanges,
    ProjectStatus,
    Template,
)
from services.engagements.store import engagements, projects, replicas
from shared.contracts.engagements import ProjectQuestion, ProjectState
from shared.database import Tx
from shared.errors import NotFound, RefersToNothing
from shared.ids import new_id
from shared.messaging import outbox
from shared.web.actor import Actor


class NewProject(msgspec.Struct, frozen=True, kw_only=True):
    """What a project is made of."""

    engagement_id: UUID
    name: str
    description: str | None
    service_id: UUID | None


async def create(tx: Tx, actor: Actor, new: NewProject, at: datetime) -> Project:
    """Begin a project: Active, in Kickoff. Raises RefersToNothing, EngagementIsClosed."""
    engagement = await engagements.lock(tx, actor.org_id, new.engagement_id)
    if engagement is None:
        raise RefersToNothing("engagement_id", "engagement")
    service = await _template(tx, actor, new.service_id) if new.service_id else None
    if engagement.status is EngagementStatus.CLOSED:
        raise EngagementIsClosed
    project = Project(
        id=new_id(),
        org_id=actor.org_id,
        version=1,
        engagement=EngagementRef(
            id=engagement.id, name=engagement.name, client_id=engagement.client.id, status=engagement.status
        ),
        name=new.name,
        description=new.description,
        status=ProjectStatus.ACTIVE,
        phase=Phase.KICKOFF,
        service=service,
        created_at=at,
        updated_at=at,
        completed_at=None,
    )
    await projects.insert(tx, project)
    await tell_project(tx, "opened", project)
    return project


async def lock(tx: Tx, actor: Actor, project: UUID | None) -> Project:
    """The project, about to be changed. Raises NotFound."""
    found = await projects.lock(tx, actor.org_id, project) if project else None
    if found is None:
        raise NotFound("project")
    return found


async def change(tx: Tx, locked: Project, changes: ProjectChanges, at: datetime) -> Project:
    """Change a project that this transaction has locked; one that stays as it is is not told of. Raises IllegalMove."""
    return await _saved(tx, locked, locked.changed(changes, at))


async def advance(tx: Tx, locked: Project, at: datetime) -> Project:
    """The next phase, of a project that this transaction has locked. Raises ProjectNotAdvanceable."""
    return await _saved(tx, locked, locked.advanced(at))


async def delete(tx: Tx, locked: Project, at: datetime) -> None:
    """Put a project that this transaction has locked out of sight; what others keep of it becomes a tombstone."""
    gone = await projects.delete(tx, locked.org_id, locked.id, at)
    if gone is not None:
        await outbox.put(tx, project_event("deleted", gone))


async def answer_project(tx: Tx, question: ProjectQuestion) -> ProjectState | None:
    """The project as others keep it, or None when there never was one."""
    return await projects.get_state(tx, question.org_id, question.id)


async def _saved(tx: Tx, locked: Project, changed: Project) -> Project:
    if changed is not locked:
        await projects.save(tx, changed)
        await tell_project(tx, "changed", changed)
    return changed


async def _template(tx: Tx, actor: Actor, template: UUID) -> Template:
    found = await replicas.get_template(tx, actor.org_id, template)
    if found is None:
        raise RefersToNothing("service_id", "service")
    return found
