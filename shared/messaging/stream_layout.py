"""How the streams and the services' consumers are to be, and in what one that was found differs from that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    PersistMode,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from shared.messaging import topology

MAX_ACK_PENDING: Final = 1000

_OWN_METADATA: Final = "_nats."
"""What the server itself notes of a stream or consumer."""


class _Defaults(msgspec.Struct):
    """What the server puts where nothing is asked for, other than nothing; the longest list is that of NATS 2.15."""

    retention: str = "limits"
    discard: str = "old"
    storage: str = "memory"
    compression: str = "none"
    persist_mode: str = "default"
    deliver_policy: str = "all"
    replay_policy: str = "instant"
    ack_policy: str = "none"
    max_consumers: int = -1
    max_msgs: int = -1
    max_bytes: int = -1
    max_msgs_per_subject: int = -1
    max_msg_size: int = -1
    max_deliver: int = -1


_DEFAULTS: Final[Mapping[str, object]] = msgspec.to_builtins(_Defaults())

Config = Mapping[str, Any]
"""A configuration as the server's API has it, in JSON: durations are nanoseconds."""


def stream_config(name: str, *, replicas: int = 1) -> StreamConfig:
    """The settings of one of our streams. Raises KeyError for another name."""
    configs = {
        topology.COMMANDS: StreamConfig(
            name=topology.COMMANDS,
            subjects=["cmd.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_age=topology.COMMANDS_MAX_AGE_SECONDS,
            duplicate_window=topology.DEDUPLICATION_WINDOW_SECONDS,
            num_replicas=replicas,
            # Loss is covered by the saga rows, so a command need not wait for the disk. NATS has this for a single
            # server only; where there are more, their agreement takes its place.
            persist_mode=PersistMode.ASYNC if replicas == 1 else None,
        ),
        topology.EVENTS: StreamConfig(
            name=topology.EVENTS,
            subjects=["evt.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=topology.EVENTS_MAX_AGE_SECONDS,
            duplicate_window=topology.DEDUPLICATION_WINDOW_SECONDS,
            num_replicas=replicas,
        ),
    }
    return configs[name]


def consumer_config(process: str, stream: str) -> ConsumerConfig:
    """The settings of the durable consumer of a process. Raises KeyError when it has none on that stream."""
    return ConsumerConfig(
        name=process,
        durable_name=process,
        deliver_subject=topology.deliver_subject(process, stream),
        deliver_group=process,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=topology.ACK_WAIT_SECONDS,
        max_deliver=-1,
        max_ack_pending=MAX_ACK_PENDING,
        filter_subjects=list(topology.TRAFFIC[process].consumes[stream]),
    )


def consumers() -> Iterator[tuple[str, str]]:
    """Every process and stream that a consumer is to be there for."""
    for process, traffic in topology.TRAFFIC.items():
        for stream in traffic.consumes:
            yield process, stream


def stream_differences(found: Config, *, replicas: int | None = None) -> tuple[str, ...]:
    """In which fields one of our streams differs from what it is to be; on how many servers it is counts if given."""
    wanted = stream_config(found["name"], replicas=found.get("num_replicas", 1) if replicas is None else replicas)
    return _differences(found, wanted.as_dict())


def consumer_differences(found: Config, process: str, stream: str) -> tuple[str, ...]:
    """In which fields the consumer of a process differs from what it is to be."""
    return _differences(found, consumer_config(process, stream).as_dict())


def _differences(found: Config, wanted: Config) -> tuple[str, ...]:
    """Every field is looked at, those that we never set and do not know of among them."""
    names = sorted({*found, *wanted})
    return tuple(name for name in names if _plain(name, found.get(name)) != _plain(name, wanted.get(name)))


def _plain(name: str, value: Any) -> object:
    """A value without what only says that nothing was asked for; lists whose order means nothing in order."""
    if name == "metadata":
        value = {key: text for key, text in (value or {}).items() if not key.startswith(_OWN_METADATA)}
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = sorted(value)
    return None if not value or value == _DEFAULTS.get(name) else value
