"""Questions to the owner of something, for a replica that lacks it: core request/reply, answered from its own rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from shared.database import Database
from shared.messaging import topology
from shared.messaging.bus import Bus

Q = TypeVar("Q", bound=msgspec.Struct)
A = TypeVar("A", bound=msgspec.Struct)


async def ask(bus: Bus, service: str, question: str, body: msgspec.Struct, answer: type[A]) -> A | None:
    """What the owner answers; None when there is no such thing. Raises BrokerAway when the owner does not answer."""
    told = await bus.ask(topology.question_subject(service, question), msgspec.json.encode(body))
    return msgspec.json.decode(told, type=answer | None)


def answering(
    database: Database, question: type[Q], find: Callable[[Any, Q], Awaitable[msgspec.Struct | None]]
) -> Callable[[bytes], Awaitable[bytes]]:
    """The answer to a question of an owner's: `find(tx, question)` under the organisation that the question names."""

    async def answer(body: bytes) -> bytes:
        asked: Any = msgspec.json.decode(body, type=question)
        async with database.transaction(asked.org_id) as tx:
            return msgspec.json.encode(await find(tx, asked))

    return answer
