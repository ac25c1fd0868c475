"""The replica of clients: versioned rows; what is gone stays as a tombstone."""

from __future__ import annotations

from uuid import UUID

from shared.contracts.identity import ClientState
from shared.database import Tx

# The stored function of that name (see the migrations): the copy, and what it binds, under the locks of both addresses.
KEEP = """
select write_billed_client($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
OF_ADDRESS = """
select array(
  select id from clients
  where org_id = $1 and email_key = email_key_of($2) and not is_closed and not is_deleted limit 2
)
"""


async def keep(tx: Tx, client: ClientState) -> None:
    """Write what identity says, unless something newer is there, and bind the proposals to whom they belong by it."""
    await tx.run(
        KEEP,
        client.id,
        client.org_id,
        client.version,
        client.name_f,
        client.name_l,
        client.email,
        client.company,
        client.phone,
        client.is_enabled,
        client.is_closed,
        client.is_deleted,
        client.billing,
    )


async def of_address(tx: Tx, org: UUID, email: str) -> list[UUID]:
    """The clients with the address of whom something new may hang; two at most are named."""
    return await tx.value(OF_ADDRESS, org, email)
