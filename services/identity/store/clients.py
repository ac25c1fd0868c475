"""Clients."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec

from services.identity.model.clients import Client
from services.identity.model.people import Person
from shared.contracts.identity import ClientState, EnsureClient
from shared.database import Tx
from shared.database.free_objects import free_object
from shared.database.listing import NO_FILTERS, Sort, pages
from shared.database.tallies import tallied
from shared.database.windows import Page, Window
from shared.ids import OrgId
from shared.messaging.outbox import Event

COLUMNS = f"""
org_id, id, version, name_f, name_l, email, company, phone, tax_id, note, address,
{free_object("custom_fields")}, is_enabled, stage, closing_at, password_hash, created_at, updated_at
"""
INSERT = f"""
insert into clients (org_id, id, version, name_f, name_l, email, company, phone, tax_id, note, address,
  custom_fields, custom_fields_sent, is_enabled, password_hash, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::json::text::jsonb, $12::json, $13, $14, $15, $15)
returning {COLUMNS}
"""
GET = f"""
select {COLUMNS} from clients where org_id = $1 and id = $2 and stage <> 'deleted'
"""
LOCK = f"""
select {COLUMNS} from clients where org_id = $1 and id = $2 and stage <> 'deleted' for no key update
"""
SAVE = f"""
update clients set version = $4, name_f = $5, name_l = $6, email = $7, company = $8, phone = $9, tax_id = $10,
  note = $11, address = $12, custom_fields = $13::json::text::jsonb,
  custom_fields_sent = $13::json, is_enabled = $14, password_hash = $15, stage = $16, closing_at = $17,
  updated_at = $18, namesake = case when email = $7 then namesake end
where org_id = $1 and id = $2 and version = $3 returning {COLUMNS}
"""
PAGES = pages(
    tallied("clients"),
    f"""
select {COLUMNS}, {{sorting}} from clients where org_id = $1 and stage <> 'deleted' and {{where}}
""",
    sorts={
        "id": Sort("id", "uuid"),
        "name_f": Sort("name_f_key", "text"),
        "name_l": Sort("name_l_key", "text"),
        "email": Sort("email_key", "text"),
        "created_at": Sort("created_at", "timestamptz"),
    },
    has_id_as_key=False,
)
# What others keep of a client; `is_closed` says that nothing new may hang on it.
STATE = """
c.org_id, c.id, c.version, c.name_f, c.name_l, c.email, c.company, c.phone,
jsonb_build_object('tax_id', c.tax_id, 'address', c.address) as billing, c.is_enabled,
c.stage <> 'open' as is_closed, c.stage = 'deleted' as is_deleted
"""
GET_STATE = f"""
select {STATE} from clients c where c.org_id = $1 and c.id = $2
"""
OF_ADDRESS = f"""
select {STATE} from clients c
where c.org_id = $1 and (c.email_key = email_key_of($2) or c.namesake = email_key_of($2)) and c.stage = 'open' limit 2
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
  select 1 from users where org_id = $1 and (email_key = email_key_of($4) or namesake = email_key_of($4))
), made as (
  select {STATE} from clients c where c.org_id = $1 and c.id = $2
), namesake as (
  select {STATE} from clients c
  where c.org_id = $1 and c.namesake = email_key_of($4) and c.stage <> 'deleted' and not exists (
    select from clients other
    where other.org_id = $1 and other.email_key = email_key_of($4) and other.stage <> 'deleted')
  order by c.created_at, c.id limit 1
), ensured as (
  insert into clients as c (org_id, id, name_f, name_l, email, company, created_at, updated_at)
  select $1, $2, $5, $6, $4, $7, $8, $8
  where not exists (select from staff) and not exists (select from made) and not exists (select from namesake)
  on conflict (org_id, email_key) where stage <> 'deleted' do update set id = c.id
  returning {STATE}, c.xmax = 0 as is_new
), said as (
  insert into outbox (id, subject, type, body, traceparent)
  select $3, $9, $10, $11, $12 from ensured where is_new
)
select org_id, id, version, name_f, name_l, email, company, phone, billing, is_enabled, is_closed,
  is_deleted, is_new
from ensured
union all
select org_id, id, version, name_f, name_l, email, company, phone, billing, is_enabled, is_closed,
  is_deleted, false
from made
union all
select org_id, id, version, name_f, name_l, email, company, phone, billing, is_enabled, is_closed,
  is_deleted, false
from namesake where not exists (select from made) and not exists (select from staff)
"""
# By the database's clock. Taking one up again is a lease: other replicas leave it alone for as long.
TAKE_CUT_SHORT = f"""
update clients c set closing_at = now()
where (c.org_id, c.id) in (
  select org_id, id from clients where stage = 'closing' and closing_at < now() - $1::interval
  order by closing_at limit $2 for no key update skip locked
) returning {STATE}
"""


class _EnsuredRow(ClientState, frozen=True, kw_only=True):
    is_new: bool


class Ensured(msgspec.Struct, frozen=True):
    """The client that has the e-mail, and whether this statement made it."""

    client: ClientState
    is_new: bool


async def insert(tx: Tx, client: Client) -> Client:
    """Write a new client."""
    stored = await tx.row(
        Client,
        INSERT,
        client.org_id,
        client.id,
        client.version,
        client.name_f,
        client.name_l,
        client.email,
        client.company,
        client.phone,
        client.tax_id,
        client.note,
        client.address,
        client.custom_fields,
        client.is_enabled,
        client.password_hash,
        client.created_at,
    )
    assert stored is not None
    return stored


async def get(tx: Tx, org: OrgId, client: UUID) -> Client | None:
    """The client, unless deleted."""
    return await tx.row(Client, GET, org, client)


async def lock(tx: Tx, org: OrgId, client: UUID) -> Client | None:
    """The client, unless deleted, locked until the transaction ends."""
    return await tx.row(Client, LOCK, org, client)


async def save(tx: Tx, before: Client, after: Client) -> Client:
    """Write what has changed of a client that is locked."""
    stored = await tx.row(
        Client,
        SAVE,
        before.org_id,
        before.id,
        before.version,
        after.version,
        after.name_f,
        after.name_l,
        after.email,
        after.company,
        after.phone,
        after.tax_id,
        after.note,
        after.address,
        after.custom_fields,
        after.is_enabled,
        after.password_hash,
        after.stage,
        after.closing_at,
        after.updated_at,
    )
    assert stored is not None, "the row is locked"
    return stored


async def page(tx: Tx, org: OrgId, window: Window) -> Page[Client]:
    """One page, and how many there are in all."""
    return await tx.page(Client, PAGES, NO_FILTERS, window, org)


async def take_cut_short(tx: Tx, older_than: timedelta, *, at_most: int) -> list[ClientState]:
    """Clients that have been Closing for longer, from now on the caller's; needs a transaction across organisations."""
    return await tx.rows(ClientState, TAKE_CUT_SHORT, older_than, at_most)


async def get_state(tx: Tx, org: UUID, client: UUID) -> ClientState | None:
    """The client as others keep it; a deleted one is a tombstone."""
    return await tx.row(ClientState, GET_STATE, org, client)


async def of_address(tx: Tx, org: UUID, email: str) -> list[ClientState]:
    """The open clients with the address; two at most."""
    return await tx.rows(ClientState, OF_ADDRESS, org, email)


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
