"""In by NATS: the command of the sign flow, and the questions who a client or a member of staff is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from services.identity.domain.clients import client_of_address, ensure_client, tell_client
from services.identity.domain.users import tell_user
from shared.contracts.identity import AddressQuestion, ClientQuestion, EnsureClient, UserQuestion
from shared.database import Database, Tx
from shared.messaging import topology
from shared.messaging.consumer import Delivery, Handler
from shared.messaging.messenger import Answer
from shared.messaging.questions import answering

FILTERS: Final = topology.TRAFFIC["identity"].consumes


async def _ensure_client(tx: Tx, wanted: EnsureClient, _: Delivery) -> bytes:
    # No inbox row, and no cancel: the statement is idempotent by itself, and a client made by an undone flow stays.
    return msgspec.json.encode(await ensure_client(tx, wanted))


HANDLERS: Final = {"identity.ensure-client.v1": Handler(EnsureClient, _ensure_client)}


def answers(database: Database) -> Mapping[str, Answer]:
    """What identity answers to `ask.identity.*`."""

    return {
        "client": answering(database, ClientQuestion, tell_client),
        "client-of-address": answering(database, AddressQuestion, client_of_address),
        "user": answering(database, UserQuestion, tell_user),
    }
