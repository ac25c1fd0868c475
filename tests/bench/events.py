"""How soon an event reaches a consumer: from the begin of the transaction that wrote it to a durable stream's consumer.

The begin is what the outbox row keeps (`created_at`), so the figure has the statement and its commit to disk in it, and
is a little more than what was asked. The consumer is one of JetStream: it hears an event when the stream has kept it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import nats
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from shared.messaging.topology import EVENTS
from tests.bench import ours
from tests.bench.compare import measure
from tests.bench.contender import Contender
from tests.bench.load import quantiles
from tests.bench.results import Told
from tests.support.installation import Installation
from tests.support.servers import until

CONCURRENCIES = (1, 16)
_NEWEST = ConsumerConfig(deliver_policy=DeliverPolicy.NEW, ack_policy=AckPolicy.NONE)
WRITERS = ("proposals", "engagements", "orders")
WRITTEN = """
select id, extract(epoch from created_at)::float8 as at from outbox where id = any($1)
"""


async def listen(
    installation: Installation, contender: Contender, folder: Path, *, repeats: int, seconds: float
) -> AsyncIterator[Told]:
    """Measure while proposals are signed; yields each as it is known."""
    heard: dict[UUID, float] = {}
    earlier: set[UUID] = set()
    async with _consumer(installation, heard):
        for repeat in range(repeats):
            for concurrency in CONCURRENCIES:
                await measure(contender, "sign", concurrency, repeat, seconds, folder)
                await _quiet(heard)
                took = await _took_ms(installation, {id: at for id, at in heard.items() if id not in earlier})
                earlier.update(heard)
                yield Told(
                    concurrency=concurrency,
                    repeat=repeat,
                    events=len(took),
                    quantiles_ms=quantiles(took),
                )


@asynccontextmanager
async def _consumer(installation: Installation, heard: dict[UUID, float]) -> AsyncIterator[None]:
    client = await nats.connect(installation.ready["services"]["nats"]["url"])

    async def hear(message: Msg) -> None:
        # An event that is told again has been heard.
        heard.setdefault(UUID((message.headers or {})["ce-id"]), time.time())

    try:
        await client.jetstream().subscribe("evt.>", stream=EVENTS, cb=hear, config=_NEWEST, manual_ack=True)
        yield
    finally:
        await client.close()


async def _quiet(heard: dict[UUID, float]) -> None:
    """Wait until nothing has come for a quarter of a second."""
    await until(lambda: not heard or time.time() - max(heard.values()) > 0.25, within_seconds=30)


async def _took_ms(installation: Installation, heard: dict[UUID, float]) -> Sequence[float]:
    took: list[float] = []
    for service in WRITERS:
        connection = await asyncpg.connect(ours.dsn(installation, service))
        try:
            rows = await connection.fetch(WRITTEN, list(heard))
        finally:
            await connection.close()
        took += [(heard[row["id"]] - row["at"]) * 1000 for row in rows]
    return took
