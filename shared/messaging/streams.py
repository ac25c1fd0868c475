"""Looks at this process's streams and its own durable consumers: at start, on reconnect, and from time to time.

A service may look and nothing else; the stream keeper (`serx streams`) makes them and puts them right. The broker is
disposable: after its store was lost the client only says "reconnected", and a consumer that is gone stays silent
without an error. So each process looks for what it needs, and says in `/health` when that is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from prometheus_client.metrics_core import Metric

from shared import metrics
from shared.database import DatabaseAway, DatabaseBusy
from shared.messaging import topology
from shared.messaging.bus import BrokerAway, Bus
from shared.messaging.stream_api import ApiRefused, StreamApi
from shared.messaging.stream_layout import consumer_differences, stream_differences
from shared.telemetry import log

MISSING_WAIT_SECONDS: Final = 0.25
CHECK_SECONDS: Final = 5.0

_log = log(__name__)

StreamCreated = Callable[[str, str], Awaitable[None]]
"""Takes a stream's name and when it was created."""


class StreamWatch:
    """Looks at the streams of one process and at its consumers; `created` is called at each look with EVENTS' age."""

    def __init__(self, process: str, bus: Bus, created: StreamCreated) -> None:
        self._traffic = topology.TRAFFIC[process]
        self._process = process
        self._bus = bus
        self._api = StreamApi(bus.ask)
        self._created = created
        self._look_now = asyncio.Event()
        self.all_there = False
        self.differences: Mapping[str, tuple[str, ...]] = {}
        """The fields that are not as they are to be, by stream (`EVENTS`) and consumer (`EVENTS.orders`)."""
        # The bus counts as connected before it calls back: what was seen over the old connection ends with that one.
        bus.on_disconnect(self._look_again)
        bus.on_reconnect(self._look_again)

    async def run(self) -> None:
        """Look, wait; for ever."""
        while True:
            self._look_now.clear()
            found = await self._look()
            self.all_there = found and not self._look_now.is_set()
            try:
                async with asyncio.timeout(CHECK_SECONDS if self.all_there else MISSING_WAIT_SECONDS):
                    await self._look_now.wait()
            except TimeoutError:
                continue

    def gauges(self) -> Sequence[Metric]:
        """Whether what the last look found is as it is to be, for `/metrics`."""
        found = [(name, float(bool(fields))) for name, fields in self.differences.items()]
        return [metrics.gauges("serx_stream_differs", "Whether it is not as it is to be.", "name", found)]

    async def _look_again(self) -> None:
        self.all_there = False
        self._look_now.set()

    async def _look(self) -> bool:
        if not self._bus.is_connected:
            return False
        try:
            self._note(await self._found())
        except (BrokerAway, ApiRefused) as error:
            _log.warning("streams are not there yet", cause=str(error))
            return False
        except (DatabaseAway, DatabaseBusy) as error:
            _log.warning("streams cannot be compared with what was seen before", cause=repr(error))
            return False
        return True

    async def _found(self) -> dict[str, tuple[str, ...]]:
        """The differences of all that this process needs. Raises ApiRefused for what is not there."""
        found: dict[str, tuple[str, ...]] = {}
        for name in self._traffic.watches:
            stream = await self._api.stream(name)
            found[name] = stream_differences(stream.config)
            if name == topology.EVENTS:
                await self._created(name, _spelled(stream.created))
        for name in self._traffic.consumes:
            consumer = await self._api.consumer(name, self._process)
            found[f"{name}.{self._process}"] = consumer_differences(consumer.config, self._process, name)
        return found

    def _note(self, found: Mapping[str, tuple[str, ...]]) -> None:
        """Log what has changed since the last look, once."""
        for name, fields in found.items():
            earlier = self.differences.get(name, ())
            if fields and fields != earlier:
                _log.error("not as it is to be; `serx streams` puts it right", name=name, fields=fields)
            elif earlier and not fields:
                _log.info("as it is to be again", name=name)
        self.differences = found


def _spelled(created: datetime) -> str:
    """As earlier releases have written it down: in microseconds, the rest cut off."""
    return msgspec.to_builtins(created)
