"""How soon an event reaches a consumer: from the commit of the transaction that wrote it to a consumer of the stream.

PostgreSQL keeps when each transaction committed (`track_commit_timestamp`, which is set for this measurement alone):
the moment at which it writes the commit's record, so that the wait for the disk is in the figure. That transaction is
the last one that wrote the row of which the event tells. The consumer is one of JetStream: it hears an event when the
stream has kept it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from shared.messaging.topology import EVENTS
from tests.bench import ours
from tests.bench.compare import load
from tests.bench.load import quantiles
from tests.bench.results import Told
from tests.support.installation import Installation
from tests.support.servers import until

TABLES = {
    "proposal": ("proposals", "proposals"),
    "engagement": ("engagements", "engagements"),
    "project": ("engagements", "projects"),
    "order": ("orders", "orders"),
}
"""What a signature tells of → the service whose it is, and its table."""
PER_SECOND = 50
"""Signatures, when they are asked for at a steady pace."""
_NEWEST = ConsumerConfig(deliver_policy=DeliverPolicy.NEW, ack_policy=AckPolicy.NONE)
KEEP_COMMIT_TIMES = "alter system set track_commit_timestamp = on"
WAITING = "select count(*) from outbox where published_at is null"
COMMITTED = """
select id, extract(epoch from pg_xact_commit_timestamp(xmin))::float8 as at from {table} where id = any($1)
"""


LOADS = ((1, None), (1, PER_SECOND), (16, None))
"""How signatures are asked for: so many at once and without a pause, or one at a time and so many a second."""


class _Thing(msgspec.Struct):
    """Of what an event tells."""

    id: UUID


class _Consumer:
    """What it has heard, and when, in seconds since the epoch, by resource and id."""

    def __init__(self) -> None:
        self.heard: dict[tuple[str, UUID], float] = {}
        self._last = 0

    async def hear(self, message: Msg) -> None:
        at = time.time()
        thing = msgspec.json.decode(message.data, type=_Thing)
        # An event that is told again has been heard.
        self.heard.setdefault((message.subject.split(".")[2], thing.id), at)
        self._last = message.metadata.sequence.stream

    async def has_heard_all(self, installation: Installation, stream: JetStreamContext) -> bool:
        """Nothing waits in an outbox, nor in the stream."""
        for service in {service for service, _ in TABLES.values()}:
            if await _value(installation, service, WAITING):
                return False
        return self._last >= (await stream.stream_info(EVENTS)).state.last_seq


async def listen(folder: Path, *, projects: int, repeats: int, seconds: float) -> AsyncIterator[Told]:
    """Measure while proposals are signed, on an installation of its own in `folder`; yields each as it is known."""
    async with ours.started(folder) as installation:
        await _value(installation, "proposals", KEEP_COMMIT_TIMES)
    async with ours.started(folder) as installation:
        contender = await ours.contender(installation, projects=projects)
        for at_once, per_second in LOADS:
            async with _consumer(installation):
                await load(contender, "sign", at_once, 1.0, folder, per_second=per_second)
        for repeat in range(repeats):
            for at_once, per_second in LOADS:
                async with _consumer(installation) as consumer:
                    await load(contender, "sign", at_once, seconds, folder, per_second=per_second)
                took = await _took_ms(installation, consumer.heard)
                yield Told(
                    concurrency=at_once,
                    per_second=per_second,
                    repeat=repeat,
                    events=len(took),
                    quantiles_ms=quantiles(took),
                )


@asynccontextmanager
async def _consumer(installation: Installation) -> AsyncIterator[_Consumer]:
    """Of all events within the block, and those that come of it after."""
    consumer = _Consumer()
    client = await nats.connect(installation.ready["services"]["nats"]["url"])
    try:
        stream = client.jetstream()
        await stream.subscribe("evt.>", stream=EVENTS, cb=consumer.hear, config=_NEWEST, manual_ack=True)
        yield consumer
        await until(lambda: consumer.has_heard_all(installation, stream), within_seconds=60)
    finally:
        await client.close()


async def _value(installation: Installation, service: str, query: str) -> Any:
    connection = await asyncpg.connect(ours.dsn(installation, service))
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def _took_ms(installation: Installation, heard: dict[tuple[str, UUID], float]) -> list[float]:
    """Of each event. Raises KeyError for one that no signature writes."""
    took: list[float] = []
    for resource in {resource for resource, _ in heard}:
        service, table = TABLES[resource]
        connection = await asyncpg.connect(ours.dsn(installation, service))
        try:
            ids = [id for each, id in heard if each == resource]
            rows = await connection.fetch(COMMITTED.format(table=table), ids)
        finally:
            await connection.close()
        took += [(heard[resource, row["id"]] - row["at"]) * 1000 for row in rows]
    return took
