"""Who can log in: staff and clients with a password, of whatever organisation."""

from __future__ import annotations

from uuid import UUID

from services.identity.model.people import Candidate
from shared.database import Tx

# Enabled ones first, so that a disabled account never hides another that has the same e-mail and password.
CANDIDATES = """
select a.org_id, o.name as org_name, a.id, a.role, a.name_f, a.name_l, a.email, a.company, a.phone,
  a.password_hash, a.is_enabled and o.is_enabled as is_enabled
from (
  select org_id, id, role, name_f, name_l, email, null as company, null as phone, password_hash, is_enabled
  from users where (email_key = email_key_of($1) or namesake = email_key_of($1)) and password_hash is not null
  union all
  select org_id, id, 'client', name_f, name_l, email, company, phone, password_hash, is_enabled and stage = 'open'
  from clients where (email_key = email_key_of($1) or namesake = email_key_of($1)) and password_hash is not null
    and stage <> 'deleted'
) a join organisations o on o.org_id = a.org_id
where $2::uuid is null or a.org_id = $2
order by (a.is_enabled and o.is_enabled) desc, a.role = 'client', a.id
"""
SALT_OF = """
select substring(sha256(secret || convert_to(email_key_of($1), 'UTF8')) for 16) from login_secret
"""
REHASH_USER = """
update users set password_hash = $4 where org_id = $1 and id = $2 and password_hash = $3
"""
REHASH_CLIENT = """
update clients set password_hash = $4 where org_id = $1 and id = $2 and password_hash = $3
"""


async def candidates(tx: Tx, email: str, org: UUID | None) -> list[Candidate]:
    """The accounts with this e-mail, enabled ones first, in one organisation or in all of them.

    Needs a transaction across organisations.
    """
    return await tx.rows(Candidate, CANDIDATES, email, org)


async def salt_of(tx: Tx, email: str) -> bytes:
    """The salt of the passwords of an address, in whatever organisation."""
    return await tx.value(SALT_OF, email)


async def rehash(tx: Tx, who: Candidate, password_hash: str) -> None:
    """Store another hash of the same password; nothing where the password has changed meanwhile."""
    if who.client_id:
        await tx.run(REHASH_CLIENT, who.org_id, who.id, who.password_hash, password_hash)
    else:
        await tx.run(REHASH_USER, who.org_id, who.id, who.password_hash, password_hash)
