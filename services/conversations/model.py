"""What conversations are. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from uuid import UUID

import msgspec


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
    subject: str
    status: ConversationStatus
    message_count: int
    last_message_at: datetime | None
