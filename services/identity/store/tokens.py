"""API tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.identity.model.credentials import LAST_USE_PRECISION, ApiToken
from services.identity.model.people import Person
from shared.database import Tx
from shared.database.listing import NO_FILTERS, Sort, pages
from shared.database.tallies import tallied
from shared.database.windows import Page, Window
from shared.ids import OrgId
from shared.web.actor import Role

COLUMNS = """
org_id, id, name, role, made_by, client_id, created_at, expires_at, last_used_at
"""
INSERT = """
insert into api_tokens (org_id, id, name, role, made_by, client_id, created_at, expires_at, secret_hash)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
# One new token of a person after another, so that each sees those before it.
LOCK_PERSON = """
select pg_advisory_xact_lock(hashtextextended('tokens ' || $1::uuid::text || $2::uuid::text, 0))
"""
COUNT_OF_PERSON = """
select count(*) from api_tokens where org_id = $1 and (client_id = $2 or made_by = $2 and client_id is null)
  and (expires_at is null or expires_at > $3)
"""
PAGES = pages(
    tallied("api_tokens"),
    f"""
select {COLUMNS}, {{sorting}} from api_tokens where org_id = $1 and {{where}}
""",
    sorts={"id": Sort("id", "uuid"), "created_at": Sort("created_at", "timestamptz"), "name": Sort("name_key", "text")},
    has_id_as_key=False,
)
DELETE = f"""
delete from api_tokens where org_id = $1 and id = $2 returning {COLUMNS}
"""
DELETE_OF_CLIENT = """
delete from api_tokens where org_id = $1 and client_id = $2
"""
# One query by the unique index of hashes: the token, with whoever it stands for, if they are still enabled.
GET_HOLDER = """
select t.org_id, o.name as org_name, t.id as token_id, t.role as token_role, t.expires_at, t.last_used_at,
  coalesce(c.id, u.id) as id, case when c.id is null then u.role else 'client' end as role,
  coalesce(c.name_f, u.name_f) as name_f, coalesce(c.name_l, u.name_l) as name_l,
  coalesce(c.email, u.email) as email, c.company, c.phone
from api_tokens t
join organisations o on o.org_id = t.org_id
join users u on u.org_id = t.org_id and u.id = t.made_by
left join clients c on c.org_id = t.org_id and c.id = t.client_id
where t.secret_hash = $1 and (t.expires_at is null or t.expires_at > $2)
  and o.is_enabled and case when c.id is null then u.is_enabled else c.is_enabled and c.stage <> 'deleted' end
"""
NOTE_USE = """
update api_tokens set last_used_at = $2
where id = any($1::uuid[]) and (last_used_at is null or last_used_at <= $2::timestamptz - $3::interval)
"""


class Holder(Person, frozen=True, kw_only=True):
    """Whom a token stands for; `role` is what they are, `token_role` what the token was made for."""

    token_id: UUID
    token_role: Role
    expires_at: datetime | None
    last_used_at: datetime | None


async def insert(tx: Tx, token: ApiToken, secret_hash: bytes) -> None:
    """Write a new token; of its secret only the hash."""
    await tx.run(
        INSERT,
        token.org_id,
        token.id,
        token.name,
        token.role,
        token.made_by,
        token.client_id,
        token.created_at,
        token.expires_at,
        secret_hash,
    )


async def lock_person(tx: Tx, org: OrgId, person: UUID) -> None:
    """Let no other token that acts as the person be made until the transaction ends."""
    await tx.run(LOCK_PERSON, org, person)


async def count_of_person(tx: Tx, org: OrgId, person: UUID, at: datetime) -> int:
    """How many tokens act as the person, without those that have expired."""
    return await tx.value(COUNT_OF_PERSON, org, person, at)


async def page(tx: Tx, org: OrgId, window: Window) -> Page[ApiToken]:
    """One page, and how many there are in all."""
    return await tx.page(ApiToken, PAGES, NO_FILTERS, window, org)


async def delete(tx: Tx, org: OrgId, token: UUID) -> ApiToken | None:
    """Remove the token; None when there was none."""
    return await tx.row(ApiToken, DELETE, org, token)


async def delete_of_client(tx: Tx, org: OrgId, client: UUID) -> None:
    """Remove every token that acts as the client."""
    await tx.run(DELETE_OF_CLIENT, org, client)


async def get_holder(tx: Tx, secret_hash: bytes, at: datetime) -> Holder | None:
    """Whom the token stands for at that time; needs a transaction across organisations."""
    return await tx.row(Holder, GET_HOLDER, secret_hash, at)


async def note_use(tx: Tx, tokens: Sequence[UUID], at: datetime) -> None:
    """Note when tokens were last used, to the minute; needs a transaction across organisations."""
    await tx.run(NOTE_USE, list(tokens), at, LAST_USE_PRECISION)
