"""What orders are. Pure."""

from __future__ import annotations

import secrets
import string
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from shared.errors import StateForbids

NUMBER_LENGTH: Final = 8
_NUMBER_ALPHABET: Final = string.ascii_uppercase + string.digits


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


class Employee(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff, as this service keeps them."""

    id: UUID
    name_f: str
    name_l: str


class SignedAmountsStay(StateForbids):
    """What a signature agreed to would change."""

    def __init__(self, fields: list[str]) -> None:
        faults = {field: ["A signature made this order: its amounts never change."] for field in fields}
        super().__init__("The order was made by a signature: its amounts never change.", faults)


class NumberTaken(StateForbids):
    """Another order of the organisation has this number, or had it before it was deleted."""

    def __init__(self, number: str) -> None:
        super().__init__(f"The number {number} is taken.", {"number": ["The number is taken."]})


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
    """A financial record. Amounts of an order that a signature made never change."""

    id: UUID
    org_id: UUID
    version: int
    number: str
    client: Client
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
        """The order with what `change` sets; itself when that makes no difference. Raises SignedAmountsStay."""
        sets = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
        different = {name: value for name, value in sets.items() if value != getattr(self, name)}
        fixed = [name for name in ("price", "currency", "quantity") if name in different]
        if self.is_signed and fixed:
            raise SignedAmountsStay(fixed)
        return replace(self, **different, version=self.version + 1, updated_at=at) if different else self


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


def draw_number() -> str:
    """A fresh order number: 8 of A–Z0–9, unguessable; unique only by the database's word."""
    return "".join(secrets.choice(_NUMBER_ALPHABET) for _ in range(NUMBER_LENGTH))
