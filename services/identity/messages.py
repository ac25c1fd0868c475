"""In by NATS: the command of the sign flow, and the question who a client is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from services.identity.domain.clients import ensure_client, tell_client
from shared.contracts.identity import ClientQuestion, EnsureClient
from shared.database import Database, Tx
from shared.messaging.consumer import Delivery, Handler
from shared.messaging.messenger import Answer
from shared.messaging.topology import COMMANDS

FILTERS: Final = {COMMANDS: ("cmd.identity.*",)}


async def _ensure_client(tx: Tx, wanted: EnsureClient, _: Delivery) -> bytes:
    # No inbox row, and no cancel: the statement is idempotent by itself, and a client made by an undone flow stays.
    return msgspec.json.encode(await ensure_client(tx, wanted))


HANDLERS: Final = {"identity.ensure-client.v1": Handler(EnsureClient, _ensure_client)}


def answers(database: Database) -> Mapping[str, Answer]:
    """What identity answers to `ask.identity.*`."""

    async def client(body: bytes) -> bytes:
        question = msgspec.json.decode(body, type=ClientQuestion)
        async with database.transaction(question.org_id) as tx:
            return msgspec.json.encode(await tell_client(tx, question))

    return {"client": client}
