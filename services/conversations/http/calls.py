"""The calls on one conversation and its messages, at whichever path they came."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response

from services.conversations import views
from services.conversations.domain import conversations, messages
from services.conversations.domain.conversations import Changes, Place
from services.conversations.http.bodies import ConversationChangesBody, MessageBody
from services.conversations.model import ConversationStatus
from services.conversations.store.conversations import LIGHT_BYTES
from services.conversations.views import ConversationView, MessageView
from shared import clock
from shared.database import Database, Tx
from shared.ids import parse_id
from shared.web.actor import Actor
from shared.web.answers import require_match, single
from shared.web.idempotency import once
from shared.web.paging import Listing, PageQuery, listing

AnyRequest = Request[Any, Any, Any]


async def open_conversation(
    request: AnyRequest, actor: Actor, database: Database, project: UUID, subject: str | None
) -> Response[ConversationView]:
    at = clock.now()

    async def effect(tx: Tx) -> Response[ConversationView]:
        opened = await conversations.open_conversation(tx, actor, project, subject, at)
        return single(request, views.view(opened), opened.version, status=201)

    return await once(request, database, actor.org_id, effect)


async def retrieve(
    request: AnyRequest, actor: Actor, database: Database, place: Place, *, include_internal: bool
) -> Response[ConversationView]:
    async with database.transaction(actor.org_id) as tx:
        found = await conversations.retrieve(
            tx, actor, place, include_internal=include_internal, most_bytes=LIGHT_BYTES
        )
    if found.messages_bytes >= LIGHT_BYTES:
        del found  # it would be in memory until the other's turn comes
        async with database.transaction(actor.org_id, is_large=True) as tx:
            found = await conversations.retrieve(tx, actor, place, include_internal=include_internal)
    return single(request, views.view(found), found.version)


async def change(
    request: AnyRequest, actor: Actor, database: Database, place: Place, data: ConversationChangesBody
) -> Response[ConversationView]:
    async with database.transaction(actor.org_id, is_large=True) as tx:  # its messages are in the answer
        changed = await _change(tx, request, actor, place, data.changes())
    return single(request, views.view(changed), changed.version)


async def close(request: AnyRequest, actor: Actor, database: Database, place: Place) -> None:
    async with database.transaction(actor.org_id) as tx:
        await _change(tx, request, actor, place, Changes(status=ConversationStatus.CLOSED))


async def browse_messages(
    request: AnyRequest, actor: Actor, database: Database, place: Place, query: PageQuery, *, include_internal: bool
) -> Listing[MessageView]:
    async with database.transaction(actor.org_id, is_large=query.is_long) as tx:
        found = await messages.browse(tx, actor, place, query, include_internal=include_internal)
    return listing(request, query, found, views.message)


async def post_message(
    request: AnyRequest, actor: Actor, database: Database, place: Place, data: MessageBody
) -> Response[MessageView]:
    at = clock.now()

    async def effect(tx: Tx) -> Response[MessageView]:
        posted = await messages.post(tx, actor, place, data.message(), at)
        return single(request, views.message(posted), 1, status=201)

    return await once(request, database, actor.org_id, effect)


async def remove_message(actor: Actor, database: Database, place: Place, message_id: str) -> None:
    async with database.transaction(actor.org_id) as tx:
        await messages.remove(tx, actor, place, parse_id(message_id), clock.now())


async def _change(tx: Tx, request: AnyRequest, actor: Actor, place: Place, changes: Changes) -> Any:
    return await conversations.change(
        tx,
        actor,
        place,
        changes,
        clock.now(),
        precondition=lambda version: require_match(request, version),
    )
