"""The world of the model: one organisation, its services and the broker between them, and what may happen to them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.proposals.model.proposals import Ids, Item, Proposal, ProposalStatus
from shared.contracts.identity import ClientState
from tests.support.saga_model.broker import Broker, Outbox
from tests.support.saga_model.desk import Desk
from tests.support.saga_model.identity import OWNERS, STAFF, Identity
from tests.support.saga_model.journal import AT, Journal
from tests.support.saga_model.maker import Maker
from tests.support.saga_model.parts import Hole, Part
from tests.support.saga_model.service import Service, Stage

ORG = UUID(int=1)
KNOWN = ClientState(org_id=ORG, id=UUID(int=2), version=1, name_f="Known", name_l="Client", email="known@example.com")
EMAILS = ("new@example.com", "new@example.com", KNOWN.email, STAFF, KNOWN.email)
"""The proposals' clients: two of one new client, one of a known client, one of somebody who cannot become one, and a
Draft to the address of the known client, whoever has it when it is sent."""
DRAFT = len(EMAILS) - 1
ADDRESSES = (KNOWN.email, "new@example.com", "third@example.com")
PROPOSALS = tuple(UUID(int=100 + number) for number in range(len(EMAILS)))
REPLICAS = (0, 1)
PARTICIPANTS = ("identity", "engagements", "orders")


class Held(StrEnum):
    """What can be late: a process is frozen with it, or the network keeps it."""

    COMMAND = "command"
    DELIVERY = "delivery"
    REPLY = "reply"
    WRITE = "write"


class World(Part):
    """Everything there is. Each method is one thing that may happen; faults are as good as anything else."""

    def __init__(self, hole: Hole | None = None) -> None:
        self.hole = hole
        self.numbers = 0
        self.broker = Broker()
        self.desk = Desk(hole, Journal(hole, map(_proposal, range(len(EMAILS))), [KNOWN]))
        self.identity = Identity(hole, [KNOWN])
        self.engagements = Maker("engagements", hole, [KNOWN])
        self.orders = Maker("orders", hole, [KNOWN])
        self.held: set[tuple[Held, int]] = set()
        self.heard_outside: set[tuple[str, UUID, int]] = set()

    @property
    def journal(self) -> Journal:
        return self.desk.journal

    @property
    def participants(self) -> Mapping[str, Service]:
        return {"identity": self.identity, "engagements": self.engagements, "orders": self.orders}

    @property
    def makers(self) -> Mapping[str, Maker]:
        return {"engagements": self.engagements, "orders": self.orders}

    @property
    def outboxes(self) -> Mapping[str, Outbox]:
        return {name: service.outbox for name, service in self.participants.items()} | {
            "proposals": self.journal.outbox
        }

    def sign(self, replica: int, proposal: int, key: str | None, *, crash: bool = False) -> None:
        """Somebody signs; `crash`: the replica dies right after T1."""
        self.desk.sign(replica, PROPOSALS[proposal], self._ids(), key, self.broker, crash=crash)

    def begin_send(self, *, is_identity_away: bool) -> bool:
        """Staff send the Draft; identity is asked where the copy names none or several."""
        named = None if is_identity_away else self.identity.of_email(EMAILS[DRAFT])
        return self.journal.begin_send(PROPOSALS[DRAFT], None if named is None or named.is_closed else named)

    def take_over(self, saga: UUID, replica: int) -> None:
        """A lease or a back-off runs out, and a replica sweeps. Whoever drove the run before may drive on."""
        self.journal.lapse(saga)
        self.desk.sweep(replica, self.broker)

    def deliver(self, sequence: int, upto: Stage, *, refuses: bool = False) -> None:
        """A command is delivered (again, if it is under way already), handled up to a stage, and held back there."""
        service = self.participants[self.broker.commands[sequence].service]
        number = self._number()
        service.take(number, sequence, self.broker)
        while number in service.deliveries and service.deliveries[number].stage < upto:
            if not service.go_on(number, self.broker, refuses=refuses):
                break
        if upto is not Stage.TAKEN and number in service.deliveries:
            self.held.add((Held.DELIVERY, number))

    def hear(self, sequence: int, *, again: bool = False) -> None:
        """A reply arrives; `again`: and will once more."""
        answer = self.broker.answers[sequence] if again else self.broker.answers.pop(sequence)
        self.desk.hear(answer.to, answer.reply, self.broker)

    def hear_fact(self, consumer: str, sequence: int, *, crash_before_ack: bool = False) -> bool:
        """An event reaches a consumer; False when it waits for a lock. Committed, then acknowledged."""
        fact = self.broker.facts[sequence]
        if consumer == "outside":
            self.heard_outside.add(fact.id)
        elif not (self.journal if consumer == "proposals" else self.participants[consumer]).hear(fact):
            return False
        if not crash_before_ack:
            self.broker.unheard.discard((consumer, sequence))
        return True

    def fail_fact(self, consumer: str, sequence: int) -> None:
        """A consumer dies before it commits: the event comes again, if it was not acknowledged too early."""
        if self.hole is Hole.ACK_BEFORE_COMMIT:
            self.broker.unheard.discard((consumer, sequence))

    def close_client(self, closing: int, owner: str) -> bool:
        """An owner lets nothing new hang on a client and counts what does; False while a create is under way."""
        count = self.makers[owner].close_client(self.identity.closings[closing].client)
        if count is None:
            return False
        self.identity.count(closing, owner, count)
        return True

    def delete_client(self, client: UUID) -> bool:
        """Somebody wants to delete a client; the rest are moves of their own."""
        return self.identity.begin_closing(self._number(), self.identity.clients[client])

    def holdable(self) -> list[tuple[Held, int]]:
        """What is under way and could be late."""
        deliveries = [number for service in self.participants.values() for number in service.deliveries]
        under_way = {
            Held.COMMAND: [*self.broker.commands],
            Held.DELIVERY: deliveries,
            Held.REPLY: [*self.broker.answers],
            Held.WRITE: [*self.desk.writes],
        }
        return [(kind, number) for kind, numbers in under_way.items() for number in numbers]

    def crash_service(self, name: str) -> None:
        """Every transaction under way is rolled back, every message comes again; marks on their way are lost."""
        if name in self.participants:
            self.participants[name].deliveries.clear()
        self.outboxes[name].marks.clear()
        for consumer, sequence in list(self.broker.unheard):
            if consumer == name:  # each of these may have been under way
                self.fail_fact(consumer, sequence)

    def crash_replica(self, replica: int) -> None:
        """A replica of the proposal service dies."""
        self.desk.crash(replica)
        self.crash_service("proposals")

    def lose_store(self) -> None:
        self.broker.lose_store()

    def prunable(self) -> list[UUID]:
        """Runs whose inbox rows are 7 days old: nothing of them is alive. With the hole: any run."""
        return [
            saga.run.id
            for saga in self.journal.sagas.values()
            if self.hole is Hole.INBOX_PRUNED_EARLY or not (saga.is_open or self._is_alive(saga.run.id))
        ]

    def prune(self, saga: UUID) -> None:
        for service in self.participants.values():
            for key in [key for key in service.inbox if key.startswith(str(saga))]:
                del service.inbox[key]

    def unasked(self) -> list[tuple[int, str]]:
        """Closings and owners who have not counted for them."""
        closings = self.identity.closings.items()
        return [(n, owner) for n, closing in closings for owner in OWNERS if owner not in dict(closing.counts)]

    def _is_alive(self, saga: UUID) -> bool:
        messages = [*self.broker.commands.values()]
        for service in self.participants.values():
            messages += [delivery.message for delivery in service.deliveries.values()]
        is_said = any(message.reply_to.saga == saga for message in messages)
        return is_said or any(where[1] == saga for where in self.desk.drives)

    def _ids(self) -> Ids:
        base = 1000 * self._number()
        saga, client, engagement, order, first_project, first_event = (
            UUID(int=base + offset) for offset in (0, 100, 200, 300, 400, 500)
        )
        return Ids(
            saga=saga,
            client=client,
            engagement=engagement,
            order=order,
            first_project=first_project,
            first_event=first_event,
        )

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers


def _proposal(number: int) -> Proposal:
    items = tuple(
        Item(id=UUID(int=200 + position), name="Item", description="", price=Decimal(5), created_at=AT)
        for position in range(1 + number % 2)
    )
    return Proposal(
        id=PROPOSALS[number],
        org_id=ORG,
        version=2,
        client_email=EMAILS[number],
        client_name_f="Some",
        client_name_l="Body",
        client_company=None,
        client_id=KNOWN.id if EMAILS[number] == KNOWN.email and number != DRAFT else None,
        status=ProposalStatus.DRAFT if number == DRAFT else ProposalStatus.SENT,
        currency="USD",
        notes=None,
        total=sum((item.price for item in items), Decimal(0)),
        valid_until=None,
        created_at=AT,
        updated_at=AT,
        sent_at=AT,
        signed_at=None,
        converted_engagement_id=None,
        converted_order_id=None,
        items=items,
    )
