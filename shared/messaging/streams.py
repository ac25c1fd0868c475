"""Keeps this process's streams and its own durable consumers there: at start, on reconnect, and from time to time.

The broker is disposable. After its store was lost the client only says "reconnected", and a consumer that is gone stays
silent without an error; so each process looks after what it needs, and makes it again when it is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import nats.errors
import nats.js.errors
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    PersistMode,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from shared.database import DatabaseAway, DatabaseBusy
from shared.messaging import topology
from shared.messaging.bus import Bus
from shared.telemetry import log

MISSING_WAIT_SECONDS: Final = 1.0
CHECK_SECONDS: Final = 5.0
MAX_ACK_PENDING: Final = 1000

_log = log(__name__)

StreamCreated = Callable[[str, str], Awaitable[None]]


def stream_config(name: str, *, replicas: int = 1) -> StreamConfig:
    """The settings of one of our streams. Raises KeyError for another name."""
    configs = {
        topology.COMMANDS: StreamConfig(
            name=topology.COMMANDS,
            subjects=["cmd.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_age=topology.COMMANDS_MAX_AGE_SECONDS,
            duplicate_window=topology.DEDUPLICATION_WINDOW_SECONDS,
            num_replicas=replicas,
            # Loss is covered by the saga rows, so a command need not wait for the disk. NATS has this for a single
            # server only; where there are more, their agreement takes its place.
            persist_mode=PersistMode.ASYNC if replicas == 1 else None,
        ),
        topology.EVENTS: StreamConfig(
            name=topology.EVENTS,
            subjects=["evt.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=topology.EVENTS_MAX_AGE_SECONDS,
            duplicate_window=topology.DEDUPLICATION_WINDOW_SECONDS,
            num_replicas=replicas,
        ),
    }
    return configs[name]


class StreamKeeper:
    """Ensures the streams of one process and its consumers on them; `filters` names the subjects it consumes."""

    def __init__(
        self,
        process: str,
        bus: Bus,
        filters: Mapping[str, tuple[str, ...]],
        told: StreamCreated,
        *,
        replicas: int = 1,
    ) -> None:
        self._process = process
        self._bus = bus
        self._filters = filters
        self._told = told
        self._replicas = replicas
        self._look_now = asyncio.Event()
        self.all_there = False
        bus.on_reconnect(self._reconnected)

    async def run(self) -> None:
        """Look, make what is missing, wait; for ever."""
        while True:
            self._look_now.clear()
            self.all_there = await self._look()
            try:
                async with asyncio.timeout(CHECK_SECONDS if self.all_there else MISSING_WAIT_SECONDS):
                    await self._look_now.wait()
            except TimeoutError:
                continue

    async def _reconnected(self) -> None:
        self.all_there = False
        self._look_now.set()

    async def _look(self) -> bool:
        if not self._bus.is_connected:
            return False
        try:
            for name in topology.TRAFFIC[self._process].keeps:
                created = await self._ensure_stream(name)
                if name == topology.EVENTS:
                    await self._told(name, created)
            for stream, filters in self._filters.items():
                await self._bus.streams.add_consumer(stream, self._consumer(stream, filters))
        except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError) as error:
            _log.warning("streams are not there yet", cause=repr(error))
            return False
        except (DatabaseAway, DatabaseBusy) as error:
            _log.warning("streams cannot be compared with what was seen before", cause=repr(error))
            return False
        return True

    async def _ensure_stream(self, name: str) -> str:
        """Make the stream if it is not there, on as many servers as is told; returns when it was created, as the server
        spells it."""
        wanted = stream_config(name, replicas=self._replicas)
        try:
            info = await self._bus.streams.stream_info(name)
            if info.config.num_replicas != self._replicas:
                await self._replicate(wanted)
        except nats.js.errors.NotFoundError:
            info = await self._bus.streams.add_stream(wanted)
            _log.info("stream made", stream=name)
        return msgspec.to_builtins(info.created)

    async def _replicate(self, wanted: StreamConfig) -> None:
        try:
            await self._bus.streams.update_stream(wanted)
        except nats.js.errors.APIError as error:
            # A command stream cannot change how it persists. It may be deleted: it is made again, as it should be.
            _log.error("stream cannot be replicated as it is", stream=wanted.name, cause=str(error))
        else:
            _log.info("stream replicated", stream=wanted.name, replicas=self._replicas)

    def _consumer(self, stream: str, filters: tuple[str, ...]) -> ConsumerConfig:
        return ConsumerConfig(
            durable_name=self._process,
            deliver_subject=topology.deliver_subject(self._process, stream),
            deliver_group=self._process,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=topology.ACK_WAIT_SECONDS,
            max_deliver=-1,
            max_ack_pending=MAX_ACK_PENDING,
            filter_subjects=list(filters),
        )
