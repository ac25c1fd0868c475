"""One PostgreSQL server on a host of its own: made, copied from another, run, rewound, asked."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import struct
import time
from asyncio.subprocess import Process
from collections.abc import Mapping
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
TALK_SECONDS = 1.0
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_START_SECONDS = 60.0
STOP_SECONDS = 10.0
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
    # As docs/hosts.md asks for: a standby or a caller that is gone is noticed, and a new primary is followed at once.
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "500ms",
    "tcp_user_timeout": "5s",
}

_SILENCE = "tcp_user_timeout=5000 keepalives_idle=2 keepalives_interval=1 keepalives_count=3"
"""Of a connection to a primary: a silent one is closed after 5 s."""


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
        await self._run("initdb", f"--pgdata={self.folder}", f"--pwfile={password}", *postgres.INITDB_OPTIONS)
        password.unlink()
        # In the file, so that they hold for the recovery too that `pg_rewind` runs before it compares.
        with (self.folder / "postgresql.conf").open("a") as settings:
            settings.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
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
        return f"{place} application_name={name} connect_timeout=3 {_SILENCE}"

    def _follow(self, source: str) -> None:
        (self.folder / "standby.signal").touch()
        with (self.folder / "postgresql.auto.conf").open("w") as settings:
            settings.write(f"primary_conninfo = '{source}'\n")
        for path in (self.folder / "standby.signal", self.folder / "postgresql.auto.conf"):
            shutil.chown(path, "nobody")

    async def start(self) -> None:
        """Run it, and wait until it answers queries. Raises Failure."""
        options = {"listen_addresses": self.host.address, "cluster_name": self.host.name}
        parts = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = (
            *postgres.unprivileged("QUIT"),
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
            async with asyncio.timeout(STOP_SECONDS):
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
        command = (*postgres.unprivileged("KILL"), self._programs.path(program), *arguments)
        process = await self._launcher.program(
            self.host.command(command), _environment(), self._log, dies_with_us=False
        )
        if await process.wait():
            raise Failure(f"{program} failed on {self.host.name}.", self._log.last_lines())


def _environment() -> Mapping[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
