"""The installation that is broken: three hosts, three brokers, three databases, two replicas of every process."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

import msgspec

from deploy import nats_config
from deploy.failure import Failure
from deploy.local import binaries, postgres, programs
from deploy.local.demo import Created
from deploy.local.environment import python
from deploy.local.launcher import Launcher
from deploy.local.log import Log
from deploy.nats_config import NatsServer, public_key, render
from deploy.proof.cluster.disks import Disks
from deploy.proof.cluster.endpoints import Endpoints
from deploy.proof.cluster.failover import Trio
from deploy.proof.cluster.instance import Instance, Programs
from deploy.proof.cluster.network import Host, Network
from deploy.proof.cluster.programs import Program
from deploy.proof.cluster.secrets import BROKER_PORT, GATEWAY_PORT, SERVICE_PORTS, Site
from deploy.provisioning import provision
from shared.database.migrate import migrate
from shared.messaging.topology import PROCESSES, SERVICES

ROUTE_PORT = 6222
MONITOR_PORT = 8222
READY_SECONDS = 120.0
SLOW_SECONDS = 5.0
"""What is missing for longer goes into the log."""
ROOT = Path(__file__).resolve().parents[3]


class Cluster:
    """All of it. Processes run on the first two hosts, brokers and databases on all three."""

    def __init__(self, network: Network, disks: Disks, folder: Path, site: Site, say: Callable[[str], None]) -> None:
        self.network = network
        self.disks = disks
        self.hosts = network.hosts
        self.site = site
        self._say = say
        self.folder = folder
        self.folder.chmod(0o711)  # the databases' user passes through
        self.logs = folder / "logs"
        self.logs.mkdir()
        found = programs.reachable(binaries.find())
        self._nats_server = found.nats_server
        self._launcher = Launcher(_inherited(), Log(self.logs / "standby.log"))
        wheel = Programs(found.postgres.parent, site.postgres_password)
        self.databases = Trio(
            [Instance(each, self._data(each), wheel, self._launcher, self.logs) for each in self.hosts], say
        )
        self.brokers = {host.name: self._broker(host) for host in self.hosts}
        self.processes = {(name, host.name): self._process(name, host) for host in site.running for name in PROCESSES}
        keeper = python("-m", "deploy.cli", "streams", "--watch")
        self.keeper = Program(
            "streams", self.hosts[2], keeper, {**_inherited(), **site.streams_environment()}, self._launcher, self.logs
        )
        self.endpoints = Endpoints(site.running, SERVICE_PORTS, GATEWAY_PORT)

    @property
    def gateways(self) -> tuple[str, str]:
        """Where those outside find each gateway, once the cluster is started."""
        one, other = self.endpoints.public
        return one, other

    @property
    def operator(self) -> str:
        """Where an operator asks a broker."""
        return self.site.operator.partition(",")[0]

    @property
    def programs(self) -> list[Program]:
        return [*self.brokers.values(), *self.processes.values(), self.keeper]

    def programs_on(self, host: Host) -> list[Program]:
        return [each for each in self.programs if each.host is host]

    @property
    def dsns(self) -> dict[str, str]:
        """An administrator's, of each service's database."""
        return {service: self.site.admin(service) for service in SERVICES}

    async def start(self) -> None:
        """Start everything, and return when all of it is ready. Raises Failure."""
        for broker in self.brokers.values():
            broker.start()
        self._say("starting the databases")
        await self.databases.start()
        self._say("making the tables")
        await asyncio.gather(*map(self._prepare, SERVICES))
        self.keeper.start()
        await self.endpoints.open()
        for process in self.processes.values():
            process.start()
        self._say("waiting for everything")
        await self.whole_within(READY_SECONDS)

    async def stop(self) -> None:
        await self.endpoints.close()
        await asyncio.gather(*(each.stop() for each in self.processes.values()), self.keeper.stop())
        await asyncio.gather(*(each.stop() for each in self.brokers.values()), self.databases.stop())
        await self._launcher.close()

    async def whole_within(self, seconds: float) -> None:
        """Wait until nothing is missing. Raises Failure with what is, when that takes longer."""
        began, logged = time.monotonic(), list[str]()
        while faults := await self.missing():
            if time.monotonic() - began > seconds:
                raise Failure(f"The cluster is not whole after {seconds:.0f} s.", faults)
            if faults != logged and time.monotonic() - began > SLOW_SECONDS:
                self._say(f"missing: {', '.join(faults)}")
                logged = faults
            await asyncio.sleep(0.5)

    async def listed(self) -> None:
        """Wait until every replica is an endpoint. Raises TimeoutError."""
        async with asyncio.timeout(READY_SECONDS):
            while not all(each.is_listed for each in self.endpoints.all):  # noqa: ASYNC110 - what probes find
                await asyncio.sleep(0.1)

    async def missing(self) -> list[str]:
        """What is not as it is when nothing is broken: an endpoint, a standby, a stream on three with its leader."""
        ready = await asyncio.gather(*(each.probe() for each in self.endpoints.all))  # a list may be some seconds old
        faults = [
            f"{each.service} on {each.host.name}"
            for each, is_ready in zip(self.endpoints.all, ready, strict=True)
            if not (is_ready and each.is_listed)
        ]
        if not await self.databases.whole():
            faults.append(f"a standby of {self.databases.primary.host.name}")
        return faults + await self._missing_of_streams()

    async def monitor(self, host: Host, path: str) -> bytes:
        """What a broker's monitoring says; empty when it says nothing."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(host.address, MONITOR_PORT)
                try:
                    writer.write(f"GET {path} HTTP/1.0\r\nHost: monitor\r\n\r\n".encode())
                    return (await reader.read()).partition(b"\r\n\r\n")[2]
                finally:
                    writer.close()
        return b""

    async def leader(self, stream: str) -> Host | None:
        """The host whose broker leads a stream; None when there is none, or nobody knows."""
        for host in self.hosts:
            for each in await self._streams(host):
                if each["name"] == stream and (name := _cluster(each).get("leader")):
                    return next((other for other in self.hosts if other.name == name), None)
        return None

    async def _streams(self, host: Host) -> list[dict[str, Any]]:
        content = await self.monitor(host, "/jsz?streams=true&consumers=true&config=true")
        if not content:
            return []
        accounts = msgspec.json.decode(content).get("account_details") or []
        return [stream for account in accounts for stream in account.get("stream_detail") or []]

    async def _missing_of_streams(self) -> list[str]:
        """Streams and consumers without a leader, and what their leaders say of their copies; others know nothing."""
        faults: dict[str, list[str]] = {}
        for host in self.hosts:
            for stream in await self._streams(host):
                for group in (stream, *_consumers(stream)):
                    name = f"{stream['name']} {group['name']}" if group is not stream else str(stream["name"])
                    faults.setdefault(name, ["no leader"])
                    if _cluster(group).get("leader") == host.name:
                        faults[name] = _faults_of_group(group, self.site.replicas)
        missing = [f"stream {name}" for name in ("COMMANDS", "EVENTS") if name not in faults]
        return missing + [f"{name}: {', '.join(found)}" for name, found in faults.items() if found]

    async def found_organisation(self, name: str, email: str) -> Created:
        """Another organisation, with its first administrator. Raises Failure."""
        words = ("-m", "deploy.cli", "org", "create", "--name", name, "--admin-email", email, "--json")
        process = await asyncio.create_subprocess_exec(
            *python(*words),
            env={
                **_inherited(),
                "SERX_DATABASE_DSN": self.site.database("identity"),
                "SERX_ADMIN_PASSWORD": self.site.postgres_password,
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        if process.returncode:
            raise Failure(f"The organisation {name} could not be made.", errors.decode().splitlines()[-8:])
        return msgspec.json.decode(output, type=Created)

    async def _prepare(self, service: str) -> None:
        owner, own = self.site.passwords(service)
        admin = f"postgresql://postgres:{quote(self.site.postgres_password)}@{self.hosts[0].address}:5432/postgres"
        await provision(admin, service, owner, own)
        database = f"serx_{service}"
        place = f"{self.hosts[0].address}:5432"
        await migrate(f"postgresql://serx_{service}_owner:{quote(owner)}@{place}/{database}", service)

    def _broker(self, host: Host) -> Program:
        store = self.store_of(host)
        self.disks.make(store)
        config = self.folder / f"nats-{host.name}.conf"
        server = NatsServer(
            host=host.address,
            port=BROKER_PORT,
            server_name=host.name,
            store_dir=PurePath(store),
            operator_password=self.site.operator_password,
            public_keys={user: public_key(seed) for user, seed in self.site.seeds.items()},
            monitor_port=MONITOR_PORT,
            monitor_host=host.address,
            cluster=nats_config.Cluster(
                host=host.routes_address,
                port=ROUTE_PORT,
                clients=f"{host.address}:{BROKER_PORT}",
                routes=f"{host.routes_address}:{ROUTE_PORT}",
                others=[f"{other.routes_address}:{ROUTE_PORT}" for other in self.hosts if other is not host],
                route_password=self.site.route_password,
                system_password=self.site.system_password,
            ),
        )
        config.write_text(render(server))
        config.chmod(0o600)
        command = (str(self._nats_server), "-c", str(config))
        return Program("nats", host, command, {"PATH": os.environ.get("PATH", os.defpath)}, self._launcher, self.logs)

    def store_of(self, host: Host) -> Path:
        """Where a host's broker keeps its streams."""
        return self.folder / f"nats-{host.name}"

    def _data(self, host: Host) -> Path:
        place = self.folder / f"postgres-{host.name}"
        self.disks.make(place)
        user = postgres.user()
        os.chown(place, user.pw_uid, user.pw_gid)
        return place / "data"

    def _process(self, name: str, host: Host) -> Program:
        environment = {**_inherited(), **self.site.environment(name, host)}
        return Program(name, host, python("-m", "deploy.run", name), environment, self._launcher, self.logs)


def _cluster(group: Mapping[str, Any]) -> Mapping[str, Any]:
    return group.get("cluster") or {}


def _consumers(stream: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return stream.get("consumer_detail") or []


def _faults_of_group(group: Mapping[str, Any], replicas: int) -> list[str]:
    peers = _cluster(group).get("replicas") or []
    faults = [] if len(peers) + 1 == replicas else [f"on {len(peers) + 1} servers"]
    return faults + [f"{peer['name']} lags" for peer in peers if not peer.get("current") or peer.get("offline")]


def _inherited() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SERX_")}
    return environment | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
