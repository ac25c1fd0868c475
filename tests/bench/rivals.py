"""The peers: each a process from .venv-bench with a database of its own, on one PostgreSQL with our settings."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import asyncpg

from deploy.failure import Failure
from deploy.local.ports import HOST
from deploy.local.scheduling import scheduling
from shared.ids import OrgId, new_id
from tests.bench.contender import DURABLE, FLOOR, MONOLITH, Contender
from tests.bench.processes import parent_of
from tests.bench.results import Start
from tests.bench.rival_seeding import SENT, seed
from tests.bench.seeding import seed_sent, some_projects
from tests.support.ports import free_port
from tests.support.servers import postgres_server, until

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-bench" / "bin" / "python"
SCHEMA = Path(__file__).parent / "peers" / "schema.sql"
APPS = {
    MONOLITH: "tests.bench.peers.monolith:app",
    FLOOR: "tests.bench.peers.floor:app",
    DURABLE: "tests.bench.peers.durable:app",
}
START_SECONDS = 60.0


@asynccontextmanager
async def postgres(folder: Path) -> AsyncIterator[tuple[str, int]]:
    """The peers' PostgreSQL: an administrator's DSN, and the pid of its first process."""
    async with postgres_server(folder) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            backend: int = await connection.fetchval("select pg_backend_pid()")
            yield dsn, parent_of(backend)
        finally:
            await connection.close()


class Rival:
    """One peer: its database, and its process while it runs."""

    def __init__(self, name: str, dsn: str, folder: Path) -> None:
        self.name = name
        self.dsn = dsn
        self.url = f"http://{HOST}:{free_port()}"
        self._log = folder / f"{name}.log"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Its process, once it has answered; yields the pid. Raises Failure with what it said last."""
        if not PYTHON.exists():
            raise Failure(f"The peers need {PYTHON.parents[1]}; `make bench` makes it.")
        port = self.url.rpartition(":")[2]
        with self._log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(str(PYTHON), "-m", "uvicorn", APPS[self.name], "--host", HOST, "--port", port),
                *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
                env={"PATH": os.environ.get("PATH", ""), "PEER_DSN": self.dsn},
                cwd=ROOT,
                stdout=output,
                stderr=output,
                preexec_fn=scheduling(),  # as ours are run
            )
        try:
            await until(lambda: self._answers(process), within_seconds=START_SECONDS)
            yield process.pid
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def _answers(self, process: asyncio.subprocess.Process) -> bool:
        if process.returncode is not None:
            raise Failure(f"The peer {self.name} cannot start.", self._log.read_text().splitlines()[-8:])
        try:
            async with aiohttp.request("GET", f"{self.url}/health/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False


@asynccontextmanager
async def started(names: list[str], folder: Path, *, projects: int) -> AsyncIterator[list[Contender]]:
    """The peers of those names, each with a past of that many projects. Raises Failure when one cannot start."""
    async with AsyncExitStack() as stack:
        admin_dsn, postmaster = await stack.enter_async_context(postgres(folder))
        contenders = []
        for name in names:
            org, token = OrgId(new_id()), secrets.token_urlsafe(32)
            rival = Rival(name, await _database(admin_dsn, name), folder)
            digest = hashlib.sha256(token.encode()).digest()
            await seed(rival.dsn, org, digest, SCHEMA.read_text(), projects)
            pid = await stack.enter_async_context(rival.running())
            contenders.append(
                Contender(
                    name,
                    rival.url,
                    token,
                    trees={"service": pid, "postgres": postmaster},
                    seed=partial(seed_sent, rival.dsn, org, statement=SENT),
                    projects=await some_projects(rival.dsn, org, 1000),
                )
            )
        yield contenders


async def starts(names: list[str], folder: Path, *, repeats: int) -> AsyncIterator[Start]:
    """Start each peer again and again, on a PostgreSQL that runs. Raises Failure when one cannot start."""
    async with postgres(folder) as (admin_dsn, _):
        for name in names:
            rival = Rival(name, await _database(admin_dsn, name), folder)
            async with rival.running():
                pass  # DBOS makes its tables
            for repeat in range(repeats):
                began = time.monotonic()
                async with rival.running():
                    yield Start(contender=name, repeat=repeat, seconds=time.monotonic() - began)


async def _database(admin_dsn: str, name: str) -> str:
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute(f"create database peer_{name}")
    finally:
        await connection.close()
    return f"{admin_dsn.rpartition('/')[0]}/peer_{name}"
