"""Engagements and orders in the model: each makes one thing a saga, once, and undoes it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import msgspec
from msgspec.structs import replace

from services.engagements.domain.opening import CLIENT_IS_GONE
from shared.contracts.engagements import CancelEngagement, EngagementOpened, OpenEngagement
from shared.contracts.identity import ClientState
from shared.contracts.orders import CancelOrder, OrderPlaced, PlaceOrder
from shared.contracts.reply import CANCELLED, Reply
from tests.support.saga_model.broker import Fact, Message
from tests.support.saga_model.parts import Hole, PromiseBroken
from tests.support.saga_model.service import Service, Writes

Create = OpenEngagement | PlaceOrder
Cancel = CancelEngagement | CancelOrder


class Row(msgspec.Struct, frozen=True):
    """An engagement with its projects, or an order."""

    id: UUID
    saga: UUID
    proposal: UUID
    client: UUID
    projects: tuple[UUID, ...] = ()
    version: int = 1
    is_cancelled: bool = False


class Gate(msgspec.Struct, frozen=True):
    """The copy of a client's row that every create locks."""

    version: int
    is_closed: bool
    is_deleted: bool = False

    def after(self, client: ClientState) -> Gate:
        """What is newer counts."""
        is_newer = client.version > self.version
        return Gate(client.version, client.is_closed, client.is_deleted) if is_newer else self


UNHEARD_OF = Gate(-1, is_closed=False)


class _Made(msgspec.Struct, frozen=True):
    """What a create has written."""

    gate: Gate
    row: Row | None


class Maker(Service):
    """The participant of one step that can be undone."""

    def __init__(self, name: str, hole: Hole | None, clients: Iterable[ClientState]) -> None:
        super().__init__(name, hole)
        self.rows: dict[UUID, Row] = {}
        self.gates = {client.id: UNHEARD_OF.after(client) for client in clients}
        self.engagements: dict[UUID, Row] = {}

    def begin(self, message: Message, *, refuses: bool) -> Writes | None:
        if isinstance(message.body, OpenEngagement | PlaceOrder):
            return self._begin_create(message, message.body, refuses=refuses)
        assert isinstance(message.body, CancelEngagement | CancelOrder)
        return self._begin_cancel(message, message.body)

    def commit(self, message: Message, writes: Writes) -> None:
        if isinstance(message.body, OpenEngagement | PlaceOrder):
            self._commit_create(message, message.body, writes)
        elif isinstance(message.body, CancelEngagement | CancelOrder):
            self._commit_cancel(message, message.body, writes)

    def close_client(self, client: ClientState) -> int | None:
        """Let nothing new hang on the client, and count what does; None while a create holds the client's row."""
        if client.id in self.locked():
            return None
        self.gates[client.id] = self.gates.get(client.id, UNHEARD_OF).after(client)
        return sum(row.client == client.id for row in self.active())

    def hear(self, fact: Fact) -> bool:
        if fact.topic == "engagement":
            known = self.engagements.get(fact.about)
            if known is None or known.version < fact.version:
                self.engagements[fact.about] = fact.state
            return True
        return self.close_client(fact.state) is not None

    def active(self) -> list[Row]:
        return [row for row in self.rows.values() if not row.is_cancelled]

    def _begin_create(self, message: Message, body: Create, *, refuses: bool) -> Writes | None:
        gate = self.gates.get(body.client.id, UNHEARD_OF).after(body.client)
        locks = frozenset((body.client.id, message.key))
        stored = None if self.hole is Hole.INBOX_OFF else self.inbox.get(message.key)
        if stored is not None:
            reply = None if self.hole is Hole.NO_REPLY_TO_A_DUPLICATE else stored
            return Writes(reply, locks, state=_Made(gate, None))
        is_gone = gate.is_deleted or (gate.is_closed and self.hole is Hole.CLOSING_IS_REFUSED)
        if is_gone or refuses:
            cause = CLIENT_IS_GONE if is_gone else "refused"
            return Writes(Reply(outcome="refused", cause=cause), locks, state=_Made(gate, None))
        if gate.is_closed:
            return None
        return Writes(Reply(outcome="done", result=_result(body)), locks, state=_Made(gate, _row(body)))

    def _commit_create(self, message: Message, body: Create, writes: Writes) -> None:
        made: _Made = writes.state
        self.gates[body.client.id] = made.gate
        if writes.reply is not None:
            self.inbox[message.key] = writes.reply
        if made.row is not None:
            self._require_second_wall(made.row)
            self._save(made.row)

    def _begin_cancel(self, message: Message, body: Cancel) -> Writes:
        """The first statement takes the create's key, or waits for it; its snapshot is that of the whole statement."""
        snapshot = self._of_saga(body.saga_id)
        if self.hole is Hole.CANCEL_UNDER_THE_CREATES_KEY and (stored := self.inbox.get(body.key)):
            return Writes(stored, state=())
        if self.hole is Hole.TOMBSTONE_OFF:
            return Writes(CANCELLED, frozenset((message.key,)), state=snapshot)
        keys = frozenset((body.key, f"{message.key}.cancelling"))
        return Writes(CANCELLED, frozenset((f"{message.key}.cancelling",)), waits_for=keys, state=snapshot)

    def _commit_cancel(self, message: Message, body: Cancel, writes: Writes) -> None:
        if writes.reply is not None and writes.reply.outcome != "cancelled":
            return
        if self.hole is not Hole.TOMBSTONE_OFF:
            self.inbox.setdefault(body.key, CANCELLED)
        self.inbox.setdefault(message.key, CANCELLED)
        seen = writes.state if self.hole is Hole.CANCEL_AS_ONE_STATEMENT else self._of_saga(body.saga_id)
        for id in seen:
            row = self.rows[id]
            self._save(replace(row, version=row.version + 1, is_cancelled=True))

    def _of_saga(self, saga: UUID) -> tuple[UUID, ...]:
        return tuple(row.id for row in self.active() if row.saga == saga)

    def _require_second_wall(self, row: Row) -> None:
        """The unique keys of the tables. They are a wall behind the protocol: it must never run into them."""
        if row.id in self.rows or any(other.proposal == row.proposal for other in self.active()):
            raise PromiseBroken(f"{self.name} would make a second one for proposal {row.proposal.int}")

    def _save(self, row: Row) -> None:
        self.rows[row.id] = row
        self.outbox.put(Fact("engagement" if self.name == "engagements" else "order", row.id, row.version, row))


def _row(body: Create) -> Row:
    if isinstance(body, PlaceOrder):
        return Row(body.order_id, body.saga_id, body.proposal_id, body.client.id)
    projects = tuple(project.id for project in body.projects)
    return Row(body.engagement_id, body.saga_id, body.proposal_id, body.client.id, projects)


def _result(body: Create) -> msgspec.Raw:
    if isinstance(body, PlaceOrder):
        return _raw(OrderPlaced(order=_raw({"id": body.order_id})))
    projects = [_raw({"id": project.id}) for project in body.projects]
    return _raw(EngagementOpened(engagement=_raw({"id": body.engagement_id}), projects=projects))


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
