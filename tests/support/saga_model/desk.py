"""The proposal service's replicas in the model: drives over production's stepper, their writes under way, callers.

`_step` is the model's word for `Orchestrator._step`: what to do next is the stepper's to say, in both.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec.structs import replace

from services.proposals.model.proposals import Ids, Plan
from services.proposals.sign_flow import SIGN_FLOW
from shared.messaging.journal import Outcome, Run
from shared.messaging.saga import (
    CANCEL_SUFFIX,
    Compensate,
    Complete,
    Do,
    Flow,
    Progress,
    Reject,
    SagaStatus,
    Undo,
    heard,
    is_stuck,
    moves,
)
from tests.support.saga_model.broker import Address, Broker, Message
from tests.support.saga_model.hasty import HASTY_FLOW
from tests.support.saga_model.journal import Journal
from tests.support.saga_model.parts import Hole, Part

Where = tuple[int, UUID]
"""A replica, and the saga that it drives."""


class WriteKind(StrEnum):
    RECORD = "record"
    PARK = "record, parked"
    COMPENSATE = "T_c"
    COMPLETE = "T3"
    REJECT = "T_u"


class Drive(msgspec.Struct, frozen=True):
    """A run that a replica is driving now, as far as it knows."""

    number: int
    run: Run[Plan]
    sent: frozenset[str] = frozenset()
    resends: int = 0
    is_writing: bool = False


class Write(msgspec.Struct, frozen=True):
    """A statement on its way to the database: it comes at some time, or never; its driver may be gone by then."""

    kind: WriteKind
    where: Where
    drive: int
    run: Run[Plan]
    cause: str = ""


class Call(msgspec.Struct, frozen=True):
    """A caller who waits at a replica."""

    replica: int
    proposal: UUID
    saga: UUID


class Told(msgspec.Struct, frozen=True):
    """What a caller was answered; `outcome` is None for a 202, a 503, and a 409 that says nothing of an end."""

    proposal: UUID
    saga: UUID
    outcome: Outcome | None
    key: str | None = None


class Desk(Part):
    """Takes signatures in and drives their runs, at any number of replicas."""

    def __init__(self, hole: Hole | None, journal: Journal) -> None:
        self.hole = hole
        self.flow: Flow[Plan] = HASTY_FLOW if hole is Hole.OPEN_BEFORE_IDENTITY else SIGN_FLOW
        self.journal = journal
        self.drives: dict[Where, Drive] = {}
        self.writes: dict[int, Write] = {}
        self.calls: dict[int, Call] = {}
        self.told: list[Told] = []
        self.numbers = 0

    def sign(self, replica: int, proposal: UUID, ids: Ids, key: str | None, broker: Broker, *, crash: bool) -> None:
        """A signature is taken in; `crash`: the replica dies right after T1."""
        if key is not None and (run := self.journal.keys.get(key)) is not None:
            self.told.append(Told(self.journal.sagas[run].run.plan.proposal.id, run, self.journal.outcome(run), key))
            return
        begun = self.journal.begin(proposal, ids, key)
        if begun is not None and not crash:
            self.calls[self._number()] = Call(replica, proposal, begun.id)
            self._start(replica, begun, broker)

    def sweep(self, replica: int, broker: Broker) -> None:
        for run in self.journal.claim():
            self._start(replica, run, broker)

    def hear(self, to: Address, reply: object, broker: Broker) -> None:
        """A reply arrives at a replica; whoever drives that saga there listens."""
        drive = self.drives.get((to.replica, to.saga))
        if drive is None:
            return
        flow = self.flow.of(drive.run.plan)
        progress = heard(flow, drive.run.progress, to.step, reply)  # pyright: ignore[reportArgumentType]
        where = (to.replica, to.saga)
        self.drives[where] = replace(drive, run=replace(drive.run, progress=progress))
        self._step(where, broker)

    def end_drive(self, where: Where) -> None:
        """The drive's second is over: what is known is recorded, and the rest left to the sweep."""
        self._write(where, WriteKind.RECORD)

    def reconnect(self, replica: int, broker: Broker) -> None:
        """After the broker was away, everything unanswered is sent again."""
        for where, drive in list(self.drives.items()):
            if where[0] == replica:
                self.drives[where] = replace(drive, sent=frozenset(), resends=drive.resends + 1)
                self._step(where, broker)

    def execute(self, number: int, broker: Broker, *, is_answered: bool = True) -> None:
        """A statement arrives at the database and commits; its answer may be lost, and then the drive gives up."""
        write = self.writes.pop(number)
        outcome, is_through = self._commit(write)
        drive = self.drives.get(write.where)
        if drive is None or drive.number != write.drive:
            return
        if not is_answered or write.kind is not WriteKind.COMPENSATE or not is_through:
            del self.drives[write.where]
            if is_answered and outcome is not None:
                self._wake(write.where, outcome)
            return
        turned = Progress(SagaStatus.COMPENSATING, drive.run.progress.replies)
        self.drives[write.where] = replace(drive, run=replace(drive.run, progress=turned), is_writing=False)
        self._step(write.where, broker)

    def lose_write(self, number: int) -> None:
        """The database cannot be reached: the statement never comes, and the drive leaves the run to the sweep."""
        write = self.writes.pop(number)
        drive = self.drives.get(write.where)
        if drive is not None and drive.number == write.drive:
            del self.drives[write.where]

    def look(self, number: int) -> bool:
        """Who waits looks at the row; False when it is not over."""
        call = self.calls[number]
        outcome = self.journal.outcome(call.saga)
        if outcome is None:
            return False
        self._tell(number, outcome)
        return True

    def hang_up(self, number: int) -> None:
        """The caller goes, or is told 202; the flow goes on."""
        self._tell(number, None)

    def crash(self, replica: int) -> None:
        """A replica dies, with its drives and whoever waits there; statements on their way may still arrive."""
        self.drives = {where: drive for where, drive in self.drives.items() if where[0] != replica}
        for number, call in list(self.calls.items()):
            if call.replica == replica:
                self._tell(number, None)

    def _start(self, replica: int, run: Run[Plan], broker: Broker) -> None:
        where = (replica, run.id)
        if where not in self.drives:
            self.drives[where] = Drive(self._number(), run)
            self._step(where, broker)

    def _step(self, where: Where, broker: Broker) -> None:
        drive = self.drives[where]
        if drive.is_writing:
            return
        flow, progress = self.flow.of(drive.run.plan), drive.run.progress
        if is_stuck(flow, progress):
            self._write(where, WriteKind.PARK)
            return
        for move in moves(flow, progress):
            match move:
                case Do(step):
                    self._send(where, flow, step, broker, is_cancel=False)
                case Undo(step):
                    self._send(where, flow, step, broker, is_cancel=True)
                case Complete():
                    self._write(where, WriteKind.COMPLETE)
                case Compensate(cause):
                    self._write(where, WriteKind.COMPENSATE, cause)
                case Reject():
                    self._write(where, WriteKind.REJECT)
                case _:
                    assert_never(move)

    def _send(self, where: Where, flow: Flow[Plan], step: str, broker: Broker, *, is_cancel: bool) -> None:
        drive, replica = self.drives[where], where[0]
        name = step + CANCEL_SUFFIX if is_cancel else step
        if name in drive.sent:
            return
        self.drives[where] = replace(drive, sent=drive.sent | {name})
        chosen = next(each for each in flow.steps if each.name == step)
        run = drive.run
        if is_cancel:
            assert chosen.undo is not None
            command = chosen.undo(run.plan)
        else:
            command = chosen.does(run.plan, run.progress.replies)
        key = f"{run.id}.{step if self.hole is Hole.CANCEL_UNDER_THE_CREATES_KEY else name}"
        attempt = "" if self.hole is Hole.SAME_MESSAGE_ID else f".{run.attempt}-{drive.resends}-{replica}"
        message = Message(chosen.service, key, command.body, Address(replica, run.id, name))
        broker.say(f"{run.id}.{name}{attempt}", message)

    def _write(self, where: Where, kind: WriteKind, cause: str = "") -> None:
        drive = self.drives[where]
        self.drives[where] = replace(drive, is_writing=True)
        self.writes[self._number()] = Write(kind, where, drive.number, drive.run, cause)

    def _commit(self, write: Write) -> tuple[Outcome | None, bool]:
        """How the run ended, as far as the statement tells; and whether T_c went through."""
        run = write.run
        match write.kind:
            case WriteKind.RECORD | WriteKind.PARK:
                self.journal.record(run, is_parked=write.kind is WriteKind.PARK)
                return None, False
            case WriteKind.COMPENSATE:
                return None, self.journal.compensate(run, write.cause)
            case WriteKind.COMPLETE:
                return self.journal.complete(run) or self.journal.outcome(run.id), False
            case WriteKind.REJECT:
                return self.journal.reject(run) or self.journal.outcome(run.id), False

    def _wake(self, where: Where, outcome: Outcome) -> None:
        for number, call in list(self.calls.items()):
            if (call.replica, call.saga) == where:
                self._tell(number, outcome)

    def _tell(self, number: int, outcome: Outcome | None) -> None:
        call = self.calls.pop(number)
        self.told.append(Told(call.proposal, call.saga, outcome))

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers
