"""Ends the Closing of clients: asks the owners of what may hang on them, then deletes them or opens them again."""

from __future__ import annotations

import asyncio
from typing import Final

from services.identity.domain import closing
from services.identity.model.clients import Fate, fate_of
from services.identity.model.errors import ClientInUse
from shared import clock
from shared.contracts.identity import ClientClosed, ClientState, CloseClient
from shared.database import Database, DatabaseAway, DatabaseBusy
from shared.messaging.bus import BrokerAway, Bus
from shared.messaging.questions import ask
from shared.telemetry import log

OWNERS: Final = ("engagements", "orders")
SWEEP_SECONDS: Final = 1.0

_log = log(__name__)


class Closer:
    """Ends what was begun by marking a client as Closing, for whoever began it and for whom it was cut short."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def delete(self, closed: ClientState) -> None:
        """Delete a client that is Closing. Raises ClientInUse, and BrokerAway when an owner did not answer."""
        fate, is_deleted = await self._end(closed)
        if is_deleted:
            return
        if fate is Fate.KEPT:
            raise ClientInUse
        raise BrokerAway("nobody could say what hangs on the client: it is open again")

    async def sweep(self) -> None:
        """End what was cut short, for ever."""
        while True:
            try:
                async with self._database.transaction_across_organisations() as tx:
                    cut_short = await closing.take_cut_short(tx)
                for closed in cut_short:
                    fate, is_deleted = await self._end(closed)
                    _log.info("closing ended", client=str(closed.id), fate=fate, is_deleted=is_deleted)
            except (DatabaseAway, DatabaseBusy) as error:
                _log.info("closing put off", cause=repr(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def _end(self, closed: ClientState) -> tuple[Fate, bool]:
        """What the owners say, and whether the client is deleted now; no transaction is open while they are asked."""
        counts = await asyncio.gather(*(self._count(owner, closed) for owner in OWNERS))
        fate = fate_of(counts)
        async with self._database.transaction(closed.org_id) as tx:
            return fate, await closing.finish(tx, closed, fate, clock.now())

    async def _count(self, owner: str, closed: ClientState) -> int | None:
        """How many things of the owner's hang on the client; None when it does not say."""
        try:
            told = await ask(self._bus, owner, "close-client", CloseClient(client=closed), ClientClosed)
        except BrokerAway as error:
            _log.warning("an owner does not say what hangs on a client", owner=owner, cause=repr(error))
            return None
        return None if told is None else told.count
