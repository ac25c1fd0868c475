"""What conversations look like to callers. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from services.conversations.model import (
    MOST_ATTACHMENTS,
    MOST_MESSAGES,
    Conversation,
    ConversationStatus,
    Message,
    Summary,
)
from shared.labels import labels


class SummaryView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as its engagement shows it."""

    id: UUID
    project_id: UUID
    subject: str | None
    status: Annotated[str, labels(ConversationStatus)]
    status_id: ConversationStatus
    message_count: int
    last_message_at: datetime | None


class ProjectOfConversation(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    engagement_id: UUID


class SenderView(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote a message, by their name of today."""

    id: UUID
    name: str
    email: str
    type: Literal["staff", "client"]


class AttachmentView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    url: str
    size: int | None


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message; `content` is empty where it is its attachments alone. A client is never shown an internal one."""

    id: UUID
    conversation_id: UUID
    sender_id: UUID
    sender: SenderView
    content: str
    is_internal: bool
    attachments: Annotated[list[AttachmentView], Meta(max_length=MOST_ATTACHMENTS)]
    created_at: datetime
    updated_at: datetime


class ConversationSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as the list of its project shows it; its count and last time are of what the caller may see."""

    id: UUID
    project_id: UUID
    org_id: UUID
    subject: str | None
    status: Annotated[str, labels(ConversationStatus)]
    status_id: ConversationStatus
    message_count: int
    created_at: datetime
    updated_at: datetime
    last_message_at: datetime | None


class ConversationInInbox(ConversationSummary, frozen=True, kw_only=True):
    """A conversation as the inbox shows it; `messages` has its newest message that is not internal, if any."""

    project: ProjectOfConversation
    messages: Annotated[list[MessageView], Meta(max_length=1)]


class ConversationView(ConversationSummary, frozen=True, kw_only=True):
    """A conversation with its project and its newest messages, oldest first.

    These are the newest 100, or fewer where they are longer than 8 MiB together. `message_count` says whether there are
    more; the list of messages has them all.
    """

    project: ProjectOfConversation
    messages: Annotated[list[MessageView], Meta(max_length=MOST_MESSAGES)]


def summary(conversation: Summary) -> SummaryView:
    return SummaryView(
        id=conversation.id,
        project_id=conversation.project_id,
        subject=conversation.subject,
        status=conversation.status.label,
        status_id=conversation.status,
        message_count=conversation.message_count,
        last_message_at=conversation.last_message_at,
    )


def listed(conversation: Conversation) -> ConversationSummary:
    return ConversationSummary(**_conversation(conversation))


def in_inbox(conversation: Conversation) -> ConversationInInbox:
    return ConversationInInbox(**_conversation(conversation), **_surroundings(conversation))


def view(conversation: Conversation) -> ConversationView:
    return ConversationView(**_conversation(conversation), **_surroundings(conversation))


def message(message: Message) -> MessageView:
    return MessageView(
        id=message.id,
        conversation_id=message.conversation_id,
        sender_id=message.sender_id,
        sender=SenderView(
            id=message.sender_id,
            name=message.sender_name,
            email=message.sender_email,
            type="client" if message.is_from_client else "staff",
        ),
        content=message.content,
        is_internal=message.is_internal,
        attachments=[AttachmentView(name=each.name, url=each.url, size=each.size) for each in message.attachments],
        created_at=message.created_at,
        updated_at=message.updated_at,
    )


def _conversation(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "project_id": conversation.project_id,
        "org_id": conversation.org_id,
        "subject": conversation.subject,
        "status": conversation.status.label,
        "status_id": conversation.status,
        "message_count": conversation.message_count,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "last_message_at": conversation.last_message_at,
    }


def _surroundings(conversation: Conversation) -> dict[str, Any]:
    return {
        "project": ProjectOfConversation(
            id=conversation.project_id, name=conversation.project_name, engagement_id=conversation.engagement_id
        ),
        "messages": [message(each) for each in conversation.messages],
    }
