"""`/api/projects`."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, get

from services.engagements import views
from services.engagements.domain import reading
from services.engagements.model import Phase, ProjectStatus
from services.engagements.views import ProjectSummary, ProjectView
from shared.ids import parse_id
from shared.web.inputs import Asker, Db, FromQuery, IdInPath
from shared.web.paging import Listing, PageLimit, PageNumber, SortOrder, filter_id, filter_number, listing, page_query

SORT_FIELDS = ("id", "name", "status", "phase", "created_at", "updated_at")


class ProjectController(Controller):
    path = "/api/projects"
    tags = ["Projects"]

    @get(summary="List projects")
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        sort: SortOrder = "created_at:desc",
        status: FromQuery[int | None] = None,
        phase: FromQuery[int | None] = None,
        engagement_id: FromQuery[str | None] = None,
    ) -> Listing[ProjectSummary]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort)
        wanted, in_phase = filter_number("status", ProjectStatus, status), filter_number("phase", Phase, phase)
        engagement = filter_id("engagement_id", engagement_id)
        async with database.transaction(actor.org_id) as tx:
            found = await reading.browse_projects(
                tx, actor, query, status=wanted, phase=in_phase, engagement_id=engagement
            )
        return listing(request, query, found, views.project_summary)

    @get("/{project_id:str}", summary="Retrieve a project with its engagement and service")
    async def retrieve(self, actor: Asker, database: Db, project_id: IdInPath) -> ProjectView:
        async with database.transaction(actor.org_id) as tx:
            project = await reading.retrieve_project(tx, actor, parse_id(project_id))
        return views.project_view(project)
