"""The replica of clients: versioned rows; what is gone stays as a tombstone."""

from __future__ import annotations

from shared.contracts.identity import ClientState
from shared.database import Tx

KEEP_CLIENT = """
insert into clients (id, org_id, version, name_f, name_l, email, company, phone, is_closed, is_deleted)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (id) do update set
  version = excluded.version, name_f = excluded.name_f, name_l = excluded.name_l, email = excluded.email,
  company = excluded.company, phone = excluded.phone, is_closed = excluded.is_closed, is_deleted = excluded.is_deleted
where clients.version < excluded.version
"""


async def keep_client(tx: Tx, client: ClientState) -> None:
    """Keep what identity says, unless something newer is known."""
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
    )
