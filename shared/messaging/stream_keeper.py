"""Makes the streams and the services' consumers, and puts right what is not as it is to be.

One process of an installation does so (`serx streams --watch`; `serx up` does it itself), with a user of its own: no
service may, see `topology.permissions`. Two at once do no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import nats.errors

from shared.messaging import connection, topology
from shared.messaging.stream_api import NOT_FOUND, UNAVAILABLE, ApiRefused, StreamApi
from shared.messaging.stream_layout import consumer_differences, consumers, stream_differences

CHECK_SECONDS: Final = 2.0
AGAIN_SECONDS: Final = 0.25
ANSWER_SECONDS: Final = 5.0
OBSTACLE_AFTER: Final = 8
"""Looks in a row after which a refusal is one that stays."""
CONNECT_SECONDS: Final = 2

AWAY: Final = (nats.errors.Error, OSError, TimeoutError)
"""What connecting and looking raise when the broker is away."""

Report = Callable[[str], None]


class Deed(msgspec.Struct, frozen=True):
    """What was done to a stream or consumer, in a sentence; `made` if it was not there."""

    sentence: str
    made: bool = False


class Look(msgspec.Struct, frozen=True):
    """What one look led to; `refused` are sentences about what the server did not let be done."""

    deeds: tuple[Deed, ...]
    refused: tuple[str, ...]
    is_cut_off: bool = False
    """Whether this server did not know who could do it: another may."""


class StreamKeeper:
    """Looks at everything, over one connection.

    `replicas` is on how many servers each stream is kept at least: copies are added, and taken away only where
    `may_lower`. So two keepers that were told different numbers, as while a setting is rolled out, do not undo
    each other's work. A consumer has as many copies as its stream.
    """

    def __init__(self, api: StreamApi, *, replicas: int, may_lower: bool = False) -> None:
        self._api = api
        self._replicas = replicas
        self._may_lower = may_lower

    async def look(self) -> Look:
        """Make what is missing, put right what differs."""
        deeds: list[Deed] = []
        refused: list[str] = []
        codes: set[int] = set()
        for name in topology.STREAMS:
            try:
                deeds += await self._stream(name)
            except ApiRefused as error:
                refused.append(f"The stream {name} cannot be made as it is to be: {error}.")
                codes.add(error.code)
        for process, stream in consumers():
            try:
                deeds += await self._consumer(process, stream)
            except ApiRefused as error:
                refused.append(f"The consumer of {process} on {stream} cannot be made as it is to be: {error}.")
                codes.add(error.code)
        return Look(tuple(deeds), tuple(refused), is_cut_off=UNAVAILABLE in codes)

    async def renew(self, name: str) -> None:
        """Delete a stream and make it anew: for what cannot be changed. Services publish again what they keep of it.

        Only a user who may delete streams can.
        """
        await self._api.delete_stream(name)
        await self._api.make_stream(name, replicas=self._replicas)

    async def _stream(self, name: str) -> list[Deed]:
        try:
            found = await self._api.stream(name)
        except ApiRefused as error:
            if error.code != NOT_FOUND:
                raise
            await self._api.make_stream(name, replicas=self._replicas)
            return [Deed(f"The stream {name} was made.", made=True)]
        replicas = self._replicas if self._may_lower else max(self._replicas, found.config.get("num_replicas", 1))
        fields = stream_differences(found.config, replicas=replicas)
        if not fields:
            return []
        await self._api.change_stream(name, replicas=replicas)
        left = stream_differences((await self._api.stream(name)).config, replicas=replicas)
        if left:
            raise ApiRefused(0, f"it stays different in {', '.join(left)}")
        return [Deed(f"The stream {name} was not as it is to be ({', '.join(fields)}): it was put right.")]

    async def _consumer(self, process: str, stream: str) -> list[Deed]:
        try:
            found = await self._api.consumer(stream, process)
        except ApiRefused as error:
            if error.code != NOT_FOUND:
                raise
            await self._api.ensure_consumer(process, stream)
            return [Deed(f"The consumer of {process} on {stream} was made.", made=True)]
        fields = consumer_differences(found.config, process, stream)
        if not fields:
            return []
        await self._put_right(process, stream)
        different = f"was not as it is to be ({', '.join(fields)})"
        return [Deed(f"The consumer of {process} on {stream} {different}: it was put right.")]

    async def _put_right(self, process: str, stream: str) -> None:
        try:
            await self._api.ensure_consumer(process, stream)
            left = await self._left(process, stream)
        except ApiRefused:
            left = ("everything",)
        if left:
            # Of some fields the server takes no change. A new consumer delivers again what its stream keeps, and
            # a service takes what it has had for a duplicate.
            await self._api.delete_consumer(stream, process)
            await self._api.ensure_consumer(process, stream)
            left = await self._left(process, stream)
        if left:
            raise ApiRefused(0, f"it stays different in {', '.join(left)}")

    async def _left(self, process: str, stream: str) -> tuple[str, ...]:
        return consumer_differences((await self._api.consumer(stream, process)).config, process, stream)


@asynccontextmanager
async def connected(url: str, *, replicas: int, may_lower: bool = False) -> AsyncIterator[StreamKeeper]:
    """A keeper over a connection of its own, as the user that `url` names. Raises one of AWAY."""
    async with connection.connected(
        url,
        name=topology.STREAM_KEEPER,
        inbox_prefix=topology.inbox_prefix(topology.STREAM_KEEPER),
        connect_timeout=CONNECT_SECONDS,
        ping_interval=1,
        max_outstanding_pings=2,
        error_cb=_unheard,
    ) as client:

        async def ask(subject: str, body: bytes) -> bytes:
            return (await client.request(subject, body, timeout=ANSWER_SECONDS)).data

        yield StreamKeeper(StreamApi(ask), replicas=replicas, may_lower=may_lower)


async def keep(url: str, report: Report, *, replicas: int = 1) -> None:
    """Look every CHECK_SECONDS, for ever, through every loss of the broker.

    Reports what was put right, and once each time what stands in the way of that.
    """
    obstacles = _Obstacles(report)
    while True:
        try:
            async with connected(url, replicas=replicas) as keeper:
                while True:
                    look = await keeper.look()
                    for deed in look.deeds:
                        if not deed.made:
                            report(deed.sentence)
                    obstacles.note(look.refused)
                    await asyncio.sleep(AGAIN_SECONDS if look.refused else CHECK_SECONDS)
                    if look.is_cut_off:
                        break  # and look from another server, which is chosen by chance
        except AWAY:
            await asyncio.sleep(AGAIN_SECONDS)


class _Obstacles:
    """Reports a refusal once, when it has come several times in a row: a server that has just started refuses a lot."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._times: dict[str, int] = {}

    def note(self, refused: Iterable[str]) -> None:
        self._times = {each: self._times.get(each, 0) + 1 for each in refused}
        for each, times in self._times.items():
            if times == OBSTACLE_AFTER:
                self._report(each)


async def _unheard(_: Exception) -> None:
    """What breaks the connection is raised by the request that meets it."""
