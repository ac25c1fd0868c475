"""Where everything is that `serx status` looks at: of a running `serx up`, or as the environment says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploy.environment import setting, settings
from deploy.failure import Failure
from deploy.local import existing
from deploy.local.ports import HOST
from shared.messaging.topology import SERVICES

_GATEWAY = "SERX_GATEWAY_URL"
_GATEWAY_METRICS = "SERX_GATEWAY_METRICS_URL"
_MONITOR = "SERX_NATS_MONITOR_URL"
_BROKER = "SERX_NATS_URL"
_SYSTEM = "SERX_SYSTEM_NATS_URL"


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses, as `http://host:port`; what is None is not looked at."""

    processes: Mapping[str, tuple[str, ...]]
    """Of every replica."""
    metrics: Mapping[str, tuple[str, ...]]
    """Of each process that tells anything, in the same order: a service's are at its own address, a gateway's not."""
    monitors: tuple[str, ...]
    """The monitoring of every broker."""
    broker_login: str | None = None
    """Its URL with an operator's login, for where the monitoring cannot be reached."""
    brokers: str | None = None
    """The URL of a cluster's system account."""


def found(data_dir: Path | None, environ: Mapping[str, str]) -> Places:
    """The data folder that was named; else what the environment names; else the data folder of `make up`.

    Raises Failure when nothing runs there, or when the environment does not name every process.
    """
    if data_dir is not None:
        return of_folder(data_dir)
    return of_environment(environ) if settings(_GATEWAY, environ=environ) else of_folder(Path(".serx"))


def of_folder(root: Path) -> Places:
    """Of the `serx up` that uses this data folder."""
    folder, ready = existing.serving(root)
    ports = existing.ports_of(folder, "gateway_metrics", "nats_monitor")
    services = {name: (existing.process(folder, ready, name).url,) for name in SERVICES}
    return Places(
        processes={"gateway": (ready.gateway_url,), **services},
        metrics={"gateway": (f"http://{HOST}:{ports['gateway_metrics']}",), **services},
        monitors=(f"http://{HOST}:{ports['nats_monitor']}",),
    )


def of_environment(environ: Mapping[str, str]) -> Places:
    """Of any installation; the services' addresses are the gateway's own settings."""
    names = {service: f"SERX_{service.upper()}_URL" for service in SERVICES}
    known = {name: settings(name, environ=environ) for name in (_GATEWAY, _GATEWAY_METRICS, _MONITOR, *names.values())}
    missing = [name for name in names.values() if not known[name]]
    if missing:
        raise Failure(f"To look at every process, set {', '.join(missing)} as well, as the gateway has them.")
    if known[_GATEWAY_METRICS] and len(known[_GATEWAY_METRICS]) != len(known[_GATEWAY]):
        raise Failure(f"{_GATEWAY_METRICS} has to name as many addresses as {_GATEWAY}, in the same order.")
    services = {service: known[name] for service, name in names.items()}
    return Places(
        processes={"gateway": known[_GATEWAY]} | services,
        metrics=({"gateway": known[_GATEWAY_METRICS]} if known[_GATEWAY_METRICS] else {}) | services,
        monitors=known[_MONITOR],
        broker_login=setting(_BROKER, environ=environ),
        brokers=setting(_SYSTEM, environ=environ),
    )
