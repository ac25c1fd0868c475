"""What proposals and their signatures are, and how they move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from shared.contracts.identity import ClientState
from shared.currency import check_whole
from shared.errors import InvalidInput, RefersToNothing, StateForbids
from shared.money import LIMIT
from shared.names import full_name
from shared.web.idempotency import Key

MOST_ITEMS: Final = 100
"""Of one proposal."""


class ProposalStatus(IntEnum):
    """As the contract numbers them. Expired is how a Sent proposal past its `valid_until` reads; it is never stored."""

    DRAFT = 0
    SENT = 1
    SIGNED = 2
    REJECTED = 3
    SIGNING = 4
    EXPIRED = 5

    @property
    def label(self) -> str:
        return self.name.capitalize()


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item: a project to be delivered, if the proposal is signed."""

    id: UUID
    name: str
    description: str
    price: Decimal
    service_id: UUID | None = None
    created_at: datetime
    service_name: str | None = None
    """The template's name, where the flow carries it along."""

    @property
    def content(self) -> tuple[str, str, Decimal, UUID | None]:
        """What staff wrote of it."""
        return (self.name, self.description, self.price, self.service_id)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal; `items` in the order in which they were sent (empty in lists)."""

    id: UUID
    org_id: UUID
    version: int
    client_id: UUID | None = None
    """Whose it is; None for a Draft, and until a client with its address is known."""
    client_email: str
    client_name_f: str
    client_name_l: str
    client_company: str | None
    status: ProposalStatus
    currency: str
    notes: str | None
    total: Decimal
    valid_until: datetime | None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    signed_at: datetime | None
    converted_engagement_id: UUID | None
    converted_order_id: UUID | None
    rejected_at: datetime | None = None
    rejection_reason: str | None = None
    items: tuple[Item, ...] = ()

    @property
    def client_name(self) -> str:
        return full_name(self.client_name_f, self.client_name_l)

    def status_at(self, at: datetime) -> ProposalStatus:
        """The status as it reads at that time."""
        if self.status is ProposalStatus.SENT and self.valid_until is not None and self.valid_until <= at:
            return ProposalStatus.EXPIRED
        return self.status

    def changed(self, fields: dict[str, Any], items: tuple[Item, ...] | None, at: datetime) -> Proposal:
        """With these fields, and these items in place of its own; the very same when nothing differs.

        A Draft takes all of them; what was sent takes another `valid_until`, alone. Raises ProposalNotChangeable,
        OnlyTheTimeChanges, and InvalidInput as `total_of` does.
        """
        status = self.status_at(at)
        if status in (ProposalStatus.SENT, ProposalStatus.EXPIRED):
            others = [*(name for name in fields if name != "valid_until"), *(["items"] if items is not None else [])]
            if others:
                raise OnlyTheTimeChanges(status, others)
        elif status is not ProposalStatus.DRAFT:
            raise ProposalNotChangeable(status)
        if items is not None and not self.has_items_like(items):
            fields = fields | {"items": items, "total": total_of([item.price for item in items])}
        after = replace(self, **fields)
        if after.currency != self.currency or after.items != self.items:
            check_whole(after.currency, amounts_of([item.price for item in after.items]))
        return self if after == self else replace(after, updated_at=at, version=self.version + 1)

    def has_items_like(self, items: Sequence[Item]) -> bool:
        """Whether its items say the same, in the same order; the id and the time of an item are its own."""
        return [item.content for item in self.items] == [item.content for item in items]

    def deleted(self, at: datetime) -> Proposal:
        """The proposal's last version. Raises ProposalNotDeletable while it is being signed, and once it is."""
        if self.status in (ProposalStatus.SIGNING, ProposalStatus.SIGNED):
            raise ProposalNotDeletable(self.status)
        return replace(self, updated_at=at, version=self.version + 1)

    def rejected(self, reason: str | None, at: datetime) -> Proposal:
        """Sent → Rejected, with the reason. Raises ProposalNotRejectable, also when it has expired."""
        status = self.status_at(at)
        if status is not ProposalStatus.SENT:
            raise ProposalNotRejectable(status)
        return replace(
            self,
            status=ProposalStatus.REJECTED,
            rejected_at=at,
            rejection_reason=reason,
            updated_at=at,
            version=self.version + 1,
        )

    def sent(self, at: datetime) -> Proposal:
        """Draft → Sent. Raises ProposalNotSendable, and DraftHasExpired when its `valid_until` has passed."""
        if self.status is not ProposalStatus.DRAFT:
            raise ProposalNotSendable(self.status_at(at))
        if self.valid_until is not None and self.valid_until <= at:
            raise DraftHasExpired
        return replace(self, status=ProposalStatus.SENT, sent_at=at, updated_at=at, version=self.version + 1)

    def signed(self, *, client: UUID, engagement: UUID, order: UUID, signed_at: datetime, at: datetime) -> Proposal:
        """Signing → Signed, with what came of it, and of the client for whom it was; only the sign flow does this."""
        return replace(
            self,
            status=ProposalStatus.SIGNED,
            signed_at=signed_at,
            updated_at=at,
            version=self.version + 1,
            client_id=client,
            converted_engagement_id=engagement,
            converted_order_id=order,
        )


class UnknownServices(RefersToNothing):
    """Items name service templates that the organisation does not have, or has no more."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__("items", "service")
        message = ["There is no such service."]
        self.errors = {f"items.{position}.service_id": message for position in positions}


class ProposalNotChangeable(StateForbids):
    """What is being signed, is signed or was rejected stays as it is."""

    def __init__(self, status: ProposalStatus) -> None:
        super().__init__(f"Only a Draft proposal can be changed; this one is {status.label}.")
        self.status = status


class OnlyTheTimeChanges(StateForbids):
    """What was sent is what is signed: until when it can be signed is all that may change, in a call of its own."""

    def __init__(self, status: ProposalStatus, fields: Sequence[str]) -> None:
        detail = f"Of a proposal that is {status.label} only `valid_until` can be changed, and nothing beside it."
        super().__init__(detail, {name: [f"A proposal that is {status.label} cannot change this."] for name in fields})
        self.status = status


class DraftHasExpired(StateForbids):
    """A proposal that nobody could sign is not sent."""

    def __init__(self) -> None:
        detail = "The `valid_until` of this draft has passed: give it a later one, or none, and send it then."
        super().__init__(detail, {"valid_until": ["This time has passed."]})


class ProposalNotDeletable(StateForbids):
    """What is being signed, or is signed, stays."""

    def __init__(self, status: ProposalStatus) -> None:
        super().__init__(f"A proposal that is {status.label} cannot be deleted.")
        self.status = status


class ProposalNotRejectable(StateForbids):
    """Only a Sent, unexpired proposal can be rejected."""

    def __init__(self, status: ProposalStatus) -> None:
        super().__init__(f"Only a Sent proposal can be rejected; this one is {status.label}.")
        self.status = status


class ProposalNotSendable(StateForbids):
    """Only a Draft can be sent."""

    def __init__(self, status: ProposalStatus) -> None:
        super().__init__(f"Only a Draft proposal can be sent; this one is {status.label}.")
        self.status = status


class ProposalNotSignable(StateForbids):
    """Only a Sent, unexpired proposal can be signed; one that is Signed already says what came of it."""

    def __init__(self, proposal: Proposal, at: datetime) -> None:
        self.status = proposal.status_at(at)
        made = ""
        if self.status is ProposalStatus.SIGNED:
            made = f" (engagement {proposal.converted_engagement_id}, order {proposal.converted_order_id})"
        super().__init__(f"Only a Sent proposal can be signed; this one is {self.status.label}{made}.")


class SignatureRefused(StateForbids):
    """A participant refused for a cause of its own; all that was done is undone, and the proposal is Sent again."""

    headers: Mapping[str, str] = MappingProxyType({})


def amounts_of(prices: Sequence[Decimal]) -> dict[str, Decimal]:
    """The prices of items by the fields that they are sent in."""
    return {f"items.{index}.price": price for index, price in enumerate(prices)}


def total_of(prices: Sequence[Decimal]) -> Decimal:
    """The exact sum. Raises InvalidInput when it has more than 10 digits before the point."""
    total = sum(prices, Decimal("0.00"))
    if total > LIMIT:
        raise InvalidInput({"items": [f"The sum of the prices is over {LIMIT}."]})
    return total


class Ids(msgspec.Struct, frozen=True, kw_only=True):
    """Every id that a run of the sign flow will ever write, allocated before anything happens.

    Projects and events get consecutive ids from their first one, in the items' order.
    """

    saga: UUID
    client: UUID
    engagement: UUID
    order: UUID
    first_project: UUID
    first_event: UUID

    def project(self, position: int) -> UUID:
        return UUID(int=self.first_project.int + position)

    def event(self, position: int) -> UUID:
        return UUID(int=self.first_event.int + position)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of the sign flow carries: the proposal as it was signed, its client if known, and the ids."""

    ids: Ids
    proposal: Proposal
    client: ClientState | None
    at: datetime


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the act of signing."""

    signer_name: str | None
    signature: str | None
    address: str | None
    user_agent: str | None


class SignCall(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks of the sign flow; `versions` are those that they would sign (None: any), by `If-Match`."""

    proposal: UUID
    signature: Signature
    versions: frozenset[int] | None
    key: Key | None
