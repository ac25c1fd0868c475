"""Sessions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.identity.model.credentials import Session
from services.identity.model.people import Person
from shared.database import Tx
from shared.ids import OrgId

INSERT = """
insert into sessions (org_id, id, user_id, client_id, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)
"""
# One query by key: the session that still lasts, with whoever it stands for, if they are still enabled.
GET_HOLDER = """
select s.org_id, o.name as org_name, s.id as session_id, s.expires_at,
  coalesce(u.id, c.id) as id, coalesce(u.role, 'client') as role, coalesce(u.name_f, c.name_f) as name_f,
  coalesce(u.name_l, c.name_l) as name_l, coalesce(u.email, c.email) as email, c.company, c.phone
from sessions s
join organisations o on o.org_id = s.org_id
left join users u on u.org_id = s.org_id and u.id = s.user_id
left join clients c on c.org_id = s.org_id and c.id = s.client_id
where s.org_id = $1 and s.id = $2 and s.expires_at > $3
  and o.is_enabled and coalesce(u.is_enabled, c.is_enabled and c.stage <> 'deleted')
"""
DELETE = """
delete from sessions where org_id = $1 and id = $2 and coalesce(user_id, client_id) = $3
"""
DELETE_ALL = """
delete from sessions where org_id = $1 and (user_id = $2 or client_id = $2)
"""
# One login of a person after another, so that each sees the sessions of those before it.
LOCK_PERSON = """
select pg_advisory_xact_lock(hashtextextended('sessions ' || $1::uuid::text || $2::uuid::text, 0))
"""
DELETE_OLDEST = """
delete from sessions where org_id = $1 and id in (
  select id from sessions where org_id = $1 and (user_id = $2 or client_id = $2)
  order by created_at desc, id desc offset $3)
returning id
"""
FORGET = """
delete from sessions where expires_at < $1
"""


class _Ended(msgspec.Struct, frozen=True):
    id: UUID


class Holder(Person, frozen=True, kw_only=True):
    """Whom a session stands for."""

    session_id: UUID
    expires_at: datetime


async def insert(tx: Tx, session: Session, person: Person, at: datetime) -> None:
    """Write a new session of `person`."""
    user_id = None if person.client_id else person.id
    await tx.run(INSERT, session.org_id, session.id, user_id, person.client_id, at, session.expires_at)


async def lock_person(tx: Tx, person: Person) -> None:
    """Let no other session of the person begin until the transaction ends."""
    await tx.value(LOCK_PERSON, person.org_id, person.id)


async def delete_oldest(tx: Tx, person: Person, *, but: int) -> list[UUID]:
    """End all sessions of the person but the newest ones; returns those that ended."""
    return [ended.id for ended in await tx.rows(_Ended, DELETE_OLDEST, person.org_id, person.id, but)]


async def get_holder(tx: Tx, org: OrgId, session: UUID, at: datetime) -> Holder | None:
    """Whom the session stands for at that time."""
    return await tx.row(Holder, GET_HOLDER, org, session, at)


async def delete(tx: Tx, org: OrgId, session: UUID, actor: UUID) -> bool:
    """End the actor's session; False when there was none."""
    return bool(await tx.run(DELETE, org, session, actor))


async def delete_all(tx: Tx, org: OrgId, actor: UUID) -> None:
    """End every session of the actor."""
    await tx.run(DELETE_ALL, org, actor)


async def forget(tx: Tx, at: datetime) -> None:
    """Remove what expired before `at`."""
    await tx.run(FORGET, at)
