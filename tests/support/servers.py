"""The servers that the tests use: those named in the environment, else containers, else from the wheels.

Containers are used where Docker answers and has the images (`SERX_TEST_POSTGRES_IMAGE`, `SERX_TEST_NATS_IMAGE`).
`SERX_TEST_POSTGRES_DSN` is a superuser's, `SERX_TEST_NATS_URL` a user's who may do everything.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import nats
from nats.aio.client import Client

from deploy.local import binaries, postgres, programs
from deploy.local.child import Recipe
from deploy.local.folder import opened
from deploy.local.launcher import Launcher
from deploy.local.log import Log
from deploy.local.ports import HOST, reserved
from deploy.local.probes import nats_ready
from deploy.nats_config import OPERATOR, NatsServer, new_seed, public_key, render
from shared.messaging import stream_keeper
from shared.messaging.bus import Bus, end
from shared.messaging.bus_client import login_in
from shared.messaging.listeners import Listener
from shared.messaging.topology import STREAM_KEEPER, USERS, answers_prefix
from tests.support import containers
from tests.support.containers import NatsContainer
from tests.support.ports import free_port

POSTGRES_DSN = os.environ.get("SERX_TEST_POSTGRES_DSN")
NATS_URL = os.environ.get("SERX_TEST_NATS_URL")
PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.05


def described() -> str:
    """Which servers the tests run on, for the first line of their output."""
    database = _described("PostgreSQL", "SERX_TEST_POSTGRES_DSN", POSTGRES_DSN, containers.POSTGRES_IMAGE)
    broker = _described("NATS", "SERX_TEST_NATS_URL", NATS_URL, containers.NATS_IMAGE)
    return f"{database}, {broker}"


def _described(name: str, setting: str, told: str | None, image: str) -> str:
    if told:
        return f"the {name} of {setting}"
    return f"{name} in a container of {image}" if containers.has(image) else f"{name} from its wheel"


@asynccontextmanager
async def postgres_server(root: Path) -> AsyncIterator[str]:
    """A PostgreSQL; yields an administrator's DSN."""
    if POSTGRES_DSN:
        yield POSTGRES_DSN
        return
    if containers.has(containers.POSTGRES_IMAGE):
        async with containers.postgres_container() as dsn:
            yield dsn
        return
    found = programs.reachable(binaries.find())
    password = secrets.token_hex(8)
    with opened(root, found.postgres_major) as folder, reserved(folder, 0) as ports:
        dsn = f"postgresql://postgres:{password}@{HOST}:{ports['postgres']}/postgres"
        launcher = Launcher({}, Log(folder.log("launcher")))
        await postgres.initialise(launcher, found, folder, password)
        recipe = postgres.recipe(launcher, found, folder, ports["postgres"], dsn)
        async with _served(recipe, Log(folder.log("postgres"))):
            yield dsn


class Users(NamedTuple):
    """The public nkeys of whoever may log in: the topology's users, and listeners."""

    processes: dict[str, str]
    listeners: dict[Listener, str]


@dataclass
class Broker:
    """A NATS server. `url(process)` logs in as one of ours, with that process's permissions; `operator` may do all."""

    operator: str
    seeds: dict[str, str] = field(default_factory=dict)
    _store: Path | None = None
    _container: NatsContainer | None = None
    _recipe: Recipe | None = None
    _process: asyncio.subprocess.Process | None = None

    def url(self, process: str) -> str:
        if not self.seeds:
            return self.operator
        place = self.operator.rpartition("@")[2]
        return f"nats://{self.seeds[process]}@{place}"

    async def connection(self, process: str, **options: Any) -> Client:
        """A client that is logged in as one of ours, with that process's inbox."""
        servers, seed = login_in(self.url(process))
        return await nats.connect(list(servers), nkeys_seed_str=seed, inbox_prefix=answers_prefix(process), **options)

    @asynccontextmanager
    async def bus(self, process: str) -> AsyncIterator[Bus]:
        """The connection of one of ours, connected, until the block is left."""
        bus = Bus(process=process, url=self.url(process))
        await bus.open()
        try:
            await until(lambda: bus.is_connected)
            yield bus
        finally:
            await bus.close()

    async def start(self) -> None:
        if self._container is not None:
            await self._container.start()
            return
        assert self._recipe is not None
        assert self._store is not None
        self._process = await self._recipe.launch(Log(self._store / "nats.log"))
        await until(self._recipe.ready)

    async def kill(self) -> None:
        """SIGKILL, as a crash would; nothing if it is not running."""
        if self._container is not None:
            await self._container.kill()
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    def forget(self) -> None:
        """Delete its whole store; to be called while it is not running."""
        if self._container is not None:
            self._container.forget()
            return
        assert self._process is None
        assert self._store is not None
        shutil.rmtree(self._store / "jetstream")


@asynccontextmanager
async def nats_server(root: Path, *listeners: Listener, watched: bool = True) -> AsyncIterator[Broker]:
    """A NATS with JetStream, with a user for each process and each of these listeners.

    Its streams and consumers are as they are to be, or it is empty if nobody watches over it.
    """
    if NATS_URL:
        async with _with_streams(Broker(NATS_URL, {})) as broker:
            yield broker
        return
    seeds = {user: new_seed() for user in (*USERS, *(each.user for each in listeners))}
    password = secrets.token_hex(8)
    keys = {user: public_key(seed) for user, seed in seeds.items()}
    users = Users({name: keys[name] for name in USERS}, {each: keys[each.user] for each in listeners})
    serve = _nats_container if containers.has(containers.NATS_IMAGE) else _nats_from_its_wheel
    async with serve(root, password, users) as broker:
        broker.seeds = seeds
        await broker.start()
        try:
            async with _with_streams(broker) if watched else nullcontext():
                yield broker
        finally:
            await broker.kill()


@asynccontextmanager
async def _with_streams(broker: Broker) -> AsyncIterator[Broker]:
    """With the streams and consumers that every installation has, made again when they are lost."""
    reported: list[str] = []
    keeping = asyncio.create_task(stream_keeper.keep(broker.url(STREAM_KEEPER), reported.append))
    try:
        yield broker
    finally:
        await end([keeping])


@asynccontextmanager
async def _nats_container(root: Path, password: str, users: Users) -> AsyncIterator[Broker]:
    port = free_port()
    config = NatsServer(
        host=HOST,
        port=port,
        store_dir=Path("/data"),
        operator_password=password,
        public_keys=users.processes,
        listeners=users.listeners,
    )
    path = root.with_suffix(".conf")
    path.write_text(render(config))
    container = NatsContainer(path, port)
    try:
        yield Broker(f"nats://{OPERATOR}:{password}@{HOST}:{port}", _container=container)
    finally:
        container.forget()


@asynccontextmanager
async def _nats_from_its_wheel(root: Path, password: str, users: Users) -> AsyncIterator[Broker]:
    found = binaries.find()
    with opened(root, found.postgres_major) as folder, reserved(folder, 0) as ports:
        config = NatsServer(
            host=HOST,
            port=ports["nats"],
            store_dir=folder.nats,
            operator_password=password,
            public_keys=users.processes,
            listeners=users.listeners,
        )
        path = folder.root / "nats.conf"
        path.write_text(render(config))
        launcher = Launcher({}, Log(folder.log("launcher")))
        recipe = Recipe(
            name="nats",
            launch=lambda log: launcher.program((str(found.nats_server), "-c", str(path)), {}, log, dies_with_us=True),
            ready=lambda: nats_ready(ports["nats"]),
        )
        yield Broker(f"nats://{OPERATOR}:{password}@{HOST}:{ports['nats']}", _store=folder.nats, _recipe=recipe)


async def until(condition, *, within_seconds: float = 10.0):
    """Wait until `condition` (a function, async or not) returns something true, and return that.

    It is asked less often the longer it takes: what is waited for needs the machine too.
    """
    begun = time.monotonic()
    async with asyncio.timeout(within_seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(min(max(PAUSE_SECONDS, (time.monotonic() - begun) / 10), LONGEST_PAUSE_SECONDS))


@asynccontextmanager
async def _served(recipe: Recipe, log: Log) -> AsyncIterator[None]:
    process = await recipe.launch(log)
    await until(recipe.ready)
    try:
        yield
    finally:
        process.send_signal(recipe.stop[0][0])
        await process.wait()
