"""How conversations change, and who may delete a message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from services.conversations.model import (
    Conversation,
    ConversationIsClosed,
    ConversationStatus,
    Message,
    Project,
)
from shared.errors import Forbidden
from shared.ids import new_id

AT = datetime(2026, 2, 8, 12, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


def conversation() -> Conversation:
    return Conversation(
        id=new_id(),
        org_id=new_id(),
        version=1,
        project_id=new_id(),
        project_name="SEO",
        engagement_id=new_id(),
        subject="Kickoff",
        status=ConversationStatus.OPEN,
        message_count=0,
        created_at=AT,
        updated_at=AT,
        last_message_at=None,
    )


def message(*, is_from_client: bool) -> Message:
    return Message(
        id=new_id(),
        conversation_id=new_id(),
        sender_id=new_id(),
        sender_name="Jane Roe",
        sender_email="jane@roe.example",
        is_from_client=is_from_client,
        content="Hello",
        is_internal=False,
        attachments=(),
        created_at=AT,
        updated_at=AT,
    )


def test_what_is_unset_stays():
    before = conversation()
    after = before.changed(status=ConversationStatus.CLOSED, at=LATER)
    assert after == replace(before, status=ConversationStatus.CLOSED, version=2, updated_at=LATER)


def test_a_subject_is_cleared_by_none():
    assert conversation().changed(subject=None, at=LATER).subject is None


def test_a_change_to_what_it_is_already_is_none():
    before = conversation()
    assert before.changed(subject="Kickoff", status=ConversationStatus.OPEN, at=LATER) is before


def test_an_open_conversation_takes_messages_and_stays_as_it_is():
    before = conversation()
    for from_client in (True, False):
        assert before.taking_message(from_client=from_client, at=LATER) is before


def test_a_clients_message_opens_a_closed_conversation_and_staffs_is_refused():
    closed = conversation().changed(status=ConversationStatus.CLOSED, at=AT)
    with pytest.raises(ConversationIsClosed):
        closed.taking_message(from_client=False, at=LATER)
    opened = closed.taking_message(from_client=True, at=LATER)
    assert opened == replace(closed, status=ConversationStatus.OPEN, version=closed.version + 1, updated_at=LATER)


def test_staff_may_delete_any_message_and_a_client_their_own():
    mine, theirs = message(is_from_client=True), message(is_from_client=False)
    for each in (mine, theirs):
        each.require_removable(None)
    mine.require_removable(mine.sender_id)
    for each in (message(is_from_client=True), theirs):
        with pytest.raises(Forbidden):
            each.require_removable(mine.sender_id)


def test_a_project_is_there_for_staff_and_its_client_until_it_is_deleted():
    project = Project(id=new_id(), engagement_id=new_id(), client_id=new_id(), name="SEO", is_deleted=False)
    assert project.is_for(None)
    assert project.is_for(project.client_id)
    assert not project.is_for(new_id())
    assert not replace(project, is_deleted=True).is_for(None)
