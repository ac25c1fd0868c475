"""`/api/engagements`."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency

from services.engagements import views
from services.engagements.domain import engagements, reading
from services.engagements.http.bodies import EngagementBody, EngagementChangesBody
from services.engagements.http.learning import ask_proposal, learn_client
from services.engagements.model import EngagementChanges, EngagementStatus
from services.engagements.views import EngagementSummary, EngagementView
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

SORT_FIELDS = ("id", "name", "status", "created_at", "updated_at")
SortOrder = Annotated[str, sorts(SORT_FIELDS)]
StatusFilter = Annotated[int | None, numbers_of(EngagementStatus)]


async def engagement_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the caller may see the engagement of the path."""
    async with request.app.state.database.transaction(request.state["actor"].org_id) as tx:
        await reading.retrieve_engagement(tx, request.state["actor"], parse_id(request.path_params["engagement_id"]))


class EngagementController(Controller):
    path = "/api/engagements"
    tags = ["Engagements"]

    @get(summary="List engagements", responses=refusals())
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
        client_id: IdFilter = None,
    ) -> Listing[EngagementSummary]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort, after=after)
        wanted, client = filter_number("status", EngagementStatus, status), filter_id("client_id", client_id)
        async with database.single(is_large=query.is_long) as tx:
            found = await reading.browse_engagements(tx, actor, query, status=wanted, client_id=client)
        return listing(request, query, found, views.engagement_summary)

    @post(
        summary="Open an engagement with a client",
        guards=[staff_only],
        responses=refusals(
            403,
            because={
                409: "The proposal is Signed, or being signed: it has an engagement of its own",
                422: "There is no such client, or no such proposal of theirs",
            },
        ),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        bus: NamedDependency[Bus],
        data: JSONBody[EngagementBody],
    ) -> Response[EngagementSummary]:
        await learn_client(database, bus, actor.org_id, data.client_id)
        proposal = None
        if data.proposal_id is not None:
            proposal = await ask_proposal(database, bus, actor.org_id, data.proposal_id, client=data.client_id)

        async def effect(tx: Tx) -> Response[EngagementSummary]:
            engagement = await engagements.create(tx, actor, data.engagement(proposal), clock.now())
            return single(request, views.engagement_summary(engagement), engagement.version, status=201)

        return await once(request, database, actor.org_id, effect)

    @get(
        "/{engagement_id:str}",
        summary="Retrieve an engagement with its projects and conversations",
        responses=refusals(404),
    )
    async def retrieve(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, engagement_id: IdInPath
    ) -> Response[EngagementView]:
        async with database.transaction(actor.org_id) as tx:
            engagement, projects = await reading.retrieve_engagement(tx, actor, parse_id(engagement_id))
        return single(request, views.engagement_view(engagement, projects), engagement.version)

    @put(
        "/{engagement_id:str}",
        summary="Change an engagement's name or status",
        guards=[staff_only],
        opt={"resource": engagement_is_there},
        responses=refusals(403, 404, 412),
    )
    async def change(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        engagement_id: IdInPath,
        data: JSONBody[EngagementChangesBody],
    ) -> Response[EngagementSummary]:
        async with database.transaction(actor.org_id) as tx:
            locked = await engagements.lock(tx, actor, parse_id(engagement_id))
            require_match(request, locked.version)
            engagement = await engagements.change(tx, locked, data.changes(), clock.now())
        return single(request, views.engagement_summary(engagement), engagement.version)

    @delete(
        "/{engagement_id:str}", summary="Close an engagement", guards=[staff_only], responses=refusals(403, 404, 412)
    )
    async def close(self, request: Request[Any, Any, Any], actor: Asker, database: Db, engagement_id: IdInPath) -> None:
        async with database.transaction(actor.org_id) as tx:
            locked = await engagements.lock(tx, actor, parse_id(engagement_id))
            require_match(request, locked.version)
            await engagements.change(tx, locked, EngagementChanges(status=EngagementStatus.CLOSED), clock.now())
