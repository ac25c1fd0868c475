"""What others are told of conversations and messages: that something happened, never what was written."""

from __future__ import annotations

from services.conversations.model import Conversation, Message
from shared.contracts.conversations import ConversationState, MessageState
from shared.database import Tx
from shared.ids import new_id
from shared.messaging import outbox
from shared.messaging.outbox import event
from shared.messaging.topology import event_subject


async def tell_conversation(tx: Tx, what: str, conversation: Conversation) -> None:
    """Say that a conversation was `opened` or `changed`."""
    state = ConversationState(
        org_id=conversation.org_id,
        id=conversation.id,
        version=conversation.version,
        project_id=conversation.project_id,
        status=conversation.status,
    )
    subject = event_subject(conversation.org_id, "conversation", what)
    await outbox.put(tx, event(new_id(), subject, f"conversation.{what}.v1", state))


async def tell_posted(tx: Tx, conversation: Conversation, message: Message) -> None:
    """Say that a message was posted."""
    await _tell_message(tx, "posted", _state(conversation, message, version=1, is_deleted=False))


async def tell_deleted(tx: Tx, conversation: Conversation, message: Message) -> None:
    """Say that a message was deleted."""
    await _tell_message(tx, "deleted", _state(conversation, message, version=2, is_deleted=True))


async def _tell_message(tx: Tx, what: str, state: MessageState) -> None:
    subject = event_subject(state.org_id, "message", what)
    await outbox.put(tx, event(new_id(), subject, f"message.{what}.v1", state))


def _state(conversation: Conversation, message: Message, *, version: int, is_deleted: bool) -> MessageState:
    return MessageState(
        org_id=conversation.org_id,
        id=message.id,
        version=version,
        conversation_id=conversation.id,
        project_id=conversation.project_id,
        sender_id=message.sender_id,
        is_from_client=message.is_from_client,
        is_internal=message.is_internal,
        created_at=message.created_at,
        is_deleted=is_deleted,
    )
