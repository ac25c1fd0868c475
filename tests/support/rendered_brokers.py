"""Three NATS servers of a cluster, on the configurations that `serx secrets` renders."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import nats.errors
import nats.js.errors
from nats.js.api import StreamConfig

from deploy.local import binaries
from deploy.local.launcher import Launcher
from deploy.local.log import Log
from deploy.local.ports import HOST
from deploy.local.probes import nats_ready
from deploy.secret_files import make_secrets
from shared.messaging.connection import connected
from tests.support.ports import free_port
from tests.support.servers import until

NAMES: Final = ("n1", "n2", "n3")


class RenderedBrokers:
    """`folder` holds the secrets; each server runs below `root`, beside the others, where it would have a host."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "secrets"
        self.names: tuple[str, ...] = ()
        self._root = root
        self._places: dict[str, tuple[int, int]] = {}
        self._monitors: dict[str, int] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._launcher = Launcher({}, Log(root / "launcher.log"))

    def render(self, *names: str) -> None:
        """The servers of the cluster are these."""
        self.names = names
        for name in names:
            self._places.setdefault(name, (free_port(), free_port()))
        nats = ",".join(f"{name}={HOST}:{self._places[name][0]}" for name in names)
        routes = ",".join(f"{HOST}:{self._places[name][1]}" for name in names)
        make_secrets(self.folder, nats=nats, nats_routes=routes, nats_store=str(self._root / "SERVER"))

    def url(self, user: str, *servers: str) -> str:
        """The URL in the secrets, of all servers or these; users: `operator`, `system`, or a process."""
        files = {"operator": "administration/nats_url", "system": "administration/system_nats_url"}
        url = (self.folder / files.get(user, f"{user}/nats_url")).read_text().strip()
        ports = [str(self._places[name][0]) for name in servers]
        return ",".join(each for each in url.split(",") if not ports or each.rpartition(":")[2] in ports)

    def monitor(self, name: str) -> str:
        """Where a server's monitoring is, or was."""
        return f"http://{HOST}:{self._monitors[name]}"

    def route_port(self, name: str) -> int:
        return self._places[name][1]

    async def start(self, name: str) -> None:
        """As its own host would: with a folder and a port for the monitoring of its own."""
        self._monitors.setdefault(name, free_port())
        config, environment = self._configure(name)
        command = (str(binaries.find().nats_server), "-c", str(config))
        log = Log(self._root / f"{name}.log")
        self._running[name] = await self._launcher.program(command, environment, log, dies_with_us=True)
        await until(lambda: nats_ready(self._places[name][0]), within_seconds=30)

    def _configure(self, name: str) -> tuple[Path, Mapping[str, str]]:
        """Write a server's configuration; returns where it is, and the server's environment."""
        text = (self.folder / "nats" / name / "nats.conf").read_text()
        config = self._root / f"{name}.conf"
        monitor = self._monitors[name]
        config.write_text(text.replace("SERVER", f"store-{name}").replace(f"{HOST}:8222", f"{HOST}:{monitor}"))
        return config, {}

    async def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        await process.wait()

    def lose_disk(self, name: str) -> None:
        """To be called while it does not run."""
        shutil.rmtree(self._root / f"store-{name}")

    async def end(self) -> None:
        for name in list(self._running):
            await self.kill(name)

    async def is_whole(self) -> bool:
        """Whether all servers take part: only then a stream can have three copies."""
        async with connected(self.url("operator")) as connection:
            stream = connection.jetstream(timeout=2)
            try:
                await stream.add_stream(StreamConfig(name="WHOLE", subjects=["whole"], num_replicas=len(self.names)))
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
                return False
            return await stream.delete_stream("WHOLE")


@asynccontextmanager
async def rendered_brokers(root: Path) -> AsyncIterator[RenderedBrokers]:
    """Running, and empty."""
    brokers = RenderedBrokers(root)
    brokers.render(*NAMES)
    async with all_running(brokers):
        yield brokers


@asynccontextmanager
async def all_running(brokers: RenderedBrokers) -> AsyncIterator[None]:
    """With every server that was rendered, once they are a cluster."""
    try:
        await asyncio.gather(*(brokers.start(name) for name in brokers.names))
        await until(brokers.is_whole, within_seconds=90)
        yield
    finally:
        await brokers.end()


async def refused_route(brokers: RenderedBrokers, name: str, login: Mapping[str, str]) -> bool:
    """Whether a server turns somebody away who would be a route with this login."""
    reader, writer = await asyncio.open_connection(HOST, brokers.route_port(name))
    greeting = json.loads((await reader.readline()).removeprefix(b"INFO "))
    told = {"verbose": False, "pedantic": False, "tls_required": False, "name": "stranger", "cluster": "serx", **login}
    writer.write(b"CONNECT " + json.dumps(told).encode() + b"\r\nPING\r\n")
    try:
        async with asyncio.timeout(10):
            answer = await reader.read(65536)
    finally:
        writer.close()
    return greeting.get("auth_required", False) and b"-ERR 'Authorization Violation'" in answer
