"""What the parts of the cluster know: addresses, passwords and keys, as an operator would give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from secrets import token_urlsafe

from deploy.nats_config import OPERATOR, new_seed
from deploy.proof.cluster.network import Host
from deploy.provisioning import database_name, owner_role, service_role
from shared.messaging.topology import SERVICES, STREAM_KEEPER, USERS

BROKER_PORT = 4222
DATABASE_PORT = 5432
SERVICE_PORTS = {name: 8101 + number for number, name in enumerate(SERVICES)}
GATEWAY_PORT = 8000


class Site:
    """Every address and credential, made once; nothing outlives the run."""

    def __init__(self, hosts: Sequence[Host], *, replicas: int = 3) -> None:
        self.hosts = tuple(hosts)
        self.running = self.hosts[:2]
        """Where processes run."""
        self.replicas = replicas
        self.postgres_password = token_urlsafe(24)
        self.operator_password = token_urlsafe(24)
        self.route_password = token_urlsafe(24)
        self.system_password = token_urlsafe(24)
        self.seeds = {user: new_seed() for user in USERS}
        self._roles = {role(name): token_urlsafe(24) for name in SERVICES for role in (owner_role, service_role)}
        self._keys = {name: token_urlsafe(32) for name in SERVICES}
        self._session_keys = token_urlsafe(32)

    def broker(self, login: str) -> str:
        """The three brokers, for somebody who logs in so."""
        return ",".join(f"nats://{login}@{host.address}:{BROKER_PORT}" for host in self.hosts)

    @property
    def operator(self) -> str:
        return self.broker(f"{OPERATOR}:{self.operator_password}")

    def dsn(self, user: str, password: str, database: str) -> str:
        """The three servers, of which the primary is meant."""
        places = ",".join(f"{host.address}:{DATABASE_PORT}" for host in self.hosts)
        return f"postgresql://{user}:{password}@{places}/{database}?target_session_attrs=read-write"

    def admin(self, service: str | None = None) -> str:
        """The administrator's, of a service's database or of `postgres`."""
        return self.dsn("postgres", self.postgres_password, database_name(service) if service else "postgres")

    def passwords(self, service: str) -> tuple[str, str]:
        """The owner's and the service's own."""
        return self._roles[owner_role(service)], self._roles[service_role(service)]

    def database(self, service: str) -> str:
        return self.dsn(service_role(service), self._roles[service_role(service)], database_name(service))

    def environment(self, process: str, host: Host) -> Mapping[str, str]:
        """What a replica on `host` is given, beside what all processes of a machine inherit."""
        own = {
            "SERX_HOST": host.address,
            "SERX_PORT": str(GATEWAY_PORT if process == "gateway" else SERVICE_PORTS[process]),
            "SERX_NATS_URL": self.broker(self.seeds[process]),
            "SERX_REPLICA": f"{process}-{host.name}",
            "SERX_LOG_FORMAT": "json",
            "SERX_LOG_LEVEL": "info",
        }
        if process == "gateway":
            own["SERX_RATE_LIMIT"] = "0"
            for name, port in SERVICE_PORTS.items():
                own[f"SERX_{name.upper()}_URL"] = ",".join(f"http://{each.address}:{port}" for each in self.running)
                own[f"SERX_{name.upper()}_KEY"] = self._keys[name]
            return own
        own |= {"SERX_DATABASE_DSN": self.database(process), "SERX_INTERNAL_KEYS": self._keys[process]}
        return own | ({"SERX_SESSION_KEYS": self._session_keys} if process == "identity" else {})

    def streams_environment(self) -> Mapping[str, str]:
        """What `serx streams --watch` is given."""
        return {"SERX_NATS_URL": self.broker(self.seeds[STREAM_KEEPER]), "SERX_STREAM_REPLICAS": str(self.replicas)}
