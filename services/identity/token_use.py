"""Notes when API tokens were last used, to the minute, behind the answers: a verification waits for no write."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final
from uuid import UUID

from services.identity.domain.credentials import note_token_use
from services.identity.model.credentials import LAST_USE_PRECISION
from shared import clock
from shared.database import Database, DatabaseAway, DatabaseBusy
from shared.telemetry import log

GATHER_SECONDS: Final = 1.0

_log = log(__name__)


class TokenUse:
    """The tokens that were used and not yet noted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._used: set[UUID] = set()
        self._there_are_some = asyncio.Event()

    def note(self, token: UUID, last_noted_at: datetime | None, at: datetime) -> None:
        """The token was used at that time; what was noted less than a minute ago is not noted again."""
        if last_noted_at is None or last_noted_at <= at - LAST_USE_PRECISION:
            self._used.add(token)
            self._there_are_some.set()

    async def run(self) -> None:
        """Write what was noted, for ever; what cannot be written is noted at the next use."""
        while True:
            await self._there_are_some.wait()
            self._there_are_some.clear()
            used, self._used = sorted(self._used), set()
            try:
                async with self._database.transaction_across_organisations() as tx:
                    await note_token_use(tx, used, clock.now())
            except (DatabaseAway, DatabaseBusy) as error:
                _log.info("use of tokens not noted", count=len(used), cause=repr(error))
            await asyncio.sleep(GATHER_SECONDS)
