"""`serx brokers` on a real cluster: a server dies, its disk is lost, another takes its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from shared.messaging import stream_keeper
from shared.messaging.connection import connected
from shared.messaging.topology import PROCESSES, STREAM_KEEPER, STREAMS
from tests.support.command_line import Ended, called, without_settings
from tests.support.rendered_brokers import NAMES, RenderedBrokers, rendered_brokers
from tests.support.servers import until

pytestmark = pytest.mark.timeout(120)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def brokers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RenderedBrokers]:
    """A cluster with its streams, three copies of each."""
    async with rendered_brokers(tmp_path_factory.mktemp("brokers")) as running:
        async with stream_keeper.connected(running.url(STREAM_KEEPER), replicas=3) as keeper:
            assert not (await keeper.look()).refused
        yield running


class Operator:
    """Calls `serx brokers` with the administration's secrets and nothing else."""

    def __init__(self, brokers: RenderedBrokers, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capsys = patch, capsys
        without_settings(patch)
        patch.setenv("SERX_SECRETS_DIR", str(brokers.folder / "administration"))

    async def call(self, *arguments: str) -> Ended:
        return await asyncio.to_thread(called, self._patch, self._capsys, "brokers", *arguments)

    async def status(self, brokers: RenderedBrokers) -> dict[str, Any]:
        """What `serx status` shows of an installation whose processes are all away."""
        for name in PROCESSES:
            self._patch.setenv(f"SERX_{name.upper()}_URL", "http://127.0.0.1:1")
        self._patch.setenv("SERX_NATS_MONITOR_URL", ",".join(brokers.monitor(name) for name in NAMES))
        return json.loads((await asyncio.to_thread(called, self._patch, self._capsys, "status", "--json")).output)

    async def told(self) -> dict[str, Any]:
        return json.loads((await self.call("--json")).output)

    async def is_well(self) -> bool:
        return (await self.call("--json")).code == 0

    async def leader(self) -> str | None:
        return next((each["name"] for each in (await self.told())["servers"] if each["is_leader"]), None)


@pytest.fixture
def operator(brokers: RenderedBrokers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(brokers, monkeypatch, capsys)


def copies(told: dict[str, Any]) -> dict[str, set[str]]:
    return {each["name"]: {copy["server"] for copy in each["copies"]} for each in told["streams"]}


async def test_servers_and_copies_are_listed(brokers: RenderedBrokers, operator: Operator):
    await until(operator.is_well, within_seconds=30)
    told = await operator.told()
    assert [each["name"] for each in told["servers"]] == list(NAMES)
    assert copies(told) == {name: set(NAMES) for name in STREAMS}
    assert (await operator.call()).output.count("n2") >= 3
    shown = await operator.status(brokers)
    assert [each["name"] for each in shown["brokers"]["servers"]] == list(NAMES)
    assert {each["name"]: each["replicas"] for each in shown["broker"]["streams"]} == dict.fromkeys(STREAMS, 3)
    assert {fault for fault in shown["faults"] if "does not answer at" not in fault} == set()


async def test_the_leader_of_the_cluster_moves(operator: Operator):
    before = await until(operator.leader)
    assert (await operator.call("step-down")).code == 0

    async def has_moved() -> bool:
        return await operator.leader() not in (None, before)

    await until(has_moved, within_seconds=30)


async def test_a_server_that_runs_or_is_none_is_not_removed(operator: Operator):
    assert "n2 answers: stop it first" in (await operator.call("remove", "n2")).errors
    assert "there are n1, n2, n3" in (await operator.call("remove", "n9")).errors


async def test_a_lost_server_is_replaced_by_one_of_another_name(brokers: RenderedBrokers, operator: Operator):
    await brokers.kill("n3")
    brokers.lose_disk("n3")

    async def is_missed() -> bool:
        told = await operator.told()
        has_leaders = all(stream["leader"] in ("n1", "n2") for stream in told["streams"])
        return has_leaders and any(each["is_leader"] for each in told["servers"])

    await until(is_missed, within_seconds=40)
    faults = (await operator.told())["faults"]
    assert "The broker n3 does not answer. If it is gone for good: `serx brokers remove n3`." in faults
    assert "The copy of EVENTS at n3 is not current." in faults
    shown = await operator.status(brokers)
    assert shown["broker"]["away"] == [brokers.monitor("n3")]
    assert f"A broker does not answer at {brokers.monitor('n3')}." in shown["faults"]
    assert "The copy of EVENTS at n3 is not current." in shown["faults"]
    brokers.render("n1", "n2", "n4")
    await brokers.start("n4")

    async def has_joined() -> bool:
        return any(each["name"] == "n4" and each["id"] for each in (await operator.told())["servers"])

    await until(has_joined, within_seconds=30)
    assert (await operator.call("remove", "n3")).code == 0
    await until(operator.is_well, within_seconds=40)
    told = await operator.told()
    assert copies(told) == {name: {"n1", "n2", "n4"} for name in STREAMS}
    async with connected(brokers.url("operator")) as connection:
        assert (await connection.jetstream().stream_info("EVENTS")).config.num_replicas == 3


async def test_without_a_majority_it_is_said_that_nothing_can_be_stored(brokers: RenderedBrokers, operator: Operator):
    await brokers.kill("n2")
    await brokers.kill("n4")

    async def faults() -> str:
        found = " ".join((await operator.told())["faults"])
        return found if "The brokers have no leader" in found and "EVENTS has no leader" in found else ""

    assert await until(faults, within_seconds=40)
    shown = (await operator.status(brokers))["faults"]
    assert "The stream EVENTS has no leader: nothing is stored in it." in shown
    assert [fault for fault in shown if "There is no stream" in fault or "has no consumer" in fault] == []
    assert "The brokers did not do it (the servers have no leader)" in (await operator.call("remove", "n4")).errors
    await brokers.kill("n1")
    ended = await operator.call()
    assert (ended.code, "The brokers cannot be reached" in ended.errors) == (1, True)
