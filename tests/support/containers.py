"""PostgreSQL and NATS in containers, where a Docker engine answers and has their images."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from deploy.local.ports import HOST
from deploy.local.probes import nats_ready, postgres_ready
from tests.support.ports import free_port

POSTGRES_IMAGE = os.environ.get("SERX_TEST_POSTGRES_IMAGE", "postgres:18")
NATS_IMAGE = os.environ.get("SERX_TEST_NATS_IMAGE", "nats:2.12-alpine")
_SOCKET = Path("/var/run/docker.sock")
_START_SECONDS = 60.0


@cache
def has(image: str) -> bool:
    """Whether Docker answers and has the image. One that would have to be pulled does not count: a test run must not
    hang on a registry. Nor does an engine in a virtual machine: NATS stands on the host's own network.
    """
    if sys.platform != "linux":
        return False
    if "DOCKER_HOST" not in os.environ and not _SOCKET.exists():
        return False
    import docker
    from docker.errors import DockerException, ImageNotFound

    if not _answers():
        return False
    try:
        client = docker.from_env(timeout=2)
    except DockerException:
        return False
    try:
        client.images.get(image)
    except (ImageNotFound, DockerException):
        return False
    finally:
        client.close()
    return True


def _answers() -> bool:
    """Whether we may connect to Docker's socket and somebody listens there.

    Docker's library leaves its socket open when it may not, and the warning about that becomes an error in whatever
    test runs when it is collected.
    """
    address = os.environ.get("DOCKER_HOST", f"unix://{_SOCKET}")
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(address.removeprefix("unix://"))
        except OSError:
            return False
    return True


@asynccontextmanager
async def postgres_container() -> AsyncIterator[str]:
    """A PostgreSQL, without the care for its data that a test has no use for; yields an administrator's DSN."""
    password, port = secrets.token_hex(8), free_port()
    settings = ("max_connections=300", "jit=off", "fsync=off")
    command = ["postgres", *(part for setting in settings for part in ("-c", setting))]
    container = _container(POSTGRES_IMAGE, command, POSTGRES_PASSWORD=password).with_bind_ports(5432, port)
    dsn = f"postgresql://postgres:{password}@{HOST}:{port}/postgres"
    await asyncio.to_thread(container.start)
    try:
        await _until_ready(lambda: postgres_ready(dsn))
        yield dsn
    finally:
        await asyncio.to_thread(container.stop)


class NatsContainer:
    """A NATS that can be killed, started again, and made to forget its store; its address stays."""

    def __init__(self, config: Path, port: int) -> None:
        self._config = config
        self.port = port
        self._container = None

    async def start(self) -> None:
        if self._container is None:
            command = ["--config", "/nats.conf"]
            # On the host's network: Docker's proxy would take a connection and drop it while nobody is behind it.
            container = self._container = _container(NATS_IMAGE, command).with_kwargs(network_mode="host")
            container.with_volume_mapping(str(self._config), "/nats.conf")
            await asyncio.to_thread(container.start)
        else:
            await asyncio.to_thread(self._container.get_wrapped_container().start)
        await _until_ready(lambda: nats_ready(self.port))

    async def kill(self) -> None:
        """SIGKILL; nothing if it is not running."""
        if self._container is not None:
            wrapped = self._container.get_wrapped_container()
            await asyncio.to_thread(wrapped.reload)
            if wrapped.status == "running":
                await asyncio.to_thread(wrapped.kill)

    def forget(self) -> None:
        """The store is in the container: the next start is another one's."""
        if self._container is not None:
            self._container.stop()
            self._container = None


def _container(image: str, command: list[str], **environment: str):
    # Its janitor is one more image to pull; every container here is stopped by whoever started it.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(image).with_command(command)
    for name, value in environment.items():
        container.with_env(name, value)
    return container


async def _until_ready(is_ready) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while not await is_ready():  # noqa: ASYNC110  # another process: nobody tells us
            await asyncio.sleep(0.05)
