"""Three NATS servers as a cluster, from the wheel, whose routes go through relays that a test can cut."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import nats
import nats.errors

from deploy.local import binaries
from deploy.local.launcher import Launcher
from deploy.local.log import Log
from deploy.local.ports import HOST
from deploy.local.probes import nats_ready
from deploy.nats_config import OPERATOR, NatsServer, new_seed, public_key, render
from shared.messaging.topology import USERS
from tests.support.ports import free_port
from tests.support.servers import until

SERVERS: Final = 3


class Relay:
    """Passes on what comes to `port`; while it is cut nothing passes, in neither direction, and nobody is told."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Relay]:
        server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._end_all()

    def cut(self) -> None:
        self._open.clear()

    def heal(self) -> None:
        """Whoever was cut finds its connection ended, and makes another."""
        self._end_all()
        self._open.set()

    def _end_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        await self._open.wait()
        try:
            there, onward = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.append(onward)
        await asyncio.gather(self._pass_on(reader, onward), self._pass_on(there, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            return  # the other end is gone
        finally:
            writer.close()


class Cluster:
    """`url(user)` names all servers; `url(user, 1)` one of them. The user `operator` may do everything."""

    def __init__(self, servers: Sequence[NatsServer], seeds: dict[str, str], relays: dict[tuple[int, int], Relay]):
        self.ports = [server.port for server in servers]
        self._servers = servers
        self._seeds = seeds
        self._relays = relays

    def url(self, user: str, *servers: int) -> str:
        login = f"{OPERATOR}:{self._servers[0].operator_password}" if user == "operator" else self._seeds[user]
        return ",".join(f"nats://{login}@{HOST}:{self.ports[each]}" for each in servers or range(SERVERS))

    async def leader(self) -> int:
        """The server that the others have chosen to make and change streams."""
        async with httpx.AsyncClient(trust_env=False) as http:
            told = (await http.get(f"http://{HOST}:{self._servers[0].monitor_port}/jsz")).json()
        return int(told["meta_cluster"]["leader"].removeprefix("n"))

    def isolate(self, server: int) -> None:
        """Cut its routes; its clients still reach it."""
        for relay in self._of(server):
            relay.cut()

    def heal(self) -> None:
        for relay in self._relays.values():
            relay.heal()

    def _of(self, server: int) -> list[Relay]:
        return [relay for pair, relay in self._relays.items() if server in pair]


@asynccontextmanager
async def broker_cluster(root: Path) -> AsyncIterator[Cluster]:
    """Three servers with a user for each process, empty: nobody makes streams."""
    seeds = {user: new_seed() for user in USERS}
    servers, routes = _servers(root, seeds), [free_port() for _ in range(SERVERS)]
    pairs = [(this, that) for this in range(SERVERS) for that in range(SERVERS) if this != that]
    launcher = Launcher({}, Log(root / "launcher.log"))
    async with AsyncExitStack() as stack:
        relays = {(this, that): await stack.enter_async_context(Relay(routes[that]).running()) for this, that in pairs}
        for number, server in enumerate(servers):
            mine = [relay.port for (this, _), relay in relays.items() if this == number]
            config = root / f"n{number}.conf"
            config.write_text(render(server) + _of_cluster(routes[number], mine))
            command = (str(binaries.find().nats_server), "-c", str(config))
            process = await launcher.program(command, {}, Log(root / f"n{number}.log"), dies_with_us=True)
            stack.push_async_callback(_end, process)
        for server in servers:
            await until(lambda port=server.port: nats_ready(port), within_seconds=30)
        cluster = Cluster(servers, seeds, relays)
        await until(lambda: _has_leader(cluster), within_seconds=30)
        yield cluster


async def _has_leader(cluster: Cluster) -> bool:
    """Whether somebody makes streams: the one that all have chosen answers this, and nobody else."""
    async with await nats.connect(cluster.url("operator").split(",")) as connection:
        try:
            await connection.request("$JS.API.STREAM.NAMES", b"", timeout=1)
        except nats.errors.Error:
            return False
    return True


def _servers(root: Path, seeds: dict[str, str]) -> list[NatsServer]:
    password, keys = secrets.token_hex(8), {user: public_key(seed) for user, seed in seeds.items()}
    return [
        NatsServer(
            host=HOST,
            port=free_port(),
            monitor_port=free_port(),
            store_dir=root / f"n{number}",
            operator_password=password,
            public_keys=keys,
            server_name=f"n{number}",
        )
        for number in range(SERVERS)
    ]


def _of_cluster(port: int, others: Sequence[int]) -> str:
    """Servers tell each other where they are: at an address that leads nowhere, so that relays are the only way."""
    told = ", ".join(f'"nats-route://{HOST}:{each}"' for each in others)
    where = f'listen: "{HOST}:{port}", advertise: "{HOST}:9", no_advertise: true'
    return f"cluster {{name: serx, {where}, routes: [{told}]}}\n"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
