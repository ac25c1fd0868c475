"""What every participant of the model has: deliveries under way, transactions that begin and commit, an inbox."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from shared.contracts.reply import Reply
from tests.support.saga_model.broker import Broker, Fact, Message, Outbox
from tests.support.saga_model.parts import Hole, Part


class Stage(IntEnum):
    """How far a delivery has come; a crash may come between any two."""

    TAKEN = 0
    BEGUN = 1
    """The transaction holds its locks, and nobody else sees what it wrote."""
    COMMITTED = 2
    REPLIED = 3
    ACKED = 4


class Writes(msgspec.Struct, frozen=True):
    """What a transaction will have written once it commits; `locks` are what it holds until then."""

    reply: Reply | None
    locks: frozenset[Any] = frozenset()
    waits_for: frozenset[Any] = frozenset()
    """Locks that it takes as soon as whoever began with them has committed."""
    state: Any = None


class Delivery(msgspec.Struct, frozen=True):
    """One arrival of a message, and how far its handling has come."""

    sequence: int
    message: Message
    stage: Stage = Stage.TAKEN
    writes: Writes | None = None


class Service(Part):
    """A participant: takes deliveries, any number at once, as if each had a process of its own."""

    def __init__(self, name: str, hole: Hole | None) -> None:
        self.name = name
        self.hole = hole
        self.inbox: dict[str, Reply] = {}
        self.outbox = Outbox()
        self.deliveries: dict[int, Delivery] = {}
        self.parked: set[str] = set()

    def take(self, number: int, sequence: int, broker: Broker) -> None:
        """The broker delivers a message; it stays in the stream until it is acknowledged."""
        self.deliveries[number] = Delivery(sequence, broker.commands[sequence])
        if self.hole is Hole.ACK_BEFORE_COMMIT:
            del broker.commands[sequence]

    def go_on(self, number: int, broker: Broker, *, refuses: bool = False) -> bool:
        """Bring a delivery one stage further; False when it waits for a lock. `refuses`: by a rule of its own."""
        delivery = self.deliveries[number]
        stage, writes = delivery.stage, delivery.writes
        if stage is Stage.TAKEN:
            writes = self.begin(delivery.message, refuses=refuses)
            if writes is None or writes.locks & self.locked():
                return False
        elif stage is Stage.BEGUN:
            assert writes is not None
            if writes.waits_for & self.locked(besides=number):
                return False
            self.commit(delivery.message, writes)
        elif stage is Stage.COMMITTED:
            if writes is not None and writes.reply is not None:
                broker.answer(delivery.message.reply_to, writes.reply)
        else:
            broker.commands.pop(delivery.sequence, None)
            del self.deliveries[number]
            return True
        self.deliveries[number] = replace(delivery, stage=Stage(stage + 1), writes=writes)
        return True

    def park(self, number: int, broker: Broker) -> None:
        """The message is poison: kept aside, answered `parked`, never delivered again."""
        delivery = self.deliveries.pop(number)
        self.parked.add(delivery.message.key)
        broker.answer(delivery.message.reply_to, Reply(outcome="parked", cause="poison"))
        broker.commands.pop(delivery.sequence, None)

    def locked(self, *, besides: int | None = None) -> set[Any]:
        """What transactions that have begun, and not committed, hold."""
        return {
            lock
            for number, delivery in self.deliveries.items()
            if number != besides and delivery.stage is Stage.BEGUN and delivery.writes
            for lock in delivery.writes.locks
        }

    def begin(self, message: Message, *, refuses: bool) -> Writes | None:
        """What the message's transaction would write, by what is committed now."""
        raise NotImplementedError

    def commit(self, message: Message, writes: Writes) -> None:
        """Make it so."""
        raise NotImplementedError

    def hear(self, fact: Fact) -> bool:
        """Apply an event to this service's copies; False when it waits for a lock."""
        raise NotImplementedError
