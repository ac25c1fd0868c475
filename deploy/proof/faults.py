"""The faults of the storm. Each is made at a random place of a stack; the place is returned when the fault is over."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import asyncpg
import msgspec

from deploy.proof import connections, poison
from deploy.proof.connections import WEATHER_SECONDS
from deploy.proof.disks import Disk
from deploy.proof.stack import REPLICAS, SECOND, Stack
from deploy.provisioning import database_name
from shared.database.errors import LINK_ERRORS
from shared.failpoints import set_clock_error
from shared.messaging.topology import SERVICES

FROZEN_SECONDS = (0.3, 3.0)
"""Longer than a flow's lease (2 s) at the longest."""
LONG_FROZEN_SECONDS = 10.0
"""Longer than AckWait (5 s) too: what it was given is delivered again, to the other replica."""
CLOCK_ERROR_SECONDS = (2.0, 15.0)
"""An identity that the gateway signs lives 30 s and is renewed after 10: clocks may differ by less than 20 s."""
_SUCCESSOR_SECONDS = 0.2
"""Until what follows a killed process has been launched."""
SEGMENTS = 12
"""Files of its log that PostgreSQL goes through at most while its disk is full: more than it keeps in store."""
LOCK_OUTBOX = """
begin; set local lock_timeout = '1s'; lock table outbox in access exclusive mode
"""
BACKENDS = """
select pid, datname from pg_stat_activity where datname like 'serx%' and backend_type = 'client backend'
"""
TERMINATE = """
select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()
"""

Make = Callable[[Stack, random.Random], Coroutine[Any, Any, str]]
"""Makes a fault, and says where: of which process, database or connection."""
NO_BACKEND = "no backend: the database was away"


class Fault(msgspec.Struct, frozen=True):
    """A kind of fault, in the words of the table, and how often it is chosen."""

    name: str
    make: Make
    weight: int = 1
    needs_disks: bool = False
    """Can only be made where the servers' disks are ours."""


async def kill_process(stack: Stack, chance: random.Random) -> str:
    return _killed(stack, chance.choice(REPLICAS))


async def kill_both_replicas(stack: Stack, chance: random.Random) -> str:
    service = chance.choice(SERVICES)
    return _killed(stack, service, service + SECOND)


async def freeze_process(stack: Stack, chance: random.Random) -> str:
    name = chance.choice(REPLICAS)
    await _frozen(stack.pids[name], chance)
    return name


async def freeze_process_long(stack: Stack, chance: random.Random) -> str:
    name = chance.choice(REPLICAS)
    await _frozen(stack.pids[name], chance, LONG_FROZEN_SECONDS)
    return name


async def kill_broker(stack: Stack, chance: random.Random) -> str:
    return _killed(stack, "nats")


async def freeze_broker(stack: Stack, chance: random.Random) -> str:
    await _frozen(stack.pids["nats"], chance)
    return "nats"


async def lose_store(stack: Stack, chance: random.Random) -> str:
    """It is dead before its store goes; nothing of ours runs in between, so the supervisor comes after."""
    pid = stack.pids["nats"]
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - see above
    except (ProcessLookupError, ChildProcessError):
        return "nowhere: nats was dead already"  # it is being started again just now, after another fault
    shutil.rmtree(stack.jetstream, ignore_errors=True)
    return "nats"


async def kill_database(stack: Stack, chance: random.Random) -> str:
    return _killed(stack, "postgres")


async def kill_backend(stack: Stack, chance: random.Random) -> str:
    """PostgreSQL then ends all the others too, and recovers."""
    backends = await _backends(stack)
    if not backends:
        return NO_BACKEND
    pid, database = chance.choice(backends)
    _signal(pid, signal.SIGKILL)
    return database


async def freeze_backend(stack: Stack, chance: random.Random) -> str:
    backends = await _backends(stack)
    if not backends:
        return NO_BACKEND
    pid, database = chance.choice(backends)
    await _frozen(pid, chance)
    return database


async def terminate_backends(stack: Stack, chance: random.Random) -> str:
    database = database_name(chance.choice(SERVICES))
    try:
        admin = await stack.admin()
        try:
            await admin.execute(TERMINATE.replace("$1", f"'{database}'"))
        finally:
            await admin.close(timeout=1)
    except LINK_ERRORS as error:
        return f"{database}, in vain: {type(error).__name__}"
    return database


async def let_nobody_in(stack: Stack, chance: random.Random) -> str:
    """One service's database takes no new connections, and ends those that it has: a pool that is exhausted."""
    name = database_name(chance.choice(SERVICES))
    with suppress(*LINK_ERRORS):
        admin = await stack.admin()
        try:
            await admin.execute(f"alter database {name} connection limit 0")
            await admin.execute(TERMINATE.replace("$1", f"'{name}'"))
        finally:
            await admin.close(timeout=1)
    await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    await _let_in_again(stack, name)
    return name


async def turn_clock(stack: Stack, chance: random.Random) -> str:
    """One process is of another time than all others, for a while."""
    name = chance.choice(REPLICAS)
    pid, error_seconds = stack.pids[name], chance.choice((-1, 1)) * chance.uniform(*CLOCK_ERROR_SECONDS)
    set_clock_error(stack.failpoints, pid, error_seconds)
    await asyncio.sleep(chance.uniform(*FROZEN_SECONDS))
    set_clock_error(stack.failpoints, pid, 0)
    return f"{name}, by {error_seconds:+.1f} s"


async def exhaust_pools(stack: Stack, chance: random.Random) -> str:
    """Whatever a service writes waits for a lock, until all its connections do; then others wait for those."""
    service = chance.choice(SERVICES)
    try:
        somebody = await asyncpg.connect(stack.dsns[service], timeout=2)
        try:
            await somebody.execute(LOCK_OUTBOX)
            await asyncio.sleep(chance.uniform(*FROZEN_SECONDS))
        finally:
            await somebody.close(timeout=1)
    except LINK_ERRORS as error:
        return f"{database_name(service)}, cut short: {type(error).__name__}"
    return database_name(service)


async def fill_broker_disk(stack: Stack, chance: random.Random) -> str:
    await _full(stack.broker_disk, chance)
    return "nats"


async def fill_folder_disk(stack: Stack, chance: random.Random) -> str:
    """No log can be written, nor the list of what runs; and then something dies, and its successor too."""
    child = chance.choice((*REPLICAS, "nats", "postgres"))
    filled = asyncio.create_task(_full(stack.folder_disk, chance))
    await asyncio.sleep(0)  # it is full from here on
    _killed(stack, child)
    await asyncio.sleep(_SUCCESSOR_SECONDS)
    _killed(stack, child)
    await filled
    return child


async def fill_database_disk(stack: Stack, chance: random.Random) -> str:
    """Tables cannot grow; mostly the log cannot either, on which PostgreSQL ends and recovers."""
    rounds = chance.randrange(SEGMENTS)
    filled = asyncio.create_task(_full(stack.database_disk, chance))
    with suppress(*LINK_ERRORS):
        admin = await stack.admin()
        try:
            for _ in range(rounds):
                await admin.execute("select pg_logical_emit_message(false, 'proof', ''), pg_switch_wal()")
        finally:
            await admin.close(timeout=1)
    await filled
    return "postgres"


FAULTS = (
    Fault("process killed", kill_process, 8),
    Fault("both replicas killed", kill_both_replicas, 3),
    Fault("process frozen", freeze_process, 4),
    Fault("process frozen for 10 s", freeze_process_long, 1),
    Fault("broker killed", kill_broker, 4),
    Fault("broker frozen", freeze_broker, 1),
    Fault("broker's store deleted", lose_store, 2),
    Fault("database killed", kill_database, 2),
    Fault("database backend killed", kill_backend, 2),
    Fault("database backend frozen", freeze_backend, 2),
    Fault("database sessions ended", terminate_backends, 3),
    Fault("database lets nobody in", let_nobody_in, 1),
    Fault("messages tripled", connections.repeat_messages, 2),
    Fault("messages late, out of order", connections.reorder_messages, 2),
    Fault("broker connections reset", connections.reset_broker_connections, 2),
    Fault("database connections reset", connections.reset_database_connections, 2),
    Fault("HTTP connections reset", connections.reset_http_connections, 1),
    Fault("connections half-open", connections.stand_still, 2),
    Fault("connections slow", connections.be_slow, 1),
    Fault("pools exhausted", exhaust_pools, 2),
    Fault("poison among messages", poison.throw, 3),
    Fault("clock wrong", turn_clock, 3),
    Fault("broker's disk full", fill_broker_disk, 2, needs_disks=True),
    Fault("disk of logs full, process killed", fill_folder_disk, 2, needs_disks=True),
    Fault("database's disk full", fill_database_disk, 2, needs_disks=True),
)


async def _frozen(pid: int, chance: random.Random, seconds: float | None = None) -> None:
    _signal(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds or chance.uniform(*FROZEN_SECONDS))
    finally:
        _signal(pid, signal.SIGCONT)


async def _full(disk: Disk, chance: random.Random) -> None:
    disk.fill()
    try:
        await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    finally:
        disk.free()


async def _backends(stack: Stack) -> list[tuple[int, str]]:
    """Of each its process, and the database that it is of."""
    with suppress(*LINK_ERRORS):
        admin = await stack.admin()
        try:
            return [(row["pid"], row["datname"]) for row in await admin.fetch(BACKENDS)]
        finally:
            await admin.close(timeout=1)
    return []  # the database is away just now


async def _let_in_again(stack: Stack, name: str) -> None:
    while True:
        try:
            admin = await stack.admin()
            await admin.execute(f"alter database {name} connection limit -1")
            await admin.close(timeout=1)
        except LINK_ERRORS:
            await asyncio.sleep(0.1)
        else:
            return


def _killed(stack: Stack, *names: str) -> str:
    for name in names:
        _signal(stack.pids[name], signal.SIGKILL)
    return ", ".join(names)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # another fault was first
        os.kill(pid, number)
