"""Tombstones in the inbox: what bars a command that comes after its own cancel.

A participant's own inbox row is written by the very statement that does the work (see the services' stores), so there
is no function for it here.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.database import Tx
from shared.failpoints import without
from shared.messaging.consumer import Delivery

# First statement of a cancel: waits for a command that is under way with one of the keys, bars one that comes late.
TOMBSTONE = """
insert into inbox (key, delivery, reply) select key, $2, $3::json from unnest($1::text[]) as key
on conflict (key) do update set key = excluded.key
"""


async def bar(tx: Tx, keys: Sequence[str], delivery: Delivery, reply: bytes) -> None:
    """Put tombstones under these message keys, unless something stands there already."""
    if not without("tombstone"):
        await tx.run(TOMBSTONE, keys, delivery.id, reply)
