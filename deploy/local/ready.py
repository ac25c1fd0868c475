"""`ready.json`: what runs, where, and how to log in. There while everything serves, and gone at the end."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from deploy.local.environment import Addresses
from deploy.local.folder import DataFolder, write_private
from deploy.local.known_demo import Demo
from shared.messaging.topology import PROCESSES


class Running(msgspec.Struct, frozen=True):
    pid: int
    url: str


class DemoAccess(msgspec.Struct, frozen=True):
    """The demo organisation's credentials, good for as long as the data folder."""

    org_id: str
    admin_token: str
    client_token: str
    admin_email: str
    admin_password: str


class Ready(msgspec.Struct, frozen=True):
    gateway_url: str
    pid: int
    services: dict[str, Running]
    demo: DemoAccess | None


def describe(addresses: Addresses, pids: Mapping[str, int], demo: Demo | None) -> Ready:
    urls = {process: addresses.http(process) for process in PROCESSES}
    urls |= {"postgres": addresses.postgres_admin, "nats": addresses.nats_operator}
    return Ready(
        gateway_url=urls["gateway"],
        pid=os.getpid(),
        services={name: Running(pids[name], url) for name, url in urls.items()},
        demo=_access(demo) if demo else None,
    )


def publish(folder: DataFolder, ready: Ready) -> None:
    write_private(folder.ready, ready)


def withdraw(folder: DataFolder) -> None:
    folder.ready.unlink(missing_ok=True)


def _access(demo: Demo) -> DemoAccess | None:
    """None while the demo is half made: its client comes with the first signature."""
    if demo.client_token is None:
        return None
    return DemoAccess(demo.org_id, demo.admin_token, demo.client_token, demo.admin_email, demo.admin_password)
