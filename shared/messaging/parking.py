"""Parked messages: poison is kept for an operator, with its error, and blocks nobody."""

from __future__ import annotations

from shared.database import Tx
from shared.messaging.bus import Incoming

PARK = """
insert into parked_messages (key, subject, headers, body, error, deliveries) values ($1, $2, $3, $4, $5, $6)
on conflict (key) do update
set error = excluded.error, deliveries = parked_messages.deliveries + excluded.deliveries, body = excluded.body
"""


async def park(tx: Tx, key: str, message: Incoming, error: str) -> None:
    """Keep the message under its key; parked again, it counts on."""
    await tx.run(PARK, key, message.subject, dict(message.headers), message.body, error, message.deliveries)
