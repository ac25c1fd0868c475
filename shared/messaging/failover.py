"""Leaves a server of the broker from which the streams cannot be reached, and spreads the processes over the servers.

A server that has lost its way to the others still answers pings, so that its clients stay: nothing that they publish
is stored, and nothing is delivered to them. And after servers were restarted one by one, the last one has no clients.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

import nats.errors

from shared.messaging import topology
from shared.messaging.bus import Ask, BrokerAway, Bus
from shared.messaging.stream_api import NOT_FOUND, ApiRefused, Copies, StreamApi
from shared.telemetry import log

LOOK_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 0.25
ANSWER_SECONDS: Final = 1.0
FAILED_LOOKS: Final = 3
"""In a row: then another server is looked for."""
SILENT_NANOSECONDS: Final = 3_000_000_000
"""A copy of which its leader has not heard for so long is not there. It hears from each once a second."""
PAUSE_SECONDS: Final = 5.0
"""Between two moves, so that nobody goes to and fro."""
SPREAD_SECONDS: Final = (300.0, 900.0)
"""After a time between these, any server may be chosen anew."""

_log = log(__name__)


class Failover:
    """Sees to it that one process is at a server from which it can reach its streams."""

    def __init__(self, process: str, bus: Bus, *, spread_seconds: tuple[float, float] = SPREAD_SECONDS) -> None:
        self._streams = topology.TRAFFIC[process].watches
        self._bus = bus
        self._spread_seconds = spread_seconds

    async def run(self) -> None:
        """Look, and go elsewhere where that helps; for ever."""
        failed = 0
        spread_at = self._next_spread()
        while True:
            await asyncio.sleep(AGAIN_SECONDS if failed else LOOK_SECONDS)
            failed = 0 if not self._bus.is_connected or await self._reaches(self._ask) else failed + 1
            if failed >= FAILED_LOOKS and await self._bus.move(self._reaches_first, is_cut_off=True):
                _log.warning("left a server of the broker from which the streams could not be reached")
                failed, spread_at = 0, self._next_spread()
                await asyncio.sleep(PAUSE_SECONDS)
            elif not failed and asyncio.get_running_loop().time() > spread_at:
                if await self._bus.move(self._reaches, is_cut_off=False):
                    _log.info("went to another server of the broker, to spread over them")
                spread_at = self._next_spread()

    async def _ask(self, subject: str, body: bytes) -> bytes:
        return await self._bus.ask(subject, body, timeout_seconds=ANSWER_SECONDS)

    def _next_spread(self) -> float:
        return asyncio.get_running_loop().time() + random.uniform(*self._spread_seconds)  # noqa: S311  # no secret

    async def _reaches_first(self, ask: Ask) -> bool:
        """Whether the streams are reached there, and not here. While leaders are chosen they are reached nowhere."""
        there = asyncio.create_task(self._until_reached(ask))
        here = asyncio.create_task(self._until_reached(self._ask))
        try:
            await asyncio.wait({there, here}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({here}, timeout=AGAIN_SECONDS)
            return not here.done()
        finally:
            there.cancel()
            here.cancel()
            await asyncio.gather(there, here, return_exceptions=True)

    async def _until_reached(self, ask: Ask) -> None:
        while not await self._reaches(ask):  # noqa: ASYNC110 - nobody sets an event for us
            await asyncio.sleep(AGAIN_SECONDS)

    async def _reaches(self, ask: Ask) -> bool:
        """Whether every stream answers, and its leader has a majority of its copies: alone, it stores nothing."""
        return all(await asyncio.gather(*(_is_reached(StreamApi(ask), name) for name in self._streams)))


async def _is_reached(api: StreamApi, stream: str) -> bool:
    try:
        found = await api.stream(stream)
    except ApiRefused as error:
        return error.code == NOT_FOUND  # somebody who knows has answered
    except (BrokerAway, nats.errors.Error, OSError, TimeoutError):
        return False
    return found.cluster is None or has_majority(found.cluster)


def has_majority(copies: Copies) -> bool:
    """Whether the leader hears from so many of the other copies that together they are more than half."""
    # Of one that a new leader has never heard from, the server says 0, and that it is not current.
    heard = [each for each in copies.replicas if each.active < SILENT_NANOSECONDS and (each.active or each.current)]
    return 2 * (1 + len(heard)) > 1 + len(copies.replicas)
