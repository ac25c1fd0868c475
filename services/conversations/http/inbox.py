"""`/api/conversations`: the inbox over all projects that the caller may see; and, deprecated, opening one."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get, post

from services.conversations import views
from services.conversations.domain import conversations
from services.conversations.http import calls
from services.conversations.http.bodies import ConversationOnProjectBody
from services.conversations.http.conversations import SORT_FIELDS, SortOrder, StatusFilter
from services.conversations.http.deprecation import TOLD, Deprecated, find_successor_by_body
from services.conversations.http.places import require_project
from services.conversations.model import ConversationStatus
from services.conversations.views import ConversationInInbox, ConversationView
from shared.errors import NotFound, RefersToNothing
from shared.web.inputs import Asker, Db, JSONBody
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
    page_query,
)


class InboxController(Controller):
    path = "/api/conversations"
    tags = ["Conversations"]

    @get(summary="List conversations over all projects, each with its newest message", responses=refusals())
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        page: PageNumber = 1,
        limit: PageLimit = 20,
        after: PageAfter = None,
        sort: SortOrder = "last_message_at:desc",
        status: StatusFilter = None,
        project_id: IdFilter = None,
        engagement_id: IdFilter = None,
    ) -> Listing[ConversationInInbox]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort, after=after)
        wanted = filter_number("status", ConversationStatus, status)
        project, engagement = filter_id("project_id", project_id), filter_id("engagement_id", engagement_id)
        async with database.single(is_large=query.is_long) as tx:
            found = await conversations.browse_inbox(
                tx, actor, query, status=wanted, project_id=project, engagement_id=engagement
            )
        return listing(request, query, found, views.in_inbox)

    @post(
        summary="Open a conversation on the project that the body names",
        deprecated=True,
        middleware=[Deprecated()],
        before_request=find_successor_by_body,
        response_headers=TOLD,
        responses=refusals(because={422: "The project does not exist"}),
    )
    async def create(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, data: JSONBody[ConversationOnProjectBody]
    ) -> Response[ConversationView]:
        try:
            project = await require_project(request, data.project_id)
        except NotFound as error:
            raise RefersToNothing("project_id", "project") from error
        return await calls.open_conversation(request, actor, database, project, data.subject)
