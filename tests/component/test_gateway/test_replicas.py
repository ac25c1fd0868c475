"""Several replicas of a service: which is asked, and what becomes of one that refuses, hangs or comes back."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest

from gateway.patience import READ_SECONDS, SILENCE_SECONDS, silence_seconds
from gateway.refusals import ServiceAway
from gateway.routes import Service
from gateway.upstream import Upstream
from tests.support.servers import until

PATIENCE_SECONDS = 1.5
"""A third of it is the silence after which a read goes elsewhere."""


class Replica:
    """One replica; it answers with its name unless it is frozen, when it takes requests and answers none."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[str] = []
        self.running = asyncio.Event()
        self.running.set()
        self.connections = 0
        self.port = 0
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def heard(self, method: str) -> int:
        return sum(line.startswith(f"{method} /asked ") for line in self.requests)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Replica]:
        server = await asyncio.start_server(self._converse, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for talk in tuple(self._talks):
                talk.cancel()
            await asyncio.gather(*self._talks, return_exceptions=True)
            await server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head.split(b"\r\n", 1)[0].decode())
                await self.running.wait()
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(self.name)}\r\n\r\n{self.name}".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()
        finally:
            self._talks.discard(talk)


@asynccontextmanager
async def replicas(*names: str) -> AsyncIterator[tuple[Upstream, list[Replica]]]:
    """That many replicas, and an upstream that knows all of them."""
    async with Replica(names[0]).serving() as first, Replica(names[1]).serving() as second:
        upstream = Upstream(Service.ORDERS, first.url, second.url)
        try:
            yield upstream, [first, second]
        finally:
            upstream.close()


async def ask(
    upstream: Upstream, method: str = "GET", *, is_repeatable: bool = False, patience_seconds: float = PATIENCE_SECONDS
) -> str:
    answer = await upstream.exchange(
        method, b"/asked", [], is_repeatable=is_repeatable, patience_seconds=patience_seconds
    )
    return (await answer.read()).decode()


async def ask_by(upstream: Upstream, callers: int, each: int) -> Counter[str]:
    async def call() -> list[str]:
        return [await ask(upstream) for _ in range(each)]

    answers = await asyncio.gather(*(call() for _ in range(callers)))
    return Counter(name for one in answers for name in one)


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("callers", [1, 16])
async def test_two_replicas_share_the_load(callers: int) -> None:
    async with replicas("a", "b") as (upstream, _):
        shares = await ask_by(upstream, callers, 320 // callers)
    assert min(shares["a"], shares["b"]) >= 120, shares


async def test_a_read_that_meets_silence_is_answered_by_another_replica() -> None:
    async with replicas("a", "b") as (upstream, (frozen, _)):
        frozen.running.clear()
        begun = monotonic()
        assert {await ask(upstream) for _ in range(4)} == {"b"}
        assert monotonic() - begun < PATIENCE_SECONDS
        assert frozen.heard("GET") <= 1, "one request is enough to know"


async def test_reads_that_can_be_repeated_are_known_by_more_than_their_method() -> None:
    async with replicas("a", "b") as (upstream, (frozen, _)):
        frozen.running.clear()
        assert {await ask(upstream, "POST", is_repeatable=True) for _ in range(2)} == {"b"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_change_that_meets_silence_is_away_and_was_sent_once(method: str) -> None:
    async with replicas("a", "b") as (upstream, both):
        for each in both:
            each.running.clear()
        begun = monotonic()
        with pytest.raises(ServiceAway):
            await ask(upstream, method, patience_seconds=0.6)
        assert monotonic() - begun > 0.5
        assert sum(each.heard(method) for each in both) == 1


async def test_changes_keep_away_from_a_replica_that_is_silent() -> None:
    async with replicas("a", "b") as (upstream, (frozen, _)):
        frozen.running.clear()
        await asyncio.gather(ask(upstream), ask(upstream))
        assert {await ask(upstream, "POST") for _ in range(6)} == {"b"}
        assert frozen.heard("POST") == 0


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_replica_that_refuses_is_passed_over_by_every_method(method: str) -> None:
    async with Replica("b").serving() as alive:
        upstream = Upstream(Service.ORDERS, f"http://127.0.0.1:{unused_port()}", alive.url)
        try:
            assert {await ask(upstream, method) for _ in range(6)} == {"b"}
            assert alive.heard(method) == 6
            assert sum(place.failures["unreachable"] for place in upstream.places) >= 1
        finally:
            upstream.close()


async def test_a_replica_that_thaws_serves_again() -> None:
    async with replicas("a", "b") as (upstream, (frozen, _)):
        frozen.running.clear()
        await asyncio.gather(ask(upstream), ask(upstream))
        frozen.running.set()

        async def serves() -> bool:
            return await ask(upstream) == "a"

        await until(serves)
        assert min((await ask_by(upstream, 4, 10)).values()) >= 10


async def test_a_replica_that_begins_later_gets_its_share() -> None:
    late = Replica("late")
    late.port = unused_port()
    async with Replica("early").serving() as early:
        upstream = Upstream(Service.ORDERS, early.url, late.url)
        try:
            assert await ask_by(upstream, 4, 5) == {"early": 20}
            async with late.serving():

                async def serves() -> bool:
                    return await ask(upstream) == "late"

                await until(serves)
                assert (await ask_by(upstream, 4, 20))["late"] >= 30
        finally:
            upstream.close()


async def test_a_slow_read_is_waited_for_and_the_first_answer_is_taken() -> None:
    async with replicas("a", "b") as (upstream, both):
        for each in both:
            each.running.clear()
        asking = asyncio.create_task(ask(upstream))
        await until(lambda: all(each.heard("GET") for each in both))
        both[1].running.set()
        assert await asking == "b"
        assert [each.heard("GET") for each in both] == [1, 1]


async def test_the_connections_of_one_address_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.place.LIFE_SECONDS", (0.0, 0.0))
    async with Replica("a").serving() as one:
        upstream = Upstream(Service.ORDERS, one.url)
        for _ in range(3):
            await ask(upstream)
        upstream.close()
        assert one.connections == 3


async def test_all_addresses_of_a_name_are_places_and_a_new_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    records = ["127.0.0.1"]

    async def told(_: Any, host: str, port: int, **__: Any) -> list[Any]:
        assert host == "orders.test"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in records]

    monkeypatch.setattr("gateway.places.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("gateway.places.LOOK_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", told)
    async with Replica("a").serving() as one:
        upstream = Upstream(Service.ORDERS, f"http://orders.test:{one.port}")
        try:
            assert await ask(upstream) == "a"
            records.append("127.0.0.2")

            async def knows_both() -> bool:
                return await ask(upstream) == "a" and len(upstream.places) == 2

            await until(knows_both)
            records.remove("127.0.0.2")

            async def knows_one() -> bool:
                return await ask(upstream) == "a" and len(upstream.places) == 1

            await until(knows_one)
        finally:
            upstream.close()


async def test_a_resolver_that_hangs_holds_nothing_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(*_: Any, **__: Any) -> list[Any]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", hangs)
    async with Replica("a").serving() as one:
        upstream = Upstream(Service.ORDERS, "http://orders.test:1", one.url)
        try:
            assert {await ask(upstream, method) for method in ("GET", "POST")} == {"a"}
        finally:
            upstream.close()
        nowhere = Upstream(Service.ORDERS, "http://orders.test:1")
        begun = monotonic()
        with pytest.raises(ServiceAway):
            await ask(nowhere, patience_seconds=0.3)
        assert monotonic() - begun < 1.5
        nowhere.close()


def test_a_silent_replica_takes_a_fifth_of_the_time_that_a_read_has() -> None:
    assert (SILENCE_SECONDS, READ_SECONDS) == (2.0, 10.0)
    assert silence_seconds(READ_SECONDS) == SILENCE_SECONDS
    assert silence_seconds(1.5) == 0.5
