"""What may happen to the world, as rules that Hypothesis strings together; the promises are held after each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.messaging.saga import SagaStatus
from tests.support.saga_model import calm, promises
from tests.support.saga_model.desk import Where
from tests.support.saga_model.parts import Hole
from tests.support.saga_model.service import Stage
from tests.support.saga_model.world import ADDRESSES, PARTICIPANTS, PROPOSALS, REPLICAS, World

T = TypeVar("T")

PICK = st.integers(0, 5)
"""Which one of those that are there, counted round: any order of messages comes of that."""
REPLICA = st.sampled_from(REPLICAS)
PROPOSAL = st.integers(0, len(PROPOSALS) - 1)
KEY = st.sampled_from((None, None, "key"))
PACE = st.sampled_from((0, 0, 1, 2, 3, 5, 8))
"""How much of what can go on does, after each move: at 0 Hypothesis does everything by hand."""
ORDER = st.sampled_from(calm.Order)
STAGE = st.sampled_from((Stage.ACKED, Stage.BEGUN, Stage.BEGUN, Stage.COMMITTED, Stage.REPLIED))


def when(there: Callable[[World], object]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule's condition, on the world alone."""
    return precondition(lambda machine: bool(there(machine.world)))


def pick(among: Sequence[T], number: int) -> T:
    return among[number % len(among)]


class SignFlowMachine(RuleBasedStateMachine):
    """Signatures, operators and faults, in any order. `hole` is what the protocol is without; None: nothing."""

    hole: ClassVar[Hole | None] = None
    settle_each: ClassVar[int] = 1
    """After how many moves a twin of the world is brought to rest (and another one without its broker)."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.hole)
        self.moves = 0
        self.pace = 0
        self.order = calm.Order.OLDEST_FIRST

    # People.

    @initialize(
        proposals=st.lists(PROPOSAL, min_size=1, max_size=3, unique=True),
        replica=REPLICA,
        pace=PACE,
        order=ORDER,
    )
    def some_sign(self, proposals: list[int], replica: int, pace: int, order: calm.Order) -> None:
        self.pace, self.order = pace, order
        for proposal in proposals:
            self.world.sign(replica, proposal, None)

    @rule(replica=REPLICA, proposal=PROPOSAL, key=KEY)
    def sign(self, replica: int, proposal: int, key: str | None) -> None:
        self.world.sign(replica, proposal, key)

    @rule(replica=REPLICA, proposal=PROPOSAL, key=KEY)
    def sign_and_die_after_t1(self, replica: int, proposal: int, key: str | None) -> None:
        self.world.sign(replica, proposal, key, crash=True)
        self.world.crash_replica(replica)

    @when(lambda world: world.desk.calls)
    @rule(number=PICK)
    def hang_up(self, number: int) -> None:
        self.world.desk.hang_up(pick(list(self.world.desk.calls), number))

    @when(lambda world: any(saga.is_open for saga in world.journal.sagas.values()))
    @rule(number=PICK)
    def operator_retries(self, number: int) -> None:
        journal = self.world.journal
        journal.retry(pick([run for run, saga in journal.sagas.items() if saga.is_open], number))

    @when(lambda world: any(saga.status is SagaStatus.RUNNING for saga in world.journal.sagas.values()))
    @rule(number=PICK, replica=REPLICA)
    def operator_cancels(self, number: int, replica: int) -> None:
        sagas = self.world.journal.sagas
        run = pick([run for run, saga in sagas.items() if saga.status is SagaStatus.RUNNING], number)
        self.world.journal.cancel(run)
        self.world.desk.sweep(replica, self.world.broker)

    @rule(number=PICK)
    def delete_client(self, number: int) -> None:
        self.world.delete_client(pick(list(self.world.identity.clients), number))

    @rule(number=PICK, is_enabled=st.booleans())
    def change_client(self, number: int, is_enabled: bool) -> None:  # noqa: FBT001
        client = pick(list(self.world.identity.clients.values()), number)
        self.world.identity.change(client, is_enabled=is_enabled)

    @rule(number=PICK, address=st.sampled_from(ADDRESSES))
    def client_moves(self, number: int, address: str) -> None:
        """A client gets another address, which is free: until the copy has heard of all, two may share one."""
        self.world.identity.rename(pick(list(self.world.identity.clients.values()), number), address)

    @rule(address=st.sampled_from(ADDRESSES), number=st.integers(3, 5))
    def client_is_made(self, address: str, number: int) -> None:
        self.world.identity.make(UUID(int=number), address)

    @rule(is_identity_away=st.booleans())
    def send(self, is_identity_away: bool) -> None:  # noqa: FBT001
        """The transaction that sends the Draft has begun; it holds the lock of the address."""
        self.world.begin_send(is_identity_away=is_identity_away)

    @when(lambda world: world.journal.sends)
    @rule()
    def sent(self) -> None:
        self.world.journal.end_send(next(iter(self.world.journal.sends)))

    # Things that go on, one by one, in any order.

    @rule(moves=st.integers(1, 12), order=ORDER)
    def calm(self, moves: int, order: calm.Order) -> None:
        calm.calm(self.world, moves, order)

    @when(lambda world: world.broker.commands)
    @rule(number=PICK, upto=STAGE, refuses=st.sampled_from((False, False, False, True)))
    def deliver(self, number: int, upto: Stage, refuses: bool) -> None:  # noqa: FBT001
        """A command is handled up to a stage; there the process is frozen, until somebody lets that one go on."""
        self.world.deliver(pick(list(self.world.broker.commands), number), upto, refuses=refuses)

    @when(lambda world: bool(_under_way(world)))
    @rule(number=PICK)
    def go_on(self, number: int) -> None:
        name, delivery = pick(_under_way(self.world), number)
        self.world.participants[name].go_on(delivery, self.world.broker)

    @when(lambda world: world.broker.answers)
    @rule(number=PICK, again=st.sampled_from((False, False, True)))
    def hear(self, number: int, again: bool) -> None:  # noqa: FBT001
        self.world.hear(pick(list(self.world.broker.answers), number), again=again)

    @when(lambda world: world.desk.writes)
    @rule(number=PICK, is_answered=st.sampled_from((True, True, False)))
    def write(self, number: int, is_answered: bool) -> None:  # noqa: FBT001
        self.world.desk.execute(pick(list(self.world.desk.writes), number), self.world.broker, is_answered=is_answered)

    @when(lambda world: bool(_idle_drives(world)))
    @rule(number=PICK)
    def drive_ends(self, number: int) -> None:
        self.world.desk.end_drive(pick(_idle_drives(self.world), number))

    @when(lambda world: any(saga.is_open and not saga.is_parked for saga in world.journal.sagas.values()))
    @rule(number=PICK, replica=REPLICA)
    def lease_runs_out(self, number: int, replica: int) -> None:
        self.world.take_over(pick([saga.run.id for saga in calm.unsettled(self.world)], number), replica)

    @when(lambda world: any(outbox.left_behind() for outbox in world.outboxes.values()))
    @rule(number=PICK)
    def publish(self, number: int) -> None:
        left = [(outbox, fact) for outbox in self.world.outboxes.values() for fact in outbox.left_behind()]
        outbox, fact = pick(left, number)
        outbox.publish(fact, self.world.broker)

    @when(lambda world: any(outbox.marks for outbox in world.outboxes.values()))
    @rule(number=PICK, is_lost=st.booleans())
    def mark(self, number: int, is_lost: bool) -> None:  # noqa: FBT001
        pick([each for each in self.world.outboxes.values() if each.marks], number).mark(0, is_lost=is_lost)

    @when(lambda world: world.broker.unheard)
    @rule(number=PICK, fate=st.sampled_from(("heard", "heard", "again", "fails")))
    def event(self, number: int, fate: str) -> None:
        consumer, sequence = pick(sorted(self.world.broker.unheard), number)
        if fate == "fails":
            self.world.fail_fact(consumer, sequence)
        else:
            self.world.hear_fact(consumer, sequence, crash_before_ack=fate == "again")

    @when(lambda world: world.unasked())
    @rule(number=PICK)
    def owner_counts(self, number: int) -> None:
        self.world.close_client(*pick(self.world.unasked(), number))

    @when(lambda world: world.identity.closings)
    @rule(number=PICK)
    def closing_ends(self, number: int) -> None:
        self.world.identity.end_closing(pick(list(self.world.identity.closings), number))

    @when(lambda world: any(outbox.stream_seen != world.broker.created for outbox in world.outboxes.values()))
    @rule(number=PICK)
    def look_at_stream(self, number: int) -> None:
        pick(list(self.world.outboxes.values()), number).look_at_stream(self.world.broker, self.hole)

    @when(lambda world: world.prunable())
    @rule(number=PICK)
    def prune_inbox(self, number: int) -> None:
        self.world.prune(pick(self.world.prunable(), number))

    # Faults.

    @when(lambda world: world.broker.commands)
    @rule(number=PICK)
    def lose_command(self, number: int) -> None:
        del self.world.broker.commands[pick(list(self.world.broker.commands), number)]

    @when(lambda world: world.broker.answers)
    @rule(number=PICK)
    def lose_reply(self, number: int) -> None:
        del self.world.broker.answers[pick(list(self.world.broker.answers), number)]

    @when(lambda world: world.desk.writes)
    @rule(number=PICK)
    def lose_write(self, number: int) -> None:
        self.world.desk.lose_write(pick(list(self.world.desk.writes), number))

    @when(lambda world: bool(_under_way(world)))
    @rule(number=PICK)
    def handling_dies(self, number: int) -> None:
        name, delivery = pick(_under_way(self.world), number)
        del self.world.participants[name].deliveries[delivery]

    @when(lambda world: bool(_parkable(world)))
    @rule(number=PICK)
    def poison(self, number: int) -> None:
        name, delivery = pick(_parkable(self.world), number)
        self.world.participants[name].park(delivery, self.world.broker)

    @when(lambda world: world.holdable())
    @rule(number=st.integers(0, 11))
    def hold_back(self, number: int) -> None:
        """A process is frozen, or the network slow: it comes when all else has gone on without it."""
        self.world.held.add(pick(self.world.holdable(), number))

    @rule(name=st.sampled_from(PARTICIPANTS))
    def service_dies(self, name: str) -> None:
        self.world.crash_service(name)

    @rule(replica=REPLICA)
    def replica_dies(self, replica: int) -> None:
        self.world.crash_replica(replica)

    @rule(replica=REPLICA)
    def replica_reconnects(self, replica: int) -> None:
        self.world.desk.reconnect(replica, self.world.broker)

    @rule()
    def store_is_lost(self) -> None:
        self.world.lose_store()

    # What holds.

    @invariant()
    def promises_hold(self) -> None:
        calm.calm(self.world, self.pace, self.order)
        promises.hold_now(self.world)
        self.moves += 1
        if self.moves % self.settle_each == 0:
            promises.hold_in_the_end(self.world)
            promises.hold_without_the_broker(self.world)

    def teardown(self) -> None:
        promises.hold_in_the_end(self.world)
        promises.hold_without_the_broker(self.world)


def open_a(hole: Hole | None, *, settle_each: int) -> type[SignFlowMachine]:
    """The machine of a world with that hole."""
    return type("SignFlowMachine", (SignFlowMachine,), {"hole": hole, "settle_each": settle_each})


def _under_way(world: World) -> list[tuple[str, int]]:
    return [(name, number) for name, service in world.participants.items() for number in service.deliveries]


def _parkable(world: World) -> list[tuple[str, int]]:
    return [
        (name, number)
        for name, number in _under_way(world)
        if world.participants[name].deliveries[number].stage is Stage.TAKEN
    ]


def _idle_drives(world: World) -> list[Where]:
    return [where for where, drive in world.desk.drives.items() if not drive.is_writing]
