"""The whole system at one moment, as `serx status` finds it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from deploy.brokers.cluster import Cluster

OPEN_STATES = ("running", "compensating", "parked")


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process; what it does not tell is None."""

    name: str
    url: str
    answers: bool
    is_ready: bool
    checks: Mapping[str, bool]
    """What it says of its own needs; empty when it does not answer, or when it is not known where it says so."""
    version: str = ""
    replica: str = ""
    up_seconds: float | None = None
    memory_bytes: float | None = None
    requests: float | None = None
    failed: float | None = None
    """Requests answered with a 5xx since the process started."""
    p95_seconds: float | None = None
    """A bound that 95 of 100 requests so far kept to."""
    loop_delay_p99_seconds: float | None = None


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """A service's database, and what waits in it."""

    service: str
    is_up: bool
    connections: float | None = None
    in_use: float | None = None
    most: float | None = None
    waiting: float | None = None
    unpublished: float | None = None
    oldest_unpublished_seconds: float | None = None
    parked: float | None = None


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """One service's consumer of one stream."""

    service: str
    waiting: int
    under_way: int
    redelivered: int
    differs_in: tuple[str, ...] = ()
    """Fields that are not as they are to be."""


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody else's service that hears events, by a consumer of its own."""

    name: str
    hears: tuple[str, ...]
    """Types without their version, as `proposal.signed`, or all of a resource's, as `order.*`."""
    waiting: int
    under_way: int
    redelivered: int


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of the broker."""

    name: str
    messages: int
    bytes: int
    replicas: int
    consumers: tuple[Consumer, ...]
    differs_in: tuple[str, ...] = ()
    """Fields that are not as they are to be."""
    listeners: tuple[Listener, ...] = ()


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """The broker, by its own monitoring or API."""

    url: str
    is_up: bool
    away: tuple[str, ...] = ()
    """Of several servers' monitoring: those that do not answer."""
    obstacle: str = ""
    """Why it could not be asked, where that is known."""
    version: str = ""
    syncs_always: bool | None = False
    """None, and so `connections`, where only its monitoring would tell."""
    connections: int | None = 0
    streams: tuple[Stream, ...] = ()


class Flows(msgspec.Struct, frozen=True, kw_only=True):
    """Signatures under way, and the age of the oldest, by state; how others have ended since the process started."""

    open: Mapping[str, float]
    oldest_seconds: Mapping[str, float]
    completed: float
    rejected: float
    taken_over: float


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """Everything; healthy when there are no `faults`, which are sentences."""

    is_healthy: bool
    faults: tuple[str, ...]
    processes: tuple[Process, ...]
    databases: tuple[Store, ...]
    broker: Broker | None
    """None where neither its monitoring nor an operator's login is known."""
    flows: Flows | None
    """None while the proposal service does not tell."""
    brokers: Cluster | None = None
    """None where their system account is not known, or does not tell."""
