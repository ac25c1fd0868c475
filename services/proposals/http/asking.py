"""What the copy of clients lacks is asked of identity, before a request's own transaction."""

from __future__ import annotations

from uuid import UUID

from services.proposals.domain import proposals
from services.proposals.store import clients
from shared.contracts.identity import AddressQuestion, ClientState
from shared.database import Database
from shared.messaging.bus import BrokerAway, Bus
from shared.messaging.questions import ask
from shared.telemetry import log
from shared.web.actor import Actor

_log = log(__name__)


async def client_named(database: Database, bus: Bus, actor: Actor, proposal: UUID | None) -> UUID | None:
    """Whom identity names for a Draft's address, where the copy names none or several; their copy is written.

    None where the copy names one, where identity names none, and where it is away: a Draft is sent all the same, and
    belongs to nobody until its client is known.
    """
    async with database.transaction(actor.org_id) as tx:
        address = await proposals.addressee_to_ask_for(tx, actor, proposal)
    if address is None:
        return None
    question = AddressQuestion(org_id=actor.org_id, email=address)
    try:
        named = await ask(bus, "identity", "client-of-address", question, ClientState)
    except BrokerAway as error:
        _log.info("nobody could say whose an address is: the proposal is sent without its client", cause=repr(error))
        return None
    if named is None:
        return None
    async with database.transaction(actor.org_id) as tx:
        await clients.keep(tx, named)
    return named.id
