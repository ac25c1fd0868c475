"""Processes killed, frozen and rolled."""

from __future__ import annotations

import asyncio
import random
import signal

from deploy.proof.cluster.programs import AWAY_SECONDS, frozen
from deploy.proof.cluster.stack import Cluster
from shared.messaging.topology import PROCESSES, SERVICES


async def kill_process(cluster: Cluster, chance: random.Random) -> str:
    program = cluster.processes[chance.choice(PROCESSES), chance.choice(cluster.site.running).name]
    program.signal(signal.SIGKILL)
    return f"{program.name} on {program.host.name}"


async def kill_both_replicas(cluster: Cluster, chance: random.Random) -> str:
    name = chance.choice(SERVICES)
    for host in cluster.site.running:
        cluster.processes[name, host.name].signal(signal.SIGKILL)
    return name


async def freeze_process(cluster: Cluster, chance: random.Random) -> str:
    program = cluster.processes[chance.choice(SERVICES), chance.choice(cluster.site.running).name]
    async with frozen(program):
        await asyncio.sleep(chance.uniform(*AWAY_SECONDS) * 2)
    return f"{program.name} on {program.host.name}"


async def roll_processes(cluster: Cluster, _: random.Random) -> str:
    for program in cluster.processes.values():
        endpoint = next(
            each for each in cluster.endpoints.all if (each.service, each.host) == (program.name, program.host)
        )
        endpoint.is_listed = False  # a balancer takes a gateway out first
        await asyncio.sleep(1.0)
        await program.restart()
        await cluster.listed()
    return "all twelve, one after another"
