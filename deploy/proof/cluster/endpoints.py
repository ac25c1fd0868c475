"""The stand-in for the balancer before the gateways, and for what feeds it: probes of each replica.

The numbers are the manifests': a replica is an endpoint while its readiness says so. A host that is cut off or silent
is not looked at, and what was known of its replicas stays: Kubernetes takes a silent node's endpoints away after most
of a minute, which no fault here lasts. Services have no balancer: gateways know each replica, as by a headless Service.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from deploy.proof.cluster.network import Host

PERIOD_SECONDS = 3.0
TIMEOUT_SECONDS = 5.0
FAILURES = 3
"""`readinessProbe` of deploy/kubernetes/base; a test holds these to it."""
CONNECT_SECONDS = 130.0
"""As long as the kernel would try: what is sent to a silent host gets no answer, not even a refusal."""
LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 65536


class Endpoint:
    """A replica of a service: where it is, and whether it is in the lists of the doors."""

    def __init__(self, service: str, host: Host, port: int, path: str = "/health/ready") -> None:
        self.service = service
        self.host = host
        self.port = port
        self.path = path
        """What is asked: 200 is yes."""
        self.needs: Callable[[], bool] = lambda: True
        """What else has to be there for it to be ready: nothing, unless a control has it so."""
        self.is_listed = False
        self.delisted = 0
        """How often it was taken out."""
        self.on_delisted: Callable[[], None] = lambda: None
        self._failures = 0

    async def probe(self) -> bool:
        """Ask it once, from its own host."""
        request = f"GET {self.path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n".encode()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                reader, writer = await self.host.connect(self.host.address, self.port)
                try:
                    writer.write(request)
                    return b" 200 " in await reader.readline() and self.needs()
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):
            return False

    def heed(self, *, is_ready: bool) -> None:
        """Take a probe's word: one good one lists it, FAILURES bad ones in a row take it out."""
        self._failures = 0 if is_ready else self._failures + 1
        if is_ready:
            self.is_listed = True
        elif self._failures >= FAILURES and self.is_listed:
            self.is_listed = False
            self.delisted += 1
            self.on_delisted()


class Endpoints:
    """All of them, the probes, and a door to each gateway from outside.

    What is no endpoint any more loses its connections too, as with a balancer that speaks HTTP.
    """

    def __init__(self, hosts: Sequence[Host], ports: Mapping[str, int], gateway_port: int) -> None:
        every = {**ports, "gateway": gateway_port}
        self.all = [Endpoint(service, host, port) for host in hosts for service, port in every.items()]
        self.is_seen: Callable[[Host], bool] = lambda _: True
        """Whether what the probes of a host find reaches the others."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._doors: list[_Door] = []
        self._servers: list[asyncio.Server] = []
        self.gateways = [each for each in self.all if each.service == "gateway"]
        self.public: list[str] = []
        """The addresses of the doors to the gateways, in their order."""

    async def open(self) -> None:
        for gateway in self.gateways:
            door = _Door(gateway)
            self._doors.append(door)
            server = await asyncio.start_server(door.accept, LOOPBACK, 0)
            self._servers.append(server)
            self.public.append(f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}")
        for endpoint in self.all:
            endpoint.on_delisted = partial(self._end, endpoint)
            self._tasks.add(asyncio.create_task(self._watch(endpoint)))

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = [*self._tasks, *(task for door in self._doors for task in door.tasks)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, endpoint: Endpoint) -> None:
        for door in self._doors:
            door.end(endpoint)

    async def _watch(self, endpoint: Endpoint) -> None:
        await asyncio.sleep(random.random() * PERIOD_SECONDS)  # noqa: S311 - so that not all ask at once
        while True:
            is_ready = await endpoint.probe()
            if self.is_seen(endpoint.host):
                endpoint.heed(is_ready=is_ready)
            await asyncio.sleep(PERIOD_SECONDS if endpoint.is_listed else 0.2)


class _Door:
    """An address of a gateway's for those outside; it leads nowhere while the gateway is no endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.tasks: set[asyncio.Task[None]] = set()
        """Of the connections that are open."""

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass_on(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def end(self, endpoint: Endpoint) -> None:
        """End all connections to it, if this door leads there."""
        if endpoint is self._endpoint:
            for task in self.tasks:
                task.cancel()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self._endpoint.is_listed:
                return
            async with asyncio.timeout(CONNECT_SECONDS):
                far_reader, far_writer = await asyncio.open_connection(self._endpoint.host.address, self._endpoint.port)
            try:
                await _pump_both(reader, writer, far_reader, far_writer)
            finally:
                far_writer.close()
        except (OSError, TimeoutError):
            return
        finally:
            writer.close()


async def _pump_both(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    pumps = [asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
