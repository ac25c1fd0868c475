"""`/api/projects/{project_id}/conversations`."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from services.conversations import views
from services.conversations.domain import conversations
from services.conversations.domain.conversations import Place
from services.conversations.http import calls
from services.conversations.http.bodies import ConversationBody, ConversationChangesBody, MessageBody
from services.conversations.http.places import (
    conversation_is_there,
    conversation_place,
    project_is_there,
    project_place,
)
from services.conversations.http.refusing import DELETE_REFUSALS, MESSAGE_REFUSALS, may_post
from services.conversations.model import ConversationStatus
from services.conversations.views import ConversationSummary, ConversationView, MessageView
from shared.web.guards import staff_only
from shared.web.inputs import Asker, Db, IdInPath, JSONBody
from shared.web.openapi import refusals
from shared.web.paging import (
    Listing,
    PageAfter,
    PageLimit,
    PageNumber,
    filter_number,
    listing,
    numbers_of,
    page_query,
    sorts,
)

SORT_FIELDS = ("id", "subject", "status", "created_at", "updated_at", "last_message_at")
SortOrder = Annotated[str, sorts(SORT_FIELDS)]
StatusFilter = Annotated[int | None, numbers_of(ConversationStatus)]
OLDEST_FIRST = "created_at:asc"
IncludeInternal = Annotated[
    bool, QueryParameter(description="`false` leaves internal messages out; a client never gets them.")
]


class ProjectConversationController(Controller):
    path = "/api/projects/{project_id:str}/conversations"
    tags = ["Conversations"]
    dependencies = {"project": Provide(project_place)}
    opt = {"resource": project_is_there}

    @get(summary="List the conversations of a project, newest activity first", responses=refusals(404))
    async def browse(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        project: NamedDependency[UUID],
        page: PageNumber = 1,
        limit: PageLimit = 20,
        after: PageAfter = None,
        sort: SortOrder = "last_message_at:desc",
        status: StatusFilter = None,
    ) -> Listing[ConversationSummary]:
        query = page_query(SORT_FIELDS, page=page, limit=limit, sort=sort, after=after)
        wanted = filter_number("status", ConversationStatus, status)
        async with database.single() as tx:
            found = await conversations.browse_project(tx, actor, project, query, status=wanted)
        return listing(request, query, found, views.listed)

    @post(summary="Open a conversation on a project", responses=refusals(404))
    async def create(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        project: NamedDependency[UUID],
        data: JSONBody[ConversationBody],
    ) -> Response[ConversationView]:
        return await calls.open_conversation(request, actor, database, project, data.subject)


class ConversationController(Controller):
    path = "/api/projects/{project_id:str}/conversations/{conversation_id:str}"
    tags = ["Conversations"]
    dependencies = {"place": Provide(conversation_place)}
    opt = {"resource": conversation_is_there}

    @get(summary="Retrieve a conversation with its newest messages, oldest first", responses=refusals(404))
    async def retrieve(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        place: NamedDependency[Place],
        *,
        include_internal: IncludeInternal = True,
    ) -> Response[ConversationView]:
        return await calls.retrieve(request, actor, database, place, include_internal=include_internal)

    @put(summary="Change a conversation's subject or status", guards=[staff_only], responses=refusals(403, 404, 412))
    async def change(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        place: NamedDependency[Place],
        data: JSONBody[ConversationChangesBody],
    ) -> Response[ConversationView]:
        return await calls.change(request, actor, database, place, data)

    @delete(summary="Close a conversation", guards=[staff_only], status_code=204, responses=refusals(403, 404, 412))
    async def close(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, place: NamedDependency[Place]
    ) -> None:
        await calls.close(request, actor, database, place)

    @get("/messages", summary="List the messages of a conversation, oldest first", responses=refusals(404))
    async def browse_messages(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        place: NamedDependency[Place],
        page: PageNumber = 1,
        limit: PageLimit = 20,
        after: PageAfter = None,
        *,
        include_internal: IncludeInternal = True,
    ) -> Listing[MessageView]:
        query = page_query(("created_at",), page=page, limit=limit, sort=OLDEST_FIRST, after=after)
        return await calls.browse_messages(request, actor, database, place, query, include_internal=include_internal)

    @post(
        "/messages",
        summary="Post a message in a conversation; a client's opens a closed one again",
        opt={"resource": may_post},
        responses=MESSAGE_REFUSALS,
    )
    async def post_message(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        place: NamedDependency[Place],
        data: JSONBody[MessageBody],
    ) -> Response[MessageView]:
        return await calls.post_message(request, actor, database, place, data)

    @delete(
        "/messages/{message_id:str}",
        summary="Delete a message: staff any, a client their own",
        status_code=204,
        responses=DELETE_REFUSALS,
    )
    async def remove_message(
        self, actor: Asker, database: Db, place: NamedDependency[Place], message_id: IdInPath
    ) -> None:
        await calls.remove_message(actor, database, place, message_id)
