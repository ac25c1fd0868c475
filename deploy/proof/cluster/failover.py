"""Three PostgreSQL servers, one primary: a commit waits for one of two standbys, and a failover loop moves the primary.

What an operator's tool (Patroni, CloudNativePG) does, as small as it can be and still be right: a primary that neither
of the other hosts can talk to for DOWN_SECONDS is left. Both standbys stop listening to it first; then the one that has
more of its log is promoted. A commit was answered only after one of the two had it, so nothing answered is lost.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from deploy.failure import Failure
from deploy.proof.cluster.instance import STOP_SECONDS, Instance
from shared.database.errors import LINK_ERRORS

DOWN_SECONDS = 3.0
LOOK_SECONDS = 0.5


class Trio:
    """The three, and the loop that keeps one of them primary."""

    def __init__(self, instances: Sequence[Instance], say: Callable[[str], None]) -> None:
        self.instances = tuple(instances)
        self.primary = self.instances[0]
        self.synchronous = True
        """Whether commits wait for a standby: a negative control turns it off."""
        self.promoted_at: list[float] = []
        """When another one became primary, in monotonic seconds."""
        self._say = say
        self._loop: asyncio.Task[None] | None = None
        self._resting = self._repairing = False
        self._well_at = time.monotonic()

    @property
    def standbys(self) -> list[Instance]:
        return [each for each in self.instances if each is not self.primary]

    async def start(self) -> None:
        """Make and start all three. Raises Failure."""
        await self.primary.initialise()
        await self.primary.start()
        for standby in self.standbys:
            await standby.copy_of(self.primary)
            await standby.start()
        await self._wait_for_others(self.primary)
        self._loop = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        await asyncio.gather(*(each.stop() for each in self.instances))

    async def whole(self) -> bool:
        """Whether the primary has both standbys again."""
        try:
            streaming = await self.primary.value(
                "select count(*) from pg_stat_replication where state = 'streaming' and sync_state = 'quorum'"
                if self.synchronous
                else "select count(*) from pg_stat_replication where state = 'streaming'"
            )
        except LINK_ERRORS:
            return False
        # One that was just killed is counted until the primary has noticed.
        return (
            streaming == len(self.standbys) and not self._repairing and all(each.is_running for each in self.standbys)
        )

    async def switch(self) -> None:
        """A planned change of the primary: the old one ends in peace, and becomes a standby."""
        self._resting = True
        try:
            await self.primary.stop(signal.SIGINT)
            await self._promote()
        finally:
            self._resting = False

    async def _wait_for_others(self, primary: Instance) -> None:
        """Have its commits wait for one of the others, from now or from its promotion on."""
        names = ", ".join(each.host.name for each in self.instances if each is not primary)
        wanted = f"ANY 1 ({names})" if self.synchronous else ""
        await primary.execute(f"alter system set synchronous_standby_names = '{wanted}'", "select pg_reload_conf()")

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._resting:
                continue
            try:
                await self._look()
            except (*LINK_ERRORS, Failure) as error:
                self._say(f"failover loop: {type(error).__name__}: {error}")

    async def _look(self) -> None:
        seen = await asyncio.gather(*(self.primary.talks_to(each.host) for each in self.standbys))
        if any(seen):
            self._well_at = time.monotonic()
            await self._repair()
        elif time.monotonic() - self._well_at > DOWN_SECONDS:
            await self._promote()

    async def _promote(self) -> None:
        """Let the standby that has more take over. Raises LINK_ERRORS, and does nothing, when not both can be asked."""
        standbys = self.standbys
        for each in standbys:  # a standby that has stopped to listen has what it has, for good
            await each.execute("alter system set primary_conninfo = ''", "select pg_reload_conf()")
        for each in standbys:
            await _until(lambda each=each: each.value("select not exists (select from pg_stat_wal_receiver)"))
        received = [await each.value("select pg_last_wal_receive_lsn() - '0/0'::pg_lsn") for each in standbys]
        former, chosen = self.primary, standbys[received.index(max(received))]
        await self._wait_for_others(chosen)  # before its first commit
        await chosen.execute("select pg_promote(true, 30)")
        self.primary = chosen
        self._well_at = time.monotonic()
        self.promoted_at.append(self._well_at)
        self._say(f"{chosen.host.name} is primary after {former.host.name}")
        for each in standbys:
            if each is not chosen:
                source = chosen.source(each.host.name)
                await each.execute(f"alter system set primary_conninfo = '{source}'", "select pg_reload_conf()")

    async def _repair(self) -> None:
        """Start a standby that is gone; make one of a former primary that still takes itself for one."""
        for each in self.standbys:
            if not await self.primary.talks_to(each.host):
                continue
            if each.is_running and await each.answers() and await each.value("select pg_is_in_recovery()"):
                continue
            if each.is_running and not await each.answers():
                continue  # frozen, or starting
            self._say(f"{each.host.name} becomes a standby of {self.primary.host.name}")
            self._repairing = True
            try:
                await each.rewind_to(self.primary)
                await each.start()
            finally:
                self._repairing = False


async def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.05)
