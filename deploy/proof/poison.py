"""Messages that nobody can handle, thrown among the good ones; each has to end parked, at every service it was for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress

import asyncpg
import msgspec
import nats.errors
import nats.js.errors

from deploy.proof.stack import Stack
from shared import clock
from shared.contracts.identity import ClientState
from shared.database.errors import LINK_ERRORS
from shared.ids import OrgId, new_id
from shared.messaging.connection import connected
from shared.messaging.envelope import Envelope, spell_time

LOOK_SECONDS = 0.2
SEND_AGAIN_SECONDS = 2.0
"""A broker that loses its store loses this too, and no outbox sends it again."""
OVERSIZE_BYTES = 1_500_000
"""More than any message of ours, and less than the broker refuses (2 MiB)."""
PARKED = """
select true from parked_messages where key = $1
"""

_COMMANDS = {
    "cmd.identity.ensure-client": ("identity.ensure-client.v1", "identity"),
    "cmd.engagements.open": ("engagements.open.v1", "engagements"),
    "cmd.orders.place": ("orders.place.v1", "orders"),
}
_EVENT = "client.changed.v1"
_HEAR_OF_CLIENTS = frozenset({"proposals", "engagements", "conversations", "orders"})


class Poison(msgspec.Struct, frozen=True, kw_only=True):
    """One bad message, and the services that have to park it."""

    kind: str
    key: str
    subject: str
    type: str
    body: bytes
    services: frozenset[str]


def draw(chance: random.Random) -> Poison:
    """Any kind, for any service."""
    org = OrgId(new_id())
    subject = chance.choice([*_COMMANDS, f"evt.{org}.client.changed"])
    type, service = _COMMANDS.get(subject, (_EVENT, ""))
    kinds = ["bad JSON", "unknown version", "oversize"] + ([] if service else ["fails each time"])
    body = b"{}"
    kind = chance.choice(kinds)
    match kind:
        case "bad JSON":
            body = b'{"org_id": '
        case "unknown version":
            type = type.removesuffix("1") + "99"
        case "oversize":
            body = b'"' + b"x" * OVERSIZE_BYTES + b'"'
        case _:
            body = _what_no_database_keeps(org)
    services = frozenset({service}) if service else _HEAR_OF_CLIENTS
    return Poison(kind=kind, key=str(new_id()), subject=subject, type=type, body=body, services=services)


async def throw(stack: Stack, chance: random.Random) -> str:
    """Publish one, and wait until it is parked wherever it has to be; says what it was, and where that is."""
    poison = draw(chance)
    stack.poison[poison.key] = poison.services
    loop = asyncio.get_running_loop()
    sent_at = float("-inf")
    while not await _is_parked(stack.dsns, poison):
        if loop.time() > sent_at + SEND_AGAIN_SECONDS:
            await _publish(stack.nats_operator, poison)
            sent_at = loop.time()
        await asyncio.sleep(LOOK_SECONDS)
    return f"{poison.kind}, to {', '.join(sorted(poison.services))}"


def _what_no_database_keeps(org: OrgId) -> bytes:
    """It is read, and fails at the database's wall: three deliveries before it is parked."""
    state = ClientState(org_id=org, id=new_id(), version=1, name_f="\0", name_l="-", email="poison@storm.example")
    return msgspec.json.encode(state)


async def _publish(broker: str, poison: Poison) -> None:
    """The message id is always the same: the stream drops it when it has it already."""
    envelope = Envelope(
        id=poison.key,
        type=poison.type,
        source="/proof",
        time=spell_time(clock.now()),
        key=poison.key,
    )
    with suppress(OSError, TimeoutError, nats.errors.Error, nats.js.errors.Error):  # away; it is sent again
        async with connected(broker, connect_timeout=2) as connection:
            await connection.jetstream().publish(poison.subject, poison.body, timeout=2, headers=envelope.headers())


async def _is_parked(dsns: Mapping[str, str], poison: Poison) -> bool:
    """False too while a database cannot be asked."""
    for service in poison.services:
        try:
            link = await asyncpg.connect(dsns[service], timeout=2)
            try:
                is_parked = await link.fetchval(PARKED, poison.key)
            finally:
                await link.close(timeout=1)
        except LINK_ERRORS:
            return False
        if not is_parked:
            return False
    return True
