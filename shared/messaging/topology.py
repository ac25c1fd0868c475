"""Streams, subjects, consumers, and what each process may say and hear. The one place that names them.

Subjects:

- `now.<service>.<command>`: commands to whoever hears them now, core NATS, to one replica of the service
- `cmd.<service>.<command>`: commands that wait until they are heard, in the work-queue stream COMMANDS
- `evt.<org>.<resource>.<event>`: facts, in the stream EVENTS
- `rep.<replica>.<saga>.<step>`: replies, core NATS, to the replica that asked
- `saga.done.<saga>`: core NATS, wakes whoever waits for a flow that another replica finished
- `ask.<service>.<question>`: a question that cannot wait, core request/reply
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

import msgspec

COMMANDS: Final = "COMMANDS"
EVENTS: Final = "EVENTS"
COMMANDS_MAX_AGE_SECONDS: Final = 24 * 3600
EVENTS_MAX_AGE_SECONDS: Final = 30 * 24 * 3600
DEDUPLICATION_WINDOW_SECONDS: Final = 120
ACK_WAIT_SECONDS: Final = 5

SERVICES: Final = ("identity", "proposals", "engagements", "conversations", "orders")
PROCESSES: Final = ("gateway", *SERVICES)


def command_subject(service: str, command: str) -> str:
    return f"cmd.{service}.{command}"


def direct_subject(service: str, command: str) -> str:
    return f"now.{service}.{command}"


def kept_subject(subject: str) -> str:
    """Where a message has to be sent for a stream to keep it."""
    return re.sub(r"^now\.", "cmd.", subject)


def event_subject(org: UUID, resource: str, event: str) -> str:
    return f"evt.{org}.{resource}.{event}"


def reply_subject(replica: str, saga: UUID, step: str) -> str:
    return f"rep.{replica}.{saga}.{step}"


def done_subject(saga: UUID) -> str:
    return f"saga.done.{saga}"


def question_subject(service: str, question: str) -> str:
    return f"ask.{service}.{question}"


def deliver_subject(process: str, stream: str) -> str:
    return f"deliver.{process}.{stream.lower()}"


def inbox_prefix(process: str) -> str:
    """Every process has its own reply inbox, so that none can listen to another's answers."""
    return f"_INBOX_{process}"


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What one process says and hears, beside its own inbox and consumers."""

    says: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    """Streams on which it owns a durable consumer, named after the process."""
    keeps: tuple[str, ...] = ()
    """Streams that it ensures (creates when they are not there)."""


TRAFFIC: Final[dict[str, Traffic]] = {
    "gateway": Traffic(hears=("evt.*.credential.revoked",)),
    "identity": Traffic(
        says=(
            "evt.*.client.*",
            "evt.*.user.*",
            "evt.*.credential.revoked",
            "rep.>",
            "ask.engagements.close-client",
            "ask.orders.close-client",
        ),
        hears=("ask.identity.*", "now.identity.*"),
        consumes=(COMMANDS,),
        keeps=(COMMANDS, EVENTS),
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
        consumes=(EVENTS,),
        keeps=(COMMANDS, EVENTS),
    ),
    "engagements": Traffic(
        says=("evt.*.engagement.*", "evt.*.project.*", "rep.>", "ask.identity.client", "ask.proposals.*"),
        hears=("ask.engagements.*", "now.engagements.*"),
        consumes=(COMMANDS, EVENTS),
        keeps=(COMMANDS, EVENTS),
    ),
    "conversations": Traffic(
        says=("evt.*.conversation.*", "evt.*.message.*", "ask.identity.*", "ask.engagements.project"),
        hears=("ask.conversations.*",),
        consumes=(EVENTS,),
        keeps=(COMMANDS, EVENTS),
    ),
    "orders": Traffic(
        says=(
            "evt.*.order.*",
            "rep.>",
            "ask.identity.*",
            "ask.proposals.template",
            "ask.engagements.engagement",
        ),
        hears=("ask.orders.*", "now.orders.*"),
        consumes=(COMMANDS, EVENTS),
        keeps=(COMMANDS, EVENTS),
    ),
}


class Permissions(msgspec.Struct, frozen=True):
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(process: str) -> Permissions:
    """The NATS permissions of one process: its own subjects, its own streams and consumer, its own inbox.

    Raises KeyError for a process that the topology does not know.
    """
    traffic = TRAFFIC[process]
    publish = list(traffic.says)
    subscribe = [f"{inbox_prefix(process)}.>", *traffic.hears]
    for stream in traffic.keeps:
        publish += [f"$JS.API.STREAM.{verb}.{stream}" for verb in ("INFO", "CREATE", "UPDATE")]
    for stream in traffic.consumes:
        publish += [f"$JS.API.CONSUMER.INFO.{stream}.{process}", f"$JS.ACK.{stream}.{process}.>"]
        publish += [f"$JS.API.CONSUMER.{verb}.{stream}.{process}" for verb in ("CREATE", "DURABLE.CREATE")]
        publish += [f"$JS.API.CONSUMER.CREATE.{stream}.{process}.>"]
        subscribe += [deliver_subject(process, stream)]
    if traffic.keeps:
        publish += ["$JS.API.INFO"]
    if traffic.hears:
        # Answers to questions; a wildcard stands for a whole token, so each inbox is named.
        publish += [f"{inbox_prefix(asker)}.>" for asker in PROCESSES]
    return Permissions(publish=tuple(publish), subscribe=tuple(subscribe))
