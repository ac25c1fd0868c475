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
    headers = {name: _storable(value) for name, value in message.headers.items()}
    await tx.run(PARK, key, message.subject, headers, message.body, _storable(error), message.deliveries)


def _storable(text: str) -> str:
    """PostgreSQL keeps no U+0000 in text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
