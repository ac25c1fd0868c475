"""Messages. Whoever writes one has locked its conversation, whose counts are written in the same statement."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from services.conversations.model import Message
from shared.database import Tx
from shared.database.listing import NO_FILTERS, Choice, Filter, Sort, pages
from shared.database.windows import Page, Window

COLUMNS = """
m.id, m.conversation_id, m.sender_id, coalesce(s.name, m.sender_name) as sender_name,
coalesce(s.email, m.sender_email) as sender_email, m.is_from_client, m.content, m.is_internal, m.attachments,
m.created_at, m.updated_at
"""
SENDER = """
left join senders s on s.org_id = m.org_id and s.id = m.sender_id
"""
# `$3`: whether the reader is shown internal ones.
FILTERED = """
m.org_id = $1 and m.conversation_id = $2 and m.deleted_at is null and ($3 or not m.is_internal)
"""
GET = f"""
select {COLUMNS} from messages m {SENDER} where {FILTERED} and m.id = $4
"""
# The conversation has the count; none: it is not there.
COUNT = """
select coalesce((
  select case when $3::boolean then message_count else public_message_count end from conversations
  where org_id = $1 and id = $2
), 0) as count
"""
ONLY_PUBLIC: Choice = frozenset({"only_public"})
PAGES = pages(
    COUNT,
    f"""
select {COLUMNS}, {{sorting}} from messages m {SENDER}
where m.org_id = $1 and m.conversation_id = $2 and m.deleted_at is null and {{where}}
""",
    sorts={"created_at": Sort("m.created_at", "timestamptz")},
    filters={"only_public": Filter("not m.is_internal and not $3", "$3")},
    id="m.id",
)
# Counted twice: for staff, and for the client, to whom an internal one is not there.
POST = f"""
with counted as (
  update conversations set
    message_count = message_count + 1,
    last_message_at = greatest(last_message_at, $10),
    public_message_count = public_message_count + case when $9 then 0 else 1 end,
    last_public_message_at = case when $9 then last_public_message_at else greatest(last_public_message_at, $10) end
  where org_id = $1 and id = $2
  returning id
), m as (
  insert into messages (id, org_id, conversation_id, sender_id, sender_name, sender_email, is_from_client, content,
    is_internal, attachments, created_at, updated_at)
  select $3, $1, id, $4, $5, $6, $7, $8, $9, $11, $10, $10 from counted
  returning *
)
select {COLUMNS} from m {SENDER}
"""
# The statement's snapshot still shows the message that it deletes: the times are those of the others.
REMOVE = """
with gone as (
  update messages set deleted_at = $4, updated_at = $4
  where org_id = $1 and conversation_id = $2 and id = $3 and deleted_at is null
  returning org_id, conversation_id, id, is_internal
)
update conversations c set
  message_count = c.message_count - 1,
  last_message_at = (
    select max(m.created_at) from messages m
    where m.org_id = $1 and m.conversation_id = $2 and m.deleted_at is null and m.id <> $3
  ),
  public_message_count = c.public_message_count - case when gone.is_internal then 0 else 1 end,
  last_public_message_at = (
    select max(m.created_at) from messages m
    where m.org_id = $1 and m.conversation_id = $2 and m.deleted_at is null and not m.is_internal and m.id <> $3
  )
from gone where c.org_id = gone.org_id and c.id = gone.conversation_id
"""


async def get(tx: Tx, org: UUID, conversation: UUID, message: UUID, *, shows_internal: bool) -> Message | None:
    """The message of that conversation, if its reader is shown it."""
    return await tx.row(Message, GET, org, conversation, shows_internal, message)


async def page(tx: Tx, org: UUID, conversation: UUID, window: Window, *, shows_internal: bool) -> Page[Message]:
    """One page of the conversation, and how many there are in all."""
    given = NO_FILTERS if shows_internal else ONLY_PUBLIC
    return await tx.page(Message, PAGES, given, window, org, conversation, shows_internal)


async def post(tx: Tx, org: UUID, message: Message) -> Message:
    """Write a new message, and count it; returns it with its sender's name of today."""
    posted = await tx.row(
        Message,
        POST,
        org,
        message.conversation_id,
        message.id,
        message.sender_id,
        message.sender_name,
        message.sender_email,
        message.is_from_client,
        message.content,
        message.is_internal,
        message.created_at,
        message.attachments,
    )
    return posted or message


async def remove(tx: Tx, org: UUID, message: Message, at: datetime) -> None:
    """Delete the message softly; counts and times of its conversation are as if it had never been."""
    await tx.run(REMOVE, org, message.conversation_id, message.id, at)
