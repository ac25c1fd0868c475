"""What conversations says. No event carries what was written: whoever may read it asks the API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class ConversationState(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as others hear of it (events `conversation.opened`, `.changed`); messages do not move it."""

    org_id: UUID
    id: UUID
    version: int
    project_id: UUID
    status: int


class MessageState(msgspec.Struct, frozen=True, kw_only=True):
    """A message as others hear of it (events `message.posted`, `.deleted`).

    Of an internal one nothing may be told to a client, not even that it is there.
    """

    org_id: UUID
    id: UUID
    version: int
    conversation_id: UUID
    project_id: UUID
    sender_id: UUID
    is_from_client: bool
    is_internal: bool
    created_at: datetime
    is_deleted: bool = False
