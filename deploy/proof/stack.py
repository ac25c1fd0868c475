"""A stack of the proof's own, in a folder of its own: two of every process, and relays between them and the servers."""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
from rich.console import Console

from deploy.local import binaries, credentials, demo, programs
from deploy.local.child import Recipe
from deploy.local.environment import Addresses
from deploy.local.folder import opened
from deploy.local.ports import HOST, health_port, reserved
from deploy.local.probes import http_well
from deploy.local.screen import Screen
from deploy.local.up import Installation, Site
from deploy.proof import disks
from deploy.proof.disks import Disk
from deploy.proof.relay import Relay
from deploy.provisioning import database_name
from shared.messaging.topology import PROCESSES, SERVICES

SECOND = "-2"
"""The second replica of `orders` is `orders-2`."""
REPLICAS = tuple(name + suffix for name in PROCESSES for suffix in ("", SECOND))
SPARES = 2
POOL_SIZE = 5
"""Connections of a service to its database: few, so that a lock that is held for a second has all of them wait."""


class Stack(Installation):
    """What `serx up` runs, twice, with relays in between. The servers' own ports are for the proof itself."""

    def __init__(self, site: Site, screen: Screen, chance: random.Random, *, with_disks: bool) -> None:
        super().__init__(site, screen)
        ports = site.ports
        self.broker = Relay([ports["nats"]], chance, is_nats=True)
        self.database = Relay([ports["postgres"]], chance)
        self.doors = {name: Relay([ports[name], ports[name + SECOND]], chance) for name in SERVICES}
        # Beside the folder, whose disk may be full.
        self.failpoints = site.folder.root.parent / "failpoints"
        self.failpoints.mkdir(exist_ok=True)
        self.poison: dict[str, frozenset[str]] = {}
        """Keys of what was thrown among the messages, and the services that have to park each."""
        self._with_disks = with_disks
        self.folder_disk = Disk(site.folder.root, disks.FOLDER_MIB)
        self.database_disk = Disk(site.folder.postgres, disks.POSTGRES_MIB)
        self.broker_disk = Disk(self.jetstream, disks.BROKER_MIB)

    @property
    def gateways(self) -> tuple[str, str]:
        """The addresses of both gateways."""
        ports = self._site.ports
        return f"http://{HOST}:{ports['gateway']}", f"http://{HOST}:{ports['gateway' + SECOND]}"

    @property
    def nats_operator(self) -> str:
        return self._site.addresses.nats_operator

    @property
    def postgres_admin(self) -> str:
        return self._site.addresses.postgres_admin

    @property
    def dsns(self) -> dict[str, str]:
        """An administrator's, of each service's database."""
        place = self.postgres_admin.rpartition("/")[0]
        return {service: f"{place}/{database_name(service)}" for service in SERVICES}

    @property
    def jetstream(self) -> Path:
        return self._site.folder.nats / "jetstream"

    @property
    def pids(self) -> dict[str, int]:
        return self._supervisor.pids

    async def found_organisation(self, name: str, email: str) -> demo.Created:
        """Another organisation, with its first administrator."""
        return await demo.found_organisation(
            self._site.addresses, name=name, email=email, password=self._site.credentials.demo_admin
        )

    async def is_ready(self) -> bool:
        """Whether every replica of every process says that it is, and interpreters stand by for those that die next."""
        return not self._background and all(
            await asyncio.gather(*(http_well(self._health_port(name)) for name in REPLICAS))
        )

    async def start(self) -> None:
        """Start everything. Raises Failure when something cannot start."""
        for relay in self._relays:
            await relay.open()
        await self._start_everything()
        await self._launcher.warm_up(SPARES)

    async def stop(self) -> None:
        for relay in self._relays:
            await relay.close()
        await self._end()
        for disk in (self.database_disk, self.broker_disk):
            disk.unmount()

    @property
    def _relays(self) -> list[Relay]:
        return [self.broker, self.database, *self.doors.values()]

    def _postgres(self) -> Recipe:
        if self._with_disks:
            self.database_disk.mount()
        return super()._postgres()

    def _nats(self) -> Recipe:
        if self._with_disks:
            self.jetstream.mkdir(mode=0o700, exist_ok=True)
            self.broker_disk.mount()
        return super()._nats()

    async def _start_gateway(self) -> None:
        await self._launcher.warm_up(len(REPLICAS))
        await self._start(self._process("gateway"))
        await self._start(self._process("gateway" + SECOND))

    async def _start_service(self, service: str) -> None:
        await super()._start_service(service)
        await self._start(self._process(service + SECOND))

    def _process(self, name: str) -> Recipe:
        process = name.removesuffix(SECOND)
        environment = self._site.addresses.environment(process) | self._own(process)
        environment["SERX_PORT"] = str(self._site.ports[name])
        if process == "gateway":
            environment["SERX_METRICS_PORT"] = str(self._health_port(name))
        return Recipe(
            name=name,
            launch=lambda log: self._launcher.process(process, environment, log),
            ready=lambda: http_well(self._health_port(name)),
            port=self._site.ports[name],
        )

    def _health_port(self, name: str) -> int:
        process, second = name.removesuffix(SECOND), SECOND if name.endswith(SECOND) else ""
        return self._site.ports[health_port(process) + second]

    def _own(self, process: str) -> dict[str, str]:
        addresses, ports = self._site.addresses, self._site.ports
        own = addresses.environment(process)
        changed = {
            "SERX_NATS_URL": own["SERX_NATS_URL"].replace(f":{ports['nats']}", f":{self.broker.port}"),
            "SERX_FAILPOINTS_DIR": str(self.failpoints),
        }
        if process == "gateway":
            urls = {f"SERX_{name.upper()}_URL": f"http://{HOST}:{door.port}" for name, door in self.doors.items()}
            return changed | urls | {"SERX_RATE_LIMIT": "0"}
        dsn = own["SERX_DATABASE_DSN"].replace(f":{ports['postgres']}", f":{self.database.port}")
        return changed | {"SERX_DATABASE_DSN": dsn, "SERX_DATABASE_POOL_SIZE": str(POOL_SIZE)}

    def _warm_up_again(self) -> None:
        """More than one may die before the first is back."""
        self._warm_up_in_the_background(SPARES)

    async def admin(self) -> asyncpg.Connection[asyncpg.Record]:
        """A connection of the administrator's, past the relay. Raises what connecting raises."""
        return await asyncpg.connect(self.postgres_admin, timeout=2)


@asynccontextmanager
async def standing(root: Path, chance: random.Random, *, with_disks: bool = False) -> AsyncIterator[Stack]:
    """A stack in `root`, started, until the block is left; what it says of itself goes to `root/output`.

    `with_disks`: the folder and the servers' data in it are on disks that can be full (see `disks`), and go with them.
    """
    found = programs.reachable(binaries.find())
    with (
        _small_disk(root, is_wanted=with_disks),
        opened(root / "data", found.postgres_major) as folder,
        reserved(folder, 0, more=tuple(name + SECOND for name in (*PROCESSES, health_port("gateway")))) as ports,
        (root / "output").open("w", encoding="utf-8") as output,
    ):
        secrets = credentials.ensure(folder)
        addresses = Addresses(folder, ports, secrets)
        site = Site(binaries=found, folder=folder, ports=ports, credentials=secrets, addresses=addresses)
        stack = Stack(site, Screen(Console(file=output), Console(file=output)), chance, with_disks=with_disks)
        try:
            await stack.start()
            yield stack
        finally:
            await stack.stop()


@contextmanager
def _small_disk(root: Path, *, is_wanted: bool) -> Iterator[None]:
    """The disk of the data folder, until the block is left; then the logs lie beside it, in `root/logs`."""
    if not is_wanted:
        yield
        return
    place = root / "data"
    place.mkdir(mode=0o700, exist_ok=True)
    disk = Disk(place, disks.FOLDER_MIB)
    disk.mount()
    try:
        yield
    finally:
        shutil.copytree(place / "logs", root / "logs", dirs_exist_ok=True)
        disk.unmount()


def is_supported() -> bool:
    """Whether the faults can be made here: they need Linux's signals and /proc."""
    return sys.platform == "linux"
