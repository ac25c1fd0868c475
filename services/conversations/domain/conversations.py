"""Opening, reading, changing and closing conversations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from services.conversations.domain.telling import tell_conversation
from services.conversations.model import Conversation, ConversationStatus
from services.conversations.store import conversations, replicas
from services.conversations.store.conversations import MOST_BYTES, Filters
from shared.database import Tx
from shared.database.windows import Page
from shared.errors import NotFound
from shared.ids import new_id
from shared.web.actor import Actor
from shared.web.paging import PageQuery

Precondition = Callable[[int], None]
"""Given the version of what is about to change, raises Stale when the caller means another."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call happens: in a project, and in one of its conversations."""

    project: UUID
    conversation: UUID


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to become of a conversation; what is unset stays."""

    subject: str | UnsetType | None = UNSET
    status: ConversationStatus | UnsetType = UNSET


async def open_conversation(tx: Tx, actor: Actor, project: UUID, subject: str | None, at: datetime) -> Conversation:
    """Open a conversation on a project. Raises NotFound."""
    found = await replicas.get_project(tx, actor.org_id, project)
    if found is None or not found.is_for(actor.client_id):
        raise NotFound("project")
    conversation = Conversation(
        id=new_id(),
        org_id=actor.org_id,
        version=1,
        project_id=found.id,
        project_name=found.name,
        engagement_id=found.engagement_id,
        subject=subject,
        status=ConversationStatus.OPEN,
        message_count=0,
        created_at=at,
        updated_at=at,
        last_message_at=None,
    )
    await conversations.insert(tx, conversation)
    await tell_conversation(tx, "opened", conversation)
    return conversation


async def retrieve(
    tx: Tx, actor: Actor, place: Place, *, include_internal: bool = True, most_bytes: int = MOST_BYTES
) -> Conversation:
    """The conversation with its newest messages, `most_bytes` of them, oldest first; a client's without internal ones.

    Raises NotFound.
    """
    shows_internal = actor.is_staff and include_internal
    found = await conversations.get(
        tx,
        actor.org_id,
        place.conversation,
        only_of=actor.client_id,
        shows_internal=shows_internal,
        most_bytes=most_bytes,
    )
    if found is None or found.project_id != place.project:
        raise NotFound("conversation")
    return found


async def browse_project(
    tx: Tx, actor: Actor, project: UUID, query: PageQuery, *, status: ConversationStatus | None
) -> Page[Conversation]:
    """One page of the conversations of a project that the caller may see, without messages."""
    filters = Filters(only_of=actor.client_id, status=status, project_id=project)
    return await conversations.page_of_project(tx, actor.org_id, filters, query.window)


async def browse_inbox(
    tx: Tx,
    actor: Actor,
    query: PageQuery,
    *,
    status: ConversationStatus | None,
    project_id: UUID | None,
    engagement_id: UUID | None,
) -> Page[Conversation]:
    """One page over all projects that the caller may see, each with its newest message that is not internal."""
    filters = Filters(only_of=actor.client_id, status=status, project_id=project_id, engagement_id=engagement_id)
    return await conversations.page_of_inbox(tx, actor.org_id, filters, query.window)


async def change(
    tx: Tx, actor: Actor, place: Place, changes: Changes, at: datetime, *, precondition: Precondition
) -> Conversation:
    """Change what is set; returns the conversation with its messages. Raises NotFound, Stale."""
    before = await lock(tx, actor, place)
    precondition(before.version)
    after = before.changed(subject=changes.subject, status=changes.status, at=at)
    await write_change(tx, before, after)
    return await retrieve(tx, actor, place)


async def write_change(tx: Tx, before: Conversation, after: Conversation) -> None:
    """Write what became of a locked conversation, with its event; nothing where it is the same."""
    if after is not before:
        await conversations.save(tx, before, after)
        await tell_conversation(tx, "changed", after)


async def lock(tx: Tx, actor: Actor, place: Place) -> Conversation:
    """The conversation without its messages, locked until the transaction ends. Raises NotFound."""
    found = await conversations.lock(tx, actor.org_id, place.project, place.conversation, only_of=actor.client_id)
    if found is None:
        raise NotFound("conversation")
    return found
