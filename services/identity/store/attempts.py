"""Failed logins of the last minute, counted for all replicas."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from services.identity.model.throttle import WINDOW, Throttled
from shared.database import Tx

# Keyed as accounts are, by the database, so that no spelling of an e-mail gets a count of its own.
GET = """
select kind, failed_at from login_attempts
where (kind, subject) in (('account', email_key_of($1)), ('address', lower($2)))
"""
# The row's lock makes the count exact: the failure over the limit is not written, and returns nothing.
COUNT_FAILURE = """
insert into login_attempts as a (kind, subject, failed_at, last_failed_at)
values ($1, case $1 when 'account' then email_key_of($2) else lower($2) end, array[$3::timestamptz], $3)
on conflict (kind, subject) do update set
  failed_at = array(select f from unnest(a.failed_at) f where f > $3 - $5::interval) || $3::timestamptz,
  last_failed_at = greatest(a.last_failed_at, $3)
where (select count(*) from unnest(a.failed_at) f where f > $3 - $5::interval) < $4
returning true
"""
FORGET = """
delete from login_attempts where last_failed_at < $1
"""


class Failures(msgspec.Struct, frozen=True):
    kind: Throttled
    failed_at: list[datetime]


async def get(tx: Tx, email: str, address: str) -> list[Failures]:
    """What is counted against this e-mail and this address."""
    return await tx.rows(Failures, GET, email, address)


async def count_failure(tx: Tx, kind: Throttled, subject: str, at: datetime) -> bool:
    """Count one more; False when the limit is reached, and nothing was counted."""
    return bool(await tx.value(COUNT_FAILURE, kind, subject, at, kind.limit, WINDOW))


async def forget(tx: Tx, at: datetime) -> None:
    """Remove what no longer counts."""
    await tx.run(FORGET, at - 2 * WINDOW - timedelta(minutes=1))
