"""Streams, subjects, consumers, and what each process may say and hear. The one place that names them.

Subjects:

- `now.<service>.<command>`: commands to whoever hears them now, core NATS, to one replica of the service
- `cmd.<service>.<command>`: commands that wait until they are heard, in the work-queue stream COMMANDS
- `evt.<org>.<resource>.<event>`: facts, in the stream EVENTS
- `rep.<service>.<replica>.<saga>.<step>`: a service's replies, core NATS, to the replica that asked
- `saga.done.<saga>`: core NATS, wakes whoever waits for a flow that another replica finished
- `ask.<service>.<question>`: a question that cannot wait, core request/reply

The name of a message's type stands in its subject: `client.changed.v1` goes on `evt.<org>.client.changed`, and
`orders.place.v1` on `cmd.orders.place` or `now.orders.place`. So the broker's permissions on subjects decide who may
publish which type, and a receiver takes no type on another subject (see `carries`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec

_VERSION: Final = re.compile(r"\.v[1-9][0-9]*\Z")

COMMANDS: Final = "COMMANDS"
EVENTS: Final = "EVENTS"
STREAMS: Final = (COMMANDS, EVENTS)
COMMANDS_MAX_AGE_SECONDS: Final = 24 * 3600
EVENTS_MAX_AGE_SECONDS: Final = 30 * 24 * 3600
DEDUPLICATION_WINDOW_SECONDS: Final = 120
ACK_WAIT_SECONDS: Final = 5

SERVICES: Final = ("identity", "proposals", "engagements", "conversations", "orders")
PROCESSES: Final = ("gateway", *SERVICES)
STREAM_KEEPER: Final = "streams"
"""The user of the broker that makes streams and consumers and puts them right (`serx streams`)."""
USERS: Final = (*PROCESSES, STREAM_KEEPER)


def command_subject(service: str, command: str) -> str:
    return f"cmd.{service}.{command}"


def direct_subject(service: str, command: str) -> str:
    return f"now.{service}.{command}"


def kept_subject(subject: str) -> str:
    """Where a message has to be sent for a stream to keep it."""
    return re.sub(r"^now\.", "cmd.", subject)


def event_subject(org: UUID, resource: str, event: str) -> str:
    return f"evt.{org}.{resource}.{event}"


def reply_subject(service: str, replica: str, saga: UUID, step: str) -> str:
    """Where `service` replies to `replica`; no other service may publish there."""
    return f"rep.{service}.{replica}.{saga}.{step}"


def is_reply_of(service: str, subject: str) -> bool:
    """Whether `subject` is one on which `service` replies: what a command names is not trusted."""
    kind, *tokens = subject.split(".")
    return kind == "rep" and len(tokens) >= 4 and tokens[0] == service and all(tokens)


def done_subject(saga: UUID) -> str:
    return f"saga.done.{saga}"


def question_subject(service: str, question: str) -> str:
    return f"ask.{service}.{question}"


def deliver_subject(process: str, stream: str) -> str:
    return f"deliver.{process}.{stream.lower()}"


def inbox_prefix(process: str) -> str:
    """Every process has its own reply inbox, so that none can listen to another's answers."""
    return f"_INBOX_{process}"


def answers_prefix(process: str) -> str:
    """Below it, at subjects that cannot be guessed, those whom a process may ask publish their answers."""
    return f"{inbox_prefix(process)}.answers"


def is_for_answers(subject: str) -> bool:
    """Whether a question may be answered there."""
    return any(subject.startswith(f"{answers_prefix(process)}.") for process in PROCESSES)


def acks_prefix(process: str) -> str:
    """Below it the broker acknowledges what it has stored; nobody else may publish there."""
    return f"{inbox_prefix(process)}.acks"


def carries(subject: str, type: str) -> bool:
    """Whether a message of `type` belongs on `subject`: `client.changed.v1` on `evt.<org>.client.changed`."""
    kind, _, rest = subject.partition(".")
    if kind == "evt":
        rest = rest.partition(".")[2]
    elif kind not in ("cmd", "now"):
        return False
    return rest not in ("", type) and _VERSION.sub("", type) == rest


def organisation_in(subject: str) -> str | None:
    """The organisation that an event's subject names; None for other subjects."""
    kind, org, *_ = [*subject.split("."), ""]
    return org if kind == "evt" else None


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What one process says and hears, beside its own inbox and consumers."""

    says: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    consumes: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    """Streams on which it has a durable consumer, named after the process, with the subjects that it consumes."""
    watches: tuple[str, ...] = ()
    """Streams that it looks at: from a server where they cannot be reached it goes to another."""


TRAFFIC: Final[dict[str, Traffic]] = {
    "gateway": Traffic(hears=("evt.*.credential.revoked",), watches=(EVENTS,)),
    "identity": Traffic(
        says=(
            "evt.*.client.*",
            "evt.*.user.*",
            "evt.*.credential.revoked",
            "rep.identity.>",
            "ask.engagements.close-client",
            "ask.orders.close-client",
        ),
        hears=("ask.identity.*", "now.identity.*"),
        consumes={COMMANDS: ("cmd.identity.*",)},
        watches=(COMMANDS, EVENTS),
    ),
    "proposals": Traffic(
        says=(
            "now.identity.ensure-client",
            "now.engagements.open",
            "now.orders.place",
            "cmd.identity.ensure-client",
            "cmd.engagements.open",
            "cmd.engagements.cancel",
            "cmd.orders.place",
            "cmd.orders.cancel",
            "evt.*.proposal.*",
            "evt.*.template.*",
            "saga.done.*",
            "ask.identity.client-of-address",
        ),
        hears=("rep.>", "saga.done.*", "ask.proposals.*"),
        consumes={EVENTS: ("evt.*.client.*",)},
        watches=(COMMANDS, EVENTS),
    ),
    "engagements": Traffic(
        says=(
            "evt.*.engagement.*",
            "evt.*.project.*",
            "rep.engagements.>",
            "ask.identity.client",
            "ask.proposals.*",
        ),
        hears=("ask.engagements.*", "now.engagements.*"),
        consumes={COMMANDS: ("cmd.engagements.*",), EVENTS: ("evt.*.client.*", "evt.*.template.*")},
        watches=(COMMANDS, EVENTS),
    ),
    "conversations": Traffic(
        says=("evt.*.conversation.*", "evt.*.message.*", "ask.identity.*", "ask.engagements.project"),
        hears=("ask.conversations.*",),
        consumes={EVENTS: ("evt.*.project.*", "evt.*.client.*", "evt.*.user.*")},
        watches=(COMMANDS, EVENTS),
    ),
    "orders": Traffic(
        says=(
            "evt.*.order.*",
            "rep.orders.>",
            "ask.identity.*",
            "ask.proposals.template",
            "ask.engagements.engagement",
        ),
        hears=("ask.orders.*", "now.orders.*"),
        consumes={
            COMMANDS: ("cmd.orders.*",),
            EVENTS: ("evt.*.client.*", "evt.*.user.*", "evt.*.template.*", "evt.*.engagement.*"),
        },
        watches=(COMMANDS, EVENTS),
    ),
}


class Permissions(msgspec.Struct, frozen=True):
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(user: str) -> Permissions:
    """The NATS permissions of one process: its own subjects, its own inbox, and to look at its streams and consumers.

    It may neither make nor change a stream or a consumer. NATS knows permissions on subjects alone: whoever makes a
    stream decides where it republishes, and whoever makes a consumer decides on which subject it delivers, which could
    be another service's command. Raises KeyError for a user that the topology does not know.
    """
    if user == STREAM_KEEPER:
        return _of_the_stream_keeper()
    traffic = TRAFFIC[user]
    publish = [*traffic.says, *(f"$JS.API.STREAM.INFO.{stream}" for stream in traffic.watches)]
    subscribe = [f"{inbox_prefix(user)}.>", *traffic.hears]
    for stream in traffic.consumes:
        publish += [f"$JS.API.CONSUMER.INFO.{stream}.{user}", f"$JS.ACK.{stream}.{user}.>"]
        subscribe += [deliver_subject(user, stream)]
    publish += [f"{answers_prefix(asker)}.>" for asker in askers(user)]
    return Permissions(tuple(publish), tuple(subscribe))


def askers(process: str) -> list[str]:
    """Those who may ask a process something."""
    return [name for name, traffic in TRAFFIC.items() if any(_asks(each, process) for each in traffic.says)]


def _asks(subject: str, process: str) -> bool:
    return subject.startswith(f"ask.{process}.")


def _of_the_stream_keeper() -> Permissions:
    publish = [f"$JS.API.STREAM.{verb}.{name}" for name in STREAMS for verb in ("INFO", "CREATE", "UPDATE")]
    for process, traffic in TRAFFIC.items():
        for stream in traffic.consumes:
            publish += [f"$JS.API.CONSUMER.{verb}.{stream}.{process}" for verb in ("INFO", "CREATE", "DELETE")]
    return Permissions(tuple(publish), (f"{inbox_prefix(STREAM_KEEPER)}.>",))
