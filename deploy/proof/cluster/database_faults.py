"""The primary killed, frozen, switched; a standby killed; a database that takes no writes for a while."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

from deploy.proof.cluster.network import Host
from deploy.proof.cluster.stack import Cluster

FAILOVER_SECONDS = 30.0
AFTERWARDS_SECONDS = 10.0
"""How long what is silent stays so after another has taken over: long enough for all that hung on it to be left."""
READ_ONLY_SECONDS = 4.0


async def kill_primary(cluster: Cluster, _: random.Random) -> str:
    host = cluster.databases.primary.host
    await cluster.databases.primary.stop(signal.SIGKILL)
    await failed_over(cluster, host)
    return host.name


async def freeze_primary(cluster: Cluster, _: random.Random) -> str:
    """It accepts, by its kernel, and says nothing; connections that it had stay open."""
    primary = cluster.databases.primary
    pids = [primary.pid, *_descendants(primary.pid)]
    signal_all(pids, signal.SIGSTOP)
    try:
        await failed_over(cluster, primary.host)
    finally:
        signal_all(pids, signal.SIGCONT)
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
        "set default_transaction_read_only = off",
        "alter system reset default_transaction_read_only",
        "select pg_reload_conf()",
    )
    return primary.host.name


async def failed_over(cluster: Cluster, host: Host) -> None:
    """Wait until another host's database has taken over, and a while more. Raises TimeoutError."""
    deadline = time.monotonic() + FAILOVER_SECONDS
    while cluster.databases.primary.host is host:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no other primary than {host.name} after {FAILOVER_SECONDS:.0f} s")
        await asyncio.sleep(0.05)
    await asyncio.sleep(AFTERWARDS_SECONDS)


def _descendants(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
