"""A broker of three servers: how many copies there are, and who says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import nats.errors
import pytest
import pytest_asyncio

from shared.messaging import stream_keeper
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
