"""The faults of the storm. Each is made at a random place of a stack, and is over when its function returns."""

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

from deploy.proof import poison
from deploy.proof.disks import Disk
from deploy.proof.relay import Relay
from deploy.proof.stack import REPLICAS, SECOND, Stack
from shared.failpoints import set_clock_error
from shared.messaging.topology import SERVICES

FROZEN_SECONDS = (0.3, 3.0)
"""Longer than a flow's lease (2 s) at the longest."""
LONG_FROZEN_SECONDS = 10.0
"""Longer than AckWait (5 s) too: what it was given is delivered again, to the other replica."""
WEATHER_SECONDS = (0.3, 1.5)
CLOCK_ERROR_SECONDS = (2.0, 15.0)
"""An identity that the gateway signs lives 30 s and is renewed after 10: clocks may differ by less than 20 s."""
SEGMENTS = 12
"""Files of its log that PostgreSQL goes through at most while its disk is full: more than it keeps in store."""
LOCK_OUTBOX = """
begin; set local lock_timeout = '1s'; lock table outbox in access exclusive mode
"""
BACKENDS = """
select pid from pg_stat_activity where datname like 'serx%' and backend_type = 'client backend'
"""
TERMINATE = """
select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()
"""

Make = Callable[[Stack, random.Random], Coroutine[Any, Any, None]]


class Fault(msgspec.Struct, frozen=True):
    """A kind of fault, in the words of the table, and how often it is chosen."""

    name: str
    make: Make
    weight: int = 1
    needs_disks: bool = False
    """Can only be made where the servers' disks are ours."""


async def kill_process(stack: Stack, chance: random.Random) -> None:
    _signal(stack.pids[chance.choice(REPLICAS)], signal.SIGKILL)


async def kill_both_replicas(stack: Stack, chance: random.Random) -> None:
    service = chance.choice(SERVICES)
    for name in (service, service + SECOND):
        _signal(stack.pids[name], signal.SIGKILL)


async def freeze_process(stack: Stack, chance: random.Random) -> None:
    await _frozen(stack.pids[chance.choice(REPLICAS)], chance)


async def freeze_process_long(stack: Stack, chance: random.Random) -> None:
    await _frozen(stack.pids[chance.choice(REPLICAS)], chance, LONG_FROZEN_SECONDS)


async def kill_broker(stack: Stack, chance: random.Random) -> None:
    _signal(stack.pids["nats"], signal.SIGKILL)


async def freeze_broker(stack: Stack, chance: random.Random) -> None:
    await _frozen(stack.pids["nats"], chance)


async def lose_store(stack: Stack, chance: random.Random) -> None:
    """It is dead before its store goes; nothing of ours runs in between, so the supervisor comes after."""
    pid = stack.pids["nats"]
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - see above
    except (ProcessLookupError, ChildProcessError):
        return  # it is being started again just now, after another fault
    shutil.rmtree(stack.jetstream, ignore_errors=True)


async def kill_database(stack: Stack, chance: random.Random) -> None:
    _signal(stack.pids["postgres"], signal.SIGKILL)


async def kill_backend(stack: Stack, chance: random.Random) -> None:
    """PostgreSQL then ends all the others too, and recovers."""
    if backends := await _backends(stack):
        _signal(chance.choice(backends), signal.SIGKILL)


async def freeze_backend(stack: Stack, chance: random.Random) -> None:
    if backends := await _backends(stack):
        await _frozen(chance.choice(backends), chance)


async def terminate_backends(stack: Stack, chance: random.Random) -> None:
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        admin = await stack.admin()
        try:
            await admin.execute(TERMINATE.replace("$1", f"'serx_{chance.choice(SERVICES)}'"))
        finally:
            await admin.close(timeout=1)


async def let_nobody_in(stack: Stack, chance: random.Random) -> None:
    """One service's database takes no new connections, and ends those that it has: a pool that is exhausted."""
    name = f"serx_{chance.choice(SERVICES)}"
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        admin = await stack.admin()
        try:
            await admin.execute(f"alter database {name} connection limit 0")
            await admin.execute(TERMINATE.replace("$1", f"'{name}'"))
        finally:
            await admin.close(timeout=1)
    await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    await _let_in_again(stack, name)


async def repeat_messages(stack: Stack, chance: random.Random) -> None:
    weather = stack.broker.weather
    weather.copies = 3
    await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    weather.copies = 1


async def reorder_messages(stack: Stack, chance: random.Random) -> None:
    weather = stack.broker.weather
    weather.longest_delay_seconds = 0.2
    await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    weather.longest_delay_seconds = 0.0


async def reset_broker_connections(stack: Stack, chance: random.Random) -> None:
    stack.broker.reset(chance.choice((0.3, 1.0)))


async def reset_database_connections(stack: Stack, chance: random.Random) -> None:
    stack.database.reset(chance.choice((0.1, 0.5, 1.0)))


async def reset_http_connections(stack: Stack, chance: random.Random) -> None:
    chance.choice(list(stack.doors.values())).reset()


async def stand_still(stack: Stack, chance: random.Random) -> None:
    """Connections half-open: nobody is told, nothing comes through; then they are gone."""
    relay = _relay(stack, chance)
    relay.weather.stands_still = True
    await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    relay.reset()
    relay.weather.stands_still = False


async def be_slow(stack: Stack, chance: random.Random) -> None:
    relay = _relay(stack, chance)
    relay.weather.slow_seconds = 0.05
    await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    relay.weather.slow_seconds = 0.0


async def turn_clock(stack: Stack, chance: random.Random) -> None:
    """One process is of another time than all others, for a while."""
    pid = stack.pids[chance.choice(REPLICAS)]
    set_clock_error(stack.failpoints, pid, chance.choice((-1, 1)) * chance.uniform(*CLOCK_ERROR_SECONDS))
    await asyncio.sleep(chance.uniform(*FROZEN_SECONDS))
    set_clock_error(stack.failpoints, pid, 0)


async def exhaust_pools(stack: Stack, chance: random.Random) -> None:
    """Whatever a service writes waits for a lock, until all its connections do; then others wait for those."""
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        somebody = await asyncpg.connect(stack.dsns[chance.choice(SERVICES)], timeout=2)
        try:
            await somebody.execute(LOCK_OUTBOX)
            await asyncio.sleep(chance.uniform(*FROZEN_SECONDS))
        finally:
            await somebody.close(timeout=1)


async def fill_broker_disk(stack: Stack, chance: random.Random) -> None:
    await _full(stack.broker_disk, chance)


async def fill_database_disk(stack: Stack, chance: random.Random) -> None:
    """Tables cannot grow; mostly the log cannot either, on which PostgreSQL ends and recovers."""
    rounds = chance.randrange(SEGMENTS)
    filled = asyncio.create_task(_full(stack.database_disk, chance))
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        admin = await stack.admin()
        try:
            for _ in range(rounds):
                await admin.execute("select pg_logical_emit_message(false, 'proof', ''), pg_switch_wal()")
        finally:
            await admin.close(timeout=1)
    await filled


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
    Fault("messages tripled", repeat_messages, 2),
    Fault("messages late, out of order", reorder_messages, 2),
    Fault("broker connections reset", reset_broker_connections, 2),
    Fault("database connections reset", reset_database_connections, 2),
    Fault("HTTP connections reset", reset_http_connections, 1),
    Fault("connections half-open", stand_still, 2),
    Fault("connections slow", be_slow, 1),
    Fault("pools exhausted", exhaust_pools, 2),
    Fault("poison among messages", poison.throw, 3),
    Fault("clock wrong", turn_clock, 3),
    Fault("broker's disk full", fill_broker_disk, 2, needs_disks=True),
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


async def _backends(stack: Stack) -> list[int]:
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        admin = await stack.admin()
        try:
            return [row["pid"] for row in await admin.fetch(BACKENDS)]
        finally:
            await admin.close(timeout=1)
    return []  # the database is away just now


async def _let_in_again(stack: Stack, name: str) -> None:
    while True:
        try:
            admin = await stack.admin()
            await admin.execute(f"alter database {name} connection limit -1")
            await admin.close(timeout=1)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(0.1)
        else:
            return


def _relay(stack: Stack, chance: random.Random) -> Relay:
    return chance.choice([stack.broker, stack.database, *stack.doors.values()])


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # another fault was first
        os.kill(pid, number)
