"""`/api/projects`."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency

from services.engagements import views
from services.engagements.domain import projects, reading
from services.engagements.http.bodies import ProjectBody, ProjectChangesBody
from services.engagements.http.learning import learn_template
from services.engagements.model import Phase, ProjectStatus
from services.engagements.views import ProjectSummary, ProjectView
from shared import clock
from shared.database import Tx
from shared.ids import parse_id
from shared.messaging.bus import Bus
from shared.web.answers import require_match, single
from shared.web.guards import staff_only
from shared.web.idempotency import once
from shared.web.inputs import Asker, Db, IdInPath, JSONBody
from shared.web.openapi import refusals
from shared.web.paging import (
    IdFilter,
    Listing,
    PageAfter,
    PageLimit,
    PageNumber,
    filter_id,
    filter_number,
    listing,
    numbers_of,
    page_query,
    sorts,
)

SORT_FIELDS = ("id", "name", "status", "phase", "created_at", "updated_at")
SortOrder = Annotated[str, sorts(SORT_FIELDS)]
StatusFilter = Annotated[int | None, numbers_of(ProjectStatus)]
PhaseFilter = Annotated[int | None, numbers_of(Phase)]


async def project_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the caller may see the project of the path."""
    async with request.app.state.database.single() as tx:
        await reading.retrieve_project(tx, request.state["actor"], parse_id(request.path_params["project_id"]))


class ProjectController(Controller):
    path = "/api/projects"
    tags = ["Projects"]

    @get(summary="List projects", responses=refusals())
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        after: PageAfter = None,
        sort: SortOrder = "created_at:desc",
        status: StatusFilter = None,
        phase: PhaseFilter = None,
        engagement_id: IdFilter = None,
    ) -> Listing[ProjectSummary]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort, after=after)
        wanted, in_phase = filter_number("status", ProjectStatus, status), filter_number("phase", Phase, phase)
        engagement = filter_id("engagement_id", engagement_id)
        async with database.single(is_large=query.is_long) as tx:
            found = await reading.browse_projects(
                tx, actor, query, status=wanted, phase=in_phase, engagement_id=engagement
            )
        return listing(request, query, found, views.project_summary)

    @post(
        summary="Begin a project: Active, in Kickoff",
        guards=[staff_only],
        responses=refusals(403, 422, because={409: "The engagement is Closed"}),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        bus: NamedDependency[Bus],
        data: JSONBody[ProjectBody],
    ) -> Response[ProjectView]:
        if data.service_id is not None:
            await learn_template(database, bus, actor.org_id, data.service_id)

        async def effect(tx: Tx) -> Response[ProjectView]:
            project = await projects.create(tx, actor, data.project(), clock.now())
            return single(request, views.project_view(project), project.version, status=201)

        return await once(request, database, actor.org_id, effect)

    @get("/{project_id:str}", summary="Retrieve a project with its engagement and service", responses=refusals(404))
    async def retrieve(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, project_id: IdInPath
    ) -> Response[ProjectView]:
        async with database.single() as tx:
            project = await reading.retrieve_project(tx, actor, parse_id(project_id))
        return single(request, views.project_view(project), project.version)

    @put(
        "/{project_id:str}",
        summary="Change a project's name, description, status or phase",
        guards=[staff_only],
        opt={"resource": project_is_there},
        responses=refusals(
            403, 404, 412, because={409: "The phase does not follow from the one it is in, or it is not Active"}
        ),
    )
    async def change(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        project_id: IdInPath,
        data: JSONBody[ProjectChangesBody],
    ) -> Response[ProjectView]:
        async with database.transaction(actor.org_id) as tx:
            locked = await projects.lock(tx, actor, parse_id(project_id))
            require_match(request, locked.version)
            project = await projects.change(tx, locked, data.changes(), clock.now())
        return single(request, views.project_view(project), project.version)

    @delete(
        "/{project_id:str}",
        summary="Delete a project, and with it its conversations",
        guards=[staff_only],
        responses=refusals(403, 404, 412),
    )
    async def remove(self, request: Request[Any, Any, Any], actor: Asker, database: Db, project_id: IdInPath) -> None:
        async with database.transaction(actor.org_id) as tx:
            locked = await projects.lock(tx, actor, parse_id(project_id))
            require_match(request, locked.version)
            await projects.delete(tx, locked, clock.now())

    @post(
        "/{project_id:str}/advance",
        summary="Move a project to its next phase",
        guards=[staff_only],
        status_code=200,
        opt={"resource": project_is_there},
        responses=refusals(403, 404, 412, 422, because={409: "The project is in Handoff, or it is not Active"}),
    )
    async def advance(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, project_id: IdInPath
    ) -> Response[ProjectView]:
        async def effect(tx: Tx) -> Response[ProjectView]:
            locked = await projects.lock(tx, actor, parse_id(project_id))
            require_match(request, locked.version)
            project = await projects.advance(tx, locked, clock.now())
            return single(request, views.project_view(project), project.version)

        return await once(request, database, actor.org_id, effect)
