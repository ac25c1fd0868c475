"""One service as the gateway reaches it: which replica is asked, and what happens when it does not answer.

A read that is met by silence goes to another replica as well, and the first answer is taken. What changes something is
sent once: only a connection that could not be made, on which nothing was sent, lets it go elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from gateway.answers import Answer, Headers
from gateway.connection import Connection
from gateway.patience import READ_SECONDS, silence_seconds
from gateway.place import Origin, Place
from gateway.places import Places
from gateway.refusals import ServiceAway
from gateway.routes import Service
from gateway.streams import ConnectionLost
from shared.telemetry import log

CONNECT_SECONDS: Final = 2.0
MOST_CONNECTIONS: Final = 1000
"""More under way at once means that the service stands still: better an honest 503 than one more in the queue."""
REPEATS_AT_ONCE: Final = 32
"""A service that is slow everywhere is not asked everything twice."""
PROBE_SECONDS: Final = 1.0

_log: Final = log("gateway.upstream")
_REPEATABLE: Final = frozenset({"GET", "HEAD"})
_LIVE: Final = b"/health/live"


@dataclass(slots=True)
class _Request:
    method: str
    target: bytes
    headers: Headers
    body: bytes
    is_repeatable: bool
    patience_seconds: float
    asked_at: float = field(default_factory=monotonic)

    @property
    def left_seconds(self) -> float:
        return max(0.0, self.asked_at + self.patience_seconds - monotonic())

    def rendered(self, origin: Origin) -> bytes:
        parts = [self.method.encode(), b" ", self.target, b" HTTP/1.1\r\nhost: ", origin.authority]
        for name, value in self.headers:
            parts += (b"\r\n", name, b": ", value)
        if self.body or self.method not in _REPEATABLE:
            parts += (b"\r\ncontent-length: ", str(len(self.body)).encode())
        parts += (b"\r\n\r\n", self.body)
        return b"".join(parts)


class Upstream:
    """Sends requests to one service, which is at all of `urls`, and brings back its answers."""

    def __init__(self, service: Service, *urls: str) -> None:
        self.service = service
        self._places = Places(urls, on_due=self._probe)
        self._probes: set[asyncio.Task[None]] = set()
        self._repeats = 0

    @property
    def places(self) -> Sequence[Place]:
        """Where the service is, as far as is known now."""
        return tuple(self._places)

    async def exchange(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes = b"",
        *,
        is_repeatable: bool = False,
        patience_seconds: float = READ_SECONDS,
    ) -> Answer:
        """Send one request. Raises ServiceAway when it cannot be reached, breaks off, or does not answer in time.

        Only what changes nothing (GET, HEAD, `is_repeatable`) is sent again, once: when a connection that had served
        before turned out to be closed, when one breaks off and another replica is there, and when no answer has begun
        after `silence_seconds`. All of it together takes `patience_seconds` at most.
        """
        is_repeatable = is_repeatable or method in _REPEATABLE
        request = _Request(method, target, headers, body, is_repeatable, patience_seconds)
        place, connection, is_kept = await self._connection(request)
        try:
            answer = await self._send(request, place, connection, silence_seconds(patience_seconds))
        except ConnectionLost as error:
            is_worth_it = is_kept or self._places.has_another(place)
            if connection.is_timed_out or not is_repeatable or not is_worth_it:
                raise ServiceAway(self.service, str(error)) from error
            return await self._again(request, place)
        return answer or await self._in_silence(request, place, connection)

    def close(self) -> None:
        """Give up all connections."""
        for probe in self._probes:
            probe.cancel()
        self._places.close()

    async def _send(
        self, request: _Request, place: Place, connection: Connection, silence: float = float("inf")
    ) -> Answer | None:
        return await connection.exchange(
            request.rendered(place.origin),
            is_head=request.method == "HEAD",
            patience_seconds=request.left_seconds,
            silence_seconds=silence,
        )

    async def _connection(self, request: _Request, *tried: Place) -> tuple[Place, Connection, bool]:
        """A connection to a place that was not tried, and whether it has served before. Raises ServiceAway."""
        failed, cause, has_looked = set(tried), "no address", False
        while True:
            place = self._places.next_of(failed)
            if place is None and not has_looked:
                await self._places.look(min(CONNECT_SECONDS, request.left_seconds))
                has_looked = True
                continue
            if place is None or not request.left_seconds:
                raise ServiceAway(self.service, f"cannot connect: {cause}")
            if (kept := place.kept()) is not None:
                return place, kept, True
            try:
                return place, await self._connect(place, request.left_seconds), False
            except (OSError, TimeoutError) as error:
                failed.add(place)
                cause = type(error).__name__

    async def _connect(self, place: Place, left_seconds: float) -> Connection:
        if sum(each.opened for each in self._places) >= MOST_CONNECTIONS:
            raise ServiceAway(self.service, "too many requests under way")
        return await place.connect(min(CONNECT_SECONDS, left_seconds))

    async def _again(self, request: _Request, first: Place) -> Answer:
        """The answer of another replica: at another place, or else behind another connection. Raises ServiceAway."""
        try:
            place, connection = await self._elsewhere(request, first)
            answer = await self._send(request, place, connection)
        except ConnectionLost as error:
            raise ServiceAway(self.service, str(error)) from error
        except (OSError, TimeoutError) as error:
            raise ServiceAway(self.service, f"cannot connect: {type(error).__name__}") from error
        assert answer is not None
        return answer

    async def _elsewhere(self, request: _Request, first: Place) -> tuple[Place, Connection]:
        if self._places.has_another(first):
            place, connection, _ = await self._connection(request, first)
            return place, connection
        proven = first.proven(request.asked_at)
        return first, proven or await self._connect(first, request.left_seconds)

    async def _in_silence(self, request: _Request, place: Place, connection: Connection) -> Answer:
        place.note_silence(request.asked_at)
        if request.is_repeatable and self._repeats < REPEATS_AT_ONCE:
            return await self._first_of(request, place, connection)
        return await self._rest(connection)

    async def _rest(self, connection: Connection) -> Answer:
        try:
            return await connection.rest()
        except ConnectionLost as error:
            raise ServiceAway(self.service, str(error)) from error

    async def _first_of(self, request: _Request, place: Place, connection: Connection) -> Answer:
        """The answer that comes first; the other connection is closed."""
        self._repeats += 1
        tasks = [asyncio.create_task(self._rest(connection)), asyncio.create_task(self._again(request, place))]
        answer: Answer | None = None
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            sooner, later = sorted(tasks, key=lambda task: not task.done())
            answer = sooner.result() if sooner.exception() is None else await later
            return answer
        finally:
            self._repeats -= 1
            await _ended(tasks, answer)

    def _probe(self, place: Place) -> None:
        """Look whether a place that failed answers again, at no caller's expense."""
        place.is_looked_at = True
        probe = asyncio.create_task(self._look_at(place))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    async def _look_at(self, place: Place) -> None:
        try:
            connection = await self._connect(place, CONNECT_SECONDS)
            request = _Request("GET", _LIVE, [], b"", is_repeatable=True, patience_seconds=PROBE_SECONDS)
            if (answer := await self._send(request, place, connection)) is not None:
                answer.abandon()
        except ConnectionLost:
            place.fail("silent")
        except (OSError, TimeoutError, ServiceAway) as error:
            _log.debug("place still away", service=self.service, place=place.name, cause=type(error).__name__)
        finally:
            place.is_looked_at = False


async def _ended(tasks: list[asyncio.Task[Answer]], taken: Answer | None) -> None:
    """End all tasks; an answer that nobody takes is abandoned."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Answer) and result is not taken:
            result.abandon()
