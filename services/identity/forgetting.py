"""Removes, from time to time, the sessions that have expired and the failed logins that no longer count."""

from __future__ import annotations

import asyncio
from typing import Final

from services.identity.domain.organisations import forget_what_ran_out
from shared import clock
from shared.database import Database, DatabaseAway, DatabaseBusy
from shared.telemetry import log

FORGET_EVERY_SECONDS: Final = 300

_log = log(__name__)


async def forget_for_ever(database: Database) -> None:
    """Forget, wait, for ever."""
    while True:
        try:
            async with database.transaction_across_organisations() as tx:
                await forget_what_ran_out(tx, clock.now())
        except (DatabaseAway, DatabaseBusy) as error:
            _log.info("forgetting put off", cause=repr(error))
        await asyncio.sleep(FORGET_EVERY_SECONDS)
