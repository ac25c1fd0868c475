"""Deleting a client, in two transactions: Closing, and after its owners have counted what hangs on it, the end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from services.identity.domain import credentials
from services.identity.domain.clients import changed
from services.identity.model.clients import Client, Fate
from services.identity.model.people import ClientStage
from services.identity.store import clients
from shared.contracts.identity import ClientState
from shared.database import Tx
from shared.ids import OrgId, new_id
from shared.messaging import outbox

CUT_SHORT_AFTER: Final = timedelta(seconds=5)
"""Longer than its owners are asked for (2 s each, at once); a signature waits for the end of a Closing."""
_BATCH: Final = 20


async def begin(tx: Tx, found: Client, at: datetime) -> ClientState:
    """Mark a client that is locked as Closing: nothing new may hang on it. One that is Closing already stays so."""
    after = found.closing(at)
    if after is not found:
        await clients.save(tx, found, after)
        await outbox.put(tx, changed(new_id(), after.state))
    return after.state


async def finish(tx: Tx, closed: ClientState, fate: Fate, at: datetime) -> bool:
    """Delete the client, or open it again; whether it is deleted now.

    Fenced by the version: what was counted for one Closing says nothing about a later one.
    """
    org = OrgId(closed.org_id)
    found = await clients.lock(tx, org, closed.id)
    if found is None:
        return True
    if found.stage is not ClientStage.CLOSING or found.version != closed.version:
        return False
    after = found.deleted(at) if fate is Fate.DELETED else found.reopened()
    await clients.save(tx, found, after)
    await outbox.put(tx, changed(new_id(), after.state))
    if fate is Fate.DELETED:
        await credentials.end_all(tx, org, closed.id)
    return fate is Fate.DELETED


async def take_cut_short(tx: Tx) -> Sequence[ClientState]:
    """Clients whose Closing nobody has ended for a while; needs a transaction across organisations."""
    return await clients.take_cut_short(tx, CUT_SHORT_AFTER, at_most=_BATCH)
