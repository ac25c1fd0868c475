"""Conversations, each with its project; gone with it: every read joins the replica of projects.

Statements come in twos, for staff and for clients, by whether `only_of` names a client: a client sees those on their
own projects, and neither count nor time of an internal message, nor their order.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from services.conversations.model import MOST_MESSAGES, Conversation, ConversationStatus, Summary
from services.conversations.store import messages
from shared.database import Tx
from shared.database.listing import Filter, Sort, by_itself, choice, pages
from shared.database.tallies import tallied
from shared.database.windows import Page, Window

STAFF, CLIENT = "staff", "client"
MOST_BYTES = 8 * 1024 * 1024
"""How much a single conversation brings along; the rest is in the list of its messages."""
LIGHT_BYTES = 512 * 1024
"""So much is read at once, whatever else is; more takes its turn."""
MOST_SUMMARIES = 1000
"""How many conversations an engagement brings along, the newest; the rest is in the inbox."""
READERS = (STAFF, CLIENT)
SEEN = {
    STAFF: "c.message_count, c.last_message_at",
    CLIENT: "c.public_message_count as message_count, c.last_public_message_at as last_message_at",
}
LAST = {STAFF: "c.last_message_at", CLIENT: "c.last_public_message_at"}
MINE = {STAFF: "$2::uuid is null", CLIENT: "p.client_id = $2::uuid"}
COLUMNS = """
c.id, c.org_id, c.version, c.project_id, p.name as project_name, p.engagement_id, c.subject, c.status, c.created_at,
c.updated_at
"""
JOINED = "conversations c join projects p on p.org_id = c.org_id and p.id = c.project_id"
THERE = "c.org_id = $1 and p.org_id = $1 and not p.is_deleted"

INSERT = """
insert into conversations (id, org_id, version, project_id, subject, status, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""
# One statement, so that the counts are those of the messages beside them. `$4`: whether internal ones are shown.
# The newest MOST_MESSAGES, and of them the newest `$5` bytes and the one that passes these.
GET = {
    reader: f"""
select {COLUMNS}, {SEEN[reader]}, brought.messages, brought.messages_bytes
from {JOINED} cross join lateral (
    select coalesce(jsonb_agg(to_jsonb(shown) order by shown.created_at, shown.id), '[]') as messages,
      coalesce(max(shown.newer + shown.bytes), 0)::bigint as messages_bytes
    from (
      select newest.*, sum(newest.bytes) over (order by newest.created_at desc, newest.id desc) - newest.bytes as newer
      from (
        select {messages.COLUMNS}, octet_length(m.content) + octet_length(m.attachments::text) as bytes
        from messages m {messages.SENDER}
        where m.org_id = c.org_id and m.conversation_id = c.id and m.deleted_at is null and ($4 or not m.is_internal)
        order by m.created_at desc, m.id desc limit {MOST_MESSAGES}
      ) newest
    ) shown where shown.newer < $5
) brought
where {THERE} and {MINE[reader]} and c.id = $3
"""
    for reader in READERS
}
LOCK = {
    reader: f"""
select {COLUMNS}, {SEEN[reader]} from {JOINED} where {THERE} and {MINE[reader]} and c.id = $3 and c.project_id = $4
for update of c
"""
    for reader in READERS
}
SAVE = """
update conversations set version = $4, subject = $5, status = $6, updated_at = $7
where org_id = $1 and id = $2 and version = $3
"""
PROJECT_OF = f"""
select c.project_id from {JOINED} where {THERE} and ($2::uuid is null or p.client_id = $2) and c.id = $3
"""
BY_STATUS = Filter("c.status = $3", "$3::smallint is null")
SORTS = {
    reader: {
        "id": Sort("c.id", "uuid"),
        "subject": Sort("c.subject_key", "text", is_nullable=True),
        "status": Sort("c.status", "smallint"),
        "created_at": Sort("c.created_at", "timestamptz"),
        "updated_at": Sort("c.updated_at", "timestamptz"),
        "last_message_at": Sort(LAST[reader], "timestamptz", is_nullable=True),
    }
    for reader in READERS
}
PAGES_OF_PROJECT = {
    reader: pages(
        f"""
select count(*) from {JOINED} where {THERE} and {MINE[reader]} and c.project_id = $4 and {{where}}
""",
        f"""
select {COLUMNS}, {SEEN[reader]}, {{sorting}} from {JOINED}
where {THERE} and {MINE[reader]} and c.project_id = $4 and {{where}}
""",
        sorts=SORTS[reader],
        filters={"status": BY_STATUS},
        id="c.id",
    )
    for reader in READERS
}
# What hangs on a deleted project is tallied too.
GONE = """
select count(*) from projects p join conversations c on c.org_id = p.org_id and c.project_id = p.id
where p.org_id = $1 and p.is_deleted
"""
# Of staff's inbox; a client's is counted.
TALLIED = {
    frozenset[str](): f"select kept.count - gone.count as count from ({tallied('conversations')}) kept, ({GONE}) gone",
    frozenset({"status"}): f"""
select kept.count - gone.count as count
from ({tallied("conversations", status="$3")}) kept, ({GONE} and c.status = $3) gone
where $2::uuid is null
""",
}
# The newest message is looked for once the page is known, for its rows only.
PAGES_OF_INBOX = {
    reader: pages(
        f"""
select count(*) from {JOINED} where {THERE} and {MINE[reader]} and {{where}}
""",
        f"""
select {COLUMNS}, {SEEN[reader]}, {{sorting}} from {JOINED} where {THERE} and {MINE[reader]} and {{where}}
""",
        shown=f"""
select page.*, coalesce((
    select jsonb_agg(to_jsonb(newest)) from (
      select {messages.COLUMNS} from messages m {messages.SENDER}
      where m.org_id = page.org_id and m.conversation_id = page.id and m.deleted_at is null and not m.is_internal
      order by m.created_at desc, m.id desc limit 1
    ) newest
  ), '[]') as messages
from ({{rows}}) page {{order}}
""",
        filters={
            "status": BY_STATUS,
            "project_id": Filter("c.project_id = $4", "$4::uuid is null"),
            "engagement_id": Filter("p.engagement_id = $5", "$5::uuid is null"),
        },
        sorts=SORTS[reader],
        id="c.id",
        counts=TALLIED if reader == STAFF else None,
    )
    for reader in READERS
}
# `$2` is the client who asks: they see their own, and neither count nor time of an internal message.
OF_ENGAGEMENT = by_itself(f"""
select c.id, c.project_id, c.subject, c.status,
  case when $2::uuid is null then c.message_count else c.public_message_count end as message_count,
  case when $2::uuid is null then c.last_message_at else c.last_public_message_at end as last_message_at
from projects p join conversations c on c.org_id = p.org_id and c.project_id = p.id
where p.org_id = $1 and p.engagement_id = $3 and not p.is_deleted and ($2::uuid is null or p.client_id = $2)
order by last_message_at desc nulls last, c.id limit {MOST_SUMMARIES}
""")


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of conversations is narrowed to; `only_of` is the client who asks."""

    only_of: UUID | None = None
    status: ConversationStatus | None = None
    project_id: UUID | None = None
    engagement_id: UUID | None = None


class _Place(msgspec.Struct, frozen=True):
    project_id: UUID


async def insert(tx: Tx, conversation: Conversation) -> None:
    """Write a new conversation."""
    await tx.run(
        INSERT,
        conversation.id,
        conversation.org_id,
        conversation.version,
        conversation.project_id,
        conversation.subject,
        conversation.status,
        conversation.created_at,
        conversation.updated_at,
    )


async def get(
    tx: Tx, org: UUID, conversation: UUID, *, only_of: UUID | None, shows_internal: bool, most_bytes: int
) -> Conversation | None:
    """The conversation with its newest messages, oldest first, if the caller may see it.

    Of messages that are longer than `most_bytes` together, the older ones are left out: `messages_bytes` reaches it.
    """
    return await tx.row(Conversation, GET[_reader(only_of)], org, only_of, conversation, shows_internal, most_bytes)


async def lock(tx: Tx, org: UUID, project: UUID, conversation: UUID, *, only_of: UUID | None) -> Conversation | None:
    """The conversation of that project without messages, locked; None unless the caller may see it."""
    return await tx.row(Conversation, LOCK[_reader(only_of)], org, only_of, conversation, project)


async def save(tx: Tx, before: Conversation, after: Conversation) -> None:
    """Write what changed of the conversation itself."""
    await tx.run(
        SAVE, before.org_id, before.id, before.version, after.version, after.subject, after.status, after.updated_at
    )


async def project_of(tx: Tx, org: UUID, conversation: UUID, *, only_of: UUID | None) -> UUID | None:
    """The project of the conversation, if the caller may see it."""
    found = await tx.row(_Place, PROJECT_OF, org, only_of, conversation)
    return None if found is None else found.project_id


async def page_of_project(tx: Tx, org: UUID, filters: Filters, window: Window) -> Page[Conversation]:
    """One page of the conversations of `filters.project_id`, without messages, and how many there are in all."""
    reader = _reader(filters.only_of)
    arguments = (org, filters.only_of, filters.status, filters.project_id)
    given = choice(filters) & {"status"}
    return await tx.page(Conversation, PAGES_OF_PROJECT[reader], given, window, *arguments)


async def page_of_inbox(tx: Tx, org: UUID, filters: Filters, window: Window) -> Page[Conversation]:
    """One page over all projects, each with its newest message that is not internal, and how many there are in all."""
    reader = _reader(filters.only_of)
    arguments = (org, filters.only_of, filters.status, filters.project_id, filters.engagement_id)
    given = choice(filters) - {"only_of"}
    return await tx.page(Conversation, PAGES_OF_INBOX[reader], given, window, *arguments)


async def of_engagement(tx: Tx, org: UUID, engagement: UUID, *, only_of: UUID | None) -> list[Summary]:
    """The conversations of all projects of an engagement, newest activity first, MOST_SUMMARIES at most."""
    return await tx.rows(Summary, OF_ENGAGEMENT, org, only_of, engagement)


def _reader(only_of: UUID | None) -> str:
    return STAFF if only_of is None else CLIENT
