"""Everything that a service's messaging is made of, started and stopped in the right order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client.metrics_core import Metric

from shared import metrics, telemetry
from shared.database import Database, DatabaseAway, DatabaseBusy
from shared.database.tallies import keep_folded
from shared.failpoints import without
from shared.loops import started
from shared.messaging import gauges, topology
from shared.messaging.bus import Bus, end
from shared.messaging.consumer import Consumer, Handlers
from shared.messaging.durability import warn_if_lazy
from shared.messaging.failover import Failover
from shared.messaging.incoming import Incoming
from shared.messaging.outbox import PRUNE_OUTBOX, Outbox
from shared.messaging.streams import StreamWatch
from shared.telemetry import log

PRUNE_EVERY_SECONDS = 600
PRUNE_INBOX = """
delete from inbox where at < now() - interval '7 days'
"""
PRUNE_INBOX_EARLY = """
delete from inbox
"""
PRUNE_KEYS = """
delete from idempotency_keys where created_at < now() - interval '24 hours'
"""

_log = log(__name__)

Answer = Callable[[bytes], Awaitable[bytes]]
Probe = Callable[[], Awaitable[bool]]


class Messenger:
    """A service's side of the messaging: consumers for its commands and events, its outbox, its questions.

    `filters` gives the subjects that it consumes of each stream, `handlers` what it does with each type of message,
    `answers` what it answers to questions.
    """

    def __init__(
        self,
        process: str,
        database: Database,
        bus: Bus,
        *,
        filters: Mapping[str, tuple[str, ...]],
        handlers: Handlers,
        answers: Mapping[str, Answer],
        at_once: int,
        monitor_url: str | None = None,
    ) -> None:
        self._process = process
        self._database = database
        self._bus = bus
        self._filters = filters
        self._monitor_url = monitor_url
        self._answers = answers
        self._outbox = Outbox(process, database, bus)
        self._consumer = Consumer(process, database, bus, handlers, at_once=at_once)
        self._streams = StreamWatch(process, bus, self._outbox.stream_created)

    @property
    def outbox(self) -> Outbox:
        return self._outbox

    @property
    def probes(self) -> Mapping[str, Probe]:
        """Whether the broker is connected, and whether everything that this service needs on it was found there."""
        return {"broker": self._is_connected, "streams": self._are_streams_there}

    async def gauges(self) -> Sequence[Metric]:
        """How far behind this service's messaging is, for `/metrics`."""
        return [
            metrics.gauge(
                "serx_outbox_sweep_age_seconds",
                "Since when no sweep of the outbox has gone through.",
                self._outbox.sweep_age,
            ),
            *self._streams.gauges(),
            *await gauges.left_over(self._database),
            *await gauges.consumer_lag(self._bus, self._process, self._filters),
        ]

    @asynccontextmanager
    async def running(self, *more: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Run until the block is left; `more` are loops of the service's own that live and die with the others."""
        await self._listen()
        await self._bus.open()
        await warn_if_lazy(self._monitor_url)
        loops = [self._streams.run(), self._outbox.publish_said(), self._outbox.sweep(), self._prune()]
        loops += [Failover(self._process, self._bus).run(), keep_folded(self._database), *more]
        tasks = [started(loop) for loop in loops]
        try:
            yield
        finally:
            await self._bus.stop_hearing()
            await self._consumer.drain()
            await end(tasks)
            await self._bus.close()

    async def _is_connected(self) -> bool:
        return self._bus.is_connected

    async def _are_streams_there(self) -> bool:
        return self._bus.is_connected and self._streams.all_there

    async def _listen(self) -> None:
        for stream in self._filters:
            subject = topology.deliver_subject(self._process, stream)
            await self._bus.hear(subject, self._consumer.hear, queue=self._process)
        if topology.COMMANDS in self._filters:
            await self._bus.hear(
                topology.direct_subject(self._process, "*"), self._consumer.hear_directly, queue=self._process
            )
        for question, answer in self._answers.items():
            await self._bus.hear(
                topology.question_subject(self._process, question), _answering(answer), queue=self._process
            )

    async def _prune(self) -> None:
        """Forget what no message or stalled process can still need."""
        while True:
            try:
                async with self._database.transaction_across_organisations() as tx:
                    await tx.run(PRUNE_OUTBOX)
                    await tx.run(PRUNE_INBOX)
                    if without("old_inbox"):
                        await tx.run(PRUNE_INBOX_EARLY)
                    await tx.run(PRUNE_KEYS)
            except (DatabaseAway, DatabaseBusy) as error:
                _log.info("pruning put off", cause=repr(error))
            await asyncio.sleep(PRUNE_EVERY_SECONDS)


def _answering(answer: Answer) -> Callable[[Incoming], Awaitable[None]]:
    async def hear(message: Incoming) -> None:
        telemetry.take_over(message.headers, name=message.subject)
        cause = ""
        try:
            await message.answer(await answer(message.body))
        except (DatabaseAway, DatabaseBusy) as error:  # the asker's timeout tells
            cause = repr(error)
            _log.warning("question not answered", subject=message.subject, cause=cause)
        finally:
            telemetry.end_trace(error=cause)

    return hear
