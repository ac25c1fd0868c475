"""`serx up`: everything on this machine, from an empty folder to a signed proposal, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from deploy.failure import Failure
from deploy.local import binaries, credentials, known_demo, leftovers, nats, postgres, programs, ready
from deploy.local.binaries import Binaries
from deploy.local.child import Recipe
from deploy.local.credentials import Credentials
from deploy.local.environment import Addresses, inherited
from deploy.local.folder import DataFolder, note_database, opened
from deploy.local.known_demo import Demo
from deploy.local.launcher import Launcher
from deploy.local.log import Log
from deploy.local.persistent import Persistent
from deploy.local.ports import Ports, health_port, reserved
from deploy.local.probes import http_well
from deploy.local.screen import Screen
from deploy.local.supervisor import Supervisor
from deploy.provisioning import provision
from deploy.provisioning_command import role_connections
from shared.database.migrate import MigrationFailed, migrate
from shared.messaging import stream_keeper
from shared.messaging.bus import end
from shared.messaging.topology import PROCESSES, SERVICES


class Options(msgspec.Struct, frozen=True, kw_only=True):
    data_dir: Path
    port: int
    demo: bool


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known before anything runs."""

    binaries: Binaries
    folder: DataFolder
    ports: Ports
    credentials: Credentials
    addresses: Addresses


async def up(options: Options, screen: Screen) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP. Raises Failure when that cannot begin."""
    role_connections()  # before anything is started, whatever is wrong with it
    found = programs.reachable(binaries.find())
    with opened(options.data_dir, found.postgres_major) as folder:
        known_demo.found(folder)
        for name in leftovers.stop(folder):
            screen.say(f"{name} was left over from a run that was killed; stopped it")
        with reserved(folder, options.port) as ports:
            secrets = credentials.ensure(folder)
            site = Site(
                binaries=found,
                folder=folder,
                ports=ports,
                credentials=secrets,
                addresses=Addresses(folder, ports, secrets),
            )
            await Installation(site, screen).serve(demo=options.demo)


class Installation:
    """One running `serx up`."""

    def __init__(self, site: Site, screen: Screen) -> None:
        self._site = site
        self._screen = screen
        self._supervisor = Supervisor(
            site.folder, tell=screen.say, changed=self._publish_again, came_back=self._warm_up_again
        )
        self._launcher = Launcher(inherited(site.folder), Log(site.folder.log("standby")), folder=site.folder.root)
        self._background: set[asyncio.Task[None]] = set()
        self._streams = asyncio.create_task(stream_keeper.keep(site.addresses.nats_streams, screen.say))
        self._demo: Demo | None = None
        self._published = False
        self._ready_file = Persistent(site.folder.ready, self._write_ready, screen.say)

    async def serve(self, *, demo: bool) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            await _first(stop.wait(), self._work(demo=demo))
        finally:
            self._published = False
            await self._ready_file.close()
            self._screen.say("Stopping.")
            try:
                ready.withdraw(self._site.folder)
            except OSError as error:
                self._screen.say(f"{self._site.folder.ready} could not be removed ({error.strerror})")
            await self._end()
            self._screen.say("Stopped.")

    async def _end(self) -> None:
        """Stop everything that was started."""
        await end([self._streams])
        await self._supervisor.stop()
        await self._launcher.close()

    async def _work(self, *, demo: bool) -> None:
        began = time.monotonic()
        with self._screen.starting():
            await self._start_everything()
        self._screen.say(f"Ready after {time.monotonic() - began:.1f} s: {self._site.addresses.http('gateway')}")
        await self._demonstrate(wanted=demo)
        self._screen.say(f"Data and logs are in {self._site.folder.root}. Ctrl-C stops.")
        self._warm_up_again()
        await self._supervisor.broken()

    async def _start_everything(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._start(self._nats()))
                tasks.create_task(self._start_database())
                tasks.create_task(self._start_gateway())
        except BaseExceptionGroup as group:
            raise _innermost(group) from None

    async def _start_gateway(self) -> None:
        await self._launcher.warm_up(len(PROCESSES))
        await self._start(self._process("gateway"))

    async def _start_database(self) -> None:
        site = self._site
        if not site.folder.postgres.exists():
            with self._screen.step("database folder made"):
                await postgres.initialise(self._launcher, site.binaries, site.folder, site.credentials.postgres_admin)
                note_database(site.folder)
        await self._start(self._postgres())
        async with asyncio.TaskGroup() as tasks:
            for service in SERVICES:
                tasks.create_task(self._start_service(service))

    async def _start_service(self, service: str) -> None:
        site = self._site
        try:
            await provision(
                site.addresses.postgres_admin,
                service,
                site.credentials.owner(service),
                site.credentials.database(service),
                connections=role_connections(),
            )
            await migrate(site.addresses.migration(service), service)
        except MigrationFailed as error:
            raise Failure(
                f"The database of {service} could not be migrated.", error.output.splitlines()[-8:]
            ) from error
        except asyncpg.InvalidPasswordError as error:
            sentence = f"The passwords in {site.folder.secrets} are not those of its database; restore that file."
            raise Failure(sentence) from error
        await self._start(self._process(service))

    async def _start(self, recipe: Recipe) -> None:
        with self._screen.step(recipe.name):
            await self._supervisor.start(recipe)

    def _nats(self) -> Recipe:
        site = self._site
        return nats.recipe(self._launcher, site.binaries, site.folder, site.ports, site.credentials)

    def _postgres(self) -> Recipe:
        site = self._site
        admin_dsn = site.addresses.postgres_admin
        return postgres.recipe(self._launcher, site.binaries, site.folder, site.ports["postgres"], admin_dsn)

    def _process(self, name: str) -> Recipe:
        environment = self._site.addresses.environment(name)
        return Recipe(
            name=name,
            launch=lambda log: self._launcher.process(name, environment, log),
            ready=lambda: http_well(self._site.ports[health_port(name)]),
            port=self._site.ports[name],
        )

    def _warm_up_again(self) -> None:
        """One interpreter waits for whatever dies next; two are not worth their memory."""
        self._warm_up_in_the_background(1)

    def _warm_up_in_the_background(self, count: int) -> None:
        task = asyncio.create_task(self._try_to_warm_up(count))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _try_to_warm_up(self, count: int) -> None:
        """Without a spare the next start takes longer, and nothing else."""
        try:
            await self._launcher.warm_up(count)
        except OSError as error:
            self._screen.say(f"No interpreter can be kept ready ({error.strerror or error})")

    async def _demonstrate(self, *, wanted: bool) -> None:
        """Make or find the demo, walk a proposal, show it. What fails here is told, and everything goes on serving."""
        # Imported only now: the HTTP client takes its time, and nothing waited for it.
        from deploy.local import demo, walkthrough
        from deploy.local.api import ApiRefused

        site = self._site
        self._demo = known_demo.found(site.folder)
        if not wanted or (self._demo and self._demo.client_token):
            self._publish()
        try:
            if wanted:
                self._demo = self._demo or await demo.create(site.folder, site.addresses, site.credentials)
                self._demo, walked = await demo.walk_once(site.folder, site.addresses, self._demo)
                self._screen.show(walkthrough.table(walked))
                for line in walkthrough.links(walked, site.addresses.http("gateway"), self._demo.admin_token):
                    self._screen.say(line)
        except ApiRefused as refusal:
            self._screen.warn(Failure(f"The walk-through failed at {refusal.call}: {refusal.title}", [refusal.detail]))
        except Failure as failure:
            self._screen.warn(failure)
        self._publish()

    def _publish(self) -> None:
        self._published = True
        self._publish_again()

    def _publish_again(self) -> None:
        if self._published:
            self._ready_file.update()

    def _write_ready(self) -> None:
        ready.publish(self._site.folder, ready.describe(self._site.addresses, self._supervisor.pids, self._demo))


async def _first(*works: Coroutine[Any, Any, Any]) -> None:
    """Return, or raise, as the first of them does; the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _innermost(group: BaseException) -> BaseException:
    """What went wrong first; the rest was cancelled because of it."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
