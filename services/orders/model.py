"""What orders are. Pure."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from shared.contracts.identity import Billing
from shared.contracts.orders import BilledTo
from shared.errors import StateForbids

NUMBER_LENGTH: Final = 8
MOST_TASKS: Final = 200
"""Of one order: they are listed all together."""
MOST_OF_A_LIST: Final = 100
"""How many tags or employees an order or a task has at most."""
_NUMBER_ALPHABET: Final = string.ascii_uppercase + string.digits
SIGNED_METADATA: Final = ("proposal_id", "engagement_id", "proposal_items")
"""The keys of `metadata` that a signature writes."""
SIGNED_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "price": "price",
        "currency": "currency",
        "quantity": "quantity",
        "client": "user_id",
        "engagement_id": "engagement_id",
        "service": "service",
        "service_id": "service_id",
        "number": "number",
    }
)
"""The fields of an order that a signature made and that stay as they are, each with its name in the API."""


# A number with a point or an exponent may be one that no float holds: it is compared as it is spelled.
_comparable: Final = msgspec.json.Decoder(float_hook=lambda spelled: (spelled,))


class OrderStatus(IntEnum):
    """As the contract numbers them."""

    UNPAID = 0
    IN_PROGRESS = 1
    COMPLETED = 2
    CANCELLED = 3
    ON_HOLD = 4

    @property
    def label(self) -> str:
        return self.name.replace("_", " ").title()


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A client, as this service keeps them."""

    id: UUID
    name_f: str
    name_l: str
    email: str
    company: str | None
    phone: str | None


class ClientToBill(Client, frozen=True, kw_only=True):
    """A client of whom it is known where a bill goes; `billing` is None where it is not."""

    billing: Billing | None

    @property
    def billed_to(self) -> BilledTo:
        """To whom an order that is made now is billed."""
        known = self.billing or Billing()
        return BilledTo(
            name=f"{self.name_f} {self.name_l}".strip(),
            email=self.email,
            company=self.company,
            tax_id=known.tax_id,
            address=known.address,
        )


class Employee(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff, as this service keeps them."""

    id: UUID
    name_f: str
    name_l: str


class SignedStays(StateForbids):
    """What a signature agreed to would change."""

    def __init__(self, fields: Sequence[str]) -> None:
        faults = {field: ["A signature made this order: this stays as it was signed."] for field in fields}
        super().__init__("The order was made by a signature: what was signed never changes.", faults)


class SignedOrderNotDeletable(StateForbids):
    """An order that a signature made would be deleted."""

    def __init__(self) -> None:
        super().__init__("The order was made by a signature and cannot be deleted; cancel it.")


class NumberTaken(StateForbids):
    """Another order of the organisation has this number, or had it before it was deleted."""

    def __init__(self, number: str) -> None:
        super().__init__(f"The number {number} is taken.", {"number": ["The number is taken."]})


class TooManyTasks(StateForbids):
    """The order has as many tasks as an order may have."""

    def __init__(self) -> None:
        super().__init__(f"The order has {MOST_TASKS} tasks, which is the most: remove one to add another.")


class OrderChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an order shall be from now on; what is unset stays. References are known to be there."""

    client: Client | UnsetType = UNSET
    service: str | UnsetType = UNSET
    service_id: UUID | UnsetType | None = UNSET
    price: Decimal | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    quantity: int | UnsetType = UNSET
    status: OrderStatus | UnsetType = UNSET
    engagement_id: UUID | UnsetType | None = UNSET
    note: str | UnsetType | None = UNSET
    number: str | UnsetType = UNSET
    metadata: bytes | UnsetType = UNSET
    form_data: bytes | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    employees: tuple[Employee, ...] | UnsetType = UNSET
    date_started: datetime | UnsetType | None = UNSET
    date_completed: datetime | UnsetType | None = UNSET
    date_due: datetime | UnsetType | None = UNSET


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A financial record. `billed_to` never changes, nor does what a signature made of it."""

    id: UUID
    org_id: UUID
    version: int
    number: str
    client: Client
    billed_to: BilledTo
    engagement_id: UUID | None
    proposal_id: UUID | None
    status: OrderStatus
    price: Decimal
    currency: str
    quantity: int
    service: str
    service_id: UUID | None
    note: str | None
    metadata: bytes
    form_data: bytes
    tags: tuple[str, ...]
    employees: tuple[Employee, ...]
    created_at: datetime
    updated_at: datetime
    date_started: datetime | None
    date_completed: datetime | None
    date_due: datetime | None

    @property
    def is_signed(self) -> bool:
        """Whether a signature made it."""
        return self.proposal_id is not None

    def changed(self, change: OrderChange, at: datetime) -> Order:
        """The order with what `change` sets; itself when that makes no difference. Raises SignedStays."""
        sets = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
        different = {name: value for name, value in sets.items() if value != getattr(self, name)}
        if self.is_signed and (fixed := self._signed_among(different)):
            raise SignedStays(fixed)
        if not different:
            return self
        after = replace(self, **different, version=self.version + 1, updated_at=at)
        return after.dated(at) if "status" in different else after

    def dated(self, at: datetime) -> Order:
        """The order as it enters its status: Completed sets `date_completed` where it is empty."""
        is_undated = self.status is OrderStatus.COMPLETED and self.date_completed is None
        return replace(self, date_completed=at) if is_undated else self

    def require_deletable(self) -> None:
        """Raises SignedOrderNotDeletable."""
        if self.is_signed:
            raise SignedOrderNotDeletable

    def _signed_among(self, different: Mapping[str, Any]) -> list[str]:
        """The fields of `different` that stay as they were signed, as callers name them."""
        fixed = [spelled for name, spelled in SIGNED_FIELDS.items() if name in different]
        if "metadata" in different:
            before, after = _signed_metadata(self.metadata), _signed_metadata(different["metadata"])
            fixed += [f"metadata.{key}" for key in SIGNED_METADATA if before.get(key) != after.get(key)]
        return fixed


class TaskChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a task shall be from now on; what is unset stays."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    sort_order: int | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET
    for_client: bool | UnsetType = UNSET
    deadline: int | UnsetType | None = UNSET
    due_at: datetime | UnsetType | None = UNSET
    employees: tuple[Employee, ...] | UnsetType = UNSET


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be done for an order. Due `deadline` hours after it can begin, or at `due_at`; never both."""

    id: UUID
    org_id: UUID
    version: int
    order_id: UUID
    name: str
    description: str | None
    sort_order: int
    is_public: bool
    for_client: bool
    deadline: int | None
    due_at: datetime | None
    employees: tuple[Employee, ...]
    completed_by: UUID | None
    completed_at: datetime | None
    created_at: datetime

    def changed(self, change: TaskChange) -> Task:
        """The task with what `change` sets; itself when that makes no difference. One due time replaces the other."""
        sets = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
        if sets.get("deadline") is not None:
            sets["due_at"] = None
        elif sets.get("due_at") is not None:
            sets["deadline"] = None
        different = {name: value for name, value in sets.items() if value != getattr(self, name)}
        return replace(self, **different, version=self.version + 1) if different else self

    def completed(self, by: UUID, at: datetime) -> Task:
        """The task, complete; itself when it was so before."""
        if self.completed_at is not None:
            return self
        return replace(self, completed_by=by, completed_at=at, version=self.version + 1)

    def reopened(self) -> Task:
        """The task, not complete; itself when it was so before."""
        if self.completed_at is None:
            return self
        return replace(self, completed_by=None, completed_at=None, version=self.version + 1)


def _signed_metadata(metadata: bytes) -> dict[str, Any]:
    """Of an order's metadata, what a signature writes, to be compared; other keys may hold any JSON."""
    keys = msgspec.json.decode(metadata, type=dict[str, msgspec.Raw])
    return {key: _comparable.decode(keys[key]) for key in SIGNED_METADATA if key in keys}


def draw_number() -> str:
    """A fresh order number: 8 of A–Z0–9, unguessable; unique only by the database's word."""
    return "".join(secrets.choice(_NUMBER_ALPHABET) for _ in range(NUMBER_LENGTH))
