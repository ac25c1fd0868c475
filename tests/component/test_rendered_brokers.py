"""The broker cluster that `serx secrets` renders: three real servers, their routes, their users."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.errors import NoRespondersError
from nats.js.api import StreamConfig

from shared.messaging import stream_keeper
from shared.messaging.connection import connected
from shared.messaging.topology import STREAM_KEEPER
from tests.support.rendered_brokers import NAMES, RenderedBrokers, refused_route, rendered_brokers
from tests.support.servers import until

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
async def brokers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RenderedBrokers]:
    async with rendered_brokers(tmp_path_factory.mktemp("brokers")) as running:
        yield running


async def test_a_process_publishes_to_every_server_what_all_keep(brokers: RenderedBrokers):
    async with connected(brokers.url("operator", "n1")) as connection:
        stream = connection.jetstream()
        await stream.add_stream(StreamConfig(name="TRIED", subjects=["tried"], num_replicas=3))
    for name in NAMES:
        async with connected(brokers.url("operator", name)) as connection:
            assert (await connection.jetstream().publish("tried", b"")).stream == "TRIED"
    async with connected(brokers.url("operator")) as connection:
        info = await connection.jetstream().stream_info("TRIED")
        assert info.state.messages == len(NAMES)
        assert info.cluster is not None
        found = {info.cluster.leader, *(peer.name for peer in info.cluster.replicas or ())}
        assert found == set(NAMES)
        await connection.jetstream().delete_stream("TRIED")


async def test_the_stream_keeper_makes_every_stream_with_three_replicas(brokers: RenderedBrokers):
    async with stream_keeper.connected(brokers.url(STREAM_KEEPER), replicas=3) as keeper:
        assert not (await keeper.look()).refused
    async with connected(brokers.url("operator")) as connection:
        assert (await connection.jetstream().stream_info("EVENTS")).config.num_replicas == 3


@pytest.mark.parametrize("login", [{}, {"user": "route", "pass": "guessed"}], ids=["none", "a wrong one"])
async def test_a_route_without_the_password_is_refused(brokers: RenderedBrokers, login: dict[str, str]):
    assert await refused_route(brokers, "n2", login)


@pytest.mark.parametrize("name", NAMES)
async def test_each_server_holds_a_process_to_its_own_subjects(brokers: RenderedBrokers, name: str):
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error).lower())

    async with connected(brokers.url("orders", name), error_cb=note) as connection:
        await connection.publish("evt.org.order.placed", b"")
        await connection.flush()
        assert refused == []
        await connection.publish("evt.org.client.changed", b"")
        await until(lambda: any("permissions violation" in each for each in refused))


async def test_the_system_account_is_apart_from_all_other_users(brokers: RenderedBrokers):
    async with connected(brokers.url("operator")) as connection:
        with pytest.raises(NoRespondersError):
            await connection.request("$SYS.REQ.SERVER.PING", b"", timeout=5)
    async with connected(brokers.url("system")) as connection:
        answer = await connection.request("$SYS.REQ.SERVER.PING", b"", timeout=5)
        assert json.loads(answer.data)["server"]["cluster"] == "serx"
        refused = await connection.request("$JS.API.STREAM.INFO.EVENTS", b"", timeout=5)
        assert b"not enabled for account" in refused.data


async def test_a_server_that_is_no_more_is_in_no_file(tmp_path: Path):
    brokers = RenderedBrokers(tmp_path)
    brokers.render(*NAMES)
    before = brokers.url("orders").split("@")[0]
    brokers.render("n1", "n2", "n4")
    assert sorted(path.parent.name for path in (brokers.folder / "nats").glob("*/nats.conf")) == ["n1", "n2", "n4"]
    assert brokers.url("orders", "n3") == ""
    assert brokers.url("orders").split("@")[0] == before, "the login stays"
    assert brokers.url("orders").count(before) == 3
