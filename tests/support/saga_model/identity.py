"""Identity in the model: clients, one a live e-mail address, and the way out of one."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import msgspec
from msgspec.structs import replace

from services.identity.model.clients import Fate, fate_of
from services.identity.model.ensuring import reply_to_bound, reply_to_ensure
from shared.contracts.identity import ClientState, EnsureClient
from tests.support.saga_model.broker import Fact, Message
from tests.support.saga_model.parts import Hole
from tests.support.saga_model.service import Service, Writes

STAFF = "staff@example.com"
OWNERS = ("engagements", "orders")


class Closing(msgspec.Struct, frozen=True):
    """A client that somebody wants to delete, as it was marked, and what its owners have counted so far."""

    client: ClientState
    counts: tuple[tuple[str, int], ...] = ()


class Identity(Service):
    """The participant of the step that is never undone."""

    def __init__(self, hole: Hole | None, clients: Iterable[ClientState]) -> None:
        super().__init__("identity", hole)
        self.clients: dict[UUID, ClientState] = {client.id: client for client in clients}
        self.closings: dict[int, Closing] = {}

    def begin(self, message: Message, *, refuses: bool) -> Writes | None:
        body = message.body
        assert isinstance(body, EnsureClient)
        locks = frozenset((body.email,))
        if refuses or (body.email == STAFF and not body.is_bound):
            return Writes(reply_to_ensure(None), locks)
        found = self.clients.get(body.client_id) or (None if body.is_bound else self.of_email(body.email))
        if found is not None and found.is_closing and self.hole is not Hole.CLOSING_IS_REFUSED:
            return None
        if found is not None or body.is_bound:
            return Writes(reply_to_bound(_as_gone(found)), locks)
        made = _made(body)
        return Writes(reply_to_ensure(made), locks, state=made)

    def commit(self, message: Message, writes: Writes) -> None:
        if writes.state is not None:
            self._save(writes.state)

    def change(self, client: ClientState, **changes: object) -> bool:
        """A new version of an open client; False when they are not, or while a flow holds their row."""
        if client.is_closed or client.email in self.locked():
            return False
        self._save(replace(client, version=client.version + 1, **changes))
        return True

    def make(self, id: UUID, email: str) -> bool:
        """Staff make a client with a free address."""
        if id in self.clients or self.of_email(email) is not None or email in self.locked():
            return False
        some = next(iter(self.clients.values()))
        self._save(ClientState(org_id=some.org_id, id=id, version=1, name_f="A", name_l="B", email=email))
        return True

    def rename(self, client: ClientState, email: str) -> bool:
        """Another address for a client, if nobody has it and no flow holds it."""
        is_free = email != STAFF and self.of_email(email) is None and email not in self.locked()
        return is_free and not client.is_deleted and self.change(client, email=email)

    def begin_closing(self, number: int, client: ClientState) -> bool:
        """Mark a client as Closing; one who is already stays so, and is counted once more."""
        if client.is_deleted or not (client.is_closed or self.change(client, is_closed=True)):
            return False
        self.closings[number] = Closing(self.clients[client.id])
        return True

    def count(self, number: int, owner: str, count: int) -> None:
        closing = self.closings[number]
        self.closings[number] = replace(closing, counts=(*closing.counts, (owner, count)))

    def end_closing(self, number: int) -> bool:
        """Delete the client, or open them again: when something hangs on them, or an owner has not said."""
        closing = self.closings[number]
        if closing.client.email in self.locked():
            return False
        del self.closings[number]
        found = self.clients[closing.client.id]
        if found.version == closing.client.version:  # closed at this version, so it is Closing still
            counts = dict(closing.counts)
            is_deleted = fate_of([counts.get(owner) for owner in OWNERS]) is Fate.DELETED
            self._save(replace(found, version=found.version + 1, is_closed=is_deleted, is_deleted=is_deleted))
        return True

    def hear(self, fact: Fact) -> bool:
        raise AssertionError("identity hears of nothing")

    def of_email(self, email: str) -> ClientState | None:
        return next((each for each in self.clients.values() if each.email == email and not each.is_deleted), None)

    def _save(self, client: ClientState) -> None:
        self.clients[client.id] = client
        self.outbox.put(Fact("client", client.id, client.version, client))


def _as_gone(client: ClientState | None) -> ClientState | None:
    """With the hole, one who is only Closing is taken for deleted."""
    return replace(client, is_deleted=True) if client is not None and client.is_closed else client


def _made(wanted: EnsureClient) -> ClientState:
    return ClientState(
        org_id=wanted.org_id,
        id=wanted.client_id,
        version=1,
        name_f=wanted.name_f,
        name_l=wanted.name_l,
        email=wanted.email,
    )
