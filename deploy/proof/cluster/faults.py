"""What is broken, how, and within how many seconds the next signature has to come through."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path

import msgspec

from deploy.proof.cluster.network import Host, Lane
from deploy.proof.cluster.programs import Program
from deploy.proof.cluster.stack import Cluster
from shared.messaging.topology import PROCESSES, SERVICES

AWAY_SECONDS = (4.0, 12.0)
FAILOVER_SECONDS = 30.0
READ_ONLY_SECONDS = 4.0


class Since(Enum):
    """From when the limit counts."""

    FAULT = "the fault"
    PROMOTION = "the promotion of another primary"
    END = "its end"


Make = Callable[[Cluster, random.Random], Awaitable[str]]
"""Make the fault, and undo it; returns where it was made."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of fault, in the words of the table."""

    name: str
    make: Make
    limit_seconds: float
    """For the next signature that is asked for after `since`."""
    since: Since = Since.FAULT
    reads_seconds: float = 3.0
    """The longest time without an answered read while it lasts."""


async def kill_broker(cluster: Cluster, chance: random.Random) -> str:
    return await _brokers_away(cluster, chance, [await _follower(cluster, chance)])


async def kill_leader(cluster: Cluster, chance: random.Random) -> str:
    return await _brokers_away(cluster, chance, [await _leader(cluster, chance)])


async def kill_two_brokers(cluster: Cluster, chance: random.Random) -> str:
    return await _brokers_away(cluster, chance, chance.sample(cluster.hosts, 2))


async def freeze_broker(cluster: Cluster, chance: random.Random) -> str:
    host = await _leader(cluster, chance)
    async with _frozen([cluster.brokers[host.name]]):
        await asyncio.sleep(chance.uniform(*AWAY_SECONDS))
    return host.name


async def isolate_broker(cluster: Cluster, chance: random.Random) -> str:
    """Its routes are cut, and its clients still reach it."""
    host = chance.choice(cluster.hosts)
    cluster.network.cut(host, Lane.ROUTES)
    try:
        await asyncio.sleep(chance.uniform(20.0, 25.0))
    finally:
        cluster.network.mend(host, Lane.ROUTES)
    return host.name


async def lose_broker_disk(cluster: Cluster, chance: random.Random) -> str:
    host = chance.choice(cluster.hosts)
    broker = cluster.brokers[host.name]
    await broker.stop(signal.SIGKILL)
    shutil.rmtree(cluster.store_of(host), ignore_errors=True)
    broker.start()
    return host.name


async def roll_brokers(cluster: Cluster, _: random.Random) -> str:
    for broker in cluster.brokers.values():
        await broker.restart()
        await cluster.whole_within(60.0)
    return "all three, one after another"


async def kill_primary(cluster: Cluster, _: random.Random) -> str:
    host = cluster.databases.primary.host
    await cluster.databases.primary.stop(signal.SIGKILL)
    await _failed_over(cluster, host)
    return host.name


async def freeze_primary(cluster: Cluster, _: random.Random) -> str:
    """It accepts, by its kernel, and says nothing; connections that it had stay open."""
    primary = cluster.databases.primary
    pids = [primary.pid, *_descendants(primary.pid)]
    _signal(pids, signal.SIGSTOP)
    try:
        await _failed_over(cluster, primary.host)
    finally:
        _signal(pids, signal.SIGCONT)
    return primary.host.name


async def switch_primary(cluster: Cluster, _: random.Random) -> str:
    host = cluster.databases.primary.host
    await cluster.databases.switch()
    return host.name


async def kill_standby(cluster: Cluster, chance: random.Random) -> str:
    standby = chance.choice(cluster.databases.standbys)
    await standby.stop(signal.SIGKILL)
    return standby.host.name


async def be_read_only(cluster: Cluster, _: random.Random) -> str:
    primary = cluster.databases.primary
    await primary.execute("alter system set default_transaction_read_only = on", "select pg_reload_conf()")
    await asyncio.sleep(READ_ONLY_SECONDS)
    await primary.execute(
        "set default_transaction_read_only = off; alter system reset default_transaction_read_only",
        "select pg_reload_conf()",
    )
    return primary.host.name


async def kill_process(cluster: Cluster, chance: random.Random) -> str:
    program = cluster.processes[chance.choice(PROCESSES), chance.choice(cluster.hosts[:2]).name]
    program.signal(signal.SIGKILL)
    return f"{program.name} on {program.host.name}"


async def kill_both_replicas(cluster: Cluster, chance: random.Random) -> str:
    name = chance.choice(SERVICES)
    for host in cluster.hosts[:2]:
        cluster.processes[name, host.name].signal(signal.SIGKILL)
    return name


async def freeze_process(cluster: Cluster, chance: random.Random) -> str:
    program = cluster.processes[chance.choice(SERVICES), chance.choice(cluster.hosts[:2]).name]
    async with _frozen([program]):
        await asyncio.sleep(chance.uniform(*AWAY_SECONDS) * 2)
    return f"{program.name} on {program.host.name}"


async def roll_processes(cluster: Cluster, _: random.Random) -> str:
    for program in cluster.processes.values():
        endpoint = next(
            each for each in cluster.endpoints.all if (each.service, each.host) == (program.name, program.host)
        )
        endpoint.is_listed = False  # Kubernetes takes it out first, and waits for `preStop`
        await asyncio.sleep(1.0)
        await program.restart()
        await _listed(cluster)
    return "all twelve, one after another"


async def cut_host(cluster: Cluster, chance: random.Random) -> str:
    """Nothing goes between it and the other two; those who call reach both sides."""
    return await _cut(cluster, chance, chance.choice(cluster.hosts))


async def cut_primary(cluster: Cluster, chance: random.Random) -> str:
    return await _cut(cluster, chance, cluster.databases.primary.host)


async def cut_one_way(cluster: Cluster, chance: random.Random) -> str:
    """What one host sends to the others is lost; what they send arrives."""
    host = chance.choice(cluster.hosts)
    others = [other for other in cluster.hosts if other is not host]
    for other in others:
        cluster.network.drop(host, other)
    try:
        await _wait_out(cluster, chance, host)
    finally:
        for other in others:
            cluster.network.heal(host, other)
    return host.name


async def lose_host(cluster: Cluster, chance: random.Random) -> str:
    """Everything on it dies at once, and it is silent; then it comes back."""
    host = chance.choice(cluster.hosts)
    instance = next(each for each in cluster.databases.instances if each.host is host)
    cluster.network.cut(host)
    programs = cluster.programs_on(host)
    try:
        await asyncio.gather(*(each.stop(signal.SIGKILL) for each in programs), instance.stop(signal.SIGKILL))
        await _wait_out(cluster, chance, host)
    finally:
        cluster.network.mend(host)
        for program in programs:
            program.start()
    return host.name


FAULTS = (
    Fault(name="broker killed", make=kill_broker, limit_seconds=1.0),
    Fault(name="streams' leader killed", make=kill_leader, limit_seconds=3.0),
    Fault(name="two of three brokers killed", make=kill_two_brokers, limit_seconds=3.0),
    Fault(name="streams' leader frozen", make=freeze_broker, limit_seconds=8.0),
    Fault(name="broker isolated from its peers", make=isolate_broker, limit_seconds=8.0),
    Fault(name="broker's disk lost", make=lose_broker_disk, limit_seconds=3.0),
    Fault(name="brokers rolled", make=roll_brokers, limit_seconds=3.0),
    Fault(name="primary killed", make=kill_primary, limit_seconds=1.0, since=Since.PROMOTION, reads_seconds=8.0),
    Fault(name="primary frozen", make=freeze_primary, limit_seconds=8.0, since=Since.PROMOTION, reads_seconds=15.0),
    Fault(name="primary switched", make=switch_primary, limit_seconds=3.0),
    Fault(name="standby killed", make=kill_standby, limit_seconds=1.0),
    Fault(name="database read-only for 4 s", make=be_read_only, limit_seconds=2.0, since=Since.END),
    Fault(name="process killed", make=kill_process, limit_seconds=2.0),
    Fault(name="both replicas killed", make=kill_both_replicas, limit_seconds=8.0, reads_seconds=8.0),
    Fault(name="process frozen", make=freeze_process, limit_seconds=10.0),
    Fault(name="processes rolled", make=roll_processes, limit_seconds=2.0),
    Fault(name="host cut off", make=cut_host, limit_seconds=10.0, since=Since.PROMOTION, reads_seconds=15.0),
    Fault(
        name="primary's host cut off", make=cut_primary, limit_seconds=8.0, since=Since.PROMOTION, reads_seconds=15.0
    ),
    Fault(name="host cut off one way", make=cut_one_way, limit_seconds=10.0, since=Since.PROMOTION, reads_seconds=15.0),
    Fault(name="host lost", make=lose_host, limit_seconds=10.0, since=Since.PROMOTION, reads_seconds=15.0),
)


async def _brokers_away(cluster: Cluster, chance: random.Random, hosts: list[Host]) -> str:
    brokers = [cluster.brokers[host.name] for host in hosts]
    await asyncio.gather(*(each.stop(signal.SIGKILL) for each in brokers))
    await asyncio.sleep(chance.uniform(*AWAY_SECONDS))
    for broker in brokers:
        broker.start()
    return ", ".join(host.name for host in hosts)


async def _cut(cluster: Cluster, chance: random.Random, host: Host) -> str:
    cluster.network.cut(host)
    try:
        await _wait_out(cluster, chance, host)
    finally:
        cluster.network.mend(host)
    return host.name


async def _wait_out(cluster: Cluster, chance: random.Random, host: Host) -> None:
    """Until another host's database has taken over, if it was this one's; and a while more."""
    if cluster.databases.primary.host is host:
        await _failed_over(cluster, host)
    await asyncio.sleep(chance.uniform(*AWAY_SECONDS))


async def _failed_over(cluster: Cluster, host: Host) -> None:
    deadline = time.monotonic() + FAILOVER_SECONDS
    while cluster.databases.primary.host is host:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no other primary than {host.name} after {FAILOVER_SECONDS:.0f} s")
        await asyncio.sleep(0.05)
    await asyncio.sleep(FAILOVER_SECONDS / 3)


async def _leader(cluster: Cluster, chance: random.Random) -> Host:
    return await cluster.leader("COMMANDS") or chance.choice(cluster.hosts)


async def _follower(cluster: Cluster, chance: random.Random) -> Host:
    leaders = {await cluster.leader(stream) for stream in ("COMMANDS", "EVENTS")}
    return chance.choice([host for host in cluster.hosts if host not in leaders])


async def _listed(cluster: Cluster) -> None:
    deadline = time.monotonic() + FAILOVER_SECONDS
    while not all(each.is_listed for each in cluster.endpoints.all) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)


class _frozen:  # noqa: N801 - a context manager
    def __init__(self, programs: list[Program]) -> None:
        self._programs = programs

    async def __aenter__(self) -> None:
        for program in self._programs:
            program.signal(signal.SIGSTOP)

    async def __aexit__(self, *_: object) -> None:
        for program in self._programs:
            program.signal(signal.SIGCONT)


def _descendants(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
