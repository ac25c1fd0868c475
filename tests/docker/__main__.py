"""`python -m tests.docker`: docker-compose.yml on a real Docker engine, with two replicas of every process.

Up, a proposal by `serx demo`, SIGKILL to one container after another, and each restarted under load; nothing may be
lost, and no signature may fail when its call is repeated once. Images that cannot be pulled have stand-ins
(`--standins`, as root), made from the wheels. Everything that it made is removed at the end, the images kept.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.docker import standins, walls
from tests.docker.compose import PROJECT, ROOT, Compose, docker, is_healthy, kill, logs, rows, starts
from tests.docker.load import Load, under_load
from tests.support.servers import until

IMAGE = "serx-verified:latest"
PORTS = (18000, 18001)
PROCESSES = ("gateway", "identity", "proposals", "engagements", "conversations", "orders")
SCALED = [f"--scale={process}=2" for process in PROCESSES]
HEAL_SECONDS = 240
COMMAND_SECONDS = 60


async def main() -> None:
    environment = {
        "SERX_IMAGE": IMAGE,
        "SERX_PUBLISH": f"127.0.0.1:{PORTS[0]}-{PORTS[1]}",
        "SERX_RATE_LIMIT": "0",
    }
    if "--standins" in sys.argv:
        standins.make_all()
        images = {"PYTHON_IMAGE": standins.PYTHON, "POSTGRES_IMAGE": standins.POSTGRES, "NATS_IMAGE": standins.NATS}
        environment |= images
        arguments = {"PYTHON_IMAGE": standins.PYTHON}
        standins.build(IMAGE, ROOT / "deploy/docker/Dockerfile", ROOT, arguments)
    compose = Compose(environment)
    try:
        if "--standins" not in sys.argv:
            compose("build")
        await verify(compose)
    finally:
        compose("down", "--volumes", "--timeout", "5")


async def verify(compose: Compose) -> None:
    began = time.monotonic()
    compose("up", "-d", *SCALED)
    containers = compose.containers()
    await _healthy(*containers.values())
    print(f"up: {len(containers)} containers healthy after {time.monotonic() - began:.0f} s")
    assert walls.reached(containers, PROJECT, IMAGE) == walls.expected()
    print("walls: every process opens the ports that it needs, and a stranger on the edge the gateway's alone")
    told = compose("run", "--rm", "serx", "demo")
    token = re.search(r"serx_[\w-]+", told)
    assert token, told
    assert "Signed" in told, told
    print("demo: one proposal signed")
    _commands_work(compose)
    await _the_example_hears(compose)
    load = Load([f"http://127.0.0.1:{port}" for port in PORTS], token[0])
    await _the_brokers_store_is_lost(compose, load)
    await _killed_one_by_one(containers, load)
    await _restarted_one_by_one(containers, load)
    await _nothing_is_lost(containers["postgres_1"], load)


def _commands_work(compose: Compose) -> None:
    """As docs/operations.md has them; `check` runs them, so that each ends with 0."""
    for command in (["status"], ["check"], ["sagas", "list"], ["parked", "list"], ["outbox"]):
        compose("run", "--rm", "serx", *command)
    compose("run", "--rm", "serx", "replicas", "rebuild")
    print("commands: the installation is healthy, its databases agree")


async def _the_example_hears(compose: Compose) -> None:
    """docs/operations.md, "A service that listens", word for word: added, heard, taken out and refused."""
    secrets = ("run", "--rm", "secrets", "secrets", "/secrets", "--readable")
    compose(*secrets, "--listener", "billing=proposal.signed,order.*")
    compose("restart", "nats")
    compose("run", "--rm", "serx", "listeners")
    (url,) = re.findall(r"nats://\S+", compose("run", "--rm", "serx", "listeners", "list"))
    async with _example(compose, url) as name:
        await until(lambda: "invoiced 14500.00" in logs(name), within_seconds=HEAL_SECONDS)
        assert "billing (listener)" in compose("run", "--rm", "serx", "status")
    compose(*secrets, "--forget", "billing")
    compose("restart", "nats")
    compose("run", "--rm", "serx", "listeners", "remove", "billing")
    assert "Nobody listens." in compose("run", "--rm", "serx", "listeners", "list")
    async with _example(compose, url) as name:
        await until(lambda: "Authorization Violation" in logs(name), within_seconds=HEAL_SECONDS)
    compose("up", "-d", *SCALED)
    print("listener: the example heard of the signature; forgotten, it is refused")


@asynccontextmanager
async def _example(compose: Compose, url: str) -> AsyncIterator[str]:
    """The name of a container that runs it, until the block is left."""
    name = f"{PROJECT}-billing"
    compose("run", "-d", "--name", name, "listener", url, "invoices.db")
    try:
        yield name
    finally:
        docker("rm", "--force", name)


async def _the_brokers_store_is_lost(compose: Compose, load: Load) -> None:
    """Operators' commands work without the broker, and everything is well again with an empty one."""
    compose("rm", "--stop", "--force", "nats")
    docker("volume", "rm", f"{PROJECT}_nats")
    began = time.monotonic()
    with pytest.raises(subprocess.CalledProcessError) as told:
        compose("run", "--rm", "serx", "listeners", "remove", "billing")
    assert "The broker cannot be reached" in told.value.stderr, told.value.stderr
    assert time.monotonic() - began < COMMAND_SECONDS
    compose("run", "--rm", "serx", "sagas", "list")
    compose("up", "-d", *SCALED)
    await _healthy(*compose.containers().values())
    async with httpx.AsyncClient(timeout=60) as http:
        await load.sign_one(http)
    _told(load, "after the loss of the broker's store")
    compose("run", "--rm", "serx", "status")


async def _killed_one_by_one(containers: dict[str, str], load: Load) -> None:
    """One of each kind: its other replica serves on, and it comes back by itself."""
    async with httpx.AsyncClient(timeout=60) as http:
        for name in [name for name in containers if name.endswith("1")]:
            container = containers[name]
            before, began = starts(container), time.monotonic()
            kill(container)
            await until(lambda at=before, which=container: starts(which) != at, within_seconds=HEAL_SECONDS)
            await _healthy(container)
            healed = time.monotonic() - began
            await load.sign_one(http)
            print(f"killed {name}: healthy again after {healed:.1f} s")
    _told(load, "after each kill")


async def _restarted_one_by_one(containers: dict[str, str], load: Load) -> None:
    async with under_load(load):
        for name, container in containers.items():
            began = time.monotonic()
            await asyncio.to_thread(docker, "restart", "--time", "30", container)
            await _healthy(container)
            print(f"restarted {name}: healthy after {time.monotonic() - began:.1f} s, {len(load.signed)} signed so far")
    _told(load, "restarted under load")


def _told(load: Load, when: str) -> None:
    print(f"{when}: {len(load.signed)} signed, {load.repeated} calls repeated, {len(load.failed)} failed")
    assert load.failed == [], load.failed[:5]


async def _nothing_is_lost(postgres: str, load: Load) -> None:
    """Each signature has exactly one engagement and one order; no flow is open, nothing is parked."""

    def is_settled() -> bool:
        return rows(
            postgres, "proposals", "select count(*) from sagas where status in ('running', 'compensating')"
        ) == [["0"]]

    await until(is_settled, within_seconds=30)
    made = {
        service: [row[0] for row in rows(postgres, service, _MADE.format(table=service))]
        for service in ("engagements", "orders")
    }
    for service, proposals in made.items():
        assert len(proposals) == len(set(proposals)), f"{service} made twice"
        assert set(load.signed) <= set(proposals), f"{service} lost"
    parked = {name: rows(postgres, name, "select count(*) from parked_messages") for name in PROCESSES[1:]}
    assert set(map(str, parked.values())) == {str([["0"]])}, parked
    print(
        f"nothing lost: {len(load.signed)} signatures, one engagement and one order each; nothing open, nothing parked"
    )


_MADE = "select proposal_id from {table} where proposal_id is not null and cancelled_at is null"


async def _healthy(*containers: str) -> None:
    await until(lambda: all(is_healthy(each) for each in containers), within_seconds=HEAL_SECONDS)


if __name__ == "__main__":
    asyncio.run(main())
