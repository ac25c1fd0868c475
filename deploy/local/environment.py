"""What each process finds in its environment: its own credentials, and nobody else's."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from deploy.local.credentials import Credentials
from deploy.local.folder import DataFolder
from deploy.local.ports import HOST, Ports
from deploy.nats_config import OPERATOR
from deploy.provisioning import database_name, login_dsn, owner_role, service_role
from shared.messaging.topology import SERVICES, STREAM_KEEPER

_ROOT = Path(__file__).resolve().parents[2]


class Addresses:
    """Where everything is, and how each one logs in."""

    def __init__(self, folder: DataFolder, ports: Ports, credentials: Credentials) -> None:
        self._folder = folder
        self._ports = ports
        self._credentials = credentials

    @property
    def postgres_admin(self) -> str:
        return f"postgresql://postgres:{self._credentials.postgres_admin}@{HOST}:{self._ports['postgres']}/postgres"

    @property
    def nats_operator(self) -> str:
        return f"nats://{OPERATOR}:{self._credentials.nats_operator}@{HOST}:{self._ports['nats']}"

    @property
    def nats_streams(self) -> str:
        """As the user that makes streams and puts them right."""
        return f"nats://{self._credentials.nats(STREAM_KEEPER)}@{HOST}:{self._ports['nats']}"

    def http(self, process: str) -> str:
        return f"http://{HOST}:{self._ports[process]}"

    def database(self, service: str) -> str:
        return login_dsn(
            self.postgres_admin,
            user=service_role(service),
            password=self._credentials.database(service),
            database=database_name(service),
        )

    def migration(self, service: str) -> str:
        return login_dsn(
            self.postgres_admin,
            user=owner_role(service),
            password=self._credentials.owner(service),
            database=database_name(service),
        )

    def environment(self, process: str) -> dict[str, str]:
        """What the operator has set, and over it what this installation needs."""
        own = {
            "SERX_HOST": HOST,
            "SERX_PORT": str(self._ports[process]),
            "SERX_NATS_URL": f"nats://{self._credentials.nats(process)}@{HOST}:{self._ports['nats']}",
        }
        own |= self._gateway() if process == "gateway" else self._service(process)
        defaults = {"SERX_LOG_FORMAT": "json", "SERX_LOG_LEVEL": "info"}
        return defaults | inherited(self._folder) | own

    def _gateway(self) -> dict[str, str]:
        own = {"SERX_METRICS_PORT": str(self._ports["gateway_metrics"])}
        for service in SERVICES:
            own[f"SERX_{service.upper()}_URL"] = self.http(service)
            own[f"SERX_{service.upper()}_KEY"] = self._credentials.internal_key(service)
        return own

    def _service(self, service: str) -> dict[str, str]:
        own = {
            "SERX_DATABASE_DSN": self.database(service),
            "SERX_INTERNAL_KEYS": self._credentials.internal_key(service),
            "SERX_NATS_MONITOR_URL": f"http://{HOST}:{self._ports['nats_monitor']}",
        }
        if service == "identity":
            own["SERX_SESSION_KEYS"] = self._credentials.session_keys
        return own


def inherited(folder: DataFolder) -> dict[str, str]:
    """Our own environment, made so that a child finds the same code, loads it fast and is not held up by buffers."""
    environment = dict(os.environ) | {"PYTHONUNBUFFERED": "1"}
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        # Nothing is to be written beside the sources; but to compile everything at each start takes a second.
        environment.setdefault("PYTHONPYCACHEPREFIX", str(folder.bytecode))
    if str(_ROOT) not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        rest = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), rest)))
    return environment


def python(*arguments: str) -> tuple[str, ...]:
    """This very interpreter; `-P` keeps a folder named `services` where the operator stands from being imported."""
    return (sys.executable, "-P", *arguments)
