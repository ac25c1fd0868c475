"""Disks that are full, with nobody there to make room for a while."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from deploy.proof.cluster.programs import AWAY_SECONDS
from deploy.proof.cluster.stack import Cluster


async def fill_primary(cluster: Cluster, chance: random.Random) -> str:
    """What PostgreSQL cannot write it refuses, or it ends of it; then another takes over."""
    instance = cluster.databases.primary
    await _full(cluster, instance.folder.parent, chance)
    return instance.host.name


async def fill_broker(cluster: Cluster, chance: random.Random) -> str:
    """Of the broker that leads the streams. NATS writes again only after a restart (docs/operations.md)."""
    host = await cluster.leader("COMMANDS") or chance.choice(cluster.hosts)
    await _full(cluster, cluster.store_of(host), chance)
    await cluster.brokers[host.name].restart()
    return host.name


async def _full(cluster: Cluster, folder: Path, chance: random.Random) -> None:
    cluster.disks.fill(folder)
    try:
        await asyncio.sleep(chance.uniform(*AWAY_SECONDS))
    finally:
        cluster.disks.free(folder)
