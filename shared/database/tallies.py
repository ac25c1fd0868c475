"""Totals of lists, kept by triggers: to count a million rows for each page of twenty would cost more than all else.

A tally is many numbers, whose sum is the total: each connection to the server adds to one of its own, so that those who
write at the same time do not wait for each other. The numbers of connections that have ended are folded into one.
`shared/database/migrations` has the triggers.
"""

from __future__ import annotations

import asyncio
from typing import Final

from shared.database.errors import DatabaseAway, DatabaseBusy
from shared.database.pool import Database
from shared.telemetry import log

FOLD_EVERY_SECONDS: Final = 60
# One at a time: two that fold the same numbers would wait for each other.
FOLD = """
with ended as (
  delete from tallies
  where slot <> 0 and not exists (select from pg_stat_activity alive where alive.pid = slot)
    and (select pg_try_advisory_xact_lock(7461, 1))
  returning org_id, subject, status, phase, number
)
insert into tallies as t (org_id, subject, status, phase, slot, number)
select org_id, subject, status, phase, 0, sum(number) from ended group by org_id, subject, status, phase
on conflict (org_id, subject, status, phase, slot) do update set number = t.number + excluded.number
"""

_log = log(__name__)


def tallied(subject: str, *, status: str | None = None, phase: str | None = None) -> str:
    """SQL: how many of `subject` the organisation `$1` has; `status` and `phase` are SQL too, None for any."""
    narrowed = "".join(
        f" and {column} = {value}" for column, value in (("status", status), ("phase", phase)) if value is not None
    )
    return (
        "select coalesce(sum(number), 0)::bigint as count from tallies "
        f"where org_id = $1 and subject = '{subject}'{narrowed}"
    )


async def keep_folded(database: Database) -> None:
    """Fold what connections left that have ended, for ever."""
    while True:
        try:
            async with database.transaction_across_organisations() as tx:
                await tx.run(FOLD)
        except (DatabaseAway, DatabaseBusy) as error:
            _log.info("folding put off", cause=repr(error))
        await asyncio.sleep(FOLD_EVERY_SECONDS)
