"""Clients."""

from __future__ import annotations

from uuid import UUID

import msgspec

from services.identity.model.people import Person
from shared.contracts.identity import ClientState, EnsureClient
from shared.database import Tx
from shared.ids import OrgId
from shared.messaging.outbox import Event

# What others keep of a client; `is_closed` says that nothing new may hang on it.
STATE = """
c.org_id, c.id, c.version, c.name_f, c.name_l, c.email, c.company, c.phone, c.is_enabled,
c.stage <> 'open' as is_closed, c.stage = 'deleted' as is_deleted
"""
GET_STATE = f"""
select {STATE} from clients c where c.org_id = $1 and c.id = $2
"""
GET_PERSON = """
select c.org_id, o.name as org_name, c.id, 'client' as role, c.name_f, c.name_l, c.email, c.company, c.phone
from clients c join organisations o on o.org_id = c.org_id
where c.org_id = $1 and c.id = $2 and c.stage <> 'deleted'
"""
# The client with the e-mail, made if there is none, with its event if it was made; no row when staff has the e-mail.
# `do update` and not `do nothing`: only it returns a row that another transaction committed while this one waited.
# `made` finds what an earlier delivery made, should its e-mail have changed since. xmax is 0 in a row just inserted.
ENSURE = f"""
with staff as (
  select 1 from users where org_id = $1 and email_key = lower($4)
), made as (
  select {STATE} from clients c where c.org_id = $1 and c.id = $2
), ensured as (
  insert into clients as c (org_id, id, name_f, name_l, email, company, created_at, updated_at)
  select $1, $2, $5, $6, $4, $7, $8, $8
  where not exists (select from staff) and not exists (select from made)
  on conflict (org_id, email_key) where stage <> 'deleted' do update set id = c.id
  returning {STATE}, c.xmax = 0 as is_new
), said as (
  insert into outbox (id, subject, type, body, traceparent)
  select $3, $9, $10, $11, $12 from ensured where is_new
)
select org_id, id, version, name_f, name_l, email, company, phone, is_enabled, is_closed, is_deleted, is_new
from ensured
union all
select org_id, id, version, name_f, name_l, email, company, phone, is_enabled, is_closed, is_deleted, false
from made
"""


class _EnsuredRow(ClientState, frozen=True, kw_only=True):
    is_new: bool


class Ensured(msgspec.Struct, frozen=True):
    """The client that has the e-mail, and whether this statement made it."""

    client: ClientState
    is_new: bool


async def get_state(tx: Tx, org: UUID, client: UUID) -> ClientState | None:
    """The client as others keep it; a deleted one is a tombstone."""
    return await tx.row(ClientState, GET_STATE, org, client)


async def get_person(tx: Tx, org: OrgId, client: UUID) -> Person | None:
    """The client as they see themselves."""
    return await tx.row(Person, GET_PERSON, org, client)


async def ensure(tx: Tx, wanted: EnsureClient, told: Event) -> Ensured | None:
    """The client with the e-mail, made (and `told` written) if there is none; None when staff has it."""
    row = await tx.row(
        _EnsuredRow,
        ENSURE,
        wanted.org_id,
        wanted.client_id,
        told.id,
        wanted.email,
        wanted.name_f,
        wanted.name_l,
        wanted.company,
        wanted.at,
        told.subject,
        told.type,
        told.body,
        told.traceparent,
    )
    if row is None:
        return None
    fields = {name: value for name, value in msgspec.structs.asdict(row).items() if name != "is_new"}
    return Ensured(ClientState(**fields), row.is_new)
