"""A broker of three servers: how many copies there are and who says so, and at which of them a process is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import msgspec
import nats
import nats.errors
import pytest
import pytest_asyncio

from shared.ids import new_id
from shared.loops import started
from shared.messaging import stream_keeper
from shared.messaging.bus import Ask, Bus, Message, end
from shared.messaging.failover import Failover
from shared.messaging.incoming import Incoming
from shared.messaging.stream_api import ApiRefused, StreamApi
from shared.messaging.stream_keeper import Look
from shared.messaging.stream_layout import consumers
from shared.messaging.topology import COMMANDS, EVENTS, STREAM_KEEPER, STREAMS
from tests.support.broker_cluster import SERVERS, Cluster, broker_cluster
from tests.support.servers import NATS_URL, until

pytestmark = pytest.mark.skipif(bool(NATS_URL), reason="needs a cluster of its own")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tmp_path_factory) -> AsyncIterator[Cluster]:
    async with broker_cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@asynccontextmanager
async def operator(cluster: Cluster) -> AsyncIterator[StreamApi]:
    """The API as a user who may do everything."""
    async with await nats.connect(cluster.url("operator").split(",")) as connection:

        async def ask(subject: str, body: bytes) -> bytes:
            return (await connection.request(subject, body, timeout=5)).data

        yield StreamApi(ask)


async def look(cluster: Cluster, *, replicas: int, may_lower: bool = False) -> Look:
    """What a keeper does that is told so many copies; one that is still being made is no answer."""

    async def looked() -> Look | None:
        try:
            async with stream_keeper.connected(
                cluster.url(STREAM_KEEPER), replicas=replicas, may_lower=may_lower
            ) as keeper:
                return await keeper.look()
        except stream_keeper.AWAY:
            return None

    return await until(looked, within_seconds=30)


async def copies(cluster: Cluster) -> dict[str, int]:
    """On how many servers each stream and each consumer of a service is, as the servers have it."""
    async with operator(cluster) as api:
        found = {name: (await api.stream(name)).copies for name in STREAMS}
        return found | {
            f"{stream}.{process}": (await api.consumer(stream, process)).copies for process, stream in consumers()
        }


async def are_copied(cluster: Cluster, replicas: int) -> bool:
    try:
        return set((await copies(cluster)).values()) == {replicas}
    except (ApiRefused, nats.errors.Error):
        return False


async def test_a_keeper_adds_copies_and_takes_none_away_unless_it_is_told_to(cluster: Cluster):
    async with operator(cluster) as api:
        await api.make_stream(EVENTS, replicas=1)
        await api.ensure_consumer("orders", EVENTS)
    await until(lambda: is_content(cluster, replicas=SERVERS), within_seconds=30)
    await until(lambda: are_copied(cluster, SERVERS), within_seconds=30)  # the consumer that was there before as well
    for replicas in (1, SERVERS, 1):
        assert await look(cluster, replicas=replicas) == Look((), ()), "what is there already is enough"
    assert set((await copies(cluster)).values()) == {SERVERS}

    lowered = await look(cluster, replicas=1, may_lower=True)
    assert [EVENTS in deed.sentence for deed in lowered.deeds] == [True]
    assert [COMMANDS in sentence for sentence in lowered.refused] == [True], "its way of writing cannot be changed"
    await until(lambda: is_content(cluster, replicas=SERVERS), within_seconds=30)
    await until(lambda: are_copied(cluster, SERVERS), within_seconds=30)


async def is_content(cluster: Cluster, *, replicas: int) -> bool:
    return await look(cluster, replicas=replicas) == Look((), ())


@asynccontextmanager
async def at(cluster: Cluster, process: str, server: int, *servers: int) -> AsyncIterator[Bus]:
    """The bus of a process that knows these servers (or all), connected to one of them."""
    bus = Bus(process=process, url=cluster.url(process, *servers))
    await bus.open()
    try:
        await until(lambda: bus.is_connected)
        await until(lambda: goes_to(cluster, bus, server), within_seconds=30)
        yield bus
    finally:
        await bus.close()


async def goes_to(cluster: Cluster, bus: Bus, server: int) -> bool:
    return place(cluster, bus) == server or (await bus.move(anything, is_cut_off=False) and False)


async def anything(_: Ask) -> bool:
    return True


def place(cluster: Cluster, bus: Bus) -> int | None:
    """At which server it is."""
    url = bus._client.connected_url
    return cluster.ports.index(url.port) if url is not None and url.port is not None else None


@asynccontextmanager
async def failing_over(process: str, bus: Bus, **options: Any) -> AsyncIterator[None]:
    task = started(Failover(process, bus, **options).run())
    try:
        yield
    finally:
        await end([task])


async def is_kept(bus: Bus) -> bool:
    return await bus.keep([Message(f"evt.{new_id()}.order.changed", b"{}", {})]) == [True]


@pytest_asyncio.fixture(loop_scope="session")
async def whole(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The cluster, with streams on all its servers, and healed at the end."""
    await until(lambda: is_content(cluster, replicas=SERVERS), within_seconds=30)
    await until(lambda: are_copied(cluster, SERVERS), within_seconds=30)
    yield cluster
    cluster.heal()


async def noted(lost: list[Bus], bus: Bus) -> None:
    lost.append(bus)


async def test_processes_spread_over_the_servers_again_and_lose_nothing_by_it(whole: Cluster):
    async with at(whole, "orders", 0) as asking, at(whole, "engagements", 0) as answering:

        async def answer(message: Incoming) -> None:
            await message.answer(message.body)

        lost: list[Bus] = []
        for bus in (asking, answering):
            bus.on_disconnect(partial(noted, lost, bus))
        await answering.hear("ask.engagements.engagement", answer, queue="engagements")
        often = {"spread_seconds": (0.2, 0.6)}
        places: set[tuple[int | None, int | None]] = set()
        async with (
            failing_over("orders", asking, **often),
            failing_over("engagements", answering, **often),
        ):
            async with asyncio.timeout(60):
                while len(places) < 5:
                    assert await is_kept(asking)
                    assert await asking.ask("ask.engagements.engagement", b"{}") == b"{}"
                    places.add((place(whole, asking), place(whole, answering)))
        assert lost == []


async def lead(cluster: Cluster) -> int:
    """The server that leads the cluster, and now every stream as well."""
    server = await cluster.leader()
    for stream in STREAMS:
        await until(lambda stream=stream: leads(cluster, stream, server), within_seconds=30)
    return server


async def leads(cluster: Cluster, stream: str, server: int) -> bool:
    """Whether it leads this stream; if not, its leader is asked to give it that place."""
    try:
        async with operator(cluster) as api:
            found = (await api.stream(stream)).cluster
        if found is not None and found.leader == f"n{server}":
            return True
        await asked(cluster, f"STREAM.LEADER.STEPDOWN.{stream}", {"placement": {"preferred": f"n{server}"}})
    except (ApiRefused, nats.errors.Error):
        return False  # it is being chosen
    return False


async def asked(cluster: Cluster, call: str, body: Any) -> None:
    async with await nats.connect(cluster.url("operator").split(",")) as connection:
        await connection.request(f"$JS.API.{call}", msgspec.json.encode(body), timeout=2)


@pytest.mark.parametrize(("others", "limit_seconds"), [(1, 8), (0, 15)], ids=["a copy", "the leader"])
async def test_a_process_leaves_a_server_that_is_cut_off(whole: Cluster, others: int, limit_seconds: int):
    """A leader that is lost has to be chosen anew first, for which NATS takes 4 to 9 s."""
    server = (await lead(whole) + others) % SERVERS
    async with at(whole, "orders", server) as bus, at(whole, "orders", server) as without, failing_over("orders", bus):
        assert await is_kept(bus)
        assert await is_kept(without)
        whole.isolate(server)
        began = time.monotonic()
        left_alone = asyncio.create_task(is_kept(without))
        await until(lambda: is_kept(bus), within_seconds=30)
        assert time.monotonic() - began < limit_seconds
        assert place(whole, bus) != server
        assert (await left_alone, place(whole, without)) == (False, server), "by itself the client stays"


async def test_nobody_moves_where_no_server_is_better(whole: Cluster):
    server = await lead(whole)
    async with at(whole, "orders", server) as bus, at(whole, "orders", server, server) as alone:
        lost: list[Bus] = []
        for each in (bus, alone):
            each.on_disconnect(partial(noted, lost, each))
        async with failing_over("orders", bus), failing_over("orders", alone):
            for each in range(SERVERS):
                whole.isolate(each)
            with watched_moves(bus) as tried, watched_moves(alone) as tried_alone:
                await until(lambda: len(tried) > 1 and len(tried_alone) > 1, within_seconds=30)
            assert (set(tried), set(tried_alone), lost) == ({False}, {False}, [])
            whole.heal()
            await until(lambda: is_kept(bus), within_seconds=30)
            await until(lambda: is_kept(alone), within_seconds=30)
            assert place(whole, alone) == server


@contextmanager
def watched_moves(bus: Bus) -> Iterator[list[bool]]:
    """What became of each attempt to move, until the block is left."""
    moved: list[bool] = []
    move = bus.move

    async def watched(*arguments: Any, **options: Any) -> bool:
        moved.append(await move(*arguments, **options))
        return moved[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus, "move", watched)
        yield moved
