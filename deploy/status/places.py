"""Where everything is that `serx status` looks at: of a running `serx up`, or as the environment says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploy.environment import setting
from deploy.failure import Failure
from deploy.local import existing
from deploy.local.ports import HOST
from shared.messaging.topology import SERVICES

_GATEWAY = "SERX_GATEWAY_URL"
_GATEWAY_METRICS = "SERX_GATEWAY_METRICS_URL"
_MONITOR = "SERX_NATS_MONITOR_URL"
_BROKER = "SERX_NATS_URL"


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses, as `http://host:port`; what is None is not looked at."""

    processes: Mapping[str, str]
    metrics: Mapping[str, str]
    """Of each process that tells anything: a service's are at its own address, the gateway's are not."""
    broker: str | None
    """Its monitoring."""
    broker_login: str | None = None
    """Its URL with an operator's login, for where the monitoring cannot be reached."""


def found(data_dir: Path | None, environ: Mapping[str, str]) -> Places:
    """The data folder that was named; else what the environment names; else the data folder of `make up`.

    Raises Failure when nothing runs there, or when the environment does not name every process.
    """
    if data_dir is not None:
        return of_folder(data_dir)
    return of_environment(environ) if setting(_GATEWAY, environ=environ) else of_folder(Path(".serx"))


def of_folder(root: Path) -> Places:
    """Of the `serx up` that uses this data folder."""
    folder, ready = existing.serving(root)
    ports = existing.ports_of(folder, "gateway_metrics", "nats_monitor")
    services = {name: existing.process(folder, ready, name).url for name in SERVICES}
    return Places(
        processes={"gateway": ready.gateway_url, **services},
        metrics={"gateway": f"http://{HOST}:{ports['gateway_metrics']}", **services},
        broker=f"http://{HOST}:{ports['nats_monitor']}",
    )


def of_environment(environ: Mapping[str, str]) -> Places:
    """Of any installation; the services' addresses are the gateway's own settings."""
    names = {service: f"SERX_{service.upper()}_URL" for service in SERVICES}
    addresses = {
        name: setting(name, environ=environ) for name in (_GATEWAY, _GATEWAY_METRICS, _MONITOR, *names.values())
    }
    missing = [name for name in names.values() if not addresses[name]]
    if missing:
        raise Failure(f"To look at every process, set {', '.join(missing)} as well, as the gateway has them.")
    known = {name: address.rstrip("/") for name, address in addresses.items() if address}
    services = {service: known[name] for service, name in names.items()}
    return Places(
        processes={"gateway": known[_GATEWAY]} | services,
        metrics=({"gateway": known[_GATEWAY_METRICS]} if _GATEWAY_METRICS in known else {}) | services,
        broker=known.get(_MONITOR),
        broker_login=setting(_BROKER, environ=environ),
    )
