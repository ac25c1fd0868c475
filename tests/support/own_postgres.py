"""A PostgreSQL of a test's own, from the wheel: to be killed, started again, and left without its standby."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from deploy.local import binaries, postgres
from deploy.local.child import Recipe
from deploy.local.folder import opened
from deploy.local.launcher import Launcher
from deploy.local.log import Log
from deploy.local.ports import HOST, reserved
from tests.support.servers import until

_UNHINDERED: Final = {"synchronous_commit": "local", "default_transaction_read_only": "off"}


@dataclass
class OwnPostgres:
    """A server; `dsn` is an administrator's."""

    dsn: str
    port: int
    data: Path
    _recipe: Recipe
    _log: Log
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await self._recipe.launch(self._log)
        await until(self._recipe.ready, within_seconds=30)

    async def stop(self) -> None:
        """SIGQUIT: at once, which leaves a recovery for the next start; nothing if it is not running."""
        if self._process is not None:
            self._process.send_signal(self._recipe.stop[1][0])
            await self._process.wait()
            self._process = None

    def kill_backend(self, process: int) -> None:
        """SIGKILL to one of its processes."""
        os.kill(process, signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections, by its kernel, and says nothing."""
        assert self._process is not None
        pid = self._process.pid
        pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        for each in pids:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in pids:
                os.kill(each, signal.SIGCONT)

    async def become_standby(self) -> None:
        """Of nobody: it is in recovery from now on, until it is promoted."""
        await self.stop()
        (self.data / "standby.signal").touch()
        await self.start()

    async def promote(self) -> None:
        """It takes writes from now on, on a timeline of its own."""
        await self.ask("select pg_promote()")

    async def ask(self, sql: str, *arguments: Any) -> Any:
        """The first column of the first row, over a connection that waits for no standby and may always write."""
        connection = await asyncpg.connect(self.dsn, server_settings=_UNHINDERED)
        try:
            return await connection.fetchval(sql, *arguments)
        finally:
            await connection.close()

    async def set(self, name: str, value: str) -> None:
        """A setting of the whole server, from now on."""
        await self.ask(f"alter system set {name} = '{value}'")
        await self.ask("select pg_reload_conf()")
        await until(lambda: self._is_set(name, value))

    async def lose_standby(self) -> None:
        """From now on a commit waits for a standby that is not there."""
        await self.set("synchronous_standby_names", "nobody")

    async def regain_standby(self) -> None:
        """What waits is committed."""
        await self.set("synchronous_standby_names", "")

    async def waiting(self) -> int:
        """How many commits wait for the standby."""
        return await self.ask("select count(*) from pg_stat_activity where wait_event = 'SyncRep'")

    async def _is_set(self, name: str, value: str) -> bool:
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval("select current_setting($1) = $2", name, value)
        finally:
            await connection.close()


@asynccontextmanager
async def own_postgres(root: Path, password: str | None = None) -> AsyncIterator[OwnPostgres]:
    """One that runs; the administrator's password is a new one if none is given."""
    found = binaries.find()
    password = password or secrets.token_hex(8)
    with opened(root, found.postgres_major) as folder, reserved(folder, 0) as ports:
        port = ports["postgres"]
        dsn = f"postgresql://postgres:{password}@{HOST}:{port}/postgres"
        launcher = Launcher({}, Log(folder.log("launcher")))
        await postgres.initialise(launcher, found, folder, password)
        recipe = postgres.recipe(launcher, found, folder, port, dsn)
        server = OwnPostgres(dsn, port, folder.postgres, recipe, Log(folder.log("postgres")))
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
