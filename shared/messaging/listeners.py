"""Listeners: services of somebody else's that are added to hear our events, each by a durable consumer of its own.

A listener is given its consumer and cannot make or change one: whoever makes a consumer also says on which subject the
server delivers, and that could be a command's. So an operator makes it (`serx listeners`), and the listener may only
ask it for messages and acknowledge them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from shared.contracts.events import CATALOGUE
from shared.messaging.topology import EVENTS, Permissions, inbox_prefix

ACK_WAIT_SECONDS: Final = 30
MAX_ACK_PENDING: Final = 1000
USER_PREFIX: Final = "listener-"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class Listener(msgspec.Struct, frozen=True):
    """Who listens to what: `events` are types without their version, such as `proposal.signed`, or all of a resource's,
    such as `order.*`."""

    name: str
    events: tuple[str, ...]

    @property
    def user(self) -> str:
        """What its folder of secrets, its durable consumer and its inbox are called."""
        return f"{USER_PREFIX}{self.name}"

    @property
    def subjects(self) -> list[str]:
        """Of every organisation."""
        return [f"evt.*.{event}" for event in self.events]


def read_listener(text: str) -> Listener:
    """A listener as an operator writes it: `billing=proposal.signed,order.*`. Raises ValueError with a sentence."""
    name, _, told = text.strip().partition("=")
    events = tuple(dict.fromkeys(each.strip() for each in told.split(",") if each.strip()))
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a listener: small letters, digits and dashes, at most 31.")
    if not events:
        raise ValueError(f"{name} is to hear nothing: write {name}=proposal.signed, for instance.")
    covered = tuple(each for each in events if each not in CATALOGUE or f"{each.partition('.')[0]}.*" not in events)
    for event in covered:
        if not _is_known(event):
            raise ValueError(f"There is no event {event!r}; there are {', '.join(sorted(CATALOGUE))}.")
    return Listener(name, covered)


def listener_permissions(listener: Listener) -> Permissions:
    """What the broker lets it do: ask its own consumer for messages, acknowledge them, look how far it is."""
    consumer = f"{EVENTS}.{listener.user}"
    return Permissions(
        publish=(
            f"$JS.API.CONSUMER.MSG.NEXT.{consumer}",
            f"$JS.API.CONSUMER.INFO.{consumer}",
            f"$JS.ACK.{consumer}.>",
        ),
        subscribe=(f"{inbox_prefix(listener.user)}.>",),
    )


def consumer_config(listener: Listener) -> ConsumerConfig:
    """Its durable pull consumer: from the oldest event that is kept, each again until it is acknowledged."""
    return ConsumerConfig(
        durable_name=listener.user,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_SECONDS,
        max_deliver=-1,
        max_ack_pending=MAX_ACK_PENDING,
        filter_subjects=listener.subjects,
    )


def spell(listeners: Iterable[Listener]) -> str:
    """As `read_listener` reads them, one a line."""
    return "\n".join(f"{each.name}={','.join(each.events)}" for each in listeners)


def _is_known(event: str) -> bool:
    resource, _, happened = event.partition(".")
    return event in CATALOGUE or (happened == "*" and any(each.partition(".")[0] == resource for each in CATALOGUE))
