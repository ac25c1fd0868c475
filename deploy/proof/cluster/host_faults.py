"""Hosts cut off, one way or both, and lost with all that runs on them."""

from __future__ import annotations

import asyncio
import random
import signal

from deploy.proof.cluster.database_faults import failed_over
from deploy.proof.cluster.network import Host
from deploy.proof.cluster.programs import AWAY_SECONDS
from deploy.proof.cluster.stack import Cluster


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


async def slow_host(cluster: Cluster, chance: random.Random) -> str:
    """Its network is slow, and loses packets."""
    host = chance.choice(cluster.hosts)
    cluster.network.slow(host)
    try:
        await _wait_out(cluster, chance, host, is_lost=False)
    finally:
        cluster.network.quicken(host)
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


async def _cut(cluster: Cluster, chance: random.Random, host: Host) -> str:
    cluster.network.cut(host)
    try:
        await _wait_out(cluster, chance, host)
    finally:
        cluster.network.mend(host)
    return host.name


async def _wait_out(cluster: Cluster, chance: random.Random, host: Host, *, is_lost: bool = True) -> None:
    """Until another host's database has taken over, if it was this one's and is lost; and a while more."""
    if is_lost and cluster.databases.primary.host is host:
        await failed_over(cluster, host)
    await asyncio.sleep(chance.uniform(*AWAY_SECONDS))
