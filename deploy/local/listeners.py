"""Listeners of a local installation: who they are (`listeners` in the data folder), and the broker's users for them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

from deploy.failure import Failure
from deploy.local import credentials, existing
from deploy.local.credentials import Credentials
from deploy.local.folder import DataFolder, read, write_private, write_private_text
from deploy.local.ports import HOST, Ports
from deploy.local.ready import Running
from deploy.nats_config import NatsServer, new_seed, public_key, render
from shared.messaging.listeners import Listener, read_listener, spell
from shared.messaging.topology import USERS


def known(folder: DataFolder) -> list[Listener]:
    """Those of the folder. Raises Failure when the file is damaged."""
    path = folder.root / "listeners"
    if not path.exists():
        return []
    try:
        return [read_listener(line) for line in path.read_text(encoding="utf-8").split()]
    except ValueError as error:
        raise Failure(f"The file {path} is damaged ({error}); mend the line, or remove it.") from error


def write_config(folder: DataFolder, own_ports: Ports, secrets: Credentials) -> None:
    """Write `nats.conf` anew: who may say what comes from the code, and listeners may have changed."""
    server = NatsServer(
        host=HOST,
        port=own_ports["nats"],
        monitor_port=own_ports["nats_monitor"],
        store_dir=folder.nats,
        operator_password=secrets.nats_operator,
        public_keys={user: public_key(secrets.nats(user)) for user in USERS},
        listeners={each: public_key(secrets.nats(each.user)) for each in known(folder)},
    )
    write_private_text(folder.nats / "nats.conf", render(server))


def change(folder: DataFolder, broker: Running, listeners: Iterable[Listener]) -> None:
    """Make these the listeners of the folder, and let the running broker read who may log in. Raises Failure."""
    own_ports = existing.ports_of(folder, "nats", "nats_monitor")
    credentials.found(folder)  # before anything is written
    listeners = tuple(listeners)
    values: dict[str, str] = read(folder.secrets, dict[str, str])
    missing = [name for each in listeners if (name := f"nkey.{each.user}") not in values]
    if missing:
        write_private(folder.secrets, values | {name: new_seed() for name in missing})
    write_private_text(folder.root / "listeners", spell(listeners) + "\n")
    write_config(folder, own_ports, credentials.found(folder))
    os.kill(broker.pid, signal.SIGHUP)


def url(folder: DataFolder, listener: Listener) -> str:
    """How the listener logs in."""
    return f"nats://{credentials.found(folder).nats(listener.user)}@{HOST}:{existing.ports_of(folder, 'nats')['nats']}"
