"""E-mails: each belongs to one client or member of staff of an organisation, whatever its casing."""

from __future__ import annotations

from uuid import UUID

from services.identity.model.people import EmailHolder
from shared.database import Tx

# Two tables hold e-mails, and namesakes have keys of their own (see the migration): no unique index spans them all.
# Taken before any row is locked: one order for all.
LOCK = """
select pg_advisory_xact_lock(hashtextextended($1::uuid::text || email_key_of($2), 1))
"""
HOLDER = """
select id, true as is_staff, is_enabled from users
where org_id = $1 and (email_key = email_key_of($2) or namesake = email_key_of($2)) and id <> $3
union all
select id, false as is_staff, is_enabled from clients
where org_id = $1 and (email_key = email_key_of($2) or namesake = email_key_of($2)) and id <> $3 and stage <> 'deleted'
order by is_enabled desc limit 1
"""


async def lock(tx: Tx, org: UUID, email: str) -> None:
    """Until the transaction ends, nobody else gives the e-mail to anybody."""
    await tx.run(LOCK, org, email)


async def holder(tx: Tx, org: UUID, email: str, *, besides: UUID) -> EmailHolder | None:
    """The account, other than `besides`, that has the e-mail."""
    return await tx.row(EmailHolder, HOLDER, org, email, besides)
