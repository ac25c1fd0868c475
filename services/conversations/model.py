"""What conversations and their messages are, and how they change. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from shared.errors import Forbidden, StateForbids

MOST_ATTACHMENTS: Final = 100
"""Of one message."""
MOST_MESSAGES: Final = 100
"""How many messages a single conversation brings along, the newest; the rest is in the list of its messages."""


class ConversationStatus(IntEnum):
    """As the contract numbers them."""

    OPEN = 1
    CLOSED = 2

    @property
    def label(self) -> str:
        return self.name.capitalize()


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation without its messages; counts and times are those that its reader may know of."""

    id: UUID
    project_id: UUID
    subject: str | None
    status: ConversationStatus
    message_count: int
    last_message_at: datetime | None


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project as this service keeps it; a deleted one is a tombstone."""

    id: UUID
    engagement_id: UUID
    client_id: UUID
    name: str
    is_deleted: bool

    def is_for(self, only_of: UUID | None) -> bool:
        """Whether it is there for staff (None), or for the client of that id."""
        return not self.is_deleted and only_of in (None, self.client_id)


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file that lies elsewhere; `size` in bytes, where it was told."""

    name: str
    url: str
    size: int | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message; name and e-mail are its sender's of today."""

    id: UUID
    conversation_id: UUID
    sender_id: UUID
    sender_name: str
    sender_email: str
    is_from_client: bool
    content: str
    is_internal: bool
    attachments: tuple[Attachment, ...]
    created_at: datetime
    updated_at: datetime

    def require_removable(self, only_of: UUID | None) -> None:
        """Staff (None) may delete any message, a client their own. Raises Forbidden."""
        if only_of is not None and not (self.is_from_client and self.sender_id == only_of):
            raise Forbidden("A client may delete their own messages only.")


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as its reader may know it: counts, times and messages leave out what they may not see.

    `version` counts its own changes; messages do not move it. `messages` are the newest of them, oldest first, and
    `messages_bytes` long together.
    """

    id: UUID
    org_id: UUID
    version: int
    project_id: UUID
    project_name: str
    engagement_id: UUID
    subject: str | None
    status: ConversationStatus
    message_count: int
    created_at: datetime
    updated_at: datetime
    last_message_at: datetime | None
    messages: tuple[Message, ...] = ()
    messages_bytes: int = 0

    def changed(
        self, *, subject: str | UnsetType | None = UNSET, status: ConversationStatus | UnsetType = UNSET, at: datetime
    ) -> Conversation:
        """With what is set; itself when that changes nothing."""
        now = replace(
            self,
            subject=self.subject if subject is UNSET else subject,
            status=self.status if status is UNSET else status,
        )
        return self if now == self else replace(now, version=self.version + 1, updated_at=at)

    def taking_message(self, *, from_client: bool, at: datetime) -> Conversation:
        """As it is with one more message in it: a client's opens a closed one again. Raises ConversationIsClosed."""
        if self.status is ConversationStatus.CLOSED and not from_client:
            raise ConversationIsClosed
        return self.changed(status=ConversationStatus.OPEN, at=at)


class ConversationIsClosed(StateForbids):
    """Staff post nothing in a closed conversation."""

    def __init__(self) -> None:
        super().__init__("The conversation is Closed; open it again to post in it.")
