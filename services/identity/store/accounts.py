"""Who can log in: staff and clients with a password, of whatever organisation."""

from __future__ import annotations

from services.identity.model.people import Candidate
from shared.database import Tx

CANDIDATES_AT_MOST = 5
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
order by (a.is_enabled and o.is_enabled) desc, a.role = 'client', a.id
limit $2
"""


async def candidates(tx: Tx, email: str) -> list[Candidate]:
    """The accounts with this e-mail, in the order in which they are tried; needs a transaction across organisations."""
    return await tx.rows(Candidate, CANDIDATES, email, CANDIDATES_AT_MOST)
