"""Conversations."""

from __future__ import annotations

from uuid import UUID

from services.conversations.model import Summary
from shared.database import Tx

# `$2` is the client who asks: they see their own, and neither count nor time of an internal message.
OF_ENGAGEMENT = """
select c.id, c.project_id, c.subject, c.status,
  case when $2::uuid is null then c.message_count else c.public_message_count end as message_count,
  case when $2::uuid is null then c.last_message_at else c.last_public_message_at end as last_message_at
from projects p join conversations c on c.org_id = p.org_id and c.project_id = p.id
where p.org_id = $1 and p.engagement_id = $3 and not p.is_deleted and ($2::uuid is null or p.client_id = $2)
order by last_message_at desc nulls last, c.id
"""


async def of_engagement(tx: Tx, org: UUID, engagement: UUID, *, only_of: UUID | None) -> list[Summary]:
    """The conversations of all projects of an engagement, newest activity first."""
    return await tx.rows(Summary, OF_ENGAGEMENT, org, only_of, engagement)
