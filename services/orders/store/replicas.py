"""The replicas of clients, staff, templates and engagements: versioned rows; what is gone stays as a tombstone."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import msgspec

from services.orders.model import ClientToBill
from shared.contracts.engagements import EngagementState
from shared.contracts.identity import ClientState, UserState
from shared.contracts.proposals import TemplateState
from shared.database import Tx
from shared.messaging.closing import ClientUndecided
from shared.messaging.gathering import newest

# Locks the row also when what it says is newer. A copy without `billing` takes that of the version that it has.
KEEP_CLIENT = """
insert into clients (id, org_id, version, name_f, name_l, email, company, phone, is_closed, is_deleted, billing)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (id) do update set
  version = excluded.version, name_f = excluded.name_f, name_l = excluded.name_l, email = excluded.email,
  company = excluded.company, phone = excluded.phone, is_closed = excluded.is_closed, is_deleted = excluded.is_deleted,
  billing = excluded.billing
where clients.version < excluded.version or (clients.version = excluded.version and clients.billing is null)
"""
KEEP_USER = """
insert into staff (id, org_id, version, name_f, name_l, is_enabled) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do update set
  version = excluded.version, name_f = excluded.name_f, name_l = excluded.name_l, is_enabled = excluded.is_enabled
where staff.version < excluded.version
"""
KEEP_TEMPLATE = """
insert into templates (id, org_id, version, name, price, currency, is_deleted) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (id) do update set
  version = excluded.version, name = excluded.name, price = excluded.price, currency = excluded.currency,
  is_deleted = excluded.is_deleted
where templates.version < excluded.version
"""
KEEP_ENGAGEMENT = """
select keep_engagement($1, $2, $3, $4, $5)
"""
KEEP_ENGAGEMENTS = """
select keep_engagements($1, $2)
"""
# A client is asked for also where the copy is older than `billing`.
UNHEARD_OF = """
select named.kind, named.id from unnest($2::text[], $3::uuid[]) as named (kind, id)
where not exists (select from clients where org_id = $1 and id = named.id and named.kind = 'client'
  and billing is not null)
and not exists (select from staff where org_id = $1 and id = named.id and named.kind = 'user')
and not exists (select from templates where org_id = $1 and id = named.id and named.kind = 'template')
and not exists (select from engagements where org_id = $1 and id = named.id and named.kind = 'engagement')
"""
# Every create holds this lock; whoever closes a client waits for it, and then counts.
LOCK_CLIENT = """
select id, name_f, name_l, email, company, phone, billing, is_closed as is_closing from clients
where org_id = $1 and id = $2 and not is_deleted for share
"""
TEMPLATE = """
select name, price, currency from templates where org_id = $1 and id = $2 and not is_deleted
"""
IS_ENGAGEMENT_OF = """
select exists (select from engagements where org_id = $1 and id = $2 and client_id = $3 and not is_cancelled)
"""

State = ClientState | UserState | TemplateState | EngagementState


class _LockedClient(ClientToBill, frozen=True, kw_only=True):
    is_closing: bool


class Named(msgspec.Struct, frozen=True):
    """Something of another service's that a body names: `client`, `user`, `template` or `engagement`."""

    kind: str
    id: UUID


class Template(msgspec.Struct, frozen=True):
    """What an order takes from a service template."""

    name: str
    price: Decimal
    currency: str


async def keep(tx: Tx, state: State) -> None:
    """Keep what the owner says, unless something newer is known."""
    match state:
        case ClientState():
            await _keep_client(tx, state)
        case UserState():
            await tx.run(KEEP_USER, state.id, state.org_id, state.version, state.name_f, state.name_l, state.is_enabled)
        case TemplateState():
            await tx.run(
                KEEP_TEMPLATE,
                *(state.id, state.org_id, state.version, state.name, state.price, state.currency, state.is_deleted),
            )
        case EngagementState():
            await tx.run(KEEP_ENGAGEMENT, state.id, state.org_id, state.version, state.client_id, state.is_cancelled)


async def keep_engagements(tx: Tx, org: UUID, engagements: Sequence[EngagementState]) -> None:
    """`keep` for many of one organisation, of each of which the newest counts."""
    await tx.run(KEEP_ENGAGEMENTS, org, msgspec.json.encode(newest(engagements)))


async def _keep_client(tx: Tx, client: ClientState) -> None:
    await tx.run(
        KEEP_CLIENT,
        client.id,
        client.org_id,
        client.version,
        client.name_f,
        client.name_l,
        client.email,
        client.company,
        client.phone,
        client.is_closed,
        client.is_deleted,
        client.billing,
    )


async def unheard_of(tx: Tx, org: UUID, named: Sequence[Named]) -> list[Named]:
    """Those of `named` of which no row is there, or one that lacks what an order needs."""
    return await tx.rows(Named, UNHEARD_OF, org, [each.kind for each in named], [each.id for each in named])


async def lock_client(tx: Tx, org: UUID, client: UUID) -> ClientToBill | None:
    """The client, locked until the transaction ends; None for one who is deleted or not known.

    Raises ClientUndecided for one who is about to be deleted.
    """
    row = await tx.row(_LockedClient, LOCK_CLIENT, org, client)
    if row is None:
        return None
    if row.is_closing:
        raise ClientUndecided
    return ClientToBill(**{name: getattr(row, name) for name in ClientToBill.__struct_fields__})


async def template(tx: Tx, org: UUID, template: UUID) -> Template | None:
    """The template, unless it is deleted."""
    return await tx.row(Template, TEMPLATE, org, template)


async def is_engagement_of(tx: Tx, org: UUID, engagement: UUID, client: UUID) -> bool:
    """Whether there is such an engagement of the client's."""
    return await tx.value(IS_ENGAGEMENT_OF, org, engagement, client)
