"""Parked messages: poison is kept for an operator, with its error, and blocks nobody.

An operator has it delivered again, or drops it: either way the row goes, and what it was stays in
`parked_interventions`, with who, when and why. Parked once more, it is a row again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from shared.database import Tx
from shared.ids import new_id
from shared.messaging.incoming import Incoming
from shared.messaging.topology import kept_subject

PARK = """
insert into parked_messages (key, subject, headers, body, error, deliveries) values ($1, $2, $3, $4, $5, $6)
on conflict (key) do update
set error = excluded.error, deliveries = parked_messages.deliveries + excluded.deliveries, body = excluded.body
where parked_messages.subject = excluded.subject
"""
LIST = """
select key, subject, headers, body, error, deliveries, parked_at from parked_messages
where $1::timestamptz is null or parked_at <= $1 order by parked_at, key limit $2
"""
FIND = """
select key, subject, headers, body, error, deliveries, parked_at from parked_messages where key = $1
"""
LIST_SETTLED = """
select key, subject, headers, body, error, deliveries, parked_at, action, actor, reason, at from parked_interventions
where action = any($1::text[]) and ($2::timestamptz is null or parked_at <= $2) order by at desc, id limit $3
"""
SETTLED_OF_KEY = """
select key, subject, headers, body, error, deliveries, parked_at, action, actor, reason, at from parked_interventions
where key = $1 order by at, id
"""
SETTLE = """
with gone as (
  delete from parked_messages where key = $2 returning key, subject, headers, body, error, deliveries, parked_at
)
insert into parked_interventions (id, key, subject, headers, body, error, deliveries, parked_at, action, actor, reason,
  at)
select $1, key, subject, headers, body, error, deliveries, parked_at, $3, $4, $5, $6 from gone
"""

Settling = Literal["retry", "drop"]


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A message that could not be handled, as it came; `deliveries` counts them all."""

    key: str
    subject: str
    headers: Mapping[str, str]
    body: bytes
    error: str
    deliveries: int
    parked_at: datetime


class Settled(Parked, frozen=True, kw_only=True):
    """One that an operator delivered again (`retry`) or dropped."""

    action: Settling
    actor: str
    reason: str
    at: datetime


async def park(tx: Tx, key: str, message: Incoming, error: str) -> None:
    """Keep the message under its key; parked again, it counts on. Delivered again, it comes by its stream."""
    subject = kept_subject(message.subject)
    headers = {name: _storable(value) for name, value in message.headers.items()}
    what = (subject, headers, message.body, _storable(error), message.deliveries)
    if not await tx.run(PARK, key, *what):
        # The key is that of a message on another subject: whoever sent this one does not get to replace that.
        await tx.run(PARK, f"taken.{new_id()}", *what)


async def parked(tx: Tx, *, before: datetime | None, limit: int) -> list[Parked]:
    """What is parked (since `before` at the latest), oldest first."""
    return await tx.rows(Parked, LIST, before, limit)


async def find(tx: Tx, key: str) -> Parked | None:
    """The parked message with that key."""
    return await tx.row(Parked, FIND, key)


async def settled(tx: Tx, actions: list[Settling], *, before: datetime | None, limit: int) -> list[Settled]:
    """What operators delivered again or dropped, newest first."""
    return await tx.rows(Settled, LIST_SETTLED, actions, before, limit)


async def settled_of(tx: Tx, key: str) -> list[Settled]:
    """What operators did to the message with that key, oldest first."""
    return await tx.rows(Settled, SETTLED_OF_KEY, key)


async def settle(tx: Tx, key: str, action: Settling, *, actor: str, reason: str, at: datetime) -> bool:
    """Take the message out, and keep what it was and why it went; False when it is not parked (any more).

    Until the transaction ends, nobody parks the same message again.
    """
    return bool(await tx.run(SETTLE, new_id(), key, action, actor, reason, at))


def _storable(text: str) -> str:
    """PostgreSQL keeps no U+0000 in text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
