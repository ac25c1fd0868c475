"""The model's broker: the command stream with its deduplication window, replies in flight, and the event stream."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from shared.contracts.reply import Reply
from tests.support.saga_model.parts import Hole, Part

HEARS = {
    "proposals": ("client",),
    "engagements": ("client",),
    "orders": ("client", "engagement"),
    "outside": ("client", "engagement", "order", "proposal"),
}
"""Consumer of events → what it hears of. `outside` stands for whoever is promised each event id at least once."""


class Address(msgspec.Struct, frozen=True):
    """Where a reply goes: to the drive of a saga at one replica, for one step."""

    replica: int
    saga: UUID
    step: str


class Message(msgspec.Struct, frozen=True):
    """A command in the stream."""

    service: str
    key: str
    body: msgspec.Struct
    reply_to: Address


class Answer(msgspec.Struct, frozen=True):
    """A reply in flight: core NATS, kept nowhere."""

    to: Address
    reply: Reply


class Fact(msgspec.Struct, frozen=True):
    """An event: what it is about, and the whole state at that version."""

    topic: str
    about: UUID
    version: int
    state: Any

    @property
    def id(self) -> tuple[str, UUID, int]:
        return self.topic, self.about, self.version


class Broker(Part):
    """Keeps commands until they are acknowledged, and events for as long as its store is there."""

    def __init__(self) -> None:
        self.sequence = 0
        self.created = 0
        self.commands: dict[int, Message] = {}
        self.window: set[str] = set()
        self.answers: dict[int, Answer] = {}
        self.facts: dict[int, Fact] = {}
        self.fact_ids: set[tuple[str, UUID, int]] = set()
        self.unheard: set[tuple[str, int]] = set()

    def say(self, message_id: str, message: Message) -> None:
        """Into the command stream, unless the window has this id already."""
        if message_id not in self.window:
            self.window.add(message_id)
            self.commands[self._next()] = message

    def answer(self, to: Address, reply: Reply) -> None:
        self.answers[self._next()] = Answer(to, reply)

    def keep(self, fact: Fact) -> None:
        """Into the event stream, for each consumer that hears of it."""
        if fact.id not in self.fact_ids:
            self.fact_ids.add(fact.id)
            sequence = self._next()
            self.facts[sequence] = fact
            self.unheard |= {(name, sequence) for name, topics in HEARS.items() if fact.topic in topics}

    def lose_store(self) -> None:
        """Everything that was kept is gone; the streams are made anew."""
        self.created += 1
        for kept in (self.commands, self.window, self.facts, self.fact_ids, self.unheard):
            kept.clear()

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence


class Outbox(Part):
    """A service's outbox: facts written with their change, published after it, kept after that."""

    def __init__(self) -> None:
        self.facts: dict[tuple[str, UUID, int], Fact] = {}
        self.published: set[tuple[str, UUID, int]] = set()
        self.marks: list[tuple[tuple[str, UUID, int], int]] = []
        self.stream_seen = 0

    def put(self, fact: Fact) -> None:
        self.facts[fact.id] = fact

    def left_behind(self) -> list[Fact]:
        """What is not marked as published, and no mark for it is on its way."""
        on_their_way = {fact for fact, _ in self.marks}
        return [fact for id, fact in self.facts.items() if id not in self.published and id not in on_their_way]

    def publish(self, fact: Fact, broker: Broker) -> None:
        broker.keep(fact)
        self.marks.append((fact.id, self.stream_seen))

    def mark(self, position: int, *, is_lost: bool = False) -> None:
        """A mark arrives, fenced by the stream that it was published to; or it is lost."""
        fact, stream = self.marks.pop(position)
        if not is_lost and stream == self.stream_seen:
            self.published.add(fact)

    def look_at_stream(self, broker: Broker, hole: Hole | None) -> None:
        """Compare the stream's creation time with the one seen before; all that is kept is published to a new one."""
        if broker.created != self.stream_seen:
            self.stream_seen = broker.created
            if hole is not Hole.NO_REPUBLICATION:
                self.published.clear()
