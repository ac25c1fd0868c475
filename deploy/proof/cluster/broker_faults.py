"""Brokers killed, frozen, cut off from each other, rolled, and without their disk."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal

from deploy.proof.cluster.network import Host, Lane
from deploy.proof.cluster.programs import AWAY_SECONDS, frozen
from deploy.proof.cluster.stack import Cluster

LONG_SECONDS = (28.0, 32.0)
"""Longer than a replica that says that it is not ready stays in the lists of the services."""


async def kill_broker(cluster: Cluster, chance: random.Random) -> str:
    return await _brokers_away(cluster, chance, [await _follower(cluster, chance)])


async def kill_leader(cluster: Cluster, chance: random.Random) -> str:
    return await _brokers_away(cluster, chance, [await _leader(cluster, chance)])


async def kill_two_brokers(cluster: Cluster, chance: random.Random) -> str:
    return await _brokers_away(cluster, chance, chance.sample(cluster.hosts, 2), LONG_SECONDS)


async def freeze_broker(cluster: Cluster, chance: random.Random) -> str:
    host = await _leader(cluster, chance)
    async with frozen(cluster.brokers[host.name]):
        await asyncio.sleep(chance.uniform(*AWAY_SECONDS))
    return host.name


async def isolate_broker(cluster: Cluster, chance: random.Random) -> str:
    """Its routes are cut, and its clients still reach it."""
    host = chance.choice(cluster.hosts)
    cluster.network.cut(host, Lane.ROUTES)
    try:
        await asyncio.sleep(chance.uniform(*LONG_SECONDS))
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


async def _brokers_away(
    cluster: Cluster, chance: random.Random, hosts: list[Host], seconds: tuple[float, float] = AWAY_SECONDS
) -> str:
    brokers = [cluster.brokers[host.name] for host in hosts]
    await asyncio.gather(*(each.stop(signal.SIGKILL) for each in brokers))
    await asyncio.sleep(chance.uniform(*seconds))
    for broker in brokers:
        broker.start()
    return ", ".join(host.name for host in hosts)


async def _leader(cluster: Cluster, chance: random.Random) -> Host:
    return await cluster.leader("COMMANDS") or chance.choice(cluster.hosts)


async def _follower(cluster: Cluster, chance: random.Random) -> Host:
    leaders = {await cluster.leader(stream) for stream in ("COMMANDS", "EVENTS")}
    return chance.choice([host for host in cluster.hosts if host not in leaders])
