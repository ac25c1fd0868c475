"""What conversations look like to callers. Pure."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.conversations.model import Summary


class SummaryView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as its engagement shows it."""

    id: UUID
    project_id: UUID
    subject: str
    status: str
    status_id: int
    message_count: int
    last_message_at: datetime | None


def summary(conversation: Summary) -> SummaryView:
    return SummaryView(
        id=conversation.id,
        project_id=conversation.project_id,
        subject=conversation.subject,
        status=conversation.status.label,
        status_id=conversation.status.value,
        message_count=conversation.message_count,
        last_message_at=conversation.last_message_at,
    )
