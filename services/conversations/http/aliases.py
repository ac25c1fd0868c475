"""`/api/conversations/{conversation_id}`: the paths of the first engagement model, deprecated."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency, Provide

from services.conversations.domain.conversations import Place
from services.conversations.http import calls
from services.conversations.http.bodies import ConversationChangesBody, MessageBody
from services.conversations.http.conversations import OLDEST_FIRST, IncludeInternal
from services.conversations.http.deprecation import (
    TOLD,
    Deprecated,
    find_successor_by_path,
    old_place,
    old_place_is_there,
)
from services.conversations.http.refusing import DELETE_REFUSALS, MESSAGE_REFUSALS, may_post_at_old_place
from services.conversations.views import ConversationView, MessageView
from shared.web.guards import staff_only
from shared.web.inputs import Asker, Db, IdInPath, JSONBody
from shared.web.openapi import refusals
from shared.web.paging import Listing, PageAfter, PageLimit, PageNumber, page_query


class AliasController(Controller):
    path = "/api/conversations/{conversation_id:str}"
    tags = ["Conversations"]
    middleware = [Deprecated()]
    before_request = find_successor_by_path
    response_headers = TOLD
    dependencies = {"place": Provide(old_place)}
    opt = {"resource": old_place_is_there}

    @get(
        summary="Retrieve a conversation with its newest messages, oldest first",
        deprecated=True,
        responses=refusals(404),
    )
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

    @put(
        summary="Change a conversation's subject or status",
        deprecated=True,
        guards=[staff_only],
        responses=refusals(403, 404, 412),
    )
    async def change(
        self,
        request: Request[Any, Any, Any],
        actor: Asker,
        database: Db,
        place: NamedDependency[Place],
        data: JSONBody[ConversationChangesBody],
    ) -> Response[ConversationView]:
        return await calls.change(request, actor, database, place, data)

    @delete(
        summary="Close a conversation",
        deprecated=True,
        guards=[staff_only],
        status_code=204,
        responses=refusals(403, 404, 412),
    )
    async def close(
        self, request: Request[Any, Any, Any], actor: Asker, database: Db, place: NamedDependency[Place]
    ) -> None:
        await calls.close(request, actor, database, place)

    @get(
        "/messages",
        summary="List the messages of a conversation, oldest first",
        deprecated=True,
        responses=refusals(404),
    )
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
        deprecated=True,
        opt={"resource": may_post_at_old_place},
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
        deprecated=True,
        status_code=204,
        responses=DELETE_REFUSALS,
    )
    async def remove_message(
        self, actor: Asker, database: Db, place: NamedDependency[Place], message_id: IdInPath
    ) -> None:
        await calls.remove_message(actor, database, place, message_id)
