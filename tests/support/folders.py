"""Data folders as a `serx up` leaves them, made without running one."""

from __future__ import annotations

import socket
from pathlib import Path

from deploy.local import binaries, credentials
from deploy.local.folder import DataFolder, note_database, opened, write_private
from deploy.local.known_demo import Demo
from deploy.local.ports import HOST, reserved
from deploy.local.ready import DemoAccess, Ready, Running
from shared.messaging.topology import PROCESSES

DEMO = Demo(
    org_id="00000000-0000-7000-8000-000000000001",
    admin_token="serx_admin",  # a token of nobody
    admin_user_id="00000000-0000-7000-8000-000000000002",
    admin_email="admin@demo.example",
    admin_password="a password for a demo",
    client_token="serx_client",
)


def stopped(root: Path) -> DataFolder:
    """The folder of an installation that was stopped: of its database only what is looked at before one is started."""
    major = binaries.find().postgres_major
    with opened(root, major) as folder, reserved(folder, 0):
        credentials.ensure(folder)
        (folder.postgres / "global").mkdir(parents=True, mode=0o700)
        (folder.postgres / "global" / "pg_control").touch()
        (folder.postgres / "PG_VERSION").write_text(f"{major}\n", encoding="ascii")
        note_database(folder)
        write_private(folder.demo, DEMO)
        write_private(folder.processes, {})
    return folder


def killed(root: Path, *, pid: int = 2**22 + 1) -> DataFolder:
    """The folder of an installation that was killed: `ready.json` says that it runs, and nothing listens there.

    The pid of its `serx up` is one that Linux never gives, if none is named.
    """
    folder = stopped(root)
    with socket.socket() as reservation:
        reservation.bind((HOST, 0))
        url = f"http://{HOST}:{reservation.getsockname()[1]}"
    nobody = Running(pid=2**22 + 1, url=url)
    services: dict[str, Running] = dict.fromkeys((*PROCESSES, "postgres", "nats"), nobody)
    demo = DemoAccess(DEMO.org_id, DEMO.admin_token, "serx_client", DEMO.admin_email, DEMO.admin_password)
    write_private(folder.ready, Ready(gateway_url=url, pid=pid, services=services, demo=demo))
    return folder
