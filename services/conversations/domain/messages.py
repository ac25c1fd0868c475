"""Posting, reading and deleting messages."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.conversations.domain.conversations import Place, lock, write_change
from services.conversations.domain.telling import tell_deleted, tell_posted
from services.conversations.model import Attachment, Message
from services.conversations.store import conversations
from services.conversations.store import messages as store
from shared.database import Tx
from shared.database.windows import Page
from shared.errors import Forbidden, NotFound
from shared.ids import new_id
from shared.web.actor import Actor
from shared.web.paging import PageQuery


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a message is made of."""

    content: str
    is_internal: bool
    attachments: tuple[Attachment, ...]


async def browse(tx: Tx, actor: Actor, place: Place, query: PageQuery, *, include_internal: bool) -> Page[Message]:
    """One page of a conversation, oldest first; to a client, internal ones are not there. Raises NotFound."""
    found = await conversations.project_of(tx, actor.org_id, place.conversation, only_of=actor.client_id)
    if found != place.project:
        raise NotFound("conversation")
    shows_internal = actor.is_staff and include_internal
    return await store.page(tx, actor.org_id, place.conversation, query.window, shows_internal=shows_internal)


async def post(tx: Tx, actor: Actor, place: Place, new: NewMessage, at: datetime) -> Message:
    """Post a message; it counts at once, and a client's opens a closed conversation again.

    Raises NotFound, Forbidden (a client's internal one), ConversationIsClosed (for staff).
    """
    before = await lock(tx, actor, place)
    if new.is_internal and not actor.is_staff:
        raise Forbidden("Only staff may post internal messages.")
    conversation = before.taking_message(from_client=not actor.is_staff, at=at)
    await write_change(tx, before, conversation)
    message = Message(
        id=new_id(),
        conversation_id=conversation.id,
        sender_id=actor.id,
        sender_name=actor.name,
        sender_email=actor.email,
        is_from_client=not actor.is_staff,
        content=new.content,
        is_internal=new.is_internal,
        attachments=new.attachments,
        created_at=at,
        updated_at=at,
    )
    posted = await store.post(tx, actor.org_id, message)
    await tell_posted(tx, conversation, posted)
    return posted


async def remove(tx: Tx, actor: Actor, place: Place, message: UUID | None, at: datetime) -> None:
    """Delete a message softly; counts and times forget it. Raises NotFound, Forbidden (not the client's own)."""
    conversation = await lock(tx, actor, place)
    found = (
        await store.get(tx, actor.org_id, conversation.id, message, shows_internal=actor.is_staff) if message else None
    )
    if found is None:
        raise NotFound("message")
    found.require_removable(actor.client_id)
    await store.remove(tx, actor.org_id, found, at)
    await tell_deleted(tx, conversation, found)
