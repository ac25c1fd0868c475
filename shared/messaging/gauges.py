"""What a service's database and broker know of its messaging, asked at each scrape."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import nats.errors
import nats.js.errors
from prometheus_client.metrics_core import Metric

from shared import metrics
from shared.database import Database, DatabaseAway, DatabaseBusy
from shared.messaging.bus import Bus

INFO_SECONDS: Final = 1.0

# Both are counted over partial or small indexes: nothing grows with what has been done.
LEFT_OVER = """
select (select count(*) from parked_messages) as parked, count(*) as unpublished,
  coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest_seconds
from outbox where published_at is null
"""


class _LeftOver(msgspec.Struct, frozen=True):
    parked: int
    unpublished: int
    oldest_seconds: float


async def left_over(database: Database) -> Sequence[Metric]:
    """What is not yet said, and what cannot be handled; nothing while the database is away."""
    try:
        async with database.single() as tx:
            row = await tx.row(_LeftOver, LEFT_OVER)
    except (DatabaseAway, DatabaseBusy):
        row = None
    up = metrics.gauge("serx_database_up", "Whether the database answered this scrape.", float(row is not None))
    if row is None:
        return [up]
    return [
        up,
        metrics.gauge("serx_parked_messages", "Messages that wait for an operator.", row.parked),
        metrics.gauge("serx_outbox_unpublished", "Events that are not known to be published.", row.unpublished),
        metrics.gauge(
            "serx_outbox_oldest_seconds",
            "Age of the oldest event that is not known to be published.",
            row.oldest_seconds,
        ),
    ]


async def consumer_lag(bus: Bus, process: str, streams: Mapping[str, tuple[str, ...]]) -> Sequence[Metric]:
    """How far this service's consumers are behind; nothing of one that the broker does not tell about."""
    connected = metrics.gauge("serx_broker_connected", "Whether the broker is connected.", float(bus.is_connected))
    waiting: list[tuple[str, float]] = []
    under_way: list[tuple[str, float]] = []
    again: list[tuple[str, float]] = []
    for stream in streams if bus.is_connected else ():
        try:
            async with asyncio.timeout(INFO_SECONDS):
                told = await bus.streams.consumer_info(stream, process)
        except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError):
            continue
        waiting.append((stream, told.num_pending or 0))
        under_way.append((stream, told.num_ack_pending or 0))
        again.append((stream, told.num_redelivered or 0))
    return [
        connected,
        metrics.gauges("serx_consumer_waiting", "Messages not yet delivered to this service.", "stream", waiting),
        metrics.gauges("serx_consumer_under_way", "Messages delivered and not yet settled.", "stream", under_way),
        metrics.gauges(
            "serx_consumer_redelivered", "Messages delivered more than once and not yet settled.", "stream", again
        ),
    ]
