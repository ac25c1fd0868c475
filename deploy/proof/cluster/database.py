"""Three PostgreSQL servers, one primary: a commit waits for one of two standbys, and a failover loop moves the primary.

What an operator's tool (Patroni, CloudNativePG) does, as small as it can be and still be right: a primary that neither
of the other hosts can talk to for DOWN_SECONDS is left. Both standbys stop to listen to it first; then the one that has
more of its log is promoted. A commit was answered only after one of the two had it, so nothing answered is lost.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import struct
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from deploy.failure import Failure
from deploy.local import postgres
from deploy.local.launcher import Launcher
from deploy.local.log import Log
from deploy.proof.cluster.network import Host
from shared.database.errors import LINK_ERRORS

PORT = 5432
DOWN_SECONDS = 3.0
LOOK_SECONDS = 0.5
TALK_SECONDS = 1.0
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_NETWORK = "198.51.100.0/24"
_SETTINGS = {
    "port": str(PORT),
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "wal_log_hints": "on",
    "wal_keep_size": "256MB",
    "hot_standby": "on",
    "recovery_init_sync_method": "syncfs",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    # As many operators have it: a standby that is gone is noticed, and so is a caller.
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
}


class Programs(msgspec.Struct, frozen=True):
    """The folder with PostgreSQL's programs, and the password of its administrator."""

    folder: Path
    password: str

    def path(self, name: str) -> str:
        return str(self.folder / name)


class Instance:
    """One server of the three, on its host."""

    def __init__(self, host: Host, folder: Path, programs: Programs, launcher: Launcher, logs: Path) -> None:
        self.host = host
        self.folder = folder
        self._programs = programs
        self._launcher = launcher
        self._log = Log(logs / f"postgres-{host.name}.log")
        self._process: Process | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Of the postmaster. Raises ProcessLookupError when there is none."""
        if not self.is_running or self._process is None:
            raise ProcessLookupError(self.host.name)
        return self._process.pid

    async def initialise(self) -> None:
        """Make its data folder, empty of all but the administrator. Raises Failure."""
        password = self.folder.with_suffix(".password")
        password.write_text(self._programs.password)
        shutil.chown(password, "nobody")
        await self._run("initdb", f"--pgdata={self.folder}", f"--pwfile={password}", *postgres._INITDB_OPTIONS)
        password.unlink()
        with (self.folder / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {_NETWORK} scram-sha-256\nhost replication all {_NETWORK} scram-sha-256\n")

    async def copy_of(self, primary: Instance) -> None:
        """Make its data folder anew, as a standby's of `primary`. Raises Failure."""
        shutil.rmtree(self.folder, ignore_errors=True)
        source = primary.source(self.host.name)
        await self._run("pg_basebackup", f"--pgdata={self.folder}", "--checkpoint=fast", f"--dbname={source}")
        self._follow(source)

    async def rewind_to(self, primary: Instance) -> None:
        """Make a former primary a standby of `primary`: what it alone had is gone. Raises Failure."""
        await self.stop(signal.SIGKILL)
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        source = primary.source(self.host.name)
        try:
            await self._run("pg_rewind", f"--target-pgdata={self.folder}", f"--source-server={source} dbname=postgres")
        except Failure:
            await self.copy_of(primary)
        self._follow(source)

    def source(self, name: str) -> str:
        """Where a standby called `name` gets its log from this one."""
        place = f"host={self.host.address} port={PORT} user=postgres password={self._programs.password}"
        return f"{place} application_name={name} connect_timeout=3"

    def _follow(self, source: str) -> None:
        (self.folder / "standby.signal").touch()
        with (self.folder / "postgresql.auto.conf").open("w") as settings:
            settings.write(f"primary_conninfo = '{source}'\n")
        for path in (self.folder / "standby.signal", self.folder / "postgresql.auto.conf"):
            shutil.chown(path, "nobody")

    async def start(self) -> None:
        """Run it, and wait until it answers queries. Raises Failure."""
        options = {**_SETTINGS, "listen_addresses": self.host.address, "cluster_name": self.host.name}
        parts = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = (
            *postgres._unprivileged("QUIT", capability=None),
            self._programs.path("postgres"),
            "-D",
            str(self.folder),
            *parts,
        )
        self._process = await self._launcher.program(
            self.host.command(command), _environment(), self._log, dies_with_us=False
        )
        deadline = time.monotonic() + _START_SECONDS
        while not await self.answers():
            if not self.is_running or time.monotonic() > deadline:
                raise Failure(f"PostgreSQL did not start on {self.host.name}.", self._log.last_lines())
            await asyncio.sleep(0.1)

    async def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """End it, and wait until it is gone."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def answers(self) -> bool:
        """Whether it answers a query of the administrator's."""
        try:
            await self.value("select true")
        except LINK_ERRORS:
            return False
        return True

    async def connect(self) -> Any:
        """A connection of the administrator's, past all cuts. Raises what connecting raises."""
        return await asyncpg.connect(
            host=self.host.address,
            port=PORT,
            user="postgres",
            password=self._programs.password,
            database="postgres",
            timeout=2,
            command_timeout=5,
        )

    async def value(self, sql: str) -> Any:
        """The one value of a query. Raises what connecting and asking raise."""
        connection = await self.connect()
        try:
            return await connection.fetchval(sql)
        finally:
            connection.terminate()

    async def execute(self, *statements: str) -> None:
        """Each as a transaction of its own. Raises what connecting and asking raise."""
        connection = await self.connect()
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            connection.terminate()

    async def talks_to(self, other: Host) -> bool:
        """Whether a program on `other` gets a word out of it: a frozen one accepts, by its kernel, and says nothing."""
        try:
            async with asyncio.timeout(TALK_SECONDS):
                reader, writer = await other.connect(self.host.address, PORT)
                try:
                    writer.write(_SSL_REQUEST)
                    return bool(await reader.read(1))
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    async def _run(self, program: str, *arguments: str) -> None:
        command = (*postgres._unprivileged("KILL", capability=None), self._programs.path(program), *arguments)
        process = await self._launcher.program(
            self.host.command(command), _environment(), self._log, dies_with_us=False
        )
        if await process.wait():
            raise Failure(f"{program} failed on {self.host.name}.", self._log.last_lines())


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
        self._resting = False
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
        await self._wait_for_standbys()
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
        return streaming == len(self.standbys)

    async def switch(self) -> None:
        """A planned change of the primary: the old one ends in peace, and becomes a standby."""
        self._resting = True
        try:
            await self.primary.stop(signal.SIGINT)
            await self._promote()
        finally:
            self._resting = False

    async def _wait_for_standbys(self) -> None:
        """From now on the primary's commits wait for one of the others."""
        names = ", ".join(each.host.name for each in self.standbys)
        wanted = f"ANY 1 ({names})" if self.synchronous else ""
        await self.primary.execute(
            f"alter system set synchronous_standby_names = '{wanted}'", "select pg_reload_conf()"
        )

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
        """Let the standby that has more take over. Raises LINK_ERRORS when not both can be asked: then nothing is done."""
        standbys = self.standbys
        for each in standbys:  # a standby that has stopped to listen has what it has, for good
            await each.execute("alter system set primary_conninfo = ''", "select pg_reload_conf()")
        for each in standbys:
            await _until(lambda each=each: each.value("select not exists (select from pg_stat_wal_receiver)"))
        received = [await each.value("select pg_last_wal_receive_lsn() - '0/0'::pg_lsn") for each in standbys]
        former, chosen = self.primary, standbys[received.index(max(received))]
        await chosen.execute("select pg_promote(true, 30)")
        self.primary = chosen
        self._well_at = time.monotonic()
        self.promoted_at.append(self._well_at)
        self._say(f"{chosen.host.name} is primary after {former.host.name}")
        await self._wait_for_standbys()
        for each in standbys:
            if each is not chosen:
                source = chosen.source(each.host.name)
                await each.execute(f"alter system set primary_conninfo = '{source}'", "select pg_reload_conf()")

    async def _repair(self) -> None:
        """Start a standby that is gone; make a standby of whatever else takes itself for a primary and can be reached."""
        for each in self.standbys:
            if not all([await self.primary.talks_to(each.host)]):
                continue
            if each.is_running and await each.answers() and await each.value("select pg_is_in_recovery()"):
                continue
            if each.is_running and not await each.answers():
                continue  # frozen, or starting
            self._say(f"{each.host.name} becomes a standby of {self.primary.host.name}")
            await each.rewind_to(self.primary)
            await each.start()


async def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.05)


def _environment() -> Mapping[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
