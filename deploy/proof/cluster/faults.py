"""What is broken, how, and within how many seconds the next signature has to come through."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from enum import Enum

import msgspec

from deploy.proof.cluster import broker_faults, database_faults, disk_faults, host_faults, process_faults
from deploy.proof.cluster.stack import Cluster


class Since(Enum):
    """From when the limit counts."""

    FAULT = "the fault"
    PROMOTION = "the promotion of another primary"
    END = "its end"
    REPAIR = "the promotion of another primary, or its end if there is none"


Make = Callable[[Cluster, random.Random], Awaitable[str]]
"""Make the fault, and undo it; returns where it was made."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of fault, in the words of the table."""

    name: str
    make: Make
    limit_seconds: float
    """For the next signature that is asked for after `since`."""
    since: Since = Since.FAULT
    reads_seconds: float = 3.0
    """The longest time without an answered read while it lasts."""
    signatures_seconds: float | None = None
    """The same of completed signatures, where they have to go on."""


def _failover(name: str, make: Make, limit_seconds: float, *, reads_seconds: float = 15.0) -> Fault:
    """One after which another database may have to take over: what counts is how soon after that things go on."""
    return Fault(name=name, make=make, limit_seconds=limit_seconds, since=Since.PROMOTION, reads_seconds=reads_seconds)


def _while_brokers(name: str, make: Make, limit_seconds: float) -> Fault:
    """One that leaves brokers unusable for a while, in which signatures go on."""
    return Fault(name=name, make=make, limit_seconds=limit_seconds, signatures_seconds=8.0)


FAULTS = (
    Fault(name="broker killed", make=broker_faults.kill_broker, limit_seconds=1.0),
    Fault(name="streams' leader killed", make=broker_faults.kill_leader, limit_seconds=3.0),
    _while_brokers("two of three brokers killed", broker_faults.kill_two_brokers, 3.0),
    _while_brokers("streams' leader frozen", broker_faults.freeze_broker, 8.0),
    _while_brokers("broker isolated from its peers", broker_faults.isolate_broker, 8.0),
    Fault(name="broker's disk lost", make=broker_faults.lose_broker_disk, limit_seconds=3.0),
    _while_brokers("disk of the streams' leader full", disk_faults.fill_broker, 8.0),
    Fault(name="brokers rolled", make=broker_faults.roll_brokers, limit_seconds=3.0),
    _failover("primary killed", database_faults.kill_primary, 1.0, reads_seconds=8.0),
    _failover("primary frozen", database_faults.freeze_primary, 8.0),
    _failover("primary switched", database_faults.switch_primary, 1.0, reads_seconds=8.0),
    Fault(
        name="primary's disk full",
        make=disk_faults.fill_primary,
        limit_seconds=3.0,
        since=Since.REPAIR,
        reads_seconds=15.0,
    ),
    Fault(name="standby killed", make=database_faults.kill_standby, limit_seconds=1.0),
    Fault(name="database read-only for 4 s", make=database_faults.be_read_only, limit_seconds=2.0, since=Since.END),
    Fault(name="process killed", make=process_faults.kill_process, limit_seconds=2.0),
    Fault(name="both replicas killed", make=process_faults.kill_both_replicas, limit_seconds=8.0, reads_seconds=8.0),
    Fault(name="process frozen", make=process_faults.freeze_process, limit_seconds=10.0),
    Fault(name="processes rolled", make=process_faults.roll_processes, limit_seconds=2.0),
    _failover("host cut off", host_faults.cut_host, 10.0),
    _failover("primary's host cut off", host_faults.cut_primary, 8.0),
    Fault(
        name="host's network slow and lossy", make=host_faults.slow_host, limit_seconds=10.0, signatures_seconds=10.0
    ),
    _failover("host cut off one way", host_faults.cut_one_way, 10.0),
    _failover("host lost", host_faults.lose_host, 10.0),
)
