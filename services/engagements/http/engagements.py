"""`/api/engagements`."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, get

from services.engagements import views
from services.engagements.domain import reading
from services.engagements.model import EngagementStatus
from services.engagements.views import EngagementSummary, EngagementView
from shared.ids import parse_id
from shared.web.inputs import Asker, Db, FromQuery, IdInPath
from shared.web.paging import Listing, PageLimit, PageNumber, SortOrder, filter_id, filter_number, listing, page_query

SORT_FIELDS = ("id", "name", "status", "created_at", "updated_at")


class EngagementController(Controller):
    path = "/api/engagements"
    tags = ["Engagements"]

    @get(summary="List engagements")
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        sort: SortOrder = "created_at:desc",
        status: FromQuery[int | None] = None,
        client_id: FromQuery[str | None] = None,
    ) -> Listing[EngagementSummary]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort)
        wanted, client = filter_number("status", EngagementStatus, status), filter_id("client_id", client_id)
        async with database.transaction(actor.org_id) as tx:
            found = await reading.browse_engagements(tx, actor, query, status=wanted, client_id=client)
        return listing(request, query, found, views.engagement_summary)

    @get("/{engagement_id:str}", summary="Retrieve an engagement with its projects and conversations")
    async def retrieve(self, actor: Asker, database: Db, engagement_id: IdInPath) -> EngagementView:
        async with database.transaction(actor.org_id) as tx:
            engagement, projects = await reading.retrieve_engagement(tx, actor, parse_id(engagement_id))
        return views.engagement_view(engagement, projects)
