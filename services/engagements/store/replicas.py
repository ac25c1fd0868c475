"""The replicas of clients and service templates: versioned rows; what is gone stays as a tombstone."""

from __future__ import annotations

from uuid import UUID

import msgspec

from services.engagements.model import Client, Template
from shared.contracts.identity import ClientState
from shared.contracts.proposals import TemplateState
from shared.database import Tx
from shared.messaging.closing import ClientUndecided

# The row is locked even where the `where` lets nothing be updated: whoever closes a client counts under that lock.
KEEP_CLIENT = """
insert into clients (id, org_id, version, name_f, name_l, email, is_closed, is_deleted)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (id) do update set
  version = excluded.version, name_f = excluded.name_f, name_l = excluded.name_l, email = excluded.email,
  is_closed = excluded.is_closed, is_deleted = excluded.is_deleted
where clients.version < excluded.version
"""
KEEP_TEMPLATE = """
insert into templates (id, org_id, version, name, is_deleted) values ($1, $2, $3, $4, $5)
on conflict (id) do update set version = excluded.version, name = excluded.name, is_deleted = excluded.is_deleted
where templates.version < excluded.version
"""
# Closed but not deleted may have been opened again since: only identity knows.
KNOWS_CLIENT = """
select exists (select from clients where org_id = $1 and id = $2 and (is_deleted or not is_closed))
"""
# Version 0 is a name that a signed proposal carried, not what the owner says.
KNOWS_TEMPLATE = """
select exists (select from templates where org_id = $1 and id = $2 and version > 0)
"""
# The lock of every create: a client who is being closed is either seen here, or the engagement is counted there.
LOCK_OPEN_CLIENT = """
select id, name_f, name_l, email, is_deleted as is_gone, is_closed and not is_deleted as is_closing from clients
where org_id = $1 and id = $2 for share
"""
GET_EMAIL = """
select email from clients where org_id = $1 and id = $2
"""
GET_TEMPLATE = """
select id, name from templates where org_id = $1 and id = $2 and version > 0 and not is_deleted
"""


class _LockedClient(msgspec.Struct, frozen=True):
    id: UUID
    name_f: str
    name_l: str
    email: str
    is_gone: bool
    is_closing: bool


async def keep_client(tx: Tx, client: ClientState) -> None:
    """Keep what identity says, unless something newer is known; the row is locked until the transaction ends."""
    await tx.run(
        KEEP_CLIENT,
        client.id,
        client.org_id,
        client.version,
        client.name_f,
        client.name_l,
        client.email,
        client.is_closed,
        client.is_deleted,
    )


async def keep_template(tx: Tx, template: TemplateState) -> None:
    """Keep what the proposal service says, unless something newer is known."""
    await tx.run(KEEP_TEMPLATE, template.id, template.org_id, template.version, template.name, template.is_deleted)


async def knows_client(tx: Tx, org: UUID, client: UUID) -> bool:
    """Whether what is kept of the client needs no question to identity."""
    return await tx.value(KNOWS_CLIENT, org, client)


async def knows_template(tx: Tx, org: UUID, template: UUID) -> bool:
    """Whether what is kept of the template needs no question to the proposal service."""
    return await tx.value(KNOWS_TEMPLATE, org, template)


async def lock_open_client(tx: Tx, org: UUID, client: UUID) -> Client | None:
    """The client, whom nobody closes until the transaction ends; None for one who is deleted or not known.

    Raises ClientUndecided for one who is about to be deleted.
    """
    row = await tx.row(_LockedClient, LOCK_OPEN_CLIENT, org, client)
    if row is None or row.is_gone:
        return None
    if row.is_closing:
        raise ClientUndecided
    return Client(id=row.id, name_f=row.name_f, name_l=row.name_l, email=row.email)


async def get_template(tx: Tx, org: UUID, template: UUID) -> Template | None:
    """The template; None for one that is deleted or not known."""
    return await tx.row(Template, GET_TEMPLATE, org, template)


async def get_email(tx: Tx, org: UUID, client: UUID) -> str | None:
    """The client's address; None for one who is not known."""
    return await tx.value(GET_EMAIL, org, client)
