"""Reading engagements and projects."""

from __future__ import annotations

from uuid import UUID

from services.engagements.model import Engagement, EngagementStatus, Phase, Project, ProjectStatus
from services.engagements.store import engagements, projects
from shared.database import Tx
from shared.database.windows import Page
from shared.errors import NotFound
from shared.web.actor import Actor
from shared.web.paging import PageQuery


async def retrieve_engagement(tx: Tx, actor: Actor, engagement: UUID | None) -> tuple[Engagement, list[Project]]:
    """The engagement with its projects in the order in which they were made. Raises NotFound."""
    found = await engagements.get(tx, actor.org_id, engagement, only_of=actor.client_id) if engagement else None
    if found is None:
        raise NotFound("engagement")
    return found, await projects.of_engagement(tx, actor.org_id, found.id)


async def browse_engagements(
    tx: Tx, actor: Actor, query: PageQuery, *, status: EngagementStatus | None, client_id: UUID | None
) -> Page[Engagement]:
    """One page of the engagements that the caller may see."""
    filters = engagements.Filters(only_of=actor.client_id, status=status, client_id=client_id)
    return await engagements.page(tx, actor.org_id, filters, query.window)


async def retrieve_project(tx: Tx, actor: Actor, project: UUID | None) -> Project:
    """The project. Raises NotFound."""
    found = await projects.get(tx, actor.org_id, project, only_of=actor.client_id) if project else None
    if found is None:
        raise NotFound("project")
    return found


async def browse_projects(
    tx: Tx,
    actor: Actor,
    query: PageQuery,
    *,
    status: ProjectStatus | None,
    phase: Phase | None,
    engagement_id: UUID | None,
) -> Page[Project]:
    """One page of the projects that the caller may see."""
    filters = projects.Filters(only_of=actor.client_id, status=status, phase=phase, engagement_id=engagement_id)
    return await projects.page(tx, actor.org_id, filters, query.window)
